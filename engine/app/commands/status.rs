//! `status`: what every detector sees, or why it sees nothing.

use margay_render::plain;

use super::{print, print_json};
use crate::Exit;
use crate::budgets::Spent;
use crate::cli::{Cli, Output};
use crate::open;
use crate::overview::{Overview, Row, Scene, SilenceRow, SinkRow};

/// Prints the state of every detector; 1 where a team was told of more than it welcomes.
pub fn run(cli: &Cli) -> anyhow::Result<Exit> {
    let Some(pipeline) = open::pipeline(&cli.config)? else { return Ok(Exit::Configuration) };
    let overview = Scene::of(&pipeline).overview()?;
    match cli.output {
        Output::Json => print_json(&overview)?,
        Output::Text => print(&text(&overview))?,
    }
    Ok(if overview.budgets.iter().any(|budget| budget.over) { Exit::Findings } else { Exit::Ok })
}

fn text(overview: &Overview) -> String {
    let (silences, budgets) = (silence_lines(&overview.silences), budget_lines(&overview.budgets));
    table(&overview.detectors) + &silences + &budgets + &sink_lines(&overview.sinks)
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

/// Sinks that have not taken everything, and why.
fn sink_lines(sinks: &[SinkRow]) -> String {
    let mut text = String::new();
    for sink in sinks {
        if sink.waiting > 0 {
            text.push_str(&format!("sink {}: {} alerts wait for it\n", sink.name, sink.waiting));
        }
        if let Some((error, since)) = sink.error.as_ref().zip(sink.failing_since) {
            text.push_str(&format!("sink {}: fails since {since}: {}\n", sink.name, plain(error)));
        }
        if sink.dead_letters > 0 {
            let (name, count) = (&sink.name, sink.dead_letters);
            text.push_str(&format!("sink {name}: refused {count} alerts: `margay sink dead-letters {name}`\n"));
        }
    }
    text
}

fn budget_lines(budgets: &[Spent]) -> String {
    let line = |one: &Spent| {
        let verdict = if one.over { "OVER" } else { "within" };
        let (name, alerts, allowed, per) = (plain(&one.name), one.alerts, one.allowed, one.per);
        format!("budget {name}: {alerts} of {allowed} alerts in {per}: {verdict}\n")
    };
    budgets.iter().map(line).collect()
}
