//! Where the rows of a log come from.

use std::path::PathBuf;

use garde::Validate;
use margay_core::Period;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// A log: where it is read and what its records look like. Has `files` or `elasticsearch`, and `preset` or `time`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// Files to read, relative to margay.yaml: one pattern such as `logs/flows/*.ndjson.gz`, or a list of them.
    /// NDJSON, CSV and Parquet, also with `.gz` or `.zst`.
    #[serde(deserialize_with = "one_or_many")]
    #[schemars(schema_with = "one_or_many_schema")]
    #[garde(inner(length(min = 1)))]
    pub files: Vec<String>,
    /// An index of Elasticsearch to read.
    #[garde(dive)]
    pub elasticsearch: Option<Elasticsearch>,
    /// Known shape of the records: names, units and time fields are normalised.
    #[garde(skip)]
    pub preset: Option<Preset>,
    /// For a log without preset: where its records say when they happened.
    #[garde(dive)]
    pub time: Option<TimeField>,
    /// How late records may arrive; so long a bucket waits after its end. Left out: 2m for Elasticsearch, 0s for files.
    #[garde(skip)]
    pub query_delay: Option<Period>,
    /// Whether Elasticsearch aggregates records by bucket where the features are the same then, so that few rows come.
    /// `margay check --source` says for which detectors it does. Left out: true.
    #[garde(skip)]
    pub push_down: Option<bool>,
}

impl Log {
    /// How late records may arrive.
    #[must_use]
    pub fn delay(&self) -> Period {
        let default = if self.elasticsearch.is_some() { Period::MINUTE.times(2) } else { Period::default() };
        self.query_delay.unwrap_or(default)
    }
}

/// A shape of records that margay knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// Calico's flow logs.
    CalicoFlows,
    /// Calico's DNS logs.
    CalicoDns,
    /// Calico's application layer logs.
    CalicoL7,
}

/// Where the records of a log say when they happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct TimeField {
    /// The field with the time of the record, or with its start.
    #[garde(length(min = 1))]
    pub field: String,
    /// The field with the end of a record that spans time. It counts in every bucket that it overlaps; the amounts of a
    /// preset, such as bytes, are spread over them.
    #[serde(default)]
    #[garde(length(min = 1))]
    pub end_field: Option<String>,
    /// How the time is written.
    #[serde(default)]
    #[garde(skip)]
    pub format: TimeFormat,
}

/// How a time is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimeFormat {
    /// As `2026-11-24T07:00:00Z`.
    Rfc3339,
    /// Seconds since 1970.
    EpochS,
    /// Milliseconds since 1970.
    EpochMs,
    /// Told from each value.
    #[default]
    Auto,
}

/// An Elasticsearch index and how to log in.
/// Passwords and keys come from files or the environment, never from this text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Elasticsearch {
    /// Address, such as `https://elasticsearch:9200`.
    #[garde(length(min = 1))]
    pub url: String,
    /// Name of the index, alias or data stream. A log may also name a pattern such as `tigera_secure_ee_flows.*`, and several
    /// with commas.
    #[garde(length(min = 1))]
    pub index: String,
    /// File with an API key.
    #[serde(default)]
    #[garde(skip)]
    pub api_key_file: Option<PathBuf>,
    /// Environment variable with an API key.
    #[serde(default)]
    #[garde(skip)]
    pub api_key_env: Option<String>,
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
    /// File with a token, sent as `Authorization: Bearer`.
    #[serde(default)]
    #[garde(skip)]
    pub bearer_token_file: Option<PathBuf>,
    /// Environment variable with a token, sent as `Authorization: Bearer`.
    #[serde(default)]
    #[garde(skip)]
    pub bearer_token_env: Option<String>,
    /// File with the certificate (PEM) that margay shows, with `client_key_file`.
    #[serde(default)]
    #[garde(skip)]
    pub client_certificate_file: Option<PathBuf>,
    /// File with the key (PEM) of that certificate.
    #[serde(default)]
    #[garde(skip)]
    pub client_key_file: Option<PathBuf>,
    /// File with the certificate authority (PEM) that signed the server's certificate. Left out, the public ones are
    /// trusted.
    #[serde(default)]
    #[garde(skip)]
    pub ca_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(pattern) => vec![pattern],
        OneOrMany::Many(patterns) => patterns,
    })
}

fn one_or_many_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "anyOf": [
            { "type": "string", "minLength": 1 },
            { "type": "array", "items": { "type": "string", "minLength": 1 } }
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_elasticsearch_is_late_by_default() {
        let files = Log { files: vec!["a.csv".to_owned()], ..Log::default() };
        assert_eq!(files.delay(), Period(0));
        let index = Elasticsearch {
            url: "https://es".to_owned(),
            index: "flows".to_owned(),
            api_key_file: None,
            api_key_env: None,
            username: None,
            password_file: None,
            password_env: None,
            bearer_token_file: None,
            bearer_token_env: None,
            client_certificate_file: None,
            client_key_file: None,
            ca_file: None,
        };
        assert_eq!(Log { elasticsearch: Some(index), ..Log::default() }.delay(), Period(120_000));
        assert_eq!(Log { query_delay: Some(Period::HOUR), ..files }.delay(), Period::HOUR);
    }
}
