//! Outbox → sinks: every alert is rendered for each sink, and acknowledged when all took it.

use std::sync::Arc;

use margay_core::Alert;
use margay_deliver::{DeliverError, Sink};
use margay_render::{Templates, alert_json, calico_event, json_line};
use tracing::warn;

use crate::ingest::{Ready, chain, find};
use crate::quarantine::Response;
use crate::state::{State, StateError};

/// Why alerts were not delivered.
#[derive(Debug, thiserror::Error)]
pub enum OutletError {
    /// A sink failed.
    #[error(transparent)]
    Sink(#[from] DeliverError),
    /// The outbox failed.
    #[error(transparent)]
    State(#[from] StateError),
}

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
#[derive(Default)]
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
    pub fn deliver(&mut self, state: &State, ready: &[Arc<Ready>], templates: &Templates) -> Result<(), OutletError> {
        let waiting = state.outbox()?;
        if waiting.is_empty() {
            return Ok(());
        }
        for (sink, form) in &mut self.sinks {
            let lines: Vec<String> = waiting.iter().map(|(_, alert)| line(alert, *form, ready, templates)).collect();
            sink.deliver(&lines)?;
        }
        for (_, alert) in &waiting {
            self.response.quarantine(alert, ready, state, templates);
        }
        let numbers: Vec<u64> = waiting.iter().map(|(number, _)| *number).collect();
        let change = state.write()?;
        change.acknowledge(&numbers)?;
        Ok(change.commit()?)
    }
}

fn line(alert: &Alert, form: Form, ready: &[Arc<Ready>], templates: &Templates) -> String {
    match form {
        Form::Json => alert_json(alert),
        Form::Event => json_line(&calico_event(alert)),
        Form::Text => {
            let detector = find(ready, &alert.detector);
            let template = detector.map_or("alert", |ready| &ready.definition.meta.template);
            templates.text(template, alert).unwrap_or_else(|error| {
                warn!(alert = alert.id, error = chain(&error), "text could not be rendered; the document is sent");
                alert_json(alert)
            })
        }
    }
}
