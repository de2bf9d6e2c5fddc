//! The part of Calico's selector language that margay writes: `key == 'value' && …`.
//!
//! Calico's schema takes any text as a selector, so what is written is read back by this grammar.

use super::names::is_label_value;

/// Selects nothing, whatever the labels.
pub(super) const NOTHING: &str = "!all()";
/// Characters of a selector that Calico takes at most.
pub(super) const CHARS_MOST: usize = 1024;

/// The selector for endpoints that have all of `terms`.
pub(super) fn write<'a>(terms: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let terms: Vec<String> = terms.into_iter().map(|(key, value)| format!("{key} == '{value}'")).collect();
    terms.join(" && ")
}

/// The terms of a selector of this grammar; `None` for any other text.
pub(super) fn read(text: &str) -> Option<Vec<(&str, &str)>> {
    if text.len() > CHARS_MOST {
        return None;
    }
    text.split(" && ").map(term).collect()
}

fn term(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once(" == '")?;
    let value = value.strip_suffix('\'')?;
    (is_key(key) && is_label_value(value)).then_some((key, value))
}

/// A label's key: an optional prefix and a name of at most 63 characters.
fn is_key(text: &str) -> bool {
    let (prefix, name) = text.rsplit_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    is_label_value(name) && prefix.is_none_or(super::names::is_dns_name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let terms = [("projectcalico.org/namespace", "shop"), ("app", "web"), ("pod-template-hash", "5d8f9c7b6")];
        let text = write(terms);
        assert_eq!(text, "projectcalico.org/namespace == 'shop' && app == 'web' && pod-template-hash == '5d8f9c7b6'");
        assert_eq!(read(&text), Some(terms.to_vec()));
    }

    #[test]
    fn wider_and_broken_selectors_are_not_read() {
        for text in [
            "",
            "all()",
            NOTHING,
            "has(app)",
            "app == 'web' || all()",
            "app == 'web'  && b == 'c'",
            "app == 'we'b'",
            "app == \"web\"",
            "app != 'web'",
            "app == ''",
            "(app == 'web')",
            "app == 'web' && ",
            "a b == 'c'",
            "app == 'a\n'",
            "app == 'a' && b == 'c' || 'd' == 'd'",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_value_never_adds_a_term(value in "\\PC{0,40}") {
            let text = write([("app", value.as_str())]);
            prop_assert!(read(&text).is_none_or(|terms| terms == [("app", value.as_str())]));
        }
    }
}
