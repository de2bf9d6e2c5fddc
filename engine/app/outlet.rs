//! Outbox → one sink: each has its own place in the outbox, so that none holds up another.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use margay_core::{Alert, Period};
use margay_deliver::{DeadLetter, DeliverError, Message, Refusal, Sink, bury};
use margay_render::{
    Firing, Templates, alert_json, alertmanager_alert, calico_event, is_over, json_line, slack_message,
};
use tracing::{error, info, warn};

use crate::digest::{Ration, together, told_apart};
use crate::ingest::{Ready, chain, find};
use crate::pipeline::Pipeline;
use crate::quarantine::Response;
use crate::records::SinkFailure;
use crate::state::{State, StateError};
use crate::wall::now;

/// Alerts that are looked at for a quarantine between two commits.
const QUARANTINES_MOST: usize = 1000;
/// Alerts that are looked at together where people should not get too many messages.
const ROUND_MOST: usize = 10_000;

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
    /// How many messages it may get, where people read them.
    pub ration: Option<Ration>,
    /// Revisions that a round has told already which is not over, because a later one failed.
    pub told: BTreeSet<String>,
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

    /// Remembers which alerts a sink must be told of again, and which no longer.
    fn note_raised<'a>(&self, sink: &str, alerts: impl Iterator<Item = &'a Alert>) -> Result<(), StateError> {
        let (change, now) = (self.state.write()?, now());
        for alert in alerts {
            if is_over(alert) {
                change.remove_raised(sink, &alert.id)?;
            } else {
                change.put_raised(sink, &alert.id, now)?;
            }
        }
        change.commit()
    }

    /// Alerts whose episode goes on, and ids of those of which none does, or whose detector is gone.
    fn open_ones(&self, ids: Vec<String>) -> Result<(Vec<Alert>, Vec<String>), StateError> {
        let (mut open, mut over) = (Vec::new(), Vec::new());
        for id in ids {
            match self.state.alert(&id)? {
                Some(alert) if !is_over(&alert) && find(&self.ready, &alert.detector).is_some() => open.push(alert),
                _ => over.push(id),
            }
        }
        Ok((open, over))
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
        Message { key: key(alert), text }
    }
}

/// The same for the same revision of an alert.
fn key(alert: &Alert) -> String {
    format!("{}-{}", alert.id, alert.revision)
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
            let left = self.ration.as_mut().map_or(usize::MAX, |ration| ration.left(Instant::now()));
            if left == 0 {
                return Ok(());
            }
            let most = match &self.way {
                Way::Sink(..) if self.ration.is_some() => ROUND_MOST,
                Way::Sink(sink, _) => sink.messages_most(),
                Way::Quarantine(_) => QUARANTINES_MOST,
                Way::Broken(_) => 1,
            };
            let waiting = desk.state.outbox(&self.name, most)?;
            let Some((last, _)) = waiting.last() else { return self.raise_again(desk) };
            let failed = |source| OutletError::Sink { name: self.name.clone(), source };
            match &mut self.way {
                Way::Quarantine(response) => {
                    waiting
                        .iter()
                        .for_each(|(_, alert)| response.quarantine(alert, &desk.ready, &desk.state, &desk.templates));
                }
                Way::Broken(reason) => return Err(failed(DeliverError::Unusable { reason: reason.clone() })),
                Way::Sink(..) if self.ration.is_some() => {
                    self.deliver_round(desk, waiting, left)?;
                    continue;
                }
                Way::Sink(sink, form) => {
                    let messages: Vec<Message> = waiting.iter().map(|(_, alert)| desk.message(alert, form)).collect();
                    let receipt = sink.deliver(&messages).map_err(failed)?;
                    if let Form::Alertmanager(_) = form {
                        desk.note_raised(&self.name, waiting.iter().map(|(_, alert)| alert))?;
                    }
                    self.put_aside(desk, &receipt.refused, &waiting, &messages)?;
                }
            }
            desk.acknowledge(&self.name, *last)?;
        }
    }

    /// An alert that an Alertmanager was told of ends there by itself unless it is told again.
    fn raise_again(&mut self, desk: &Desk) -> Result<(), OutletError> {
        let Way::Sink(sink, form) = &mut self.way else { return Ok(()) };
        let Form::Alertmanager(fires_for) = &*form else { return Ok(()) };
        let before = now().minus(Period(fires_for.0 / 2));
        loop {
            let ids = desk.state.raised(&self.name, before, sink.messages_most())?;
            if ids.is_empty() {
                return Ok(());
            }
            let (open, over) = desk.open_ones(ids)?;
            let messages: Vec<Message> = open.iter().map(|alert| desk.message(alert, form)).collect();
            let failed = |source| OutletError::Sink { name: self.name.clone(), source };
            for Refusal { at, reason } in sink.deliver(&messages).map_err(failed)?.refused {
                warn!(sink = self.name, alert = open[at].id, reason, "refused when it was told again");
            }
            let change = desk.state.write()?;
            for id in over {
                change.remove_raised(&self.name, &id)?;
            }
            change.commit()?;
            desk.note_raised(&self.name, open.iter())?;
        }
    }

    /// Takes the place of the outlet `before` with the same name: what was sent counts.
    pub fn follow(&mut self, before: Self) {
        self.told = before.told;
        self.ration = match (self.ration.take(), before.ration) {
            (Some(own), Some(before)) => Some(before.bounded_as(&own)),
            (own, _) => own,
        };
    }

    /// Delivers what people read: all that waits, where it is no more than they should get; else the worst of it, and the
    /// rest as one message.
    fn deliver_round(&mut self, desk: &Desk, waiting: Vec<(u64, Alert)>, left: usize) -> Result<(), OutletError> {
        if waiting.len() <= left {
            for (number, alert) in waiting {
                self.tell(desk, &alert)?;
                desk.acknowledge(&self.name, number)?;
            }
            self.told.clear();
            return Ok(());
        }
        let (numbers, alerts): (Vec<u64>, Vec<Alert>) = waiting.into_iter().unzip();
        let apart = told_apart(&alerts, left - 1);
        for at in &apart {
            self.tell(desk, &alerts[*at])?;
        }
        let rest = alerts.iter().enumerate().filter(|(at, _)| !apart.contains(at)).map(|(_, alert)| alert);
        let rest: Vec<&Alert> = rest.filter(|alert| !self.told.contains(&key(alert))).collect();
        if let Some(digest) = together(&rest) {
            info!(sink = self.name, alerts = rest.len(), "more alerts than a minute's ration: told in one message");
            self.tell(desk, &digest)?;
        }
        if let Some(last) = numbers.last() {
            desk.acknowledge(&self.name, *last)?;
        }
        self.told.clear();
        Ok(())
    }

    /// Sends one message, unless this round has.
    fn tell(&mut self, desk: &Desk, alert: &Alert) -> Result<(), OutletError> {
        let Way::Sink(sink, form) = &mut self.way else { return Ok(()) };
        if self.told.contains(&key(alert)) {
            return Ok(());
        }
        if let Some(ration) = &mut self.ration {
            ration.take(Instant::now());
        }
        let messages = [desk.message(alert, form)];
        let failed = |source| OutletError::Sink { name: self.name.clone(), source };
        let receipt = sink.deliver(&messages).map_err(failed)?;
        self.put_aside(desk, &receipt.refused, &[(0, alert.clone())], &messages)?;
        self.told.insert(key(alert));
        Ok(())
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
