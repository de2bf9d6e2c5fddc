//! `tune`: other thresholds of a detector, tried on its scored past.

use std::path::Path;

use anyhow::{Context, bail};
use margay_config::{LoadedDetector, patch_detector};
use margay_core::{Time, TimeRange};
use margay_decide::Rule;
use serde_json::json;

use super::{print, print_json};
use crate::Exit;
use crate::chart;
use crate::cli::{Cli, Output, TuneArgs};
use crate::ingest::{Ready, find};
use crate::labels;
use crate::open::{self, Shared};
use crate::past;
use crate::pipeline::Pipeline;
use crate::tune::{Candidate, Label, Past, Tuned, edits, read_labels, tune, unified};

/// What is written about a detector's thresholds.
struct Report<'a> {
    detector: &'a str,
    past: &'a Past,
    labels: &'a [Label],
    args: &'a TuneArgs,
    tuned: Tuned,
    /// Change of the detector's file; empty where nothing is to be changed.
    patch: String,
    /// The file.
    file: String,
}

/// Prints the candidates, and writes the recommended one into the detector's file where asked to: 1 where there is none.
pub fn run(cli: &Cli, args: &TuneArgs) -> anyhow::Result<Exit> {
    let loaded = margay_config::load(&cli.config);
    let Some(mut pipeline) = open::load(&cli.config, &loaded, &Shared::default())? else {
        return Ok(Exit::Configuration);
    };
    pipeline.ready.retain(|ready| ready.definition.name == args.detector);
    let Some(ready) = find(&pipeline.ready, &args.detector) else {
        let reason = pipeline.broken.get(&args.detector).map_or("see `margay status`", |reason| &reason[..]);
        bail!("no detector that can run is called `{}`: {reason}", args.detector);
    };
    let range = TimeRange { start: args.from.unwrap_or(Time::MIN), end: args.to.unwrap_or(Time::MAX) };
    let (past, score) = past::of(&pipeline, ready, args.scores.as_deref(), range)?;
    let rule = Rule { score, ..ready.definition.judgement.rule.clone() };
    let labels = known(&pipeline, ready, args.labels.as_deref(), &past)?;
    let tuned = tune(&rule, &past, &labels, args.budget);
    let one = loaded.detectors.iter().find(|one| one.detector.name == args.detector);
    let one = one.expect("a detector that can run was loaded");
    let (before, after) = change(one, &rule, &tuned, args)?;
    let name = one.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let patch = if before == after { String::new() } else { unified(&name, &before, &after) };
    let file = one.path.display().to_string();
    let report = Report { detector: &args.detector, past: &past, labels: &labels, args, tuned, patch, file };
    match cli.output {
        Output::Json => print_json(&report.document())?,
        Output::Text => print(&report.text())?,
    }
    if args.write && before != after {
        let folder = one.path.parent().unwrap_or(Path::new(""));
        margay_deliver::write_file(folder, &name, &after)?;
        eprintln!("{} changed", report.file);
    }
    Ok(if report.tuned.recommended.is_some() { Exit::Ok } else { Exit::Findings })
}

/// What `label` keeps and the file says.
fn known(pipeline: &Pipeline, ready: &Ready, file: Option<&Path>, past: &Past) -> anyhow::Result<Vec<Label>> {
    let name = &ready.definition.name;
    let kept = labels::labels(&pipeline.state)?.into_iter().filter(|label| label.detector == *name);
    let mut labels: Vec<Label> = kept
        .map(|label| Label {
            entity: label.entity,
            range: TimeRange { start: label.start, end: label.end },
            real: label.label,
        })
        .collect();
    if let Some(file) = file {
        let mut alerts = pipeline.state.alerts()?;
        alerts.retain(|alert| alert.detector == *name);
        let (read, unseen) = read_labels(file, name, &alerts, &past.entities)?;
        if unseen > 0 {
            eprintln!("{}: {unseen} labels of entities that {name} never saw are left out", file.display());
        }
        labels.extend(read);
    }
    labels.retain(|label| label.range.overlaps(&past.range));
    labels.dedup();
    Ok(labels)
}

