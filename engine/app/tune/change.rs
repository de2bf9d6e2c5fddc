//! From thresholds in force to others: what to write into the detector's file.

use margay_config::{Detector, Edit};
use margay_decide::Rule;
use serde_json::{Value, json};
use similar::TextDiff;

use super::candidate::{Budget, Candidate};

/// Units of bytes that a file is likely to use, the largest first.
const BYTES: [(&str, f64); 4] = [("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];

/// What to set in the detector's file so that the candidate is in force instead of `present`. A detector that has a
/// budget keeps choosing its score itself, by the new budget.
#[must_use]
pub fn edits(detector: &Detector, present: &Rule, candidate: &Candidate, budget: Budget) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut set = |keys: &[&str], value: Value| {
        let path = ["threshold"].iter().chain(keys).map(|key| (*key).to_owned()).collect();
        edits.push(Edit { path, value });
    };
    let rule = &candidate.rule;
    match &detector.threshold.budget {
        Some(own) if !candidate.in_force => {
            if own.alerts != budget.alerts {
                set(&["budget", "alerts"], json!(budget.alerts));
            }
            if own.per != budget.per {
                set(&["budget", "per"], json!(budget.per.to_string()));
            }
        }
        None if rule.score != present.score => set(&["score"], number(rule.score)),
        _ => {}
    }
    if let Some(least) = rule.min_dev.filter(|_| rule.min_dev != present.min_dev) {
        set(&["min_dev"], quantity(least, counts_bytes(detector)));
    }
    if let Some(least) = rule.min_rel_dev.filter(|_| rule.min_rel_dev != present.min_rel_dev) {
        set(&["min_rel_dev"], number(least));
    }
    if rule.sustained != present.sustained {
        set(&["sustained"], json!(candidate.sustained));
    }
    edits
}

/// The change as a patch of the file.
#[must_use]
pub fn unified(name: &str, before: &str, after: &str) -> String {
    let diff = TextDiff::from_lines(before, after);
    diff.unified_diff().context_radius(1).header(&format!("a/{name}"), &format!("b/{name}")).to_string()
}

fn counts_bytes(detector: &Detector) -> bool {
    let names = detector.features.names();
    !names.is_empty() && names.iter().all(|name| name.contains("bytes"))
}

/// A whole number without a point.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { json!(value as i64) } else { json!(value) }
}

fn quantity(value: f64, is_bytes: bool) -> Value {
    let fits = |unit: f64| value >= unit && (value / unit * 10.0).fract() == 0.0;
    match BYTES.iter().find(|(_, unit)| is_bytes && fits(*unit)) {
        Some((name, unit)) => json!(format!("{}{name}", value / unit)),
        None => number(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_unit_that_reads_best() {
        assert_eq!(quantity(13e6, true), json!("13MB"));
        assert_eq!(quantity(1.3e6, true), json!("1.3MB"));
        assert_eq!(quantity(13e6, false), json!(13_000_000));
        assert_eq!(quantity(0.25, true), json!(0.25));
    }

    #[test]
    fn a_patch_shows_the_line_and_those_beside_it() {
        let patch = unified("d.yaml", "a: 1\nb: 2 # why\nc: 3\nd: 4\n", "a: 1\nb: 5 # why\nc: 3\nd: 4\n");
        assert_eq!(patch, "--- a/d.yaml\n+++ b/d.yaml\n@@ -1,3 +1,3 @@\n a: 1\n-b: 2 # why\n+b: 5 # why\n c: 3\n");
    }
}
