//! The terminal, or a pipe.

use std::io::{self, Write};

use crate::{DeliverError, Receipt};

/// Prints the lines.
pub(crate) fn deliver(lines: &[String]) -> Result<Receipt, DeliverError> {
    write(&mut io::stdout().lock(), lines).map_err(|source| DeliverError::Stdout { source })
}

fn write(out: &mut impl Write, lines: &[String]) -> io::Result<Receipt> {
    for line in lines {
        writeln!(out, "{}", line.trim_end_matches('\n'))?;
    }
    out.flush()?;
    Ok(Receipt { delivered: lines.len() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_text_ends_in_one_line_end() {
        let mut out = Vec::new();
        assert_eq!(write(&mut out, &["a\n".into(), "b".into()]).unwrap(), Receipt { delivered: 2 });
        assert_eq!(out, b"a\nb\n");
    }
}
