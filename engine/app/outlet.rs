//! Outbox → sinks: every alert is rendered for each sink, and acknowledged when all took it.

use std::path::PathBuf;

use margay_core::Alert;
use margay_deliver::{DeliverError, Sink};
use margay_render::{Templates, alert_json, calico_event};
use tracing::warn;

use crate::ingest::{Ready, chain};
use crate::quarantine::Response;
use crate::state::State;

/// How a sink writes an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A few lines for people.
    Text,
    /// The alert's own document, one line.
    Json,
    /// Calico's event document, one line.
    Event,
}

/// All sinks, and the quarantine folder.
pub struct Outlet {
    /// Sinks and their forms.
    pub sinks: Vec<(Sink, Form)>,
    /// What is done about alerts of detectors that ask for it.
    pub response: Response,
}

impl Outlet {
    /// Delivers what waits in the outbox, oldest first. What a sink did not take stays there.
    ///
    /// # Errors
    /// A sink or the state fails.
    pub fn deliver(&mut self, state: &State, ready: &[Ready], templates: &Templates) -> Result<(), DeliverError> {
        let waiting = state.outbox().map_err(|error| DeliverError::Outbox { reason: chain(&error) })?;
        if waiting.is_empty() {
            return Ok(());
        }
        for (sink, form) in &mut self.sinks {
            let lines: Vec<String> = waiting.iter().map(|(_, alert)| line(alert, *form, templates)).collect();
            sink.deliver(&lines)?;
        }
        for (_, alert) in &waiting {
            self.response.quarantine(alert, ready, state, templates);
        }
        let numbers: Vec<u64> = waiting.iter().map(|(number, _)| *number).collect();
        let acknowledged = state.write().and_then(|change| {
            change.acknowledge(&numbers)?;
            change.commit()
        });
        acknowledged.map_err(|error| DeliverError::Outbox { reason: chain(&error) })
    }
}

fn line(alert: &Alert, form: Form, templates: &Templates) -> String {
    match form {
        Form::Json => alert_json(alert),
        Form::Event => calico_event(alert).to_string(),
        Form::Text => templates.alert_text(alert).unwrap_or_else(|error| {
            warn!(alert = alert.id, error = chain(&error), "alert text could not be rendered; its document is sent");
            alert_json(alert)
        }),
    }
}

/// Folder of the quarantine files, if any are written.
#[must_use]
pub fn quarantine_dir(outlet: &Outlet) -> Option<&PathBuf> {
    outlet.response.output.as_ref()
}
