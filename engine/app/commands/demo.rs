//! `demo`: the whole of margay on logs that it wrote itself, with incidents whose place is known.

use std::path::Path;
use std::time::Instant;

use anyhow::Context;
use margay_core::{Alert, AlertStatus, Entity, Period, Time, TimeRange};
use margay_generate::{IncidentKind, Options, Planted};
use serde::Serialize;

use super::{print, print_json};
use crate::Exit;
use crate::chart;
use crate::cli::{Cli, DemoArgs, Output};
use crate::ingest::find;
use crate::open;
use crate::outlet::Way;
use crate::pipeline::{Pipeline, Request};
use crate::progress::Progress;
use crate::shipped;
use crate::wall::now;

/// The logs end at this midnight, whatever today is: the same seed writes the same bytes.
const END: &str = "2026-11-16";
/// How far outside a planted incident an alert may lie and still be about it.
const TOLERANCE: Period = Period(30 * 60_000);

const CONFIGURATION: &str = "\
# Written by `margay demo`. Change it, and run `margay run --once` or `margay replay` here.
logs:
  flows: { files: logs/flows.ndjson.gz, preset: calico-flows }
  dns: { files: logs/dns.ndjson.gz, preset: calico-dns }
  l7: { files: logs/l7.ndjson.gz, preset: calico-l7 }
detectors: [detectors.d]
state: { dir: .margay }
sinks:
  - file: { path: alerts.ndjson }
response:
  quarantine: { output: quarantine, mode: staged, protect: [kube-system, calico-system], max_active: 5 }
";

#[derive(Serialize)]
struct Incident {
    #[serde(flatten)]
    planted: Planted,
    found: bool,
    alert: Option<String>,
    delay_s: Option<f64>,
}

#[derive(Serialize)]
struct Comparison {
    incidents: Vec<Incident>,
    false_alerts: Vec<String>,
    alerts: usize,
    seconds: f64,
}

/// Writes the logs, runs the detectors, compares.
pub fn run(cli: &Cli, args: &DemoArgs) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let planted = write(args)?;
    let Some(mut pipeline) = open::pipeline(&args.out.join("margay.yaml"))? else { return Ok(Exit::Configuration) };
    let end: Time = END.parse()?;
    let report = pipeline.cycle(&mut Request::once(end, now()))?;
    let opened: Vec<&Alert> = report.alerts.iter().filter(|alert| alert.status == AlertStatus::Open).collect();
    let result = compare(&planted, &opened, started.elapsed().as_secs_f64());
    match cli.output {
        Output::Json => print_json(&result)?,
        Output::Text => print(&text(&result, &opened, &pipeline, &args.out)?)?,
    }
    let good = result.incidents.iter().all(|incident| incident.found) && pipeline.broken.is_empty();
    Ok(if good { Exit::Ok } else { Exit::Findings })
}

/// Logs, list of incidents, configuration and detectors; what an earlier demo left is replaced.
fn write(args: &DemoArgs) -> anyhow::Result<Vec<Planted>> {
    let logs = args.out.join("logs");
    for old in [".margay", "quarantine"] {
        remove(&args.out.join(old))?;
    }
    remove(&args.out.join("alerts.ndjson"))?;
    std::fs::create_dir_all(&logs).with_context(|| format!("cannot make {}", logs.display()))?;
    let options = Options {
        seed: args.seed,
        days: args.days,
        pods: args.pods,
        end: END.parse()?,
        incidents: IncidentKind::ALL.to_vec(),
    };
    let progress = Progress::steps("generating", 1000);
    let planted = margay_generate::write(&options, &logs, &|share| progress.reach((share * 1000.0) as u64))?;
    std::fs::write(args.out.join("margay.yaml"), CONFIGURATION)?;
    shipped::write(&args.out.join("detectors.d"))?;
    Ok(planted)
}

