//! Rules across the keys of a detector.

use crate::detector::{Detector, Mode};
use crate::engine::Engine;
use crate::features::Features;
use crate::hint::{list, nearest};
use crate::model::{Limit, Model};
use crate::problem::shown;
use crate::rules::{Findings, naming, timing};

/// Checks everything about a detector that one key alone does not show. Without `engine`, what
/// depends on margay.yaml is left open.
pub(crate) fn check(detector: &Detector, engine: Option<&Engine>, findings: &mut Findings<'_>) {
    naming::check(detector, findings);
    timing::check(detector, findings);
    measure(detector, findings);
    judge(detector, findings);
    alert(detector, findings);
    if let Some(engine) = engine {
        surroundings(detector, engine, findings);
    }
}

/// `sql` stands in for `where` and the feature expressions.
fn measure(detector: &Detector, findings: &mut Findings<'_>) {
    if detector.sql.as_ref().is_some_and(|sql| sql.trim().is_empty()) {
        findings.value(&["sql"], "empty-value", "`sql` is empty".to_owned(), "");
    }
    if detector.r#where.as_ref().is_some_and(|condition| condition.trim().is_empty()) {
        findings.value(&["where"], "empty-value", "`where` is empty".to_owned(), "leave it out to read all rows");
    }
    if detector.sql.is_some() && detector.r#where.is_some() {
        let message = "`sql` replaces `where`, but both stand here".to_owned();
        findings.key(&["where"], "sql-replaces-where", message, "put the condition into the SELECT of `sql`");
    }
    match (&detector.features, &detector.sql) {
        (Features::Map(_), Some(_)) => {
            let message = "`sql` computes the features, so `features` only lists its columns".to_owned();
            findings.key(&["features"], "sql-replaces-features", message, "features: [first_column, second_column]");
        }
        (Features::List(_), None) => {
            let message = "a list of features needs `sql`".to_owned();
            findings.key(
                &["features"],
                "feature-list-needs-sql",
                message,
                "give each feature its aggregate: `name: sum(column)`",
            );
        }
        _ => {}
    }
}

/// The model has what it needs, and the threshold makes sense.
fn judge(detector: &Detector, findings: &mut Findings<'_>) {
    let names = detector.features.names();
    if matches!(detector.model, Model::Ratio(_)) && !(names.contains(&"hits") && names.contains(&"total")) {
        let message = format!("the model `ratio` needs the features `hits` and `total`, but has {}", list(&names));
        findings.key(
            &["features"],
            "ratio-needs-hits-and-total",
            message,
            "`hits` counts what is meant, `total` counts everything",
        );
    }
    if matches!(detector.model, Model::Multivariate(_)) && names.len() < 2 {
        let message = format!("the model `multivariate` judges features together, but there is only {}", list(&names));
        findings.key(&["features"], "multivariate-needs-features", message, "name another, or take the model `auto`");
    }
    let lacking: Vec<&str> = detector.model.lists().iter().copied().filter(|name| !names.contains(name)).collect();
    if !lacking.is_empty() {
        let (model, missing) = (detector.model.name(), list(&lacking));
        let message = format!("the model `{model}` needs the list {missing}, but has {}", list(&names));
        let hint = format!("{}: array_agg(DISTINCT column)", lacking[0]);
        findings.key(&["features"], "model-needs-list", message, &hint);
    }
    if let Model::Cohort(cohort) = &detector.model {
        let columns = detector.entity_columns();
        for (at, name) in cohort.group.iter().enumerate() {
            if !columns.iter().any(|(column, _)| column == name) {
                let columns: Vec<&str> = columns.iter().map(|(column, _)| column.as_str()).collect();
                let message = format!("`{}` is no column of the entity", shown(name));
                let place = ["model", "cohort", "group", &at.to_string()];
                findings.value(&place, "unknown-group", message, &format!("one of {}", list(&columns)));
            }
        }
    }
    match &detector.model {
        Model::Limit(Limit { above: None, below: None }) => {
            let message = "the model `limit` needs a bound".to_owned();
            findings.key(&["model", "limit"], "limit-needs-bound", message, "`above: 500`, or `below: 1`");
        }
        Model::Limit(Limit { above: Some(above), below: Some(below) }) if below >= above => {
            let message = format!("every value is at most {below} or at least {above}");
            findings.value(
                &["model", "limit", "below"],
                "limit-bounds-cross",
                message,
                "`below` must be smaller than `above`",
            );
        }
        _ => {}
    }
    if detector.threshold.score.is_some() && detector.threshold.budget.is_some() {
        let message = "`budget` chooses the score, but both stand here".to_owned();
        findings.key(&["threshold", "budget"], "score-or-budget", message, "keep one of `score` and `budget`");
    }
    let amounts = [("min_dev", detector.threshold.min_dev), ("min_value", detector.threshold.min_value)];
    for (key, amount) in amounts {
        if let Some(amount) = amount.filter(|amount| amount.0 < 0.0) {
            let message = format!("`threshold.{key}` is {amount}, which is out of range");
            findings.value(&["threshold", key], "out-of-range", message, "at least 0");
        }
    }
}

fn alert(detector: &Detector, findings: &mut Findings<'_>) {
    for (at, id) in detector.alert.mitre.iter().enumerate() {
        if !is_mitre_technique(id) {
            let message = format!("`{}` is not the id of a MITRE ATT&CK technique", shown(id));
            findings.value(&["alert", "mitre", &at.to_string()], "bad-mitre-id", message, "such as T1048 or T1071.004");
        }
    }
}

/// `T` and four digits, perhaps a dot and three more.
fn is_mitre_technique(id: &str) -> bool {
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let Some(number) = id.strip_prefix('T') else { return false };
    match number.split_once('.') {
        None => digits(number, 4),
        Some((technique, sub)) => digits(technique, 4) && digits(sub, 3),
    }
}

/// What margay.yaml must provide.
fn surroundings(detector: &Detector, engine: &Engine, findings: &mut Findings<'_>) {
    if !engine.logs.contains_key(&detector.log) {
        let known: Vec<&str> = engine.logs.keys().map(String::as_str).collect();
        let hint = match nearest(&detector.log, &known) {
            Some(near) => format!("did you mean `{near}`?"),
            None if known.is_empty() => "margay.yaml names no logs".to_owned(),
            None => format!("its logs are {}", list(&known)),
        };
        let message = format!("margay.yaml has no log `{}`", shown(&detector.log));
        findings.value(&["log"], "unknown-log", message, &hint);
    }
    if detector.mode != Mode::Respond {
        return;
    }
    if detector.respond.quarantine.is_none() {
        let message = "the mode `respond` does nothing more than `notify` without `respond`".to_owned();
        findings.warn(&["mode"], "respond-needs-action", message, "respond: { quarantine: {} }");
    } else if engine.response.quarantine.is_none() {
        let message = "the mode `respond` needs `response` in margay.yaml: no policy will be written".to_owned();
        findings.warn(
            &["mode"],
            "respond-needs-response",
            message,
            "response: { quarantine: { output: quarantine/ } }",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques_have_four_digits() {
        for id in ["T1048", "T1071.004"] {
            assert!(is_mitre_technique(id), "{id}");
        }
        for id in ["T104", "t1048", "T1048.4", "T1048.", "1048", "T10480", "T1048.0040", "T١٠٤٨"] {
            assert!(!is_mitre_technique(id), "{id}");
        }
    }
}
