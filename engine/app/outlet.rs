//! Outbox → one sink: each has its own place in the outbox, so that none holds up another.

use std::path::PathBuf;
use std::sync::Arc;

use margay_core::{Alert, Period};
use margay_deliver::{DeadLetter, DeliverError, Message, Refusal, Sink, bury};
use margay_render::{Firing, Templates, alert_json, alertmanager_alert, calico_event, json_line, slack_message};
use tracing::{error, warn};

use crate::ingest::{Ready, chain, find};
use crate::pipeline::Pipeline;
use crate::quarantine::Response;
use crate::records::SinkFailure;
use crate::state::{State, StateError};
use crate::wall::now;

/// Alerts that are looked at for a quarantine between two commits.
const QUARANTINES_MOST: usize = 1000;

/// Why alerts were not delivered.
#[derive(Debug, thiserror::Error)]
pub enum OutletError {
    /// A sink failed.
    #[error("sink {name}")]
    Sink {
        /// Its name.
        name: String,
        /// Why.
        source: DeliverError,
    },
    /// What a sink refused could not be put aside.
    #[error("what the sink {name} refused cannot be put aside")]
    Bury {
        /// The sink's name.
        name: String,
        /// Why.
        source: DeliverError,
    },
    /// The outbox failed.
    #[error(transparent)]
    State(#[from] StateError),
}

/// How a sink writes an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A few lines for people.
    Text,
    /// The alert's own document, one line.
    Json,
    /// Calico's event document, one line.
    Event,
    /// A message of Slack.
    Slack,
    /// An alert of Alertmanager, which fires for so long unless it is ended.
    Alertmanager(Period),
    /// A file of `templates`.
    Template(String),
}

/// What is done with an alert.
pub enum Way {
    /// It is told.
    Sink(Sink, Form),
    /// A quarantine is proposed where the detector asks for one.
    Quarantine(Response),
    /// Nothing: the sink cannot be used, and why. Alerts wait for it.
    Broken(String),
}

/// One place that alerts go to.
pub struct Outlet {
    /// Its name, by which the outbox knows it.
    pub name: String,
    /// What it does with them.
    pub way: Way,
}

/// What every outlet needs.
#[derive(Clone)]
pub struct Desk {
    /// The outbox.
    pub state: Arc<State>,
    /// Detectors, for their templates.
    pub ready: Vec<Arc<Ready>>,
    /// Templates.
    pub templates: Arc<Templates>,
    /// Folder for what sinks refuse.
    pub dead_letters: PathBuf,
}

impl Pipeline {
    /// What outlets need.
    #[must_use]
    pub fn desk(&self) -> Desk {
        Desk {
            state: self.state.clone(),
            ready: self.ready.clone(),
            templates: self.templates.clone(),
            dead_letters: self.dead_letters(),
        }
    }

    /// Folder for what sinks refuse.
    #[must_use]
    pub fn dead_letters(&self) -> PathBuf {
        self.state_dir.join("dead-letters")
    }
}

impl Desk {
    /// From now on the outbox is for these outlets.
    ///
    /// # Errors
    /// The state fails.
    pub fn address(&self, outlets: &[Outlet]) -> Result<(), StateError> {
        let names: Vec<&str> = outlets.iter().map(|outlet| &outlet.name[..]).collect();
        let change = self.state.write()?;
        change.address(&names)?;
        change.commit()
    }

    fn acknowledge(&self, sink: &str, number: u64) -> Result<(), StateError> {
        let change = self.state.write()?;
        change.acknowledge(sink, number)?;
        change.commit()
    }

    /// Keeps why a sink takes nothing, for `status` and metrics.
    fn note(&self, sink: &str, error: Option<String>) -> Result<(), StateError> {
        let known = self.state.sink_failure(sink)?;
        if known.as_ref().map(|failure| &failure.error) == error.as_ref() {
            return Ok(());
        }
        let since = known.map_or_else(now, |failure| failure.since);
        let change = self.state.write()?;
        change.put_sink_failure(sink, error.map(|error| SinkFailure { error, since }).as_ref())?;
        change.commit()
    }

