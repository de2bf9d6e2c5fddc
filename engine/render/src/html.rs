//! Values inside HTML.

use crate::plain::shown;

/// `value` made safe to look at and to stand in the text of HTML or in a quoted attribute.
#[must_use]
pub fn html(value: &str, chars_most: usize) -> String {
    let mut text = String::with_capacity(value.len());
    for char in shown(value, chars_most).chars() {
        match char {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            _ => text.push(char),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_a_value_stays_text() {
        for (value, expected) in [
            ("<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"),
            ("\" onload=\"x", "&quot; onload=&quot;x"),
            ("&lt;", "&amp;lt;"),
            ("a\u{202e}b\n", r"a\u{202e}b\u{a}"),
            ("größe 大", "größe 大"),
        ] {
            assert_eq!(html(value, 256), expected);
        }
        assert_eq!(html("<<<", 1), "&lt;… (2 more characters)");
    }
}
