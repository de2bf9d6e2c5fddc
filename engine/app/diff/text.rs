//! A difference for people: on a terminal, or as a comment of a pull request.

use margay_core::{Alert, TimeRange};
use margay_render::{markdown as escaped, plain};

use super::compare::{Difference, Row};
use super::side::Side;

/// Alerts of a kind that are listed at most.
const LISTED_MOST: usize = 30;
/// Characters of a value in a table.
const VALUE_CHARS: usize = 120;

/// For a terminal.
#[must_use]
pub fn plain_text(difference: &Difference, sides: (&Side, &Side), range: TimeRange) -> String {
    let (before, after) = sides;
    let mut text = format!(
        "{} and {}, from {} to {}\nalerts a week: {:.1} before, {:.1} after; {} added, {} removed, {} changed\n\n",
        plain(&before.name),
        plain(&after.name),
        range.start,
        range.end,
        before.weekly(range),
        after.weekly(range),
        difference.added.len(),
        difference.removed.len(),
        difference.changed.len()
    );
    text.push_str(&format!(
        "{:<24} {:>7} {:>7} {:>6} {:>8} {:>8} {:>14} {:>14} {:>14}\n",
        "DETECTOR", "BEFORE", "AFTER", "ADDED", "REMOVED", "CHANGED", "BUCKETS", "ENTITIES", "SECONDS"
    ));
    for (name, row) in &difference.detectors {
        let (one, other) = (row.cost_before, row.cost_after);
        text.push_str(&format!(
            "{name:<24} {:>7} {:>7} {:>6} {:>8} {:>8} {:>14} {:>14} {:>14}\n",
            count(row.before),
            count(row.after),
            row.added,
            row.removed,
            row.changed,
            pair(one.buckets, other.buckets),
            pair(one.entities, other.entities),
            format!("{:.1}/{:.1}", one.seconds, other.seconds),
        ));
    }
    text.push_str(&format!("rows read: {} before, {} after\n", rows(before), rows(after)));
    let mut list = |title: &str, alerts: Vec<&Alert>| {
        if alerts.is_empty() {
            return;
        }
        text.push_str(&format!("\n{title}:\n"));
        for alert in alerts.iter().take(LISTED_MOST) {
            let entity = plain(&alert.entity.to_string());
            text.push_str(&format!("  {}  {:>5.1}  {:<22}  {entity}\n", alert.start, alert.score, alert.detector));
        }
        text.push_str(&left_out(alerts.len(), "  "));
    };
    list("added", difference.added.iter().collect());
    list("removed", difference.removed.iter().collect());
    list("changed (as they are after)", difference.changed.iter().map(|one| &one.after).collect());
    for (side, name, reason) in broken(before, after) {
        text.push_str(&format!("\n{}: {name} did not run: {}\n", plain(side), plain(reason)));
    }
    text
}

/// For a pull request. Whatever comes from a log or a file is escaped.
#[must_use]
pub fn markdown(difference: &Difference, sides: (&Side, &Side), range: TimeRange) -> String {
    let (before, after) = sides;
    let value = |text: &str| escaped(text, VALUE_CHARS);
    let mut text = format!(
        "### margay: {} added, {} removed, {} changed\n\n{} → {}, {} to {}: {:.1} → {:.1} alerts a week.\n\n",
        difference.added.len(),
        difference.removed.len(),
        difference.changed.len(),
        value(&before.name),
        value(&after.name),
        range.start,
        range.end,
        before.weekly(range),
        after.weekly(range)
    );
    let differs = |row: &Row| row.before != row.after || row.added + row.removed + row.changed > 0;
    let rows: Vec<_> = difference.detectors.iter().filter(|(_, row)| differs(row)).collect();
    if rows.is_empty() {
        text.push_str("No alert changes.\n");
    } else {
        text.push_str("| detector | before | after | added | removed | changed | buckets judged | entities |\n");
        text.push_str("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n");
    }
    for (name, row) in rows {
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |\n",
            value(name),
            count(row.before),
            count(row.after),
            row.added,
            row.removed,
            row.changed,
            pair(row.cost_before.buckets, row.cost_after.buckets),
            pair(row.cost_before.entities, row.cost_after.entities)
        ));
    }
    let mut list = |title: &str, alerts: Vec<&Alert>| {
        if alerts.is_empty() {
            return;
        }
        text.push_str(&format!("\n<details><summary>{} {title}</summary>\n\n", alerts.len()));
        text.push_str("| start | score | detector | entity | summary |\n| --- | ---: | --- | --- | --- |\n");
        for alert in alerts.iter().take(LISTED_MOST) {
            let (entity, summary) = (value(&alert.entity.to_string()), value(&alert.summary));
            text.push_str(&format!(
                "| {} | {:.1} | {} | {entity} | {summary} |\n",
                alert.start,
                alert.score,
                value(&alert.detector)
            ));
        }
        text.push_str(&format!("\n{}</details>\n", left_out(alerts.len(), "")));
    };
    list("added", difference.added.iter().collect());
    list("removed", difference.removed.iter().collect());
    list("changed", difference.changed.iter().map(|one| &one.after).collect());
    for (side, name, reason) in broken(before, after) {
        text.push_str(&format!("\n**{}: {} did not run:** {}\n", value(side), value(name), value(reason)));
    }
    text
}

fn left_out(alerts: usize, indent: &str) -> String {
    if alerts > LISTED_MOST { format!("{indent}and {} more\n\n", alerts - LISTED_MOST) } else { String::new() }
}

fn count(alerts: Option<usize>) -> String {
    alerts.map_or_else(|| "-".to_owned(), |alerts| alerts.to_string())
}

/// One number where both are the same.
fn pair(before: usize, after: usize) -> String {
    if before == after { before.to_string() } else { format!("{before}/{after}") }
}

fn rows(side: &Side) -> u64 {
    side.detectors.values().map(|one| one.cost.rows_read).max().unwrap_or_default()
}

fn broken<'a>(before: &'a Side, after: &'a Side) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
    [before, after]
        .into_iter()
        .flat_map(|side| side.broken.iter().map(move |(name, reason)| (&side.name[..], &name[..], &reason[..])))
}