    /// The alert in a form, and what tells its revision from others.
    #[must_use]
    pub fn message(&self, alert: &Alert, form: &Form) -> Message {
        let own = find(&self.ready, &alert.detector).map(|ready| &ready.definition.meta);
        let or_document = |rendered: Result<String, margay_render::RenderError>| {
            rendered.unwrap_or_else(|error| {
                warn!(alert = alert.id, error = chain(&error), "text could not be rendered; the document is sent");
                alert_json(alert)
            })
        };
        let text = match form {
            Form::Json => alert_json(alert),
            Form::Event => json_line(&calico_event(alert)),
            Form::Text => or_document(self.templates.text(own.map_or("alert", |own| &own.template), alert)),
            Form::Slack => slack_message(alert),
            Form::Template(file) => or_document(self.templates.body(file, alert)),
            Form::Alertmanager(fires_for) => {
                let now = now();
                let severity = own.map_or(alert.severity, |own| own.severity);
                alertmanager_alert(alert, &Firing { now, until: now.plus(*fires_for), severity })
            }
        };
        Message { key: format!("{}-{}", alert.id, alert.revision), text }
    }
}

impl Outlet {
    /// Delivers what waits for it, oldest first. What it did not take stays in the outbox, and why is noted; what it
    /// refused for good is put aside.
    ///
    /// # Errors
    /// The sink or the state fails.
    pub fn deliver(&mut self, desk: &Desk) -> Result<(), OutletError> {
        let delivered = self.empty_outbox(desk);
        match &delivered {
            Ok(()) => desk.note(&self.name, None)?,
            Err(OutletError::Sink { source, .. }) => desk.note(&self.name, Some(chain(source)))?,
            Err(OutletError::Bury { .. } | OutletError::State(_)) => {}
        }
        delivered
    }

    fn empty_outbox(&mut self, desk: &Desk) -> Result<(), OutletError> {
        loop {
            let most = match &self.way {
                Way::Sink(sink, _) => sink.messages_most(),
                Way::Quarantine(_) => QUARANTINES_MOST,
                Way::Broken(_) => 1,
            };
            let waiting = desk.state.outbox(&self.name, most)?;
            let Some((last, _)) = waiting.last() else { return Ok(()) };
            let failed = |source| OutletError::Sink { name: self.name.clone(), source };
            match &mut self.way {
                Way::Quarantine(response) => {
                    waiting
                        .iter()
                        .for_each(|(_, alert)| response.quarantine(alert, &desk.ready, &desk.state, &desk.templates));
                }
                Way::Broken(reason) => return Err(failed(DeliverError::Unusable { reason: reason.clone() })),
                Way::Sink(sink, form) => {
                    let messages: Vec<Message> = waiting.iter().map(|(_, alert)| desk.message(alert, form)).collect();
                    let receipt = sink.deliver(&messages).map_err(failed)?;
                    self.put_aside(desk, &receipt.refused, &waiting, &messages)?;
                }
            }
            desk.acknowledge(&self.name, *last)?;
        }
    }

    fn put_aside(
        &self,
        desk: &Desk,
        refused: &[Refusal],
        waiting: &[(u64, Alert)],
        messages: &[Message],
    ) -> Result<(), OutletError> {
        let time = now().to_string();
        let mut letters = Vec::new();
        for Refusal { at, reason } in refused {
            let (alert, body) = (&waiting[*at].1, &messages[*at].text[..]);
            error!(sink = self.name, alert = alert.id, reason, "refused, and put into dead-letters");
            letters.push(DeadLetter {
                time: time.clone(),
                sink: self.name.clone(),
                reason: reason.clone(),
                alert: alert.id.clone(),
                revision: alert.revision,
                body: body.to_owned(),
                document: Box::new(alert.clone()),
            });
        }
        bury(&desk.dead_letters, &letters).map_err(|source| OutletError::Bury { name: self.name.clone(), source })
    }
}

/// Delivers to all at the same time, and waits for the slowest one.
///
/// # Errors
/// One of them fails; the others were delivered to nevertheless, and all failures were logged.
pub fn deliver_all(outlets: &mut [Outlet], desk: &Desk) -> Result<(), OutletError> {
    desk.address(outlets)?;
    let results: Vec<Result<(), OutletError>> = std::thread::scope(|scope| {
        let running: Vec<_> = outlets.iter_mut().map(|outlet| scope.spawn(|| outlet.deliver(desk))).collect();
        running.into_iter().map(|one| one.join().expect("delivery does not panic")).collect()
    });
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        warn!(error = chain(error), "alerts could not be delivered; they are kept");
    }
    results.into_iter().collect()
}

/// Whether, and after how long, the sink asked to be called again.
#[must_use]
pub fn again_after(error: &OutletError) -> Option<std::time::Duration> {
    match error {
        OutletError::Sink { source, .. } => source.again_after(),
        OutletError::Bury { .. } | OutletError::State(_) => None,
    }
}
