//! DNS names taken apart by the Public Suffix List.

/// Endings of names that a cluster answers itself, and of reverse lookups.
const INSIDE: [&str; 7] = [".local", ".svc", ".arpa", ".internal", ".lan", ".home", ".localdomain"];

/// A name in lower case, without the root's dot.
pub(crate) fn plain(name: &str) -> String {
    name.trim().trim_end_matches('.').to_ascii_lowercase()
}

/// Parts of a name, all slices of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    /// What can be registered: `example.co.uk`.
    pub(crate) domain: &'a str,
    /// Its first label: `example`.
    pub(crate) label: &'a str,
    /// The public suffix: `co.uk`.
    pub(crate) suffix: &'a str,
    /// What stands before the domain; empty where there is nothing.
    pub(crate) sub: &'a str,
}

/// Takes a plain name apart; `None` for names of the cluster, reverse lookups, single labels and bare suffixes.
pub(crate) fn split(name: &str) -> Option<Parts<'_>> {
    if INSIDE.iter().any(|inside| name.ends_with(inside)) {
        return None;
    }
    let domain = psl::domain_str(name)?;
    let (label, suffix) = domain.split_once('.')?;
    let sub = name.strip_suffix(domain)?.trim_end_matches('.');
    Some(Parts { domain, label, suffix, sub })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_what_can_be_registered() {
        let parts = |name| split(name).map(|parts| (parts.sub, parts.label, parts.suffix));
        assert_eq!(parts("a.b.example.co.uk"), Some(("a.b", "example", "co.uk")));
        assert_eq!(parts("example.com"), Some(("", "example", "com")));
        assert_eq!(parts("shop.someone.github.io"), Some(("shop", "someone", "github.io")));
        for name in ["com", "localhost", "x.shop.svc.cluster.local", "9.0.0.10.in-addr.arpa", "", "co.uk"] {
            assert_eq!(split(name), None, "{name}");
        }
        assert_eq!(plain("WWW.Example.COM."), "www.example.com");
    }
}
