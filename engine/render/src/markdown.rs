//! Values inside Markdown.

use crate::plain::shown;

/// What Markdown and its usual extensions read as markup, mentions or HTML.
const MARKUP: &str = "\\`*_[]<>#|~&@$";

/// `value` made safe to look at and to stand in running Markdown, also at the start of a line; in a
/// code span the escapes would show.
#[must_use]
pub fn markdown(value: &str, chars_most: usize) -> String {
    let shown = shown(value.trim_start(), chars_most);
    let marker = list_marker(&shown);
    let mut text = String::with_capacity(shown.len());
    for (at, char) in shown.char_indices() {
        let makes_link = char == ':' && shown[at + 1..].starts_with('/')
            || char == '.' && shown[..at].to_ascii_lowercase().ends_with("www");
        if MARKUP.contains(char) || makes_link || marker == Some(at) {
            text.push('\\');
        }
        text.push(char);
    }
    text
}

/// The character that would make a line a list, a rule or a heading.
fn list_marker(text: &str) -> Option<usize> {
    let digits = text.len() - text.trim_start_matches(|char: char| char.is_ascii_digit()).len();
    let rest = &text[digits..];
    let is_numbered = digits > 0 && rest.starts_with(['.', ')']) && !rest[1..].starts_with(|char| char != ' ');
    let is_bullet = digits == 0 && rest.starts_with(['-', '+', '=']);
    (is_numbered || is_bullet).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_value_stays_text() {
        for (value, expected) in [
            ("[ok](https://evil)", r"\[ok\](https\://evil)"),
            ("</script> *b* `c` @here", r"\</script\> \*b\* \`c\` \@here"),
            ("a\n# b", r"a\\u{a}\# b"),
            ("www.evil.example", r"www\.evil.example"),
            ("- item", r"\- item"),
            ("1. item", r"1\. item"),
            ("---", r"\---"),
            ("    code", "code"),
            ("2026-11-24 07:00:00 UTC", "2026-11-24 07:00:00 UTC"),
            ("1.web", "1.web"),
            ("", ""),
        ] {
            assert_eq!(markdown(value, 256), expected);
        }
    }
}
