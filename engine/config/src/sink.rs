//! Where alerts go.

use std::path::PathBuf;

use garde::Validate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::log::Elasticsearch;
use crate::schema::one_key_of;

/// Where alerts go: exactly one of the keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(rename_all = "lowercase")]
#[schemars(transform = one_key_of)]
pub enum Sink {
    /// The terminal.
    Stdout(#[garde(dive)] StdoutSink),
    /// A file, one JSON document a line.
    File(#[garde(dive)] FileSink),
    /// An index of Elasticsearch, as Calico's event documents, so that its own UI and Kibana show them.
    Elasticsearch(#[garde(dive)] Elasticsearch),
    /// Prometheus Alertmanager.
    Alertmanager(#[garde(dive)] AlertmanagerSink),
    /// A channel of Slack.
    Slack(#[garde(dive)] SlackSink),
    /// Any HTTP endpoint, by POST.
    Webhook(#[garde(dive)] WebhookSink),
}

impl Sink {
    /// The key under which the sink is asked for.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stdout(_) => "stdout",
            Self::File(_) => "file",
            Self::Elasticsearch(_) => "elasticsearch",
            Self::Alertmanager(_) => "alertmanager",
            Self::Slack(_) => "slack",
            Self::Webhook(_) => "webhook",
        }
    }
}

/// The terminal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct StdoutSink {
    /// For people or for programs.
    #[garde(skip)]
    pub format: Format,
}

/// How an alert is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// The detector's template.
    #[default]
    Text,
    /// One JSON document a line.
    Json,
    /// Calico's event document, one a line.
    Event,
}

/// A file, one JSON document a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct FileSink {
    /// The file, relative to margay.yaml. Alerts are appended.
    #[garde(skip)]
    pub path: PathBuf,
    /// For people or for programs.
    #[serde(default = "json")]
    #[garde(skip)]
    pub format: Format,
}

fn json() -> Format {
    Format::Json
}

/// Prometheus Alertmanager.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct AlertmanagerSink {
    /// Address, such as `http://alertmanager:9093`.
    #[garde(length(min = 1))]
    pub url: String,
    /// User name, with `password_file` or `password_env`.
    #[serde(default)]
    #[garde(skip)]
    pub username: Option<String>,
    /// File with the password.
    #[serde(default)]
    #[garde(skip)]
    pub password_file: Option<PathBuf>,
    /// Environment variable with the password.
    #[serde(default)]
    #[garde(skip)]
    pub password_env: Option<String>,
    /// File with the certificate authority (PEM) that signed the server's certificate.
    #[serde(default)]
    #[garde(skip)]
    pub ca_file: Option<PathBuf>,
}

/// A channel of Slack. The address is a secret: it has `url_file` or `url_env`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct SlackSink {
    /// File with the address of the incoming webhook.
    #[garde(skip)]
    pub url_file: Option<PathBuf>,
    /// Environment variable with the address of the incoming webhook.
    #[garde(skip)]
    pub url_env: Option<String>,
}

/// Any HTTP endpoint. Has one of `url`, `url_file` and `url_env`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct WebhookSink {
    /// Address, where it is no secret.
    #[garde(length(min = 1))]
    pub url: Option<String>,
    /// File with the address.
    #[garde(skip)]
    pub url_file: Option<PathBuf>,
    /// Environment variable with the address.
    #[garde(skip)]
    pub url_env: Option<String>,
    /// File of `templates` that renders the body. Left out, the body is the alert as JSON.
    #[garde(length(min = 1))]
    pub template: Option<String>,
    /// File with the certificate authority (PEM) that signed the server's certificate.
    #[garde(skip)]
    pub ca_file: Option<PathBuf>,
}
