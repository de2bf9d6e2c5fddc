//! Where alerts go.

use std::path::PathBuf;

use garde::Validate;
use margay_core::Period;
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
    /// An index or a data stream of Elasticsearch or OpenSearch, as Calico's event documents, so that its own UI and Kibana
    /// show them.
    Elasticsearch(#[garde(dive)] ElasticsearchSink),
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
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Stdout(_) => "stdout",
            Self::File(_) => "file",
            Self::Elasticsearch(_) => "elasticsearch",
            Self::Alertmanager(_) => "alertmanager",
            Self::Slack(_) => "slack",
            Self::Webhook(_) => "webhook",
        }
    }

    /// The name that it was given.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Stdout(sink) => sink.name.as_deref(),
            Self::File(sink) => sink.name.as_deref(),
            Self::Elasticsearch(sink) => sink.name.as_deref(),
            Self::Alertmanager(sink) => sink.name.as_deref(),
            Self::Slack(sink) => sink.name.as_deref(),
            Self::Webhook(sink) => sink.name.as_deref(),
        }
    }

    /// Files with secrets and certificates, which may be renewed.
    pub fn secret_files(&self) -> impl Iterator<Item = &PathBuf> {
        let files = match self {
            Self::Stdout(_) | Self::File(_) => Vec::new(),
            Self::Elasticsearch(ElasticsearchSink { place, .. }) => vec![
                &place.api_key_file,
                &place.password_file,
                &place.bearer_token_file,
                &place.client_certificate_file,
                &place.client_key_file,
                &place.ca_file,
            ],
            Self::Alertmanager(sink) => vec![&sink.password_file, &sink.ca_file],
            Self::Slack(sink) => vec![&sink.url_file],
            Self::Webhook(sink) => vec![&sink.url_file, &sink.ca_file],
        };
        files.into_iter().flatten()
    }
}

/// The names of sinks in their order: given, or the kind, with a number from the second of a kind on.
#[must_use]
pub fn sink_names(sinks: &[Sink]) -> Vec<String> {
    let name = |(at, sink): (usize, &Sink)| match sink.name() {
        Some(name) => name.to_owned(),
        None => match sinks[..at].iter().filter(|other| other.kind() == sink.kind()).count() {
            0 => sink.kind().to_owned(),
            before => format!("{}-{}", sink.kind(), before + 1),
        },
    };
    sinks.iter().enumerate().map(name).collect()
}

/// How alerts are sent over the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Delivery {
    /// Longest time for one request. What takes longer is sent again later.
    #[garde(skip)]
    pub timeout: Period,
    /// How often an alert is sent that the other end refuses as such (4xx), before it is written to
    /// `dead-letters` in the folder of the state and the next ones go on. What fails otherwise is tried again for ever.
    #[garde(range(min = 1, max = 20))]
    pub tries: u32,
    /// Most messages that a Slack channel or a webhook gets in any minute. Where more alerts wait, the worst are told, and
    /// the rest in one message; `margay alerts` lists all. Raise it for a webhook that no person reads.
    #[garde(range(min = 2, max = 1_000_000))]
    pub messages_per_minute: u32,
}

impl Delivery {
    /// Least and most time for a request.
    pub const TIMEOUT: [Period; 2] = [Period::SECOND, Period(300_000)];
}

impl Default for Delivery {
    fn default() -> Self {
        Self { timeout: Period::SECOND.times(10), tries: 5, messages_per_minute: 20 }
    }
}

/// The terminal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct StdoutSink {
    /// For people or for programs.
    #[garde(skip)]
    pub format: Format,
    /// Name of the sink in status, metrics and `margay sink test`; left out, its kind. Of several sinks of one kind, each
    /// with a name keeps its place among the alerts to be sent when their order changes.
    #[garde(length(min = 1))]
    pub name: Option<String>,
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
    /// Name of the sink in status, metrics and `margay sink test`; left out, its kind. Of several sinks of one kind, each
    /// with a name keeps its place among the alerts to be sent when their order changes.
    #[serde(default)]
    #[garde(length(min = 1))]
    pub name: Option<String>,
}

