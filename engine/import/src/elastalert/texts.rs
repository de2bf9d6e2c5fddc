//! What a rule says when it fires, and the keys that say to whom.

use super::Rule;
use crate::fields::{self, Refusal};
use crate::words::{Part, template};

/// How the keys of ElastAlert's forty alerters begin.
const DELIVERY: [&str; 46] = [
    "alert",
    "slack",
    "email",
    "smtp",
    "from_addr",
    "reply_to",
    "cc",
    "bcc",
    "jira",
    "opsgenie",
    "pagerduty",
    "http_post",
    "telegram",
    "ms_teams",
    "discord",
    "mattermost",
    "sns",
    "ses",
    "aws",
    "victorops",
    "gitter",
    "servicenow",
    "debug",
    "stomp",
    "chatwork",
    "datadog",
    "dingtalk",
    "gelf",
    "googlechat",
    "hive",
    "iris",
    "lark",
    "linenotify",
    "matrixhookshot",
    "pagertree",
    "rocket_chat",
    "tencent",
    "twilio",
    "workwechat",
    "yzj",
    "zbx",
    "exotel",
    "command",
    "pipe_match",
    "kibana",
    "alertmanager",
];

/// Keys that say whom to tell, when and how.
pub(super) fn is_delivery(key: &str) -> bool {
    let exact = [
        "aggregation",
        "aggregation_key",
        "aggregate_by_match_time",
        "summary_table_fields",
        "exponential_realert",
        "priority",
    ];
    exact.contains(&key) || DELIVERY.iter().any(|start| key.starts_with(start))
}

/// The one line of the alert: the rule's subject with its arguments, or its name with what was measured.
pub(super) fn summary(rule: &Rule<'_, '_>, feature: &str) -> Result<String, Refusal> {
    let parts = match rule.fields.text("alert_subject")? {
        Some(subject) => filled(rule, &subject, feature)?,
        None => {
            let entity = [Part::Text(format!("{}: ", rule.name)), Part::Expression("entity".to_owned())];
            entity.into_iter().chain(measured(feature)).collect()
        }
    };
    Ok(template(&parts))
}

/// What was measured: a number, or the new terms.
fn measured(feature: &str) -> Vec<Part> {
    let expression = |text: &str| Part::Expression(text.to_owned());
    if feature.starts_with(super::kinds::TERMS) {
        let each = [expression("#each evidence"), Part::Text(" ".to_owned()), expression("this"), expression("/each")];
        return [Part::Text(", new:".to_owned())].into_iter().chain(each).collect();
    }
    vec![Part::Text(", ".to_owned()), Part::Expression(format!("number feature.{feature}.value"))]
}

/// A text with its numbered places filled.
fn filled(rule: &Rule<'_, '_>, text: &str, feature: &str) -> Result<Vec<Part>, Refusal> {
    let names = match rule.fields.get("alert_subject_args") {
        Some(item) => super::values(item)
            .into_iter()
            .map(|item| fields::text(item, "alert_subject_args"))
            .collect::<Result<Vec<_>, _>>()?,
        None => Vec::new(),
    };
    let mut parts = Vec::new();
    let mut rest = text;
    let mut next = 0;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((place, behind)) = after.split_once('}') else { break };
        let number = place.split(':').next().unwrap_or_default();
        let at = match (number, number.parse::<usize>()) {
            ("", _) => Some(next),
            (_, Ok(at)) => Some(at),
            _ => None,
        };
        parts.push(Part::Text(before.to_owned()));
        match at.and_then(|at| names.get(at)) {
            Some(field) => parts.push(argument(rule, field, feature)),
            None => parts.push(Part::Text(format!("{{{place}}}"))),
        }
        next += 1;
        rest = behind;
    }
    parts.push(Part::Text(rest.to_owned()));
    Ok(parts)
}

/// A field of the entity, what was measured, or else the field's name.
fn argument(rule: &Rule<'_, '_>, field: &str, feature: &str) -> Part {
    let known = rule.entity.iter().find(|(_, _, known)| known == field);
    match known {
        Some((_, name, _)) => Part::Expression(format!("entity.{name}")),
        None if ["num_hits", "num_matches", "doc_count", "percentage", "spike_count"].contains(&field) => {
            Part::Expression(format!("number feature.{feature}.value"))
        }
        None => Part::Text(field.to_owned()),
    }
}
