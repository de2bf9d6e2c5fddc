//! More entities than a detector may remember: one alert while it lasts, however many they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use margay_core::{Alert, AlertStatus, Entity, ModelInfo, Reading, Time, TimeRange};
use margay_decide::alert_id;
use margay_features::Plan;

use crate::ingest::{LogReport, Ready};
use crate::memory::Memory;
use crate::notice::notice;
use crate::pipeline::Pipeline;
use crate::records::DetectorStatus;
use crate::state::{State, StateError};

/// What such alerts are tagged with.
const TAG: &str = "cardinality";
/// Someone should look, today.
const SEVERITY: u8 = 60;

/// Whether an alert is about the number of entities, not about one of them.
#[must_use]
pub fn is_of_crowd(alert: &Alert) -> bool {
    alert.id == alert_id(&alert.detector, &entity(&alert.detector), alert.start)
}

/// The plan for a detector that keeps whom it knows, should too many come.
#[must_use]
pub fn with_known(plan: &Plan, ready: &Ready, state: &Arc<State>) -> Plan {
    let (state, name) = (state.clone(), ready.definition.name.clone());
    plan.with_known(move || {
        let record = state.detector(&name).ok().flatten();
        let memory = record.and_then(|record| postcard::from_bytes::<Memory>(&record.memory).ok());
        memory.map_or_else(Vec::new, |memory| memory.entities().to_vec())
    })
}

impl Pipeline {
    /// Notes in the status since when there are too many entities. An alert where that begins or ends.
    pub(crate) fn crowd(
        &self,
        ready: &Arc<Ready>,
        status: &mut DetectorStatus,
        report: Option<&LogReport>,
    ) -> Result<Option<Alert>, StateError> {
        let name = &ready.definition.name;
        let before = self.state.status(name)?.and_then(|before| before.crowded_since);
        status.crowded_since = before;
        let left_out = report.and_then(|report| report.left_out.get(name)).copied();
        let (Some(left_out), Some(end)) = (left_out, status.watermark) else { return Ok(None) };
        match (before, left_out) {
            (None, 1..) => {
                let start = end.minus(ready.definition.query.bucket);
                status.crowded_since = Some(start);
                let told = Told { start, end, left_out, status: AlertStatus::Open };
                Ok(Some(alert(ready, &told, self.state.alert(&id(name, start))?.as_ref())))
            }
            (Some(start), 0) => {
                status.crowded_since = None;
                let told = Told { start, end, left_out, status: AlertStatus::Closed };
                Ok(Some(alert(ready, &told, self.state.alert(&id(name, start))?.as_ref())))
            }
            _ => Ok(None),
        }
    }
}

struct Told {
    start: Time,
    end: Time,
    left_out: u64,
    status: AlertStatus,
}

fn entity(detector: &str) -> Entity {
    Entity::new(Arc::from(["detector".to_owned()]), vec![Some(detector.to_owned())])
}

fn id(detector: &str, start: Time) -> String {
    alert_id(detector, &entity(detector), start)
}

fn alert(ready: &Ready, told: &Told, before: Option<&Alert>) -> Alert {
    let definition = &ready.definition;
    let (name, most) = (&definition.name, definition.judgement.entities_most);
    let left_out = told.left_out as f64;
    let reading = Reading { value: left_out, expected: 0.0, lower: 0.0, upper: 0.0, score: 0.0, contribution: 1.0 };
    let id = id(name, told.start);
    let summary = match told.status {
        AlertStatus::Closed => format!("{name} sees no more entities than it may remember, {most}"),
        _ => format!(
            "{name} sees about {} entities more than it may remember, {most}: those that it knew are judged as before, of the others a sample",
            told.left_out
        ),
    };
    let range = TimeRange { start: told.start, end: told.end };
    Alert {
        revision: before.map_or(0, |alert| alert.revision) + 1,
        status: told.status,
        severity: SEVERITY,
        description:
            "More entities than `limits.entities_per_detector`: a flood of random names, or an entity that is \
                      named too finely."
                .to_owned(),
        summary,
        features: BTreeMap::from([("entities_left_out".to_owned(), reading)]),
        model: ModelInfo { kind: TAG.to_owned(), ..ModelInfo::default() },
        config_digest: definition.digest.clone(),
        mitigations: vec![
            "Find who makes the names, in the newest rows of the log.".to_owned(),
            "Name the entity more coarsely, or leave the rows out by `where`.".to_owned(),
        ],
        ..notice(id, name, TAG, entity(name), range)
    }
}
