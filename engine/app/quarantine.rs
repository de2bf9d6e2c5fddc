//! Alerts → quarantine policy files, within their limits.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use margay_core::{Alert, AlertStatus, Time};
use margay_render::{PolicyKind, Quarantine, Templates, quarantine};
use tracing::{info, warn};

use crate::ingest::{Ready, chain, find};
use crate::records::ActiveQuarantine;
use crate::state::State;

/// What margay.yaml allows.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// Folder for policies; without one, none are written.
    pub output: Option<PathBuf>,
    /// Whether policies are enforced where the detector's mode allows it; else they are staged.
    pub enforced: bool,
    /// Namespaces that are never selected, besides the built-in ones.
    pub protect: Vec<String>,
    /// Quarantines at a time.
    pub active_most: usize,
}

impl Response {
    /// Writes policy, undo and report for an alert whose detector asks for a quarantine. A refusal is logged.
    pub fn quarantine(&self, alert: &Alert, ready: &[Arc<Ready>], state: &State, templates: &Templates) {
        let Some(output) = &self.output else { return };
        let Some(ready) = find(ready, &alert.detector) else { return };
        let Some(wish) = &ready.definition.quarantine else { return };
        let is_live = matches!(alert.status, AlertStatus::Open | AlertStatus::Updated);
        if !is_live || alert.score < wish.score {
            return;
        }
        let expires = alert.time.plus(wish.expires);
        let Some(active) = self.make_room(alert, state, expires) else { return };
        let request = Quarantine {
            alert,
            kind: wish.policy,
            enforced: self.enforced && ready.definition.meta.responds,
            protect: &self.protect,
            expires,
        };
        let files = match quarantine(templates, &request) {
            Ok(files) => files,
            Err(error) => {
                warn!(alert = alert.id, reason = chain(&error), "no quarantine");
                return;
            }
        };
        for (name, text) in [&files.policy, &files.undo, &files.report] {
            if let Err(error) = margay_deliver::write_file(output, name, text.as_bytes()) {
                warn!(alert = alert.id, error = chain(&error), "quarantine file could not be written");
                return;
            }
        }
        info!(alert = alert.id, policy = files.policy.0, "quarantine proposed");
        let kept = state.write().and_then(|change| {
            change.put_quarantines(&active)?;
            change.commit()
        });
        if let Err(error) = kept {
            warn!(alert = alert.id, error = chain(&error), "quarantine could not be recorded");
        }
    }

    /// Quarantines that are active with this one; `None` where it is one already, or there are too many.
    fn make_room(&self, alert: &Alert, state: &State, expires: Time) -> Option<Vec<ActiveQuarantine>> {
        let mut active = match state.quarantines() {
            Ok(active) => active,
            Err(error) => {
                warn!(alert = alert.id, error = chain(&error), "no quarantine: those that are active cannot be read");
                return None;
            }
        };
        active.retain(|one| one.expires > alert.time);
        let known: BTreeSet<&str> = active.iter().map(|one| &one.alert[..]).collect();
        if known.contains(&alert.id[..]) {
            return None;
        }
        if active.len() >= self.active_most {
            warn!(alert = alert.id, active = active.len(), "no quarantine: as many are active as are allowed");
            return None;
        }
        active.push(ActiveQuarantine { alert: alert.id.clone(), expires });
        Some(active)
    }
}

/// A quarantine that a detector asks for.
#[derive(Clone, Debug)]
pub struct QuarantineWish {
    /// Kind of policy.
    pub policy: PolicyKind,
    /// Lowest score.
    pub score: f64,
    /// How long it lasts.
    pub expires: margay_core::Period,
}
