//! `sink test`: an alert that says so, to every sink.

use std::sync::Arc;

use anyhow::{Context, bail};
use margay_core::{Alert, Entity, Period, Time, TimeRange, digest};
use margay_render::Templates;
use serde::Serialize;

use super::{dead_letters, print, print_json};
use crate::Exit;
use crate::cli::{Cli, Output, SinkCommand};
use crate::ingest::chain;
use crate::notice::notice;
use crate::outlet::{Desk, Form, Outlet, Way};
use crate::sinks;
use crate::specs;
use crate::state::State;
use crate::wall::now;

/// How long the test alert fires in an Alertmanager.
const FIRES_FOR: Period = Period(5 * Period::MINUTE.0);

/// What came of one sink.
#[derive(Serialize)]
struct Tried {
    sink: String,
    delivered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Does what is asked of sinks.
pub fn run(cli: &Cli, command: &SinkCommand) -> anyhow::Result<Exit> {
    match command {
        SinkCommand::Test { name } => test(cli, name.as_deref()),
        SinkCommand::DeadLetters { name } => dead_letters::list(cli, name.as_deref()),
        SinkCommand::Resend { name } => dead_letters::resend(cli, name.as_deref()),
    }
}

/// Sends a test alert to one sink or all; 2 where one did not take it.
fn test(cli: &Cli, name: Option<&str>) -> anyhow::Result<Exit> {
    let Some(loaded) = sinks::of_engine(&cli.config) else { return Ok(Exit::Configuration) };
    let templates = Templates::load(specs::templates_dir(&loaded).as_deref());
    let desk = Desk {
        state: Arc::new(State::in_memory()?),
        ready: Vec::new(),
        templates: Arc::new(
            templates.map_err(|errors| anyhow::anyhow!("{}", errors[0])).context("a template is wrong")?,
        ),
        dead_letters: loaded.root.join(&loaded.engine.state.dir),
    };
    let chosen = |outlet: &Outlet| name.is_none_or(|name| outlet.name == name);
    let mut outlets = sinks::sinks(&loaded);
    if !outlets.iter().any(chosen) {
        let names: Vec<&str> = outlets.iter().map(|outlet| &outlet.name[..]).collect();
        bail!("there is no such sink; there are: {}", names.join(", "));
    }
    let tried: Vec<Tried> =
        outlets.iter_mut().filter(|outlet| chosen(outlet)).map(|outlet| attempt(outlet, &desk)).collect();
    match cli.output {
        Output::Json => print_json(&serde_json::json!({ "sinks": tried }))?,
        Output::Text => print(&tried.iter().map(line).collect::<String>())?,
    }
    Ok(if tried.iter().all(|one| one.delivered) { Exit::Ok } else { Exit::Failed })
}

fn attempt(outlet: &mut Outlet, desk: &Desk) -> Tried {
    let alert = test_alert(&outlet.name, now());
    let outcome = match &mut outlet.way {
        Way::Broken(reason) => Err(reason.clone()),
        Way::Quarantine(_) => Ok(()),
        Way::Sink(sink, form) => {
            let form = if let Form::Alertmanager(_) = form { &Form::Alertmanager(FIRES_FOR) } else { &*form };
            match sink.deliver(&[desk.message(&alert, form)]) {
                Ok(receipt) => receipt.refused.first().map_or(Ok(()), |refusal| Err(refusal.reason.clone())),
                Err(error) => Err(chain(&error)),
            }
        }
    };
    Tried { sink: outlet.name.clone(), delivered: outcome.is_ok(), error: outcome.err() }
}

fn line(tried: &Tried) -> String {
    match &tried.error {
        None => format!("{}: took the test alert\n", tried.sink),
        Some(error) => format!("{}: FAILED: {error}\n", tried.sink),
    }
}

/// An alert that is about nothing but its sink.
pub fn test_alert(sink: &str, now: Time) -> Alert {
    let id = digest(&["margay sink test", sink, &now.to_string()]);
    let entity = Entity::new(["sink".to_owned()].as_slice().into(), vec![Some(sink.to_owned())]);
    let range = TimeRange { start: now.minus(Period::MINUTE), end: now };
    Alert {
        score: 1.0,
        description: "Sent by `margay sink test`. Nothing happened.".to_owned(),
        summary: format!("This is a test of the sink {sink}: alerts arrive here"),
        ..notice(id, "margay-sink-test", "test", entity, range)
    }
}
