//! `explain`: why an alert fired, or why a bucket did not.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context, bail};
use margay_core::{Alert, Entity, Gate, GateName, Period, Reading, Time, TimeRange};
use margay_render::plain;
use serde_json::json;

use super::{find_alert, find_entity, print, print_json};
use crate::Exit;
use crate::chart;
use crate::cli::{Cli, ExplainArgs, Output};
use crate::ingest::{Ready, find};
use crate::open;
use crate::pipeline::{Explained, Pipeline};
use crate::words::sentence;

/// History shown before the bucket, in the chart.
const CHART_BEFORE: Period = Period(12 * 3_600_000);

/// What was asked.
struct Question<'a> {
    ready: &'a Arc<Ready>,
    entity: Entity,
    bucket: Time,
}

/// Prints the gate trace of an alert or of a bucket.
pub fn run(cli: &Cli, args: &ExplainArgs) -> anyhow::Result<Exit> {
    let Some(pipeline) = open::pipeline(&cli.config)? else { return Ok(Exit::Configuration) };
    pipeline.ingest(&BTreeSet::new())?;
    match (&args.entity, args.at) {
        (Some(entity), Some(at)) => explain_bucket(cli, &pipeline, &args.subject, entity, at),
        (None, None) => explain_alert(cli, &pipeline, &args.subject),
        _ => bail!("a bucket needs both: explain DETECTOR --entity ENTITY --at TIME"),
    }
}

fn explain_alert(cli: &Cli, pipeline: &Pipeline, id: &str) -> anyhow::Result<Exit> {
    let alerts = pipeline.state.alerts()?;
    let alert = find_alert(&alerts, id)?;
    let chart = match find(&pipeline.ready, &alert.detector) {
        Some(ready) => {
            let question = Question { ready, entity: alert.entity.clone(), bucket: alert.start };
            let explained = pipeline.explain(ready, &alert.entity, alert.start, shown(&question, alert.end))?;
            let driving = explained.verdict.as_ref().map_or(0, |verdict| verdict.feature);
            figure(&question, driving, &explained)
        }
        None => String::new(),
    };
    match cli.output {
        Output::Json => print_json(&json!({
            "fired": true, "alert": alert, "gates": alert.gates, "features": alert.features,
            "sample": alert.suspicious_records,
        }))?,
        Output::Text => print(&(alert_text(alert) + &chart))?,
    }
    Ok(Exit::Ok)
}

fn explain_bucket(cli: &Cli, pipeline: &Pipeline, detector: &str, entity: &str, at: Time) -> anyhow::Result<Exit> {
    let ready = find(&pipeline.ready, detector)
        .with_context(|| format!("no detector that can run is called `{detector}`; see `margay status`"))?;
    let bucket = at.floor(ready.definition.query.bucket);
    let entity = find_entity(ready, entity)?;
    let question = Question { ready, entity, bucket };
    let explained = pipeline.explain(ready, &question.entity, bucket, shown(&question, bucket))?;
    let alert = pipeline.state.alerts()?.into_iter().find(|alert| {
        alert.detector == detector && alert.entity == question.entity && alert.start <= bucket && bucket < alert.end
    });
    match cli.output {
        Output::Json => print_json(&bucket_document(&question, &explained, alert.as_ref()))?,
        Output::Text => print(&bucket_text(&question, &explained, alert.as_ref()))?,
    }
    Ok(Exit::Ok)
}

fn shown(question: &Question, end: Time) -> TimeRange {
    let bucket = question.ready.definition.query.bucket;
    TimeRange { start: question.bucket.minus(CHART_BEFORE), end: end.plus(bucket.times(12)) }
}

/// What was measured and expected, and the scores beside their threshold.
fn figure(question: &Question, driving: usize, explained: &Explained) -> String {
    let feature = question.ready.features().get(driving).map_or("", |name| &name[..]);
    let title = format!("\n{feature} of {}", plain(&question.entity.to_string()));
    let gates = explained.verdict.iter().flat_map(|verdict| &verdict.gates);
    let threshold = gates.filter(|gate| gate.gate == GateName::Score).find_map(|gate| gate.limit.parse().ok());
    let threshold = threshold.unwrap_or(question.ready.definition.judgement.rule.score);
    chart::draw(&title, driving, &explained.series) + &chart::scores(driving, &explained.series, threshold)
}

