//! `reproduce`: an alert computed again from what is stored.

use std::collections::BTreeMap;

use margay_core::{Alert, Time, TimeRange};
use margay_render::plain;
use serde::Serialize;
use serde_json::{Value, json};

use super::{find_alert, print, print_json};
use crate::Exit;
use crate::cli::{Cli, Output, ReproduceArgs};
use crate::open;
use crate::pipeline::Replay;

/// One thing that is compared.
#[derive(Debug, PartialEq, Serialize)]
struct Check {
    what: String,
    stored: Value,
    now: Value,
    same: bool,
}

/// Says whether the alert comes out as it was told: 1 where anything changed.
pub fn run(cli: &Cli, args: &ReproduceArgs) -> anyhow::Result<Exit> {
    let Some(mut pipeline) = open::pipeline(&cli.config)? else { return Ok(Exit::Configuration) };
    let alerts = pipeline.state.alerts()?;
    let stored = find_alert(&alerts, &args.alert)?.clone();
    pipeline.ready.retain(|ready| ready.definition.name == stored.detector);
    let range = TimeRange { start: Time::MIN, end: stored.time };
    let replayed = pipeline.replay(&mut Replay { range, scores: None })?;
    if let Some(reason) = replayed.failed.get(&stored.detector) {
        anyhow::bail!("{} did not run: {reason}", stored.detector);
    }
    let now = replayed.alerts.into_iter().rfind(|alert| alert.id == stored.id);
    let checks = now.as_ref().map(|now| checks(&stored, now)).unwrap_or_default();
    let same = now.is_some() && checks.iter().all(|check| check.same);
    match cli.output {
        Output::Json => {
            print_json(&json!({ "alert": stored.id, "raised": now.is_some(), "same": same, "checks": checks }))?
        }
        Output::Text => print(&text(&stored, now.is_some(), &checks))?,
    }
    Ok(if same { Exit::Ok } else { Exit::Findings })
}

fn checks(stored: &Alert, now: &Alert) -> Vec<Check> {
    let (one, other) = (said(stored), said(now));
    let compare = |(what, stored): (String, Value)| {
        let now = other.get(&what).cloned().unwrap_or(Value::Null);
        Check { same: stored == now, what, stored, now }
    };
    one.into_iter().map(compare).collect()
}

/// What an alert says and rests on, by name.
fn said(alert: &Alert) -> BTreeMap<String, Value> {
    let mut said = BTreeMap::from([
        ("start".to_owned(), json!(alert.start)),
        ("end".to_owned(), json!(alert.end)),
        ("score".to_owned(), json!(alert.score)),
        ("severity".to_owned(), json!(alert.severity)),
        ("digest of the definition".to_owned(), json!(alert.config_digest)),
        ("digest of the data".to_owned(), json!(alert.data_digest)),
        ("digest of the model".to_owned(), json!(alert.model.digest)),
        ("features".to_owned(), json!(alert.features)),
    ]);
    for gate in &alert.gates {
        let verdict = if gate.passed { "passed" } else { "failed" };
        said.insert(format!("gate {}", gate.gate), json!(format!("{verdict}: {}, limit {}", gate.value, gate.limit)));
    }
    said
}

fn text(stored: &Alert, raised: bool, checks: &[Check]) -> String {
    let mut text = format!("{}\n\n", stored.summary);
    for check in checks {
        let verdict = if check.same { "same   " } else { "CHANGED" };
        let shown = |value: &Value| match value {
            Value::String(text) => plain(text),
            other => plain(&other.to_string()),
        };
        if check.same {
            text.push_str(&format!("  {verdict}  {:<26} {}\n", check.what, shown(&check.now)));
        } else {
            text.push_str(&format!(
                "  {verdict}  {:<26} {} was stored, {} comes out\n",
                check.what,
                shown(&check.stored),
                shown(&check.now)
            ));
        }
    }
    text.push_str(match (raised, checks.iter().all(|check| check.same)) {
        (false, _) => "The alert is not raised any more.\n",
        (true, true) => "\nThe alert comes out as it was told.\n",
        (true, false) => "\nThe alert comes out otherwise than it was told.\n",
    });
    text
}
