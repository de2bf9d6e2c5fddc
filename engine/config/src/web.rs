//! Where the daemon can be asked.

use std::net::SocketAddr;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where `margay run` shows health, metrics, alerts and a page, all for reading only.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Web {
    /// Address and port to listen at, such as 127.0.0.1:9090; 0.0.0.0:9090 is every address of the machine. Nobody has to
    /// log in: whoever reaches it reads the alerts. A change counts from the next start.
    #[garde(skip)]
    pub listen: String,
}

impl Web {
    /// The address; nothing where it is none.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.listen.parse().ok()
    }
}
