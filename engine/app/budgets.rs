//! How many alerts a team welcomes, and how many it was told of.

use margay_core::{Alert, AlertStatus, Period, Time, TimeRange};
use margay_decide::{Origin, Selector};
use schemars::JsonSchema;
use serde::Serialize;

use crate::specs::Definition;
use crate::state::{State, StateError};

/// A budget of margay.yaml.
#[derive(Clone, Debug)]
pub struct TeamBudget {
    /// Its name.
    pub name: String,
    /// Alerts that it is about.
    pub selector: Selector,
    /// How many of them are welcome.
    pub alerts: u32,
    /// In how long a time.
    pub per: Period,
}

/// What became of a budget in the latest stretch of time.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Spent {
    /// Its name.
    pub name: String,
    /// Alerts that people were told of.
    pub alerts: usize,
    /// How many would have been welcome.
    pub allowed: u32,
    /// The length of time.
    pub per: Period,
    /// End of that time: up to here detectors have judged.
    pub until: Option<Time>,
    /// Whether there were more than welcome.
    pub over: bool,
}

/// What a budget must know of a detector.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// Its name.
    pub name: &'a str,
    /// The log that it reads.
    pub log: &'a str,
    /// Its alerts are not delivered.
    pub shadow: bool,
}

impl<'a> Known<'a> {
    /// Of a detector that runs.
    #[must_use]
    pub fn of(definition: &'a Definition) -> Self {
        Self { name: &definition.name, log: &definition.query.log, shadow: definition.meta.shadow }
    }
}

/// What became of every budget up to the latest bucket that was judged. Alerts count that began in that time and were
/// delivered: not those of shadow detectors, silenced ones, or withdrawn ones.
///
/// # Errors
/// The state cannot be read.
pub fn spent(budgets: &[TeamBudget], detectors: &[Known], state: &State) -> Result<Vec<Spent>, StateError> {
    if budgets.is_empty() {
        return Ok(Vec::new());
    }
    let mut until: Option<Time> = None;
    for detector in detectors {
        until = until.max(state.status(detector.name)?.and_then(|status| status.watermark));
    }
    let longest = budgets.iter().map(|budget| budget.per).max().unwrap_or_default();
    let alerts = match until {
        Some(until) => state.alerts_within(TimeRange { start: until.minus(longest), end: until })?,
        None => Vec::new(),
    };
    let told: Vec<(&Alert, &str)> =
        alerts.iter().filter_map(|alert| Some((alert, log_if_told(detectors, alert)?))).collect();
    Ok(budgets.iter().map(|budget| budget.spent(&told, until)).collect())
}

/// The log of an alert's detector where people were told of the alert.
fn log_if_told<'a>(detectors: &[Known<'a>], alert: &Alert) -> Option<&'a str> {
    let own = detectors.iter().find(|detector| detector.name == alert.detector)?;
    let is_told = !own.shadow && alert.silenced.is_none() && alert.status != AlertStatus::Withdrawn;
    is_told.then_some(own.log)
}

impl TeamBudget {
    fn spent(&self, told: &[(&Alert, &str)], until: Option<Time>) -> Spent {
        let is_recent =
            |alert: &Alert| until.is_some_and(|until| until.minus(self.per) <= alert.start && alert.start < until);
        let counts = |alert: &Alert, log: &str| {
            let origin = Origin { detector: &alert.detector, tags: &alert.tags, log };
            is_recent(alert) && self.selector.covers_origin(&origin) && self.selector.covers_entity(&alert.entity)
        };
        let alerts = told.iter().filter(|(alert, log)| counts(alert, log)).count();
        let over = alerts > self.alerts as usize;
        Spent { name: self.name.clone(), alerts, allowed: self.alerts, per: self.per, until, over }
    }
}
