//! From a line and column inside a value to where that character stands in the file.

use std::iter::Peekable;
use std::str::CharIndices;

use crate::node::{Scalar, Style};
use crate::source::{Place, Source};

/// The place in the file of the character at a 1-based line and column of a scalar's text. Falls
/// back to the whole scalar where folding or escapes hide the character.
pub(crate) fn place_within(source: &Source, scalar: &Scalar, whole: Place, position: (usize, usize)) -> Place {
    let Some(at) = offset(&scalar.text, position) else { return whole };
    let Some(written) = source.text.get(whole.start..whole.end) else { return whole };
    match align(scalar, written, at) {
        Some(found) => source.place(whole.start + found),
        None => whole,
    }
}

/// Number of characters before a 1-based line and column; a column past the line's end means its end.
fn offset(text: &str, (line, column): (usize, usize)) -> Option<usize> {
    let before: usize = text.split_inclusive('\n').take(line.checked_sub(1)?).map(|line| line.chars().count()).sum();
    let length = text.split('\n').nth(line - 1)?.chars().count();
    Some(before + column.checked_sub(1)?.min(length.saturating_sub(1)))
}

/// The byte of `written`, the scalar's source, at which the character number `at` of its text stands.
/// Walks along both: blanks and breaks of the source stand for fewer in the text, escapes for one.
fn align(scalar: &Scalar, written: &str, at: usize) -> Option<usize> {
    let mut rest = written.char_indices().peekable();
    if matches!(scalar.style, Style::SingleQuoted | Style::DoubleQuoted) {
        rest.next();
    }
    for (index, wanted) in scalar.text.chars().enumerate() {
        let here = loop {
            let (here, c) = *rest.peek()?;
            if c == '\\' && scalar.style == Style::DoubleQuoted {
                skip_escape(&mut rest, written)?;
                break here;
            }
            let blank = wanted.is_whitespace() && c.is_whitespace();
            if c == wanted || blank {
                rest.next();
                if c == '\'' && scalar.style == Style::SingleQuoted {
                    rest.next();
                }
                break here;
            }
            if !c.is_whitespace() {
                return None;
            }
            rest.next();
        };
        if index == at {
            return Some(here);
        }
    }
    None
}

/// Steps over one escape of a double-quoted scalar; an escaped line break is not followed further.
fn skip_escape(rest: &mut Peekable<CharIndices<'_>>, written: &str) -> Option<()> {
    let (backslash, _) = rest.next()?;
    let digits = match written[backslash + 1..].chars().next()? {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        '\n' | '\r' => return None,
        _ => 0,
    };
    rest.nth(digits).map(|_| ())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::path::Path;

    use super::*;
    use crate::node::Data;
    use crate::yaml;

    /// The character of the file to which a line and column inside the value of `a` lead.
    fn lands_on(text: &str, position: (usize, usize)) -> (usize, usize, String) {
        let source = Source::from_bytes(Path::new("x.yaml"), text.as_bytes()).unwrap();
        let root = yaml::parse(&source, &mut Vec::new()).unwrap();
        let node = root.find(&["a"]).unwrap();
        let Data::Scalar(scalar) = &node.data else { panic!("a scalar") };
        let place = place_within(&source, scalar, node.place, position);
        (place.line, place.column, source.text[place.start..place.end].to_owned())
    }

    #[test]
    fn positions_inside_plain_and_quoted_values_are_found() {
        assert_eq!(lands_on("a: sum(byts)\n", (1, 5)), (1, 8, "b".to_owned()));
        assert_eq!(lands_on("a: one\n  two\n", (1, 5)), (2, 3, "t".to_owned()));
        assert_eq!(lands_on("a: 'it''s x'\n", (1, 6)), (1, 11, "x".to_owned()));
        assert_eq!(lands_on("a: \"q\\\"\\u0041 x\"\n", (1, 5)), (1, 15, "x".to_owned()));
        assert_eq!(lands_on("a: \"one\n\n  two\"\n", (2, 1)), (3, 3, "t".to_owned()));
    }

    #[test]
    fn positions_inside_block_values_are_found() {
        assert_eq!(lands_on("a: |\n  SELECT x\n  FROM y\n", (2, 6)), (3, 8, "y".to_owned()));
        assert_eq!(lands_on("a: |\n  if\n    deeper\n", (2, 3)), (3, 5, "d".to_owned()));
        assert_eq!(lands_on("a: >-\n  SELECT x\n  FROM y\n", (1, 15)), (3, 8, "y".to_owned()));
        assert_eq!(lands_on("a: |\r\n  SELECT x\r\n  FROM y\r\n", (2, 6)), (3, 8, "y".to_owned()));
    }

    #[test]
    fn a_column_past_the_end_means_the_last_character() {
        assert_eq!(lands_on("a: sum(\n", (1, 40)), (1, 7, "(".to_owned()));
        assert_eq!(lands_on("a: x\n", (9, 1)), (1, 4, "x".to_owned()));
    }
}
