//! The terminal, or a pipe.

use std::io::{self, Write};

use crate::{DeliverError, Message};

/// Prints the messages.
pub(crate) fn deliver(messages: &[Message]) -> Result<(), DeliverError> {
    write(&mut io::stdout().lock(), messages).map_err(|source| DeliverError::Stdout { source })
}

fn write(out: &mut impl Write, messages: &[Message]) -> io::Result<()> {
    for message in messages {
        writeln!(out, "{}", message.text.trim_end_matches('\n'))?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_text_ends_in_one_line_end() {
        let mut out = Vec::new();
        let message = |text: &str| Message { key: String::new(), text: text.to_owned() };
        write(&mut out, &[message("a\n"), message("b")]).unwrap();
        assert_eq!(out, b"a\nb\n");
    }
}
