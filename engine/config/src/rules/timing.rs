//! Lengths of time in a detector: they must fit into each other.

use margay_core::Period;

use crate::detector::{Detector, TreatAs};
use crate::model::{History, Model};
use crate::rules::Findings;
use crate::sustained::Sustained;

/// Longest history that a model may ask for.
const MAX_HISTORY: Period = Period(366 * Period::DAY.0);

/// Shortest past from which shapes and networks can be learnt.
const MIN_PAST: Period = Period(2 * Period::DAY.0);

pub(super) fn check(detector: &Detector, findings: &mut Findings<'_>) {
    let divides_day = detector.bucket > Period(0) && Period::DAY.0 % detector.bucket.0 == 0;
    if !divides_day {
        let message = format!("a day cannot be divided into buckets of {}", detector.bucket);
        findings.value(&["bucket"], "bucket-divides-day", message, "such as 1m, 5m, 15m, 1h or 1d");
    } else if let Some(history) = detector.model.history() {
        seasons(detector, history, findings);
    }
    sustained(detector.threshold.sustained, findings);
    positive(detector, findings);
    sundays(detector, findings);
}

fn seasons(detector: &Detector, history: &History, findings: &mut Findings<'_>) {
    let model = detector.model.name();
    for (at, season) in history.seasonality.iter().enumerate() {
        if season.0 <= 0 || season.0 % detector.bucket.0 != 0 {
            let message = format!("a season of {season} is not a multiple of the bucket of {}", detector.bucket);
            let hint = "lengths such as 1h, 1d or 1w";
            findings.value(
                &["model", model, "seasonality", &at.to_string()],
                "seasonality-multiple-of-bucket",
                message,
                hint,
            );
        }
    }
    let longest = history.seasonality.iter().max().copied().unwrap_or_default();
    if history.history < longest.times(2) {
        let message = format!("a history of {} does not hold two seasons of {longest}", history.history);
        let hint = format!("at least {}, or a shorter `seasonality`", longest.times(2));
        findings.value(&["model", model, "history"], "history-holds-two-seasons", message, &hint);
    } else if history.history < detector.bucket || history.history > MAX_HISTORY {
        let message = format!("a history of {} is out of range", history.history);
        let hint = format!("from one bucket to {MAX_HISTORY}");
        findings.value(&["model", model, "history"], "out-of-range", message, &hint);
    }
}

fn sustained(Sustained { n, m }: Sustained, findings: &mut Findings<'_>) {
    let message = format!("{n} of {m} buckets can never be anomalous");
    let key = ["threshold", "sustained"];
    if n == 0 {
        let hint = "`1 of 1` alerts at once";
        findings.value(&key, "sustained-n-of-m", "0 buckets are always anomalous".to_owned(), hint);
    } else if n > m {
        findings.value(&key, "sustained-n-of-m", message, "n must not be larger than m");
    } else if m > Sustained::MAX_BUCKETS {
        let hint = format!("at most {} buckets", Sustained::MAX_BUCKETS);
        findings.value(&key, "out-of-range", format!("{m} buckets are out of range"), &hint);
    }
}

/// A Sunday differs from other days only for a model that knows weeks.
fn sundays(detector: &Detector, findings: &mut Findings<'_>) {
    let has_weeks = |history: &History| history.seasonality.contains(&Period::WEEK);
    let knows_weeks = matches!(detector.model, Model::Neural(_)) || detector.model.history().is_some_and(has_weeks);
    for (at, days) in detector.calendars.iter().enumerate() {
        if days.treat_as == TreatAs::Sunday && !knows_weeks {
            let message =
                format!("the model `{}` does not know one day of the week from another", detector.model.name());
            let hint = "a `seasonality` with 1w in it, or `treat_as: ignore`";
            findings.value(&["calendars", &at.to_string(), "treat_as"], "sunday-needs-week", message, hint);
        }
    }
}

/// What is a length of time to wait for cannot be nothing.
fn positive(detector: &Detector, findings: &mut Findings<'_>) {
    let past = match &detector.model {
        Model::Neural(network) => Some((["model", "neural", "history"], network.history)),
        Model::Novelty(novelty) => Some((["model", "novelty", "probation"], novelty.probation)),
        _ => None,
    };
    if let Some((place, span)) = past.filter(|(_, span)| !(MIN_PAST..=MAX_HISTORY).contains(span)) {
        let message = format!("`{}` is {span}, which is out of range", place.join("."));
        findings.value(&place, "out-of-range", message, &format!("from {MIN_PAST} to {MAX_HISTORY}"));
    }
    if detector.threshold.budget.as_ref().is_some_and(|budget| budget.per <= Period(0)) {
        let message = "a budget for no time at all".to_owned();
        findings.value(&["threshold", "budget", "per"], "out-of-range", message, "such as 1d or 1w");
    }
    if detector.respond.quarantine.as_ref().is_some_and(|quarantine| quarantine.expires <= Period(0)) {
        let message = "a quarantine that expires at once".to_owned();
        findings.value(&["respond", "quarantine", "expires"], "out-of-range", message, "such as 1h");
    }
}
