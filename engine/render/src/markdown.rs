//! Values inside Markdown.

use crate::plain::shown;

/// What Markdown and its usual extensions read as markup, links, mentions or HTML.
const MARKUP: &str = "\\`*_{}[]<>()#+!|~&@:$=^";

/// `value` made safe to look at and to stand in running Markdown; not for code spans.
pub(crate) fn markdown(value: &str, chars_most: usize) -> String {
    let shown = shown(value, chars_most);
    let mut text = String::with_capacity(shown.len());
    for char in shown.chars() {
        if MARKUP.contains(char) {
            text.push('\\');
        }
        text.push(char);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_value_stays_text() {
        assert_eq!(markdown("[ok](https://evil)", 256), r"\[ok\]\(https\://evil\)");
        assert_eq!(markdown("</script> *b* `c` @here", 256), r"\</script\> \*b\* \`c\` \@here");
        assert_eq!(markdown("a\n# b", 256), r"a\\u\{a\}\# b");
    }
}
