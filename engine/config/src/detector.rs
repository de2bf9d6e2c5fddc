//! One file of detectors.d: what to watch, and when to say something.

use garde::Validate;
use margay_core::{Direction, Period, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::expression;
use crate::features::Features;
use crate::model::Model;
use crate::quantity::Quantity;
use crate::sustained::Sustained;

/// Buckets of an entity that reach the threshold of a detector that names none, on normal data: one in ten days.
pub const DEFAULT_EXCEEDANCES_A_DAY: f64 = 0.1;

/// The summary of a detector that has none of its own.
pub const DEFAULT_SUMMARY: &str = "{{entity}}: {{detector}} scored {{score}}";

/// A detector: the file's name without its ending is `name`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(title = "margay detector")]
pub struct Detector {
    /// Name of the detector: the file's name without its ending. Lower-case letters, digits and `-`.
    #[garde(length(min = 1, max = 63))]
    pub name: String,
    /// What it means when this detector fires, in a sentence or two for the person on call.
    #[serde(default)]
    #[garde(skip)]
    pub description: String,
    /// Words to find and route alerts by, such as `security` or `performance`.
    #[serde(default)]
    #[garde(inner(length(min = 1)))]
    pub tags: Vec<String>,
    /// How far the detector may go.
    #[serde(default)]
    #[garde(skip)]
    pub mode: Mode,
    /// For the mode `shadow`: the running detector that it should take the place of. `promote` compares the two.
    #[serde(default)]
    #[garde(skip)]
    pub replaces: Option<String>,
    /// The log that is read: one of the `logs` of margay.yaml.
    #[garde(length(min = 1))]
    pub log: String,
    /// SQL condition on the rows of the log that count. Left out, all rows do.
    #[serde(default)]
    #[garde(skip)]
    pub r#where: Option<String>,
    /// What has a normal of its own: columns of the log, or SQL expressions written `expression AS name`.
    #[garde(length(min = 1), inner(length(min = 1)))]
    pub entity: Vec<String>,
    /// Length of the time slots in which features are computed. Must divide a day. Shorter finds sooner and is noisier.
    #[serde(default = "default_bucket")]
    #[garde(skip)]
    pub bucket: Period,
    /// What is measured in each bucket of each entity: names with SQL aggregates. With `sql`, a list of its columns.
    #[garde(skip)]
    pub features: Features,
    /// One full SELECT in place of `where` and the feature expressions.
    /// Yields `bucket_start`, the entity columns and the features.
    #[serde(default)]
    #[garde(skip)]
    pub sql: Option<String>,
    /// Fields of the log without which the detector is blind.
    /// Where they are null throughout, the state is `insufficient_detail`.
    #[serde(default)]
    #[garde(inner(length(min = 1)))]
    pub requires: Vec<String>,
    /// The method that judges the features: exactly one of the keys.
    #[garde(dive)]
    pub model: Model,
    /// When a judgement becomes an alert.
    #[serde(default)]
    #[garde(dive)]
    pub threshold: Threshold,
    /// Rows that are never looked at, each with its reason.
    #[serde(default)]
    #[garde(dive)]
    pub exclude: Vec<Exclusion>,
    /// Calendars whose days are no usual ones.
    #[serde(default)]
    #[garde(dive)]
    pub calendars: Vec<SpecialDays>,
    /// What the alert says.
    #[serde(default)]
    #[garde(dive)]
    pub alert: AlertText,
    /// What is proposed or done about it.
    #[serde(default)]
    #[garde(dive)]
    pub respond: Respond,
}

fn default_bucket() -> Period {
    Period::MINUTE.times(5)
}

impl Detector {
    /// Name and SQL of each entity column. A plain column is its own name; `expression AS name` names itself.
    #[must_use]
    pub fn entity_columns(&self) -> Vec<(String, String)> {
        self.entity.iter().map(|entry| expression::named(entry).unwrap_or((entry.clone(), entry.clone()))).collect()
    }
}

/// How far a detector may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It does not run.
    Disabled,
    /// It runs and its alerts are kept, but nobody is told.
    Shadow,
    /// It tells the sinks.
    #[default]
    Notify,
    /// As `notify`, and the quarantine policies that it writes may be enforced where margay.yaml says so; else they
    /// are staged.
    Respond,
}

