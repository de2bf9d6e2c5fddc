//! `sink dead-letters` and `sink resend`: what sinks refused for good.

use std::collections::BTreeSet;

use anyhow::bail;
use margay_deliver::{DeadLetter, Message, dead_letters, take_out};
use margay_render::plain;
use serde::Serialize;

use super::{print, print_json};
use crate::Exit;
use crate::cli::{Cli, Output};
use crate::ingest::chain;
use crate::open;
use crate::outlet::{Desk, Outlet, Way};
use crate::pipeline::Pipeline;

/// What came of the letters of one sink.
#[derive(Default, Serialize)]
struct Sent {
    sink: String,
    sent: usize,
    left: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Lists the letters of one sink or all.
pub fn list(cli: &Cli, name: Option<&str>) -> anyhow::Result<Exit> {
    let Some(mut pipeline) = open::pipeline(&cli.config)? else { return Ok(Exit::Configuration) };
    let dir = pipeline.dead_letters();
    let mut letters = Vec::new();
    for outlet in chosen(&mut pipeline, name)? {
        let found = dead_letters(&dir, &outlet.name)?;
        if found.unreadable > 0 {
            eprintln!("{}: {} lines of dead letters cannot be read", outlet.name, found.unreadable);
        }
        letters.extend(found.letters);
    }
    match cli.output {
        Output::Json => print_json(&serde_json::json!({ "letters": letters }))?,
        Output::Text => print(&letters.iter().map(line).collect::<String>())?,
    }
    Ok(Exit::Ok)
}

fn line(letter: &DeadLetter) -> String {
    let DeadLetter { time, sink, alert, revision, reason, .. } = letter;
    format!("{time}  {sink}  {alert} revision {revision}  {}\n", plain(reason))
}

/// Sends the letters of one sink or all again.
pub fn resend(cli: &Cli, name: Option<&str>) -> anyhow::Result<Exit> {
    let Some(mut pipeline) = open::pipeline(&cli.config)? else { return Ok(Exit::Configuration) };
    let desk = pipeline.desk();
    let mut results = Vec::new();
    for outlet in &mut chosen(&mut pipeline, name)? {
        results.push(send(outlet, &desk)?);
    }
    match cli.output {
        Output::Json => print_json(&serde_json::json!({ "sinks": results }))?,
        Output::Text => print(&results.iter().map(result_line).collect::<String>())?,
    }
    Ok(if results.iter().all(|one| one.left == 0) { Exit::Ok } else { Exit::Failed })
}

fn result_line(sent: &Sent) -> String {
    let Sent { sink, sent, left, error } = sent;
    let reason = error.as_ref().map_or_else(String::new, |error| format!(": {}", plain(error)));
    format!("{sink}: {sent} sent, {left} left{reason}\n")
}

/// The sinks that are meant.
fn chosen(pipeline: &mut Pipeline, name: Option<&str>) -> anyhow::Result<Vec<Outlet>> {
    let is_sink = |outlet: &Outlet| !matches!(outlet.way, Way::Quarantine(_));
    let (sinks, _): (Vec<Outlet>, Vec<Outlet>) = std::mem::take(&mut pipeline.outlets).into_iter().partition(is_sink);
    let names: Vec<String> = sinks.iter().map(|outlet| outlet.name.clone()).collect();
    let chosen: Vec<Outlet> = sinks.into_iter().filter(|outlet| name.is_none_or(|name| outlet.name == name)).collect();
    if chosen.is_empty() && name.is_some() {
        bail!("there is no such sink; there are: {}", names.join(", "));
    }
    Ok(chosen)
}

/// Sends until the sink takes nothing more. What it took is taken out of the letters, also where it fails in between.
fn send(outlet: &mut Outlet, desk: &Desk) -> anyhow::Result<Sent> {
    let found = dead_letters(&desk.dead_letters, &outlet.name)?;
    let mut result =
        Sent { sink: outlet.name.clone(), left: found.letters.len() + found.unreadable, ..Sent::default() };
    let (sink, form) = match &mut outlet.way {
        Way::Sink(sink, form) => (sink, form),
        Way::Broken(reason) => return Ok(Sent { error: Some(reason.clone()), ..result }),
        Way::Quarantine(_) => return Ok(result),
    };
    let mut taken = BTreeSet::new();
    for letters in found.letters.chunks(sink.messages_most()) {
        let messages: Vec<Message> = letters.iter().map(|letter| desk.message(&letter.document, form)).collect();
        let receipt = match sink.deliver(&messages) {
            Ok(receipt) => receipt,
            Err(error) => {
                result.error = Some(chain(&error));
                break;
            }
        };
        let refused: BTreeSet<usize> = receipt.refused.iter().map(|refusal| refusal.at).collect();
        result.error = receipt.refused.into_iter().next_back().map(|refusal| refusal.reason).or(result.error);
        let taken_now = letters.iter().enumerate().filter(|(at, _)| !refused.contains(at));
        taken.extend(taken_now.map(|(_, letter)| (letter.alert.clone(), letter.revision)));
    }
    take_out(&desk.dead_letters, &outlet.name, &taken)?;
    let after = dead_letters(&desk.dead_letters, &outlet.name)?;
    let left = after.letters.len() + after.unreadable;
    (result.sent, result.left) = (result.left.saturating_sub(left), left);
    Ok(result)
}