fn json() -> Format {
    Format::Json
}

fn day() -> Period {
    Period::DAY
}

/// An index or a data stream of Elasticsearch or OpenSearch, as Calico's event documents, so that its own UI and Kibana show
/// them. Each revision of an alert is a document. `margay elasticsearch setup` makes what they are written to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ElasticsearchSink {
    /// Where the index is, and how to log in.
    #[serde(flatten)]
    #[garde(dive)]
    pub place: Elasticsearch,
    /// What `margay elasticsearch setup` makes of the name. The open Elasticsearch 7.10 has no data streams.
    #[serde(default)]
    #[garde(skip)]
    pub kind: IndexKind,
    /// How long an alert is kept at least, in days, where the server deletes what is old: `margay elasticsearch setup` tells it.
    #[serde(default = "retention")]
    #[garde(skip)]
    pub retention: Period,
    /// Whether the address may lie on this machine or in its link-local network, where other services trust whoever
    /// calls. Addresses of names are compared too, at each connection.
    #[serde(default)]
    #[garde(skip)]
    pub allow_local: bool,
    /// Name of the sink in status, metrics and `margay sink test`; left out, its kind. Of several sinks of one kind, each
    /// with a name keeps its place among the alerts to be sent when their order changes.
    #[serde(default)]
    #[garde(length(min = 1))]
    pub name: Option<String>,
}

impl ElasticsearchSink {
    /// Least `retention`.
    pub const RETENTION_LEAST: Period = Period::DAY;
}

/// As long as Calico keeps its events.
fn retention() -> Period {
    Period::DAY.times(91)
}

/// What alerts are written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IndexKind {
    /// A data stream.
    #[default]
    DataStream,
    /// An alias, behind which one index follows the other: `NAME-000001`, `NAME-000002`.
    Index,
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
    /// File with the certificate authority (PEM) that signed the server's certificate. Left out, the public ones are
    /// trusted.
    #[serde(default)]
    #[garde(skip)]
    pub ca_file: Option<PathBuf>,
    /// How long an alert fires there that margay, because it stands still, can neither repeat nor end.
    #[serde(default = "day")]
    #[garde(skip)]
    pub fires_for: Period,
    /// Whether the address may lie on this machine or in its link-local network, where other services trust whoever
    /// calls. Addresses of names are compared too, at each connection.
    #[serde(default)]
    #[garde(skip)]
    pub allow_local: bool,
    /// Name of the sink in status, metrics and `margay sink test`; left out, its kind. Of several sinks of one kind, each
    /// with a name keeps its place among the alerts to be sent when their order changes.
    #[serde(default)]
    #[garde(length(min = 1))]
    pub name: Option<String>,
}

impl AlertmanagerSink {
    /// Least `fires_for`.
    pub const FIRES_FOR_LEAST: Period = Period::MINUTE;
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
    /// Whether the address may lie on this machine or in its link-local network, where other services trust whoever
    /// calls. Addresses of names are compared too, at each connection.
    #[garde(skip)]
    pub allow_local: bool,
    /// Name of the sink in status, metrics and `margay sink test`; left out, its kind. Of several sinks of one kind, each
    /// with a name keeps its place among the alerts to be sent when their order changes.
    #[garde(length(min = 1))]
    pub name: Option<String>,
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
    /// File of `templates` that renders the body, `NAME.json.hbs` or `NAME.text.hbs`. Left out, the body is the alert as
    /// JSON.
    #[garde(length(min = 1))]
    pub template: Option<String>,
    /// File with the certificate authority (PEM) that signed the server's certificate. Left out, the public ones are
    /// trusted.
    #[garde(skip)]
    pub ca_file: Option<PathBuf>,
    /// Whether the address may lie on this machine or in its link-local network, where other services trust whoever
    /// calls. Addresses of names are compared too, at each connection.
    #[garde(skip)]
    pub allow_local: bool,
    /// Name of the sink in status, metrics and `margay sink test`; left out, its kind. Of several sinks of one kind, each
    /// with a name keeps its place among the alerts to be sent when their order changes.
    #[garde(length(min = 1))]
    pub name: Option<String>,
}
