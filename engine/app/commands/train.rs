//! `train`: brings detectors up to date, trains them, and says what they learnt.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::bail;
use margay_core::Period;
use margay_model::Summary;
use serde_json::json;

use super::{print, print_json};
use crate::Exit;
use crate::cli::{Cli, Output};
use crate::ingest::find;
use crate::judge::Trained;
use crate::open;
use crate::pipeline::{CycleReport, Pipeline, Request};
use crate::wall::now;

/// Trains the detectors of these names, or all, from what is stored and what is new.
pub fn run(cli: &Cli, names: &[String]) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let Some(mut pipeline) = open::pipeline(&cli.config)? else { return Ok(Exit::Configuration) };
    if pipeline.state.is_read_only() {
        bail!("{} is in use by another margay, which trains these detectors", pipeline.state_dir.display());
    }
    if let Some(unknown) = names.iter().find(|name| find(&pipeline.ready, name).is_none()) {
        let reason = pipeline.broken.get(unknown).map_or("see `margay status`", String::as_str);
        bail!("no detector that can run is called `{unknown}`: {reason}");
    }
    if !names.is_empty() {
        pipeline.ready.retain(|ready| names.contains(&ready.definition.name));
        pipeline.broken.clear();
    }
    let now = now();
    let report = pipeline.observe(&mut Request { train: true, ..Request::once(now, now) })?;
    let seconds = started.elapsed().as_secs_f64();
    match cli.output {
        Output::Json => print_json(&document(&pipeline, &report, seconds))?,
        Output::Text => print(&text(&pipeline, &report, seconds))?,
    }
    let failed = failures(&pipeline, &report);
    for (detector, reason) in &failed {
        eprintln!("{detector}: {reason}");
    }
    Ok(if failed.is_empty() { Exit::Ok } else { Exit::Failed })
}

/// Detectors that could not be trained, and why.
fn failures(pipeline: &Pipeline, report: &CycleReport) -> BTreeMap<String, String> {
    let read = report.logs.values().flat_map(|log| &log.failed).map(|(name, reason)| (name.clone(), reason.clone()));
    let ran = report.ran.iter().filter_map(|(name, reason)| Some((name.clone(), reason.clone()?)));
    pipeline.broken.clone().into_iter().chain(read).chain(ran).collect()
}

fn document(pipeline: &Pipeline, report: &CycleReport, seconds: f64) -> serde_json::Value {
    let detector = |(name, trained): (&String, &Trained)| {
        let Trained { summary, until, took } = trained;
        let seasons: BTreeMap<String, usize> =
            summary.seasonality.iter().map(|(season, series)| (named(*season), *series)).collect();
        json!({
            "name": name, "model": kind(pipeline, name), "trained_until": until, "entities": summary.entities,
            "history": summary.history, "seasonality": seasons, "fit_error": summary.fit_error,
            "network_loss": summary.network_loss, "seconds": took.as_secs_f64(),
        })
    };
    json!({
        "detectors": report.trained.iter().map(detector).collect::<Vec<_>>(),
        "failed": failures(pipeline, report), "seconds": seconds,
    })
}

fn text(pipeline: &Pipeline, report: &CycleReport, seconds: f64) -> String {
    let wide = report.trained.keys().map(String::len).fold("DETECTOR".len(), usize::max);
    let mut text = format!(
        "{:<wide$} {:<12} {:>8} {:>9} {:>9} {:>9}  {}\n",
        "DETECTOR", "MODEL", "ENTITIES", "HISTORY", "FIT ERROR", "TOOK", "SEASONALITY"
    );
    for (name, Trained { summary, took, .. }) in &report.trained {
        text.push_str(&format!(
            "{name:<wide$} {:<12} {:>8} {:>9} {:>9} {:>7.2} s  {}\n",
            kind(pipeline, name),
            summary.entities,
            Period(summary.history.0 - summary.history.0 % Period::HOUR.0).to_string(),
            error(summary),
            took.as_secs_f64(),
            seasonality(summary)
        ));
    }
    text.push_str(&format!(
        "{} detectors trained in {seconds:.1} s, what was new read and judged\n",
        report.trained.len()
    ));
    text
}

fn kind(pipeline: &Pipeline, name: &str) -> &'static str {
    find(&pipeline.ready, name).map_or("", |ready| ready.definition.judgement.model.kind.name())
}

/// What is left unexplained: around the season, or by a network.
fn error(summary: &Summary) -> String {
    let error = summary.network_loss.or(summary.fit_error);
    error.map_or_else(|| "-".to_owned(), |error| format!("{error:.3}"))
}

/// Seasons and how many series follow each, the most frequent first.
fn seasonality(summary: &Summary) -> String {
    let mut seasons: Vec<(usize, Period)> =
        summary.seasonality.iter().map(|(season, count)| (*count, *season)).collect();
    seasons.sort_unstable_by(|a, b| b.cmp(a));
    let shown: Vec<String> = seasons.into_iter().map(|(count, season)| format!("{} {count}", named(season))).collect();
    if shown.is_empty() { "-".to_owned() } else { shown.join(", ") }
}

fn named(season: Period) -> String {
    if season == Period(0) { "none".to_owned() } else { season.to_string() }
}
