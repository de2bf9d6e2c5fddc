//! Which server it is, as far as paging depends on it.

use serde_json::Value;

use super::client::Fault;

/// How a server is paged over a fixed state of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flavour {
    /// Elasticsearch from 8, whose points in time are at `_pit`.
    Elasticsearch,
    /// Elasticsearch from 7.12, which does not tell of every value that it passes over.
    Elasticsearch7,
    /// OpenSearch from 2.4, whose points in time are at `_search/point_in_time`.
    OpenSearch,
    /// Older servers and the open Elasticsearch 7.10, which have scrolls.
    Scroll,
}

/// Elasticsearch's first version that can page a point in time by the place of a document.
const PLACES_FROM: (u64, u64) = (7, 12);
/// OpenSearch's first version with points in time.
const POINTS_FROM: (u64, u64) = (2, 4);
/// The first version that is spoken to.
const LEAST: (u64, u64) = (7, 10);

impl Flavour {
    /// What a server says of itself at its root.
    pub(crate) fn of(greeting: &Value) -> Result<Self, Fault> {
        let version = &greeting["version"];
        let number = version["number"].as_str().unwrap_or_default();
        let mut parts = number.split('.').map(|part| part.parse::<u64>().ok());
        let (Some(Some(major)), Some(Some(minor))) = (parts.next(), parts.next()) else {
            return Err(Fault::lasting("it is neither Elasticsearch nor OpenSearch: it names no version"));
        };
        if version["distribution"] == "opensearch" {
            return Ok(if (major, minor) >= POINTS_FROM { Self::OpenSearch } else { Self::Scroll });
        }
        if (major, minor) < LEAST {
            let (least_major, least_minor) = LEAST;
            let message = format!("its version {major}.{minor} is older than {least_major}.{least_minor}");
            return Err(Fault::lasting(message));
        }
        // The open distribution of 7.x has no points in time.
        let is_open = version["build_flavor"].as_str().is_some_and(|flavour| flavour == "oss");
        Ok(match major {
            _ if is_open || (major, minor) < PLACES_FROM => Self::Scroll,
            7 => Self::Elasticsearch7,
            _ => Self::Elasticsearch,
        })
    }

    /// Whether records name the fields of which a value was passed over because it is longer than `ignore_above`.
    pub(crate) fn tells_of_long_values(self) -> bool {
        self == Self::Elasticsearch
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn of(number: &str, rest: Value) -> Result<Flavour, Fault> {
        let mut version = json!({ "number": number });
        version.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        Flavour::of(&json!({ "version": version }))
    }

    #[test]
    fn a_server_is_known_by_its_version_and_distribution() {
        let open = json!({ "distribution": "opensearch" });
        assert_eq!(of("3.8.0", open.clone()), Ok(Flavour::OpenSearch));
        assert_eq!(of("2.3.0", open), Ok(Flavour::Scroll));
        assert_eq!(of("8.17.0", json!({ "build_flavor": "default" })), Ok(Flavour::Elasticsearch));
        assert_eq!(of("9.2.0", json!({ "build_flavor": "serverless" })), Ok(Flavour::Elasticsearch));
        assert_eq!(of("7.17.0", json!({ "build_flavor": "default" })), Ok(Flavour::Elasticsearch7));
        assert_eq!(of("7.10.2", json!({ "build_flavor": "oss" })), Ok(Flavour::Scroll));
        assert!(of("6.8.0", json!({})).is_err());
        assert!(Flavour::of(&json!({ "name": "nginx" })).is_err());
    }
}
