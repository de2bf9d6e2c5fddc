//! `promote`: whether a shadow detector may take the place of the one that it shadows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use margay_config::{Edit, Loaded, patch_detector};
use margay_core::{Alert, Time, TimeRange};
use serde::Serialize;

use super::{print, print_json};
use crate::Exit;
use crate::cli::{Cli, Output, PromoteArgs};
use crate::ingest::{Ready, find};
use crate::labels::{Label, labels};
use crate::open::{self, Shared};
use crate::pipeline::{Pipeline, Replay};
use crate::tune::Budget;

/// What a shadow would change.
#[derive(Serialize)]
struct Promotion {
    detector: String,
    replaces: Option<String>,
    /// Time that both have seen.
    from: Time,
    to: Time,
    /// Alerts a week.
    weekly: Weekly,
    /// Alerts that only the shadow raises.
    added: Vec<Alert>,
    /// Alerts that only the running detector raises.
    removed: Vec<Alert>,
    /// Why it should not be promoted.
    worse: Vec<String>,
    /// Files that were changed.
    written: Vec<PathBuf>,
}

#[derive(Serialize)]
struct Weekly {
    running: f64,
    shadow: f64,
}

/// Replays both over the history that they share, prints what changes, and exchanges them unless it gets worse: 1 where
/// it does.
pub fn run(cli: &Cli, args: &PromoteArgs) -> anyhow::Result<Exit> {
    let loaded = margay_config::load(&cli.config);
    let Some(mut pipeline) = open::load(&cli.config, &loaded, &Shared::default())? else {
        return Ok(Exit::Configuration);
    };
    let replaces = pair(&pipeline, &args.detector)?;
    let names = [Some(args.detector.clone()), replaces.clone()];
    pipeline.ready.retain(|ready| names.contains(&Some(ready.definition.name.clone())));
    let mut promotion = compare(&pipeline, args, replaces)?;
    if promotion.worse.is_empty() && !args.check {
        promotion.written = exchange(&loaded, &promotion)?;
    }
    match cli.output {
        Output::Json => print_json(&promotion)?,
        Output::Text => print(&text(&promotion))?,
    }
    Ok(if promotion.worse.is_empty() { Exit::Ok } else { Exit::Findings })
}

/// Lets the shadow tell people, and disables the one that it replaces. Both texts are made before either is written.
fn exchange(loaded: &Loaded, promotion: &Promotion) -> anyhow::Result<Vec<PathBuf>> {
    let modes = [(Some(&promotion.detector), "notify"), (promotion.replaces.as_ref(), "disabled")];
    let mut changed = Vec::new();
    for (name, mode) in modes.into_iter().filter_map(|(name, mode)| Some((name?, mode))) {
        let own = loaded.detectors.iter().find(|one| one.detector.name == *name);
        let own = own.expect("detectors that can run were loaded");
        let text = std::fs::read_to_string(&own.path).with_context(|| format!("cannot read {}", own.path.display()))?;
        let edit = Edit { path: vec!["mode".to_owned()], value: mode.into() };
        changed.push((own.path.clone(), patch_detector(&own.path, &text, &[edit])?));
    }
    for (path, text) in &changed {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        margay_deliver::write_file(path.parent().unwrap_or(Path::new("")), &name, text)?;
    }
    Ok(changed.into_iter().map(|(path, _)| path).collect())
}

/// Checks that the detector is a shadow; the name of the one that it replaces.
fn pair(pipeline: &Pipeline, name: &str) -> anyhow::Result<Option<String>> {
    let shadow = find(&pipeline.ready, name)
        .with_context(|| format!("no detector that can run is called `{name}`; see `margay status`"))?;
    if !shadow.definition.meta.shadow {
        bail!("`{name}` has the mode `{}`: only a shadow is promoted", shadow.definition.meta.mode);
    }
    let replaces = shadow.definition.meta.replaces.clone();
    if let Some(other) = &replaces {
        find(&pipeline.ready, other).with_context(|| format!("`{name}` replaces `{other}`, which cannot run"))?;
    }
    Ok(replaces)
}

