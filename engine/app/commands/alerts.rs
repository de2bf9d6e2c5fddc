//! `alerts`: what was raised.

use anyhow::bail;
use margay_core::{Alert, AlertStatus, Incident};
use margay_decide::incidents;
use margay_render::plain;

use super::{print, print_json};
use crate::Exit;
use crate::cli::{AlertsArgs, Cli, Output};
use crate::ingest::shadows;
use crate::open;
use crate::overview::worst;

/// Lists alerts or incidents.
pub fn run(cli: &Cli, args: &AlertsArgs) -> anyhow::Result<Exit> {
    let statuses = AlertStatus::ALL.map(|status| status.to_string());
    if let Some(status) = args.status.as_ref().filter(|status| !statuses.contains(status)) {
        bail!("`{status}` is no status of an alert; there are {}", statuses.join(", "));
    }
    let Some(pipeline) = open::pipeline(&cli.config)? else { return Ok(Exit::Configuration) };
    let mut alerts = pipeline.state.alerts()?;
    let shadows = shadows(&pipeline.ready);
    let all = alerts.len();
    alerts.retain(|alert| shadows.contains(&alert.detector[..]) == args.shadow);
    let apart = all - alerts.len();
    let newest = alerts.iter().map(|alert| alert.end).max();
    alerts.retain(|alert| {
        args.detector.as_ref().is_none_or(|name| alert.detector == *name)
            && args.entity.as_ref().is_none_or(|text| alert.entity.to_string().contains(text))
            && args.status.as_ref().is_none_or(|status| alert.status.to_string() == *status)
            && (!args.silenced || alert.silenced.is_some())
            && args.since.is_none_or(|since| newest.is_none_or(|newest| alert.end >= newest.minus(since)))
    });
    match (args.incidents, cli.output) {
        (true, Output::Json) => print_json(&incidents(&alerts))?,
        (true, Output::Text) => print(&incident_lines(&incidents(&alerts)))?,
        (false, Output::Json) => print_json(&alerts)?,
        (false, Output::Text) => print(&(alert_lines(&alerts) + &footer(&alerts, apart, args.shadow)))?,
    }
    Ok(Exit::Ok)
}

fn alert_lines(alerts: &[Alert]) -> String {
    let wide = alerts.iter().map(|alert| alert.detector.len()).max().unwrap_or_default();
    let mut text = String::new();
    for alert in alerts {
        text.push_str(&format!(
            "{}  {}  {:<9}  {:>3}  {:<wide$}  {}\n",
            alert.id, alert.start, alert.status, alert.severity, alert.detector, alert.summary
        ));
        if let Some(silenced) = &alert.silenced {
            let (name, owner) = (plain(&silenced.silence), plain(&silenced.owner));
            let (reason, until) = (plain(&silenced.reason), silenced.until);
            text.push_str(&format!("{:18}silenced by {name} ({owner}) until {until}: {reason}\n", ""));
        }
    }
    text
}

/// How many there are, how many of them nobody was told of, and the worst of those.
fn footer(alerts: &[Alert], apart: usize, in_shadow: bool) -> String {
    let mut text = format!("{} alerts\n", alerts.len());
    let silenced = || alerts.iter().filter(|alert| alert.silenced.is_some());
    if let Some(worst) = worst(silenced()) {
        let (count, id, summary) = (silenced().count(), &worst.id, &worst.summary);
        text.push_str(&format!("{count} silenced, the worst: {id} severity {}: {summary}\n", worst.severity));
    }
    if apart > 0 && !in_shadow {
        text.push_str(&format!("{apart} of shadow detectors are kept apart: `margay alerts --shadow`\n"));
    }
    text
}

fn incident_lines(incidents: &[Incident]) -> String {
    let mut text = String::new();
    for incident in incidents {
        let records: Vec<String> = incident
            .suspicious_records
            .iter()
            .map(|(log, records)| format!("{log} {}", records.rows.len() as u64 + records.left_out))
            .collect();
        text.push_str(&format!(
            "{}  {} to {}  {:>3}  {:<40}  {}  ({})\n",
            incident.id,
            incident.start,
            incident.end,
            incident.severity,
            plain(&incident.entity.to_string()),
            incident.detectors.join(", "),
            records.join(", ")
        ));
    }
    text.push_str(&format!("{} incidents\n", incidents.len()));
    text
}
