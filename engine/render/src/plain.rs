//! Values of a log made safe to look at.

use std::fmt::Write;

/// Characters of one value that are shown at most; the rest is counted.
pub const VALUE_CHARS_MOST: usize = 256;

/// `value` on one line: characters that move the cursor, hide text or turn its direction become
/// `\u{…}`, and what lies beyond [`VALUE_CHARS_MOST`] characters is left out and counted.
#[must_use]
pub fn plain(value: &str) -> String {
    shown(value, VALUE_CHARS_MOST)
}

/// The same with a limit of its own, for texts that are longer by nature.
pub(crate) fn shown(value: &str, chars_most: usize) -> String {
    let mut text = String::with_capacity(value.len().min(chars_most));
    let mut chars = value.chars();
    for char in chars.by_ref().take(chars_most) {
        if is_unsafe(char) {
            write!(text, "\\u{{{:x}}}", u32::from(char)).expect("a string takes what is written");
        } else {
            text.push(char);
        }
    }
    let left_out = chars.count();
    if left_out > 0 {
        write!(text, "… ({left_out} more characters)").expect("a string takes what is written");
    }
    text
}

/// Control characters, line and paragraph separators, marks of direction, and invisible characters.
pub(crate) fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_move_hide_or_turn_text_is_spelt_out() {
        assert_eq!(
            plain("a\nb\u{1b}[31mc\u{202e}d\u{2028}\u{85}\u{feff}"),
            r"a\u{a}b\u{1b}[31mc\u{202e}d\u{2028}\u{85}\u{feff}"
        );
        assert_eq!(plain("größe 大 😀 web-5d8f-*"), "größe 大 😀 web-5d8f-*");
    }

    #[test]
    fn a_long_value_is_cut_and_the_rest_is_counted() {
        let text = plain(&"x".repeat(65_536));
        assert!(text.ends_with("x… (65280 more characters)"), "{text}");
        assert_eq!(plain(&"x".repeat(256)).len(), 256);
    }
}