/// The detector's file as it is, and as it would be.
fn change(one: &LoadedDetector, rule: &Rule, tuned: &Tuned, args: &TuneArgs) -> anyhow::Result<(String, String)> {
    let before = std::fs::read_to_string(&one.path).with_context(|| format!("cannot read {}", one.path.display()))?;
    let Some(recommended) = &tuned.recommended else { return Ok((before.clone(), before)) };
    let after = patch_detector(&one.path, &before, &edits(&one.detector, rule, recommended, args.budget))?;
    Ok((before, after))
}

impl Report<'_> {
    fn document(&self) -> serde_json::Value {
        json!({
            "detector": self.detector,
            "from": self.past.range.start, "to": self.past.range.end, "weeks": self.past.weeks(),
            "labels": self.labels.len(), "budget_per_week": self.args.budget.per_week(),
            "candidates": self.tuned.candidates, "recommended": self.tuned.recommended,
            "patch": self.patch, "file": self.file, "written": self.args.write && !self.patch.is_empty(),
        })
    }

    fn text(&self) -> String {
        let trues = self.labels.iter().filter(|label| label.real).count();
        let mut text = format!(
            "{} from {} to {}: {:.1} weeks, {} entities, {} buckets judged; labelled: {trues} true, {} false\n\n",
            self.detector,
            self.past.range.start,
            self.past.range.end,
            self.past.weeks(),
            self.past.entities.len(),
            self.past.tests,
            self.labels.len() - trues
        );
        text.push_str(&self.table());
        let budget = self.args.budget.per_week();
        let curve: Vec<(f64, f64)> = self.tuned.curve.clone();
        text.push_str(&chart::curve("\nalerts a week (line) and the budget (dots), by score", &curve, budget));
        text.push('\n');
        match (&self.tuned.recommended, self.patch.is_empty()) {
            (None, _) => text.push_str(&format!(
                "No thresholds keep to {budget} alerts a week without losing a labelled true incident: nothing is \
                 recommended.\nRaise the budget, or exclude what is known (`exclude`, exclusions.d).\n"
            )),
            (Some(_), true) => text.push_str("The thresholds in force keep to the budget: nothing to change.\n"),
            (Some(_), false) => {
                text.push_str(&format!("{}\nNext: margay diff, or --write to write it to {}\n", self.patch, self.file))
            }
        }
        text
    }

    fn table(&self) -> String {
        let mut text = format!(
            "  {:>6}  {:>9}  {:>11}  {:>9}  {:>11}  {:>13}  {:<18}  {:<18}\n",
            "SCORE", "MIN_DEV", "MIN_REL_DEV", "SUSTAINED", "ALERTS/WEEK", "EXPECTED FALSE", "PRECISION", "RECALL"
        );
        for one in &self.tuned.candidates {
            let mark = if self.tuned.recommended.as_ref() == Some(one) { '*' } else { ' ' };
            let optional = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value}"));
            text.push_str(&format!(
                "{mark} {:>6.1}  {:>9}  {:>11}  {:>9}  {:>11.1}  {:>13}  {:<18}  {:<18}  {}\n",
                one.score,
                optional(one.min_dev),
                optional(one.min_rel_dev),
                one.sustained,
                one.alerts_per_week,
                expected(one),
                share(one.precision, one.precision_interval),
                share(one.recall, one.recall_interval),
                remark(one, mark == '*')
            ));
        }
        text
    }
}

fn expected(one: &Candidate) -> String {
    let value = one.expected_false_per_week;
    if value >= 0.01 { format!("{value:.2}") } else { format!("{value:.0e}") }
}

fn share(share: Option<f64>, interval: Option<(f64, f64)>) -> String {
    match (share, interval) {
        (Some(share), Some((low, high))) => {
            format!("{:.0} % ({:.0} to {:.0})", share * 100.0, low * 100.0, high * 100.0)
        }
        _ => "-".to_owned(),
    }
}

fn remark(one: &Candidate, is_recommended: bool) -> String {
    let mut remarks = Vec::new();
    if one.in_force {
        remarks.push("in force".to_owned());
    }
    if is_recommended {
        remarks.push("recommended".to_owned());
    }
    if one.lost > 0 {
        remarks.push(format!("loses {} labelled", one.lost));
    }
    remarks.join(", ")
}
