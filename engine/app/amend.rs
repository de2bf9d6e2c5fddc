//! What late rows do to alerts that were told already.

use std::collections::BTreeMap;

use margay_core::{Alert, AlertStatus};
use margay_decide::{Incidents, silenced};

use crate::compose::{Composer, Happening};
use crate::crowd::is_of_crowd;
use crate::ingest::Ready;
use crate::pipeline::{Pipeline, PipelineError};
use crate::state::State;

impl Pipeline {
    /// What late rows did to the alerts of a detector that was run anew: new ones, amended ones, withdrawn ones.
    pub(crate) fn amend(
        &self,
        ready: &Ready,
        happenings: Vec<Happening>,
        incidents: &mut Incidents,
    ) -> Result<Vec<Alert>, PipelineError> {
        let last_time = happenings.iter().map(|one| one.told.time).max();
        let apart = State::in_memory()?;
        let all = Composer { state: &apart, ..self.composer() }.compose(happenings, incidents)?;
        let mut now: BTreeMap<String, Alert> = BTreeMap::new();
        for alert in all {
            now.insert(alert.id.clone(), alert);
        }
        let log = &ready.definition.query.log;
        let say = |alert: Alert, before: &Alert| {
            let silenced = silenced(&self.silences, &alert, Some(before), log);
            Alert { silenced, ..alert }
        };
        let mut changes = Vec::new();
        let own = |alert: &Alert| alert.detector == ready.definition.name && !is_of_crowd(alert);
        for before in self.state.alerts()?.into_iter().filter(own) {
            match now.remove(&before.id) {
                Some(alert) if told_the_same(&alert, &before) => {}
                Some(alert) => {
                    let alert = Alert { revision: before.revision + 1, status: AlertStatus::Amended, ..alert };
                    changes.push(say(alert, &before));
                }
                None if before.status == AlertStatus::Withdrawn => {}
                None => {
                    let alert = Alert {
                        revision: before.revision + 1,
                        status: AlertStatus::Withdrawn,
                        time: last_time.unwrap_or(before.time).max(before.time),
                        ..before.clone()
                    };
                    changes.push(say(alert, &before));
                }
            }
        }
        changes.extend(now.into_values());
        changes.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
        Ok(changes)
    }
}

/// Whether two revisions say the same of an episode.
fn told_the_same(one: &Alert, other: &Alert) -> bool {
    let said = |alert: &Alert| (alert.start, alert.end, alert.score.to_bits(), alert.features.clone());
    other.status != AlertStatus::Withdrawn && said(one) == said(other)
}
