//! Names of detectors, columns and features out of whatever a rule calls itself.

use std::collections::BTreeSet;

/// Longest name of a detector, in characters.
const NAME_CHARS_MOST: usize = 63;

/// The names that are taken.
#[derive(Debug, Default)]
pub(crate) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// A detector's name like `wanted` that no other has yet: lower-case letters, digits, and `-` between them.
    pub(crate) fn unique(&mut self, wanted: &str) -> String {
        let plain = dashed(wanted);
        let mut name = cut(&plain, NAME_CHARS_MOST).to_owned();
        let mut number = 1;
        while !self.taken.insert(name.clone()) {
            number += 1;
            let ending = format!("-{number}");
            name = format!("{}{ending}", cut(&plain, NAME_CHARS_MOST - ending.len()));
        }
        name
    }
}

/// A text as lower-case letters, digits, and `-` between them.
pub(crate) fn dashed(wanted: &str) -> String {
    let dashed: String =
        wanted.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let parts: Vec<&str> = dashed.split('-').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() { "imported".to_owned() } else { parts.join("-") }
}

fn cut(name: &str, most: usize) -> &str {
    name.get(..most).unwrap_or(name).trim_end_matches('-')
}

/// A name that SQL and templates take as it is: letters, digits and `_`, not starting with a digit.
pub(crate) fn identifier(field: &str) -> String {
    let plain: String = field.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let plain = plain.trim_matches('_');
    match plain.chars().next() {
        None => "value".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("_{plain}"),
        Some(_) => plain.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_differ() {
        let mut names = Names::default();
        assert_eq!(names.unique("policy.pod"), "policy-pod");
        assert_eq!(names.unique("Policy -- Pod!"), "policy-pod-2");
        assert_eq!(names.unique("../../etc"), "etc");
        assert_eq!(names.unique("日本"), "imported");
        let long = "x".repeat(80);
        assert_eq!(names.unique(&long).len(), 63);
        assert_eq!(names.unique(&long), format!("{}-2", "x".repeat(61)));
    }

    #[test]
    fn fields_become_identifiers() {
        assert_eq!(identifier("objectRef.name"), "objectRef_name");
        assert_eq!(identifier("@timestamp"), "timestamp");
        assert_eq!(identifier("4xx"), "_4xx");
        assert_eq!(identifier("..."), "value");
    }
}
