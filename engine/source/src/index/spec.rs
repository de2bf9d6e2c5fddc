//! What is known of a log in Elasticsearch before it is asked.

use std::fmt;
use std::time::Duration;

use crate::spec::Shape;

/// A log in Elasticsearch or OpenSearch.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexSpec {
    /// Name in the configuration; only used in messages.
    pub name: String,
    /// Where it is.
    pub cluster: Cluster,
    /// Names of indices, aliases or data streams, with `*` and commas.
    pub index: String,
    /// How its records are to be understood.
    pub shape: Shape,
    /// Bounds of one pull.
    pub limits: PullLimits,
}

/// A cluster and how to log in.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Its address.
    pub url: String,
    /// How to log in, besides a certificate.
    pub login: Login,
    /// Certificate authority (PEM) that signed the server's certificate; the system's without it.
    pub ca: Option<Vec<u8>>,
    /// Certificate and key (PEM) that this client shows.
    pub certificate: Option<Secret>,
}

/// How to log in.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Login {
    /// Not at all.
    #[default]
    None,
    /// With an API key, as Elasticsearch encodes it.
    ApiKey(Secret),
    /// With a token.
    Bearer(Secret),
    /// With a name and a password.
    Basic(String, Secret),
}

/// A text that no message shows.
#[derive(Clone, PartialEq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Bounds of one pull. Where one is exceeded the pull fails and says so: nothing is read short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullLimits {
    /// Rows at most.
    pub rows: u64,
    /// Bytes of answers at most.
    pub bytes: u64,
    /// Time at most.
    pub time: Duration,
}
