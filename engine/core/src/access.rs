//! How a server is reached, and how one logs in to it.

use std::fmt;

/// A server and how to log in.
#[derive(Clone, Debug, PartialEq)]
pub struct Access {
    /// Its address.
    pub url: String,
    /// How to log in, besides a certificate.
    pub login: Login,
    /// Certificate authorities (PEM) that sign the server's certificate; the public ones without it.
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
