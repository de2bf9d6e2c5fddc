//! `run`: read what is new, judge, alert.

use anyhow::bail;
use serde_json::json;

use super::{now, print_json};
use crate::Exit;
use crate::cli::{Cli, Output, RunArgs};
use crate::open;
use crate::pipeline::{CycleReport, Request};
use crate::scores::ScoresFile;

/// One cycle.
pub fn run(cli: &Cli, args: &RunArgs) -> anyhow::Result<Exit> {
    if !args.once {
        bail!("the daemon is not built yet; use `margay run --once` from a timer (cron, a Kubernetes CronJob)");
    }
    let Some(mut pipeline) = open::pipeline(&cli.config)? else { return Ok(Exit::Configuration) };
    let now = args.until.unwrap_or_else(now);
    let mut scores = args.scores.as_deref().map(ScoresFile::create).transpose()?;
    let report = pipeline.cycle(&mut Request { until: now, now, scores: scores.as_mut(), train: args.train })?;
    if let Some(scores) = scores {
        scores.finish()?;
    }
    match cli.output {
        Output::Json => print_json(&document(&report, &pipeline.broken))?,
        Output::Text => eprint!("{}", summary(&report)),
    }
    for (detector, reason) in &pipeline.broken {
        eprintln!("{detector}: did not run: {reason}");
    }
    let failed = report.logs.values().any(|log| !log.failed.is_empty()) || !pipeline.broken.is_empty();
    Ok(if failed { Exit::Failed } else { Exit::Ok })
}

fn document(report: &CycleReport, broken: &std::collections::BTreeMap<String, String>) -> serde_json::Value {
    let logs: Vec<_> = report
        .logs
        .iter()
        .map(|(name, log)| {
            let scan = log.scan.clone().unwrap_or_default();
            json!({
                "log": name, "rows": log.rows, "bad_rows": scan.bad_rows, "unfit_values": scan.unfit_values, "bytes": scan.bytes,
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
    json!({"logs": logs, "alerts": report.alerts, "trainings": report.trainings, "did_not_run": broken})
}

/// What a cycle came to, for people.
pub fn summary(report: &CycleReport) -> String {
    let mut text = String::new();
    for (name, log) in &report.logs {
        let scan = log.scan.clone().unwrap_or_default();
        text.push_str(&format!("{name}: {} rows read", log.rows));
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
    let opened = report.alerts.iter().filter(|alert| alert.status == margay_core::AlertStatus::Open).count();
    text.push_str(&format!("{opened} alerts opened, {} models trained\n", report.trainings));
    text
}
