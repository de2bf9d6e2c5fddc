//! `run`: read what is new, judge, alert; once, or on and on.

use std::collections::BTreeMap;

use anyhow::bail;
use serde_json::json;

use super::print_json;
use crate::Exit;
use crate::cli::{Cli, Output, RunArgs};
use crate::daemon;
use crate::open::{self, Shared};
use crate::pipeline::{CycleReport, Pipeline, Request};
use crate::scores::ScoresFile;
use crate::wall::now;

/// The daemon, or one cycle.
pub fn run(cli: &Cli, args: &RunArgs) -> anyhow::Result<Exit> {
    if !args.once {
        return daemon::run(&cli.config, args);
    }
    let loaded = margay_config::load(&cli.config);
    let opened = open::load(&cli.config, &loaded, &Shared::default())?;
    let Some(mut pipeline) = opened else { return Ok(Exit::Configuration) };
    if pipeline.state.is_read_only() {
        bail!("{} is in use by another margay, which runs these detectors", pipeline.state_dir.display());
    }
    let now = args.until.unwrap_or_else(now);
    let mut scores = args.scores.as_deref().map(ScoresFile::create).transpose()?;
    // Who says until when counts the delay of the logs himself.
    let watermarks = if args.until.is_some() { BTreeMap::new() } else { open::watermarks(&loaded, now) };
    let mut request = Request { scores: scores.as_mut(), train: args.train, watermarks, ..Request::once(now, now) };
    let report = pipeline.cycle(&mut request)?;
    if let Some(scores) = scores {
        scores.finish()?;
    }
    pipeline.state.keep_generation()?;
    match cli.output {
        Output::Json => print_json(&document(&report, &pipeline))?,
        Output::Text => eprint!("{}", summary(&report)),
    }
    for (detector, reason) in &pipeline.broken {
        eprintln!("{detector}: did not run: {reason}");
    }
    let failed = report.logs.values().any(|log| !log.failed.is_empty())
        || report.ran.values().any(Option::is_some)
        || !pipeline.broken.is_empty();
    Ok(if failed { Exit::Failed } else { Exit::Ok })
}

fn document(report: &CycleReport, pipeline: &Pipeline) -> serde_json::Value {
    let logs: Vec<_> = report
        .logs
        .iter()
        .map(|(name, log)| {
            let scan = log.scan.clone().unwrap_or_default();
            json!({
                "log": name, "rows": log.rows, "bad_rows": scan.bad_rows, "unfit_values": scan.unfit_values, "bytes": scan.bytes,
                "groups": scan.groups, "ungathered": scan.ungathered,
                "bad_samples": scan.bad_samples.iter().map(|bad| json!({
                    "file": bad.file, "line": bad.line, "reason": bad.reason
                })).collect::<Vec<_>>(),
                "file_errors": scan.files.iter().filter_map(|file| {
                    file.error.as_ref().map(|error| json!({"file": file.path, "error": error}))
                }).collect::<Vec<_>>(),
                "failed": log.failed,
            })
        })
        .collect();
    let failed: BTreeMap<&String, &String> =
        report.ran.iter().filter_map(|(name, reason)| Some((name, reason.as_ref()?))).collect();
    json!({
        "logs": logs, "alerts": report.alerts, "trainings": report.trainings, "did_not_run": pipeline.broken,
        "failed": failed, "recovered": pipeline.state.recovered(),
    })
}

/// What a cycle came to, for people.
pub fn summary(report: &CycleReport) -> String {
    let mut text = String::new();
    for (name, log) in &report.logs {
        let scan = log.scan.clone().unwrap_or_default();
        text.push_str(&format!("{name}: {} rows read", log.rows));
        if scan.groups > 0 {
            text.push_str(&format!(" as {} groups, which the server made", scan.groups));
        }
        if scan.bad_rows > 0 {
            text.push_str(&format!(", {} bad rows left out", scan.bad_rows));
        }
        if scan.unfit_values > 0 {
            text.push_str(&format!(", {} values do not fit their column and count as null", scan.unfit_values));
        }
        text.push('\n');
        for bad in &scan.bad_samples {
            text.push_str(&format!("  {}:{}: {}\n", bad.file.display(), bad.line, bad.reason));
        }
        for file in scan.files.iter().filter(|file| file.error.is_some()) {
            let error = file.error.as_deref().unwrap_or_default();
            text.push_str(&format!("  {}: {error}\n", file.path.display()));
        }
        for pattern in &log.unmatched {
            text.push_str(&format!("  {}: no file matches\n", pattern.display()));
        }
        for (detector, reason) in &log.failed {
            text.push_str(&format!("  {detector}: {reason}\n"));
        }
    }
    for (detector, reason) in &report.ran {
        if let Some(reason) = reason {
            text.push_str(&format!("{detector}: {reason}\n"));
        }
    }
    let opened = report.alerts.iter().filter(|alert| alert.status == margay_core::AlertStatus::Open).count();
    text.push_str(&format!("{opened} alerts opened, {} models trained\n", report.trainings));
    text
}
