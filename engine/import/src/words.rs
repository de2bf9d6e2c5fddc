//! Texts of rules as texts of ours: templates, search patterns.

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Text as it is.
    Text(String),
    /// An expression of ours.
    Expression(String),
}

/// A template of ours: nothing in the texts is taken for an expression. Control characters become blanks.
pub(crate) fn template(parts: &[Part]) -> String {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Text(text) => {
                for c in text.chars() {
                    if c == '{' && out.ends_with('{') {
                        out.push(' ');
                    }
                    out.push(if c.is_control() { ' ' } else { c });
                }
            }
            Part::Expression(expression) => {
                // A backslash or a brace would change what the expression's own braces mean.
                if out.ends_with(['\\', '{']) {
                    out.push(' ');
                }
                out.push_str(&format!("{{{{{expression}}}}}"));
            }
        }
    }
    out
}

/// A text with `*` and `?` as a pattern of SQL's LIKE; `None` where neither stands in it.
pub(crate) fn like_pattern(text: &str) -> Option<String> {
    if !text.contains(['*', '?']) {
        return None;
    }
    let mut pattern = String::new();
    for c in text.chars() {
        match c {
            '*' => pattern.push('%'),
            '?' => pattern.push('_'),
            '%' | '_' | '\\' => pattern.extend(['\\', c]),
            c => pattern.push(c),
        }
    }
    Some(pattern)
}

/// A regular expression that finds a text as whole words, in capitals or not; with wildcards, where it may have them.
pub(crate) fn word_pattern(text: &str, is_wild: bool) -> String {
    let mut escaped = String::new();
    for c in text.trim().chars() {
        match c {
            '*' if is_wild => escaped.push_str(r"\w*"),
            '?' if is_wild => escaped.push_str(r"\w"),
            c if c.is_whitespace() => escaped.push_str(r"\s+"),
            c if c.is_ascii_punctuation() && c != '_' => escaped.extend(['\\', c]),
            c => escaped.push(c),
        }
    }
    format!(r"(?i)(^|\W){escaped}(\W|$)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_never_become_expressions() {
        let text = |text: &str| Part::Text(text.to_owned());
        assert_eq!(template(&[text("a {{raw}} {{{b}}}\n")]), "a { {raw}} { { {b}}} ");
        let parts = [
            text("cost {"),
            Part::Expression("entity.x".to_owned()),
            text("} \\"),
            Part::Expression("score".to_owned()),
        ];
        assert_eq!(template(&parts), "cost { {{entity.x}}} \\ {{score}}");
    }

    #[test]
    fn patterns_mean_their_text() {
        assert_eq!(like_pattern("plain"), None);
        assert_eq!(like_pattern("50%_\\*.x?"), Some("50\\%\\_\\\\%.x_".to_owned()));
        assert_eq!(word_pattern("out of memory (oom)", false), r"(?i)(^|\W)out\s+of\s+memory\s+\(oom\)(\W|$)");
    }
}
