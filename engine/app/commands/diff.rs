//! `diff`: two configurations over the same logs and time.

use margay_core::{Time, TimeRange};
use serde_json::json;

use super::{print, print_json};
use crate::Exit;
use crate::cli::{Cli, DiffArgs, DiffFormat, Output};
use crate::diff::{Sides, compare, markdown, plain_text, resolve};

/// Prints what changes: 1 where more alerts are added than allowed.
pub fn run(cli: &Cli, args: &DiffArgs) -> anyhow::Result<Exit> {
    let asked = TimeRange { start: args.from.unwrap_or(Time::MIN), end: args.to.unwrap_or(Time::MAX) };
    let (first, second) = (resolve(&args.before, &cli.config)?, resolve(&args.after, &cli.config)?);
    let mut sides = Sides::new(&cli.config, asked)?;
    let Some(before) = sides.replay(&first, None)? else { return Ok(Exit::Configuration) };
    let Some(after) = sides.replay(&second, Some(&before))? else { return Ok(Exit::Configuration) };
    let range = [before.covered(asked), after.covered(asked)].into_iter().flatten().reduce(TimeRange::hull);
    let Some(range) = range else { anyhow::bail!("the logs hold nothing from {} to {}", asked.start, asked.end) };
    let difference = compare(&before, &after);
    match (args.format, cli.output) {
        (Some(DiffFormat::Markdown), _) => print(&markdown(&difference, (&before, &after), range))?,
        (Some(DiffFormat::Json), _) | (None, Output::Json) => print_json(&json!({
            "before": before.name, "after": after.name, "from": range.start, "to": range.end,
            "added": difference.added, "removed": difference.removed, "changed": difference.changed,
            "weekly": { "before": before.weekly(range), "after": after.weekly(range) },
            "detectors": difference.detectors,
            "did_not_run": { "before": before.broken, "after": after.broken },
        }))?,
        _ => print(&plain_text(&difference, (&before, &after), range))?,
    }
    if args.max_added.is_some_and(|most| difference.added.len() > most) {
        eprintln!("{} alerts are added, more than {}", difference.added.len(), args.max_added.unwrap_or_default());
        return Ok(Exit::Findings);
    }
    let newly_broken = after.broken.keys().any(|name| !before.broken.contains_key(name));
    Ok(if newly_broken { Exit::Failed } else { Exit::Ok })
}
