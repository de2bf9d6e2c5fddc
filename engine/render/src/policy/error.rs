//! Why a quarantine was refused.

use margay_core::Time;

use crate::error::RenderError;
use crate::plain::plain;

/// Why a quarantine was refused.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message names its fields")]
pub enum PolicyError {
    /// The detector's entity has no namespace, or it is null or outside the cluster.
    #[error("the entity has no namespace, so it is no workload of the cluster")]
    NoNamespace,
    /// The entity is a whole namespace, or something other than a pod or workload.
    #[error("the entity names no pod or workload in namespace `{namespace}`")]
    NoWorkload { namespace: String },
    /// A name that the API server would not have accepted, so the log is wrong or forged.
    #[error("the {what} `{}` is no valid Kubernetes name", plain(value))]
    Name { what: &'static str, value: String },
    /// A label that the API server would not have accepted, so the log is wrong or forged.
    #[error("the label {key} has the value `{}`, which is not valid in Kubernetes", plain(value))]
    Label { key: &'static str, value: String },
    /// The namespace is on a list of protected ones.
    #[error("namespace `{namespace}` is protected by `{by}`")]
    Protected { namespace: String, by: String },
    /// Cluster DNS, or margay itself.
    #[error("the workload carries the label {label}: it serves the whole cluster or is margay itself")]
    ProtectedWorkload { label: String },
    /// The log says that it is no pod.
    #[error("the log calls it `{}`, not a pod (`wep`)", plain(kind))]
    NotAPod { kind: String },
    /// A quarantine always ends later than its cause.
    #[error("it would expire at {expires}, which is not after the alert of {time}")]
    Expired { expires: Time, time: Time },
    /// A template cannot be rendered.
    #[error("a template cannot be rendered")]
    Render(#[from] RenderError),
    /// The rendered document is no policy of the kind.
    #[error("the template does not render a {kind}")]
    Shape { kind: &'static str, source: serde_json::Error },
    /// The rendered policy differs from what was meant.
    #[error("the template changed {what}")]
    Changed { what: &'static str },
    /// The policy cannot be written as YAML.
    #[error("the policy cannot be written as YAML")]
    Write(#[source] serde_yaml::Error),
}