fn remove(path: &Path) -> anyhow::Result<()> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// An incident is found when its detector alerts on its entity during it. An alert is false when it
/// touches no incident that its entity takes part in, whichever detector raised it.
fn compare(planted: &[Planted], opened: &[&Alert], seconds: f64) -> Comparison {
    let incidents = planted
        .iter()
        .map(|planted| {
            let alert = opened.iter().find(|alert| {
                alert.detector == planted.detector && touches(alert, planted) && alert.entity == entity(planted)
            });
            Incident {
                planted: planted.clone(),
                found: alert.is_some(),
                alert: alert.map(|alert| alert.id.clone()),
                delay_s: alert.map(|alert| alert.time.since(planted.start).seconds()),
            }
        })
        .collect();
    let explained = |alert: &&&Alert| planted.iter().any(|one| touches(alert, one) && shares_a_name(alert, one));
    let false_alerts = opened.iter().filter(|alert| !explained(alert)).map(|alert| alert.id.clone()).collect();
    Comparison { incidents, false_alerts, alerts: opened.len(), seconds }
}

fn touches(alert: &Alert, planted: &Planted) -> bool {
    let window = TimeRange { start: planted.start.minus(TOLERANCE), end: planted.end.plus(TOLERANCE) };
    window.overlaps(&alert.range())
}

fn entity(planted: &Planted) -> Entity {
    let (columns, values): (Vec<String>, Vec<Option<String>>) =
        planted.entity.iter().map(|(column, value)| (column.clone(), value.as_str().map(str::to_owned))).unzip();
    Entity::new(columns.into(), values)
}

fn shares_a_name(alert: &Alert, planted: &Planted) -> bool {
    let involved = planted.involved.iter().map(|name| &name[..]);
    alert.entity.values().iter().flatten().any(|value| involved.clone().any(|name| name == value))
}

fn text(result: &Comparison, opened: &[&Alert], pipeline: &Pipeline, out: &Path) -> anyhow::Result<String> {
    let found = result.incidents.iter().filter(|incident| incident.found).count();
    let mut text = format!("{found} of {} planted incidents found:\n", result.incidents.len());
    for incident in &result.incidents {
        let verdict = match incident.delay_s {
            // A log record tells of the minutes before it was written, so the first one may begin before the incident.
            Some(delay) if delay <= 0.0 => "found at once".to_owned(),
            Some(delay) => format!("found after {:>4.0} min", delay / 60.0),
            None => "MISSED".to_owned(),
        };
        text.push_str(&format!(
            "  {verdict:<21}  {:<20}  {:<22}  {}\n",
            incident.planted.kind,
            incident.planted.detector,
            entity(&incident.planted)
        ));
    }
    text.push_str(&format!("\n{} alerts, of them false: {}\n", result.alerts, result.false_alerts.len()));
    for alert in opened.iter().filter(|alert| result.false_alerts.contains(&alert.id)) {
        text.push_str(&format!("  {}  {}  {}\n", alert.start, alert.detector, alert.summary));
    }
    text.push_str(&picture(result, opened, pipeline)?);
    text.push_str(&format!(
        "\nalerts      {}\nlogs        {}\ndetectors   {}\n",
        out.join("alerts.ndjson").display(),
        out.join("logs").display(),
        out.join("detectors.d").display()
    ));
    let policies = pipeline.outlets.iter().find_map(|outlet| match &outlet.way {
        Way::Quarantine(response) => response.output.as_ref().filter(|dir| dir.exists()),
        Way::Sink(..) | Way::Broken(_) => None,
    });
    if let Some(dir) = policies {
        text.push_str(&format!("policies    {}\n", dir.display()));
    }
    let first = result.incidents.iter().find_map(|incident| incident.alert.as_deref()).unwrap_or("ALERT");
    text.push_str(&format!("\nNext: cd {} && margay explain {first}\n", out.display()));
    text.push_str(&format!("{:.1} s\n", result.seconds));
    Ok(text)
}

/// The exfiltration: what the workload sent, and what it was expected to send.
fn picture(result: &Comparison, opened: &[&Alert], pipeline: &Pipeline) -> anyhow::Result<String> {
    let found = result.incidents.iter().filter(|incident| incident.planted.kind == "exfiltration");
    let Some(alert) =
        found.filter_map(|incident| opened.iter().find(|alert| Some(&alert.id) == incident.alert.as_ref())).next()
    else {
        return Ok(String::new());
    };
    let Some(ready) = find(&pipeline.ready, &alert.detector) else {
        return Ok(String::new());
    };
    let shown =
        TimeRange { start: alert.start.minus(Period::HOUR.times(12)), end: alert.end.plus(Period::HOUR.times(2)) };
    let explained = pipeline.explain(ready, &alert.entity, alert.start, shown)?;
    Ok(chart::draw(&format!("\n{}", alert.summary), 0, &explained.series))
}
