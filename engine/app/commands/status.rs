//! `status`: what every detector sees, or why it sees nothing.

use std::collections::BTreeMap;

use margay_core::{Alert, Time};
use margay_render::plain;
use serde::Serialize;

use super::alerts::worst;
use super::{print, print_json};
use crate::Exit;
use crate::budgets::{Known, Spent, spent};
use crate::cli::{Cli, Output};
use crate::open;
use crate::outlet::Way;
use crate::pipeline::Pipeline;
use crate::records::DetectorStatus;
use crate::state::{State, StateError};

/// One detector.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// How far it may go; empty where its definition has errors.
    pub mode: String,
    /// What it sees.
    #[serde(flatten)]
    pub status: DetectorStatus,
}

/// What a silence costs: how many alerts it kept back.
#[derive(Serialize)]
struct SilenceRow {
    name: String,
    owner: String,
    reason: String,
    from: Time,
    until: Time,
    silenced: usize,
    worst: Option<Worst>,
}

/// The worst alert that a silence kept back.
#[derive(Serialize)]
struct Worst {
    id: String,
    severity: u8,
    score: f64,
    summary: String,
}

/// A sink, and how many alerts wait for it.
#[derive(Serialize)]
struct SinkRow {
    name: String,
    waiting: u64,
}

/// Every detector, by name.
///
/// # Errors
/// The state cannot be read.
pub fn rows(
    state: &State,
    modes: &BTreeMap<String, String>,
    broken: &BTreeMap<String, String>,
) -> Result<Vec<Row>, StateError> {
    let mut rows = Vec::new();
    for (name, mode) in modes {
        let never = || DetectorStatus { state: "never_ran".to_owned(), ..DetectorStatus::default() };
        let status = state.status(name)?.unwrap_or_else(never);
        rows.push(Row { name: name.clone(), mode: mode.clone(), status });
    }
    for (name, reason) in broken {
        let status =
            DetectorStatus { state: "error".to_owned(), reason: Some(reason.clone()), ..DetectorStatus::default() };
        rows.push(Row { name: name.clone(), mode: String::new(), status });
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(rows)
}

/// Prints the state of every detector; 1 where a team was told of more than it welcomes.
pub fn run(cli: &Cli) -> anyhow::Result<Exit> {
    let Some(pipeline) = open::pipeline(&cli.config)? else { return Ok(Exit::Configuration) };
    let rows = rows(&pipeline.state, &pipeline.modes(), &pipeline.broken)?;
    let silences = silences(&pipeline)?;
    let known: Vec<Known> = pipeline.ready.iter().map(|ready| Known::of(&ready.definition)).collect();
    let budgets = spent(&pipeline.budgets, &known, &pipeline.state)?;
    let sinks = sink_rows(&pipeline)?;
    match cli.output {
        Output::Json => print_json(
            &serde_json::json!({ "detectors": rows, "silences": silences, "budgets": budgets, "sinks": sinks }),
        )?,
        Output::Text => {
            print(&(table(&rows) + &silence_lines(&silences) + &budget_lines(&budgets) + &sink_lines(&sinks)))?
        }
    }
    Ok(if budgets.iter().any(|budget| budget.over) { Exit::Findings } else { Exit::Ok })
}

fn table(rows: &[Row]) -> String {
    let wide = rows.iter().map(|row| row.name.len()).fold("DETECTOR".len(), usize::max);
    let mut text = format!(
        "{:<wide$} {:<8} {:<9} {:<20} {:<20} {:>9} {:>8}  {}\n",
        "DETECTOR", "MODE", "STATE", "JUDGED UNTIL", "TRAINED UNTIL", "ROWS", "MATURITY", "ENTITIES"
    );
    for row in rows {
        let status = &row.status;
        let time = |time: Option<margay_core::Time>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
        let entities: Vec<String> = status.entities.iter().map(|(state, count)| format!("{state} {count}")).collect();
        text.push_str(&format!(
            "{:<wide$} {:<8} {:<9} {:<20} {:<20} {:>9} {:>7.0}%  {}\n",
            row.name,
            row.mode,
            status.state,
            time(status.watermark),
            time(status.trained_until),
            status.rows,
            status.maturity * 100.0,
            entities.join(", ")
        ));
        if status.members_cut > 0 {
            let (cut, most) = (status.members_cut, margay_core::members::MEMBERS_MOST);
            text.push_str(&format!("{:<wide$} {cut} lists held more than {most} members and were sampled\n", ""));
        }
        if let Some(reason) = &status.reason {
            text.push_str(&format!("{:<wide$} {reason}\n", ""));
        }
    }
    text
}

fn silences(pipeline: &Pipeline) -> anyhow::Result<Vec<SilenceRow>> {
    let alerts = pipeline.state.alerts()?;
    let rows = pipeline.silences.iter().map(|silence| {
        let by_this = |alert: &&Alert| alert.silenced.as_ref().is_some_and(|one| one.silence == silence.name);
        let worst = worst(alerts.iter().filter(by_this)).map(|alert| Worst {
            id: alert.id.clone(),
            severity: alert.severity,
            score: alert.score,
            summary: alert.summary.clone(),
        });
        SilenceRow {
            name: silence.name.clone(),
            owner: silence.owner.clone(),
            reason: silence.reason.clone(),
            from: silence.range.start,
            until: silence.range.end,
            silenced: alerts.iter().filter(by_this).count(),
            worst,
        }
    });
    Ok(rows.collect())
}

fn silence_lines(silences: &[SilenceRow]) -> String {
    let mut text = String::new();
    for row in silences {
        text.push_str(&format!(
            "silence {} ({}) until {}: {} alerts kept back: {}\n",
            plain(&row.name),
            plain(&row.owner),
            row.until,
            row.silenced,
            plain(&row.reason)
        ));
        if let Some(worst) = &row.worst {
            let (id, severity, summary) = (&worst.id, worst.severity, &worst.summary);
            text.push_str(&format!("  the worst: {id} severity {severity}: {summary}\n"));
        }
    }
    text
}

fn sink_rows(pipeline: &Pipeline) -> anyhow::Result<Vec<SinkRow>> {
    let waiting = pipeline.state.waiting()?;
    let sinks = pipeline.outlets.iter().filter(|outlet| !matches!(outlet.way, Way::Quarantine(_)));
    let row = |name: &String| SinkRow { name: name.clone(), waiting: waiting.get(name).copied().unwrap_or(0) };
    Ok(sinks.map(|outlet| row(&outlet.name)).collect())
}

/// Sinks that have not taken everything.
fn sink_lines(sinks: &[SinkRow]) -> String {
    let behind = sinks.iter().filter(|sink| sink.waiting > 0);
    behind.map(|sink| format!("sink {}: {} alerts wait for it\n", sink.name, sink.waiting)).collect()
}

fn budget_lines(budgets: &[Spent]) -> String {
    let line = |one: &Spent| {
        let verdict = if one.over { "OVER" } else { "within" };
        let (name, alerts, allowed, per) = (plain(&one.name), one.alerts, one.allowed, one.per);
        format!("budget {name}: {alerts} of {allowed} alerts in {per}: {verdict}\n")
    };
    budgets.iter().map(line).collect()
}
