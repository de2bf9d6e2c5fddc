//! Names that Kubernetes allows. Logs are not the API server: everything is checked again.

/// RFC 1123 label: a namespace.
pub(super) fn is_dns_label(text: &str) -> bool {
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    matches!(text.as_bytes(), [first, .., last] if edge(*first) && edge(*last))
        && text.len() <= 63
        && text.bytes().all(|byte| edge(byte) || byte == b'-')
        || matches!(text.as_bytes(), [only] if edge(*only))
}

/// RFC 1123 subdomain: a pod.
pub(super) fn is_dns_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(|label| label.len() <= 63 && is_dns_label(label))
}

/// The value of a label that selects; Kubernetes also allows an empty one, which selects too much.
pub(super) fn is_label_value(text: &str) -> bool {
    let edge = |byte: &u8| byte.is_ascii_alphanumeric();
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.first().is_some_and(edge)
        && bytes.last().is_some_and(edge)
        && bytes.iter().all(|byte| edge(byte) || b"-_.".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_the_api_server_takes() {
        for good in ["a", "shop", "a-1", &"x".repeat(63)] {
            assert!(is_dns_label(good), "{good}");
        }
        for bad in ["", "-", "-a", "a-", "A", "a.b", "a\n", "a b", "é", "*", &"x".repeat(64)] {
            assert!(!is_dns_label(bad), "{bad}");
        }
        assert!(is_dns_name("web-0.web") && !is_dns_name("web..0") && !is_dns_name(""));
        assert!(is_label_value("Web_1.2-x") && !is_label_value("") && !is_label_value("a'b") && !is_label_value("_a"));
    }
}