fn alert_text(alert: &Alert) -> String {
    let mut text = format!("{}\n\n", alert.summary);
    text.push_str(&format!(
        "  alert      {} revision {} ({}), incident {}\n  detector   {}  severity {}  score {:.1}\n",
        alert.id, alert.revision, alert.status, alert.incident, alert.detector, alert.severity, alert.score
    ));
    text.push_str(&format!(
        "  time       {} to {}\n  expected   {:.2e} such alerts a week on normal data\n",
        alert.start, alert.end, alert.expected_false_per_week
    ));
    let trained = alert.model.trained_until.map_or_else(|| "never".to_owned(), |time| time.to_string());
    text.push_str(&format!("  model      {} {}, trained until {trained}\n", alert.model.kind, alert.model.digest));
    text.push_str(&format!("  digests    definition {}, data {}\n\n", alert.config_digest, alert.data_digest));
    for (name, reading) in &alert.features {
        text.push_str(&format!(
            "  {name}: {:.6} measured, {:.6} expected ({:.6} to {:.6}), score {:.1}, share {:.0} %\n",
            reading.value,
            reading.expected,
            reading.lower,
            reading.upper,
            reading.score,
            reading.contribution * 100.0
        ));
    }
    text.push_str("\nGates, in order, in the bucket that opened the episode:\n");
    text.push_str(&gate_lines(&alert.gates));
    for (log, records) in &alert.suspicious_records {
        text.push_str(&format!("\nRows of {log} behind it ({} more left out):\n", records.left_out));
        for row in &records.rows {
            text.push_str(&format!("  {}\n", plain(&serde_json::Value::Object(row.clone()).to_string())));
        }
    }
    if let Some(runbook) = &alert.runbook {
        text.push_str(&format!("\nRunbook: {runbook}\n"));
    }
    if !alert.mitigations.is_empty() {
        text.push_str("\nMitigations:\n");
        alert.mitigations.iter().for_each(|one| text.push_str(&format!("  - {one}\n")));
    }
    text
}

fn gate_lines(gates: &[Gate]) -> String {
    let line = |gate: &Gate| {
        let verdict = if gate.passed { "pass" } else { "FAIL" };
        format!("  {verdict}  {:<12} {}\n", gate.gate.to_string(), sentence(gate))
    };
    gates.iter().map(line).collect()
}

/// The share of one feature among several, as text.
fn share(all: &[Reading], reading: &Reading) -> String {
    if all.len() > 1 { format!(", share {:.0} %", reading.contribution * 100.0) } else { String::new() }
}

fn bucket_document(question: &Question, explained: &Explained, alert: Option<&Alert>) -> serde_json::Value {
    let verdict = explained.verdict.clone().unwrap_or_default();
    let readings: serde_json::Map<String, serde_json::Value> = question
        .ready
        .features()
        .iter()
        .zip(&verdict.readings)
        .map(|(name, reading)| (name.clone(), json!(reading)))
        .collect();
    json!({
        "fired": verdict.finding, "seen": explained.verdict.is_some(), "alert": alert, "gates": verdict.gates,
        "features": readings, "sample": alert.map(|alert| &alert.suspicious_records),
    })
}

fn bucket_text(question: &Question, explained: &Explained, alert: Option<&Alert>) -> String {
    let name = plain(&question.entity.to_string());
    let Some(verdict) = &explained.verdict else {
        return format!(
            "{} saw nothing of {name} in the bucket {}: no_data\n",
            question.ready.definition.name, question.bucket
        );
    };
    let mut text = match (verdict.finding, alert, verdict.gates.iter().find(|gate| !gate.passed)) {
        (true, Some(alert), _) => format!("The bucket passed every gate; it belongs to alert {}.\n\n", alert.id),
        (true, None, _) => "The bucket passes every gate.\n\n".to_owned(),
        (false, _, Some(gate)) => format!("The bucket did not alert: gate `{}` stopped it.\n\n", gate.gate),
        (false, _, None) => "The bucket did not alert.\n\n".to_owned(),
    };
    for (feature, reading) in question.ready.features().iter().zip(&verdict.readings) {
        text.push_str(&format!(
            "  {feature}: {:.6} measured, {:.6} expected ({:.6} to {:.6}), score {:.1}{}\n",
            reading.value,
            reading.expected,
            reading.lower,
            reading.upper,
            reading.score,
            share(&verdict.readings, reading)
        ));
    }
    text.push_str("\nGates, in order:\n");
    text.push_str(&gate_lines(&verdict.gates));
    text + &figure(question, verdict.feature, explained)
}
