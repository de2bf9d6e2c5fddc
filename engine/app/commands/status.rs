//! `status`: what every detector sees, or why it sees nothing.

use serde::Serialize;

use super::{print, print_json};
use crate::Exit;
use crate::cli::{Cli, Output};
use crate::open;
use crate::state::DetectorStatus;

#[derive(Serialize)]
struct Row {
    name: String,
    mode: String,
    #[serde(flatten)]
    status: DetectorStatus,
}

/// Prints the state of every detector.
pub fn run(cli: &Cli) -> anyhow::Result<Exit> {
    let Some(pipeline) = open::pipeline(&cli.config)? else { return Ok(Exit::Configuration) };
    let mut rows = Vec::new();
    for ready in &pipeline.ready {
        let record = pipeline.state.detector(&ready.definition.name)?;
        let never = || DetectorStatus { state: "never_ran".to_owned(), ..DetectorStatus::default() };
        rows.push(Row {
            name: ready.definition.name.clone(),
            mode: ready.definition.meta.mode.clone(),
            status: record.map_or_else(never, |record| record.status),
        });
    }
    for (name, reason) in &pipeline.broken {
        let status =
            DetectorStatus { state: "error".to_owned(), reason: Some(reason.clone()), ..DetectorStatus::default() };
        rows.push(Row { name: name.clone(), mode: String::new(), status });
    }
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    match cli.output {
        Output::Json => print_json(&serde_json::json!({ "detectors": rows }))?,
        Output::Text => print(&table(&rows))?,
    }
    Ok(Exit::Ok)
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<24} {:<8} {:<9} {:<20} {:<20} {:>9} {:>8}  {}\n",
        "DETECTOR", "MODE", "STATE", "JUDGED UNTIL", "TRAINED UNTIL", "ROWS", "MATURITY", "ENTITIES"
    );
    for row in rows {
        let status = &row.status;
        let time = |time: Option<margay_core::Time>| time.map_or_else(|| "-".to_owned(), |time| time.to_string());
        let entities: Vec<String> = status.entities.iter().map(|(state, count)| format!("{state} {count}")).collect();
        text.push_str(&format!(
            "{:<24} {:<8} {:<9} {:<20} {:<20} {:>9} {:>7.0}%  {}\n",
            row.name,
            row.mode,
            status.state,
            time(status.watermark),
            time(status.trained_until),
            status.rows,
            status.maturity * 100.0,
            entities.join(", ")
        ));
        if let Some(reason) = &status.reason {
            text.push_str(&format!("{:<24} {reason}\n", ""));
        }
    }
    text
}
