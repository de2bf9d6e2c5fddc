//! `replay`: the same engine over history.

use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::Context;
use margay_core::{Alert, AlertStatus, Time, TimeRange};
use margay_render::alert_json;

use super::{print, print_json};
use crate::Exit;
use crate::cli::{Cli, Output, ReplayArgs};
use crate::open;
use crate::pipeline::{Replay, Replayed};
use crate::scores::ScoresFile;

/// Runs every detector over all history and reports the range asked for.
pub fn run(cli: &Cli, args: &ReplayArgs) -> anyhow::Result<Exit> {
    let Some(pipeline) = open::pipeline(&cli.config)? else { return Ok(Exit::Configuration) };
    let range = TimeRange { start: args.from.unwrap_or(Time::MIN), end: args.to.unwrap_or(Time::MAX) };
    let mut scores = args.scores.as_deref().map(ScoresFile::create).transpose()?;
    let Replayed { alerts, failed } = pipeline.replay(&mut Replay { range, scores: scores.as_mut() })?;
    if let Some(scores) = scores {
        scores.finish()?;
    }
    if let Some(path) = &args.alerts {
        write_alerts(path, &alerts).with_context(|| format!("cannot write {}", path.display()))?;
    }
    match cli.output {
        Output::Json => print_json(&alerts)?,
        Output::Text => {
            let opened: Vec<&Alert> = alerts.iter().filter(|alert| alert.status == AlertStatus::Open).collect();
            let mut text = String::new();
            for alert in &opened {
                text.push_str(&format!("{}  {:>3}  {}  {}\n", alert.start, alert.severity, alert.id, alert.summary));
            }
            text.push_str(&format!("{} alerts\n", opened.len()));
            print(&text)?;
        }
    }
    for (detector, reason) in pipeline.broken.iter().chain(&failed) {
        eprintln!("{detector}: did not run: {reason}");
    }
    Ok(if pipeline.broken.is_empty() && failed.is_empty() { Exit::Ok } else { Exit::Failed })
}

fn write_alerts(path: &std::path::Path, alerts: &[Alert]) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for alert in alerts {
        writeln!(file, "{}", alert_json(alert))?;
    }
    file.flush()
}