fn compare(pipeline: &Pipeline, args: &PromoteArgs, replaces: Option<String>) -> anyhow::Result<Promotion> {
    let replayed = pipeline.replay(&mut Replay { range: TimeRange::ALL, scores: None })?;
    if let Some((name, reason)) = replayed.failed.first_key_value() {
        bail!("`{name}` could not be judged: {reason}");
    }
    let all = replayed.alerts;
    let range = shared(&pipeline.ready)?;
    let shadow = of(&all, &args.detector, range);
    let running = replaces.as_ref().map(|name| of(&all, name, range)).unwrap_or_default();
    let only = |these: &[Alert], those: &[Alert]| -> Vec<Alert> {
        these.iter().filter(|one| !those.iter().any(|other| same(one, other))).cloned().collect()
    };
    let (added, removed) = (only(&shadow, &running), only(&running, &shadow));
    let weeks = range.weeks();
    let weekly = |alerts: &[Alert]| alerts.len() as f64 / weeks.max(f64::MIN_POSITIVE);
    let counts = Counts { shadow: shadow.len(), running: running.len(), added: added.len(), weeks };
    let mut worse: Vec<String> = too_many(pipeline, args, &counts).into_iter().collect();
    worse.extend(lost(&labels(&pipeline.state)?, &removed));
    let weekly = Weekly { running: weekly(&running), shadow: weekly(&shadow) };
    let detector = args.detector.clone();
    Ok(Promotion {
        detector,
        replaces,
        from: range.start,
        to: range.end,
        weekly,
        added,
        removed,
        worse,
        written: Vec::new(),
    })
}

/// The time from the first bucket that all of the detectors have to the last.
fn shared(ready: &[Arc<Ready>]) -> anyhow::Result<TimeRange> {
    let mut shared = TimeRange::ALL;
    for one in ready {
        let table = one.store.read(TimeRange::ALL)?;
        let name = &one.definition.name;
        let (Some(first), Some(last)) = (table.covered.first(), table.covered.last()) else {
            bail!("`{name}` has seen nothing yet: no row of its log is there");
        };
        shared = TimeRange { start: shared.start.max(*first), end: shared.end.min(last.plus(table.bucket)) };
    }
    if shared.is_empty() { bail!("the detectors have seen no time in common") } else { Ok(shared) }
}

/// The latest revision of each alert of a detector that began in a time.
fn of(all: &[Alert], detector: &str, range: TimeRange) -> Vec<Alert> {
    let mut latest: BTreeMap<(Time, &str), &Alert> = BTreeMap::new();
    for alert in all.iter().filter(|alert| alert.detector == detector && range.contains(alert.start)) {
        latest.insert((alert.start, &alert.id), alert);
    }
    latest.into_values().cloned().collect()
}

/// Whether two alerts tell of the same: one entity, at overlapping times.
fn same(one: &Alert, other: &Alert) -> bool {
    one.entity.identity() == other.entity.identity() && one.range().overlaps(&other.range())
}

struct Counts {
    shadow: usize,
    running: usize,
    added: usize,
    weeks: f64,
}

/// More alerts than allowed: by `--max-added`, else by the shadow's budget, else by what the running one raises.
fn too_many(pipeline: &Pipeline, args: &PromoteArgs, counts: &Counts) -> Option<String> {
    let budget = find(&pipeline.ready, &args.detector).and_then(|ready| ready.definition.judgement.budget);
    match (args.max_added, budget) {
        (Some(most), _) => (counts.added > most).then(|| format!("it adds {} alerts, more than {most}", counts.added)),
        (None, Some((alerts, per))) => {
            let allowed = Budget { alerts, per }.per_week() * counts.weeks;
            (counts.shadow as f64 > allowed.max(f64::from(alerts)))
                .then(|| format!("it raises {} alerts, more than its budget of {alerts} in {per}", counts.shadow))
        }
        (None, None) => (counts.shadow > counts.running)
            .then(|| format!("it raises {} alerts, more than the {} of now", counts.shadow, counts.running)),
    }
}

/// Alerts that were labelled as real and would not be raised.
fn lost(labels: &[Label], removed: &[Alert]) -> Vec<String> {
    let is_real = |alert: &&Alert| labels.iter().any(|label| label.label && label.alert == alert.id);
    let of = |alert: &Alert| format!("it misses {}, which is labelled as real", alert.id);
    removed.iter().filter(is_real).map(of).collect()
}

fn text(promotion: &Promotion) -> String {
    let beside = promotion.replaces.as_ref().map_or_else(|| "nothing".to_owned(), |name| format!("`{name}`"));
    let mut text = format!(
        "{} beside {beside}, {} to {}\n{:.1} alerts a week, {:.1} so far\n",
        promotion.detector, promotion.from, promotion.to, promotion.weekly.shadow, promotion.weekly.running
    );
    for (sign, alerts) in [('+', &promotion.added), ('-', &promotion.removed)] {
        for alert in alerts {
            text.push_str(&format!("{sign} {}  {:>3}  {}  {}\n", alert.start, alert.severity, alert.id, alert.summary));
        }
    }
    for reason in &promotion.worse {
        text.push_str(&format!("worse: {reason}\n"));
    }
    if promotion.worse.is_empty() {
        text.push_str("nothing speaks against promoting it\n");
    }
    for path in &promotion.written {
        text.push_str(&format!("{} changed\n", path.display()));
    }
    text
}
