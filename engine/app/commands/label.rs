//! `label`: what a person says of an alert.

use anyhow::bail;
use margay_core::{AlertStatus, Time};
use margay_render::plain;

use super::{find_alert, print, print_json};
use crate::Exit;
use crate::cli::{Cli, LabelArgs, Output};
use crate::labels::{Label, Order, labels};
use crate::open;
use crate::pipeline::Pipeline;
use crate::wall::now;

/// Longest note, in characters.
const NOTE_CHARS_MOST: usize = 2000;

/// Records, removes or lists labels.
pub fn run(cli: &Cli, args: &LabelArgs) -> anyhow::Result<Exit> {
    let Some(pipeline) = open::pipeline(&cli.config)? else { return Ok(Exit::Configuration) };
    match (&args.alert, args.verdict) {
        (None, _) => list(cli, &labels(&pipeline.state)?)?,
        (Some(id), None) if args.remove => remove(&pipeline, id)?,
        (Some(_), None) => bail!("say whether the alert was real: `true` or `false`, or --remove"),
        (Some(id), Some(verdict)) => record(cli, &pipeline, (id, verdict, args.note.clone()), now())?,
    }
    Ok(Exit::Ok)
}

fn record(
    cli: &Cli,
    pipeline: &Pipeline,
    (id, verdict, note): (&str, bool, Option<String>),
    at: Time,
) -> anyhow::Result<()> {
    if note.as_ref().is_some_and(|note| note.chars().count() > NOTE_CHARS_MOST) {
        bail!("the note is longer than {NOTE_CHARS_MOST} characters");
    }
    let alerts = pipeline.state.alerts()?;
    let alert = find_alert(&alerts, id)?;
    let label = Label {
        alert: alert.id.clone(),
        detector: alert.detector.clone(),
        entity: alert.entity.clone(),
        start: alert.start,
        end: alert.end,
        label: verdict,
        note,
        at,
    };
    order(pipeline, &Order::Give(label.clone()))?;
    if matches!(alert.status, AlertStatus::Open | AlertStatus::Updated) {
        eprintln!("the alert is still open: the label is about what there is so far; give it again at the end");
    }
    match cli.output {
        Output::Json => print_json(&label),
        Output::Text => print(&format!("{} is {verdict}\n", label.alert)),
    }
}

fn remove(pipeline: &Pipeline, id: &str) -> anyhow::Result<()> {
    let known = labels(&pipeline.state)?;
    let mut matching = known.iter().filter(|label| !id.is_empty() && label.alert.starts_with(id));
    let (Some(label), None) = (matching.next(), matching.next()) else {
        bail!("not exactly one label is of an alert whose id begins with `{id}`; see `margay label --list`");
    };
    order(pipeline, &Order::Remove(label.alert.clone()))
}

/// Carries an order out, or leaves it to the daemon that has the state.
fn order(pipeline: &Pipeline, order: &Order) -> anyhow::Result<()> {
    if !pipeline.state.is_read_only() {
        return Ok(order.carry_out(&pipeline.state)?);
    }
    let path = order.leave(&pipeline.state_dir)?;
    eprintln!("another margay has the state: it takes {} over, and until then the label is not listed", path.display());
    Ok(())
}

fn list(cli: &Cli, labels: &[Label]) -> anyhow::Result<()> {
    if cli.output == Output::Json {
        return print_json(&labels);
    }
    let mut text = String::new();
    for label in labels {
        let note = label.note.as_deref().map(plain).unwrap_or_default();
        let (entity, verdict) = (plain(&label.entity.to_string()), label.label);
        text.push_str(&format!(
            "{}  {}  {verdict:<5}  {:<22}  {entity}  {note}\n",
            label.alert, label.start, label.detector
        ));
    }
    print(&format!("{text}{} labels\n", labels.len()))
}