/// When a judgement becomes an alert. All conditions must hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Threshold {
    /// Lowest score that alerts, 0 to 100: 30 is one bucket in a thousand on normal data, 60 one in a million.
    /// Left out, and without `budget`, an entity reaches it about once in ten days of normal data: 23.8 with buckets
    /// of an hour, 34.6 with 5m, 41.6 with 1m. Raise it when the detector is noisy.
    #[garde(range(min = 0.0, max = 100.0))]
    pub score: Option<f64>,
    /// The side of the expected value on which a value counts.
    #[garde(skip)]
    pub direction: Direction,
    /// Smallest distance from the expected value, in the feature's unit. Raise it when true but tiny deviations alert.
    #[garde(skip)]
    pub min_dev: Option<Quantity>,
    /// Smallest distance from the expected value as a share of it: 0.2 is a fifth.
    #[garde(range(min = 0.0))]
    pub min_rel_dev: Option<f64>,
    /// Smallest value that can alert, in the feature's unit: guards against noise at low volume.
    #[garde(skip)]
    pub min_value: Option<Quantity>,
    /// How many of the last buckets must be anomalous. `2 of 3` costs a bucket of delay and spares single outliers.
    #[garde(skip)]
    pub sustained: Sustained,
    /// Instead of a score: the lowest score that keeps the replayed alerts within this number.
    #[garde(dive)]
    pub budget: Option<Budget>,
    /// Silence for an entity after its alert ended. Left out: 3 buckets, or a fifth of a day where that is longer.
    #[garde(skip)]
    pub refractory: Option<Period>,
}

impl Threshold {
    /// The lowest score that alerts where no budget chooses it, with buckets of this length.
    #[must_use]
    pub fn score_or_default(&self, bucket: Period) -> f64 {
        let buckets_a_day = Period::DAY.seconds() / bucket.seconds().max(f64::MIN_POSITIVE);
        let usual = 10.0 * (buckets_a_day / DEFAULT_EXCEEDANCES_A_DAY).log10();
        self.score.unwrap_or(usual.clamp(0.0, 100.0))
    }
}

/// How many alerts are welcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Number of alerts, over all entities of the detector.
    #[garde(range(min = 1, max = 1_000_000))]
    pub alerts: u32,
    /// The length of time in which that many are welcome.
    #[garde(skip)]
    pub per: Period,
}

/// Rows that are never looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct Exclusion {
    /// SQL condition on the rows.
    #[garde(length(min = 1))]
    pub r#where: String,
    /// Why they are left out, for whoever reads this next year.
    #[garde(length(min = 1))]
    pub reason: String,
    /// From this time on they count again. Left out, they never do.
    #[serde(default)]
    #[garde(skip)]
    pub until: Option<Time>,
}

/// The days of a calendar, which are never learnt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct SpecialDays {
    /// Name of the calendar: a file of calendars.d without its ending.
    #[garde(length(min = 1))]
    pub name: String,
    /// How they are judged.
    #[serde(default)]
    #[garde(skip)]
    pub treat_as: TreatAs,
}

/// How special days are judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TreatAs {
    /// Not at all: their buckets have the state `excluded`.
    #[default]
    Ignore,
    /// As the same time of a Sunday. Needs a model with a seasonality of a week.
    Sunday,
}

/// What an alert says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct AlertText {
    /// Severity of an alert with score 100, from 0 to 100; lower scores scale it down.
    #[garde(range(min = 0, max = 100))]
    pub severity: u8,
    /// One line for people, a handlebars template.
    #[garde(length(min = 1))]
    pub summary: String,
    /// Name of the template of the full text, a file of `templates` without its ending.
    #[garde(length(min = 1))]
    pub template: String,
    /// MITRE ATT&CK techniques, such as `T1048` or `T1071.004`.
    #[garde(skip)]
    #[schemars(inner(regex(pattern = r"^T[0-9]{4}(\.[0-9]{3})?$")))]
    pub mitre: Vec<String>,
    /// What to do: text, or the address of a page.
    #[garde(skip)]
    pub runbook: Option<String>,
    /// What ends or limits the harm, a sentence each. Alerts carry them.
    #[garde(inner(length(min = 1)))]
    #[schemars(inner(length(min = 1)))]
    pub mitigations: Vec<String>,
}

impl Default for AlertText {
    fn default() -> Self {
        Self {
            severity: 80,
            summary: DEFAULT_SUMMARY.to_owned(),
            template: "alert".to_owned(),
            mitre: Vec::new(),
            runbook: None,
            mitigations: Vec::new(),
        }
    }
}

/// What is proposed or done about an alert. Policies are staged proposals except in the mode `respond`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Respond {
    /// Cut the workload off by a network policy.
    #[garde(dive)]
    pub quarantine: Option<Quarantine>,
}

/// A network policy that cuts a workload off.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields, default)]
pub struct Quarantine {
    /// The kind of policy.
    #[garde(skip)]
    pub policy: PolicyKind,
    /// Lowest score for which a policy is written, 0 to 100.
    #[garde(range(min = 0.0, max = 100.0))]
    pub score: f64,
    /// The policy is to be removed after this time.
    #[garde(skip)]
    pub expires: Period,
}

impl Default for Quarantine {
    fn default() -> Self {
        Self { policy: PolicyKind::default(), score: 90.0, expires: Period::HOUR }
    }
}

/// A kind of network policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PolicyKind {
    /// Calico's GlobalNetworkPolicy, or its staged form.
    #[default]
    Calico,
    /// The NetworkPolicy of Kubernetes.
    Kubernetes,
}
