//! SQL expressions with a name.

/// Name and SQL of `column`, `"column"` or `expression AS name`; `None` where there is no name.
pub(crate) fn named(entry: &str) -> Option<(String, String)> {
    let entry = entry.trim();
    if is_identifier(entry) {
        return Some((entry.to_owned(), entry.to_owned()));
    }
    if let Some(quoted) = entry.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
        && is_identifier(quoted)
    {
        return Some((quoted.to_owned(), entry.to_owned()));
    }
    let (before, name) = entry.rsplit_once(char::is_whitespace)?;
    let (sql, keyword) = before.trim_end().rsplit_once(char::is_whitespace)?;
    let is_named = keyword.eq_ignore_ascii_case("as") && is_identifier(name);
    is_named.then(|| (name.to_owned(), sql.trim_end().to_owned()))
}

/// Letters, digits and `_`, not starting with a digit: what SQL and templates take as a name unquoted.
pub(crate) fn is_identifier(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_its_own_name() {
        assert_eq!(named("source_namespace"), Some(("source_namespace".into(), "source_namespace".into())));
        assert_eq!(named("\"Series\""), Some(("Series".into(), "\"Series\"".into())));
    }

    #[test]
    fn an_expression_is_named_by_as() {
        let sql = "coalesce(a, b)";
        assert_eq!(named("coalesce(a, b) AS who"), Some(("who".into(), sql.into())));
        assert_eq!(named("coalesce(a, b)  as  who"), Some(("who".into(), sql.into())));
        for entry in ["coalesce(a, b)", "CAST(a AS text)", "a b", "AS x", "x AS 1", ""] {
            assert_eq!(named(entry), None, "{entry}");
        }
    }
}
