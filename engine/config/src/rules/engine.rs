//! Rules across the keys of margay.yaml.

use margay_core::{Period, is_local};

use crate::daemon::Daemon;
use crate::engine::{Engine, Limits};
use crate::expression::is_identifier;
use crate::log::{Elasticsearch, Log};
use crate::problem::shown;
use crate::rules::{Findings, beside, naming};
use crate::sink::{self, AlertmanagerSink, Delivery, ElasticsearchSink, Sink};

/// What names of indices to write to do not hold, besides capital letters.
const NOT_IN_INDEX_NAMES: &str = "\\/*?\"<>|,#: ";

/// Checks everything about margay.yaml that one key alone does not show.
pub(crate) fn check(engine: &Engine, findings: &mut Findings<'_>) {
    for (name, log) in &engine.logs {
        log_rules(name, log, findings);
    }
    for (at, sink) in engine.sinks.iter().enumerate() {
        sink_rules(&at.to_string(), sink, findings);
    }
    sink_names(&engine.sinks, findings);
    delivery(&engine.delivery, findings);
    limits(&engine.limits, findings);
    daemon(engine, findings);
    web(engine, findings);
    for (name, budget) in &engine.budgets {
        beside::selector(&["budgets", name, "selector"], &budget.selector, findings);
        if budget.per <= Period(0) {
            let message = "a budget for no time at all".to_owned();
            findings.value(&["budgets", name, "per"], "out-of-range", message, "such as 1d or 1w");
        }
    }
}

fn log_rules(name: &str, log: &Log, findings: &mut Findings<'_>) {
    let key = ["logs", name];
    if !is_identifier(name) {
        let message = format!("`{}` cannot name a log", shown(name));
        findings.key(&key, "bad-log-name", message, "letters, digits and `_`: it is a table in SQL");
    }
    let (in_files, in_index) = (findings.has(&["logs", name, "files"]), findings.has(&["logs", name, "elasticsearch"]));
    if in_files == in_index {
        let message = format!(
            "a log is read from one place, but `{}` names {}",
            shown(name),
            if in_files { "two" } else { "none" }
        );
        findings.key(&key, "log-needs-one-source", message, "one of `files` and `elasticsearch`");
    } else if findings.has_empty_list(&["logs", name, "files"]) {
        findings.value(
            &["logs", name, "files"],
            "empty-value",
            "no files are named".to_owned(),
            "a pattern such as logs/*.ndjson.gz",
        );
    }
    let (has_preset, has_time) = (findings.has(&["logs", name, "preset"]), findings.has(&["logs", name, "time"]));
    if has_preset == has_time {
        let has = if has_preset { "both" } else { "neither" };
        let message = format!("`{}` has {has} of `preset` and `time`", shown(name));
        let hint = "`preset` knows where the time is; any other log has `time: { field: … }`";
        findings.key(&key, "preset-or-time", message, hint);
    }
    if let Some(index) = &log.elasticsearch {
        let key = ["logs", name, "elasticsearch"];
        login(&key, index, findings);
    }
}

fn sink_rules(at: &str, sink: &Sink, findings: &mut Findings<'_>) {
    let key = ["sinks", at, sink.kind()];
    match sink {
        Sink::Elasticsearch(sink) => elasticsearch(&key, sink, findings),
        Sink::Alertmanager(sink) => {
            address(&key, &sink.url, findings);
            local_address(&key, &sink.url, sink.allow_local, findings);
            let has_password = sink.password_file.is_some() || sink.password_env.is_some();
            password(&key, sink.username.is_some(), has_password, findings);
            if sink.fires_for < AlertmanagerSink::FIRES_FOR_LEAST {
                let message = format!("an alert that fires for {} is over before it is repeated", sink.fires_for);
                findings.value(&[key[0], key[1], key[2], "fires_for"], "out-of-range", message, "at least 1m");
            }
        }
        Sink::Slack(slack) => {
            one_of(&key, &[("url_file", slack.url_file.is_some()), ("url_env", slack.url_env.is_some())], findings)
        }
        Sink::Webhook(webhook) => {
            let ways = [
                ("url", webhook.url.is_some()),
                ("url_file", webhook.url_file.is_some()),
                ("url_env", webhook.url_env.is_some()),
            ];
            one_of(&key, &ways, findings);
            if let Some(url) = &webhook.url {
                address(&key, url, findings);
                local_address(&key, url, webhook.allow_local, findings);
            }
        }
        Sink::Stdout(_) | Sink::File(_) => {}
    }
}

fn elasticsearch(key: &[&str; 3], sink: &ElasticsearchSink, findings: &mut Findings<'_>) {
    login(key, &sink.place, findings);
    local_address(key, &sink.place.url, sink.allow_local, findings);
    let (index, path) = (&sink.place.index, |name| [key[0], key[1], key[2], name]);
    let is_odd = |char: char| char.is_uppercase() || char.is_control() || NOT_IN_INDEX_NAMES.contains(char);
    if index.starts_with(['-', '_', '+', '.']) || index.contains(is_odd) {
        let message = format!("`{}` cannot name what alerts are written to", shown(index));
        let hint = "one name of small letters, digits, `-`, `_` and `.`, such as margay-alerts";
        findings.value(&path("index"), "bad-index-name", message, hint);
    }
    if sink.retention < ElasticsearchSink::RETENTION_LEAST {
        let message = format!("alerts cannot be kept for {}", sink.retention);
        findings.value(&path("retention"), "out-of-range", message, "at least 1d");
    }
}

/// A name is a label of metrics and part of a file's name, and stands once.
fn sink_names(sinks: &[Sink], findings: &mut Findings<'_>) {
    let names = sink::sink_names(sinks);
    for (at, (name, sink)) in names.iter().zip(sinks).enumerate() {
        let index = at.to_string();
        let key = ["sinks", &index, sink.kind(), "name"];
        if !naming::is_plain(name) {
            let message = format!("`{}` cannot name a sink", shown(name));
            findings.value(&key, "bad-name", message, naming::PLAIN);
        } else if names[..at].contains(name) {
            let message = format!("another sink is named `{name}` as well");
            findings.value(&key, "duplicate-sink", message, "give each a name of its own");
        }
    }
}

/// Exactly one way to the address.
fn one_of(key: &[&str; 3], ways: &[(&str, bool)], findings: &mut Findings<'_>) {
    let count = ways.iter().filter(|(_, is_there)| *is_there).count();
    if count != 1 {
        let names: Vec<String> = ways.iter().map(|(name, _)| format!("`{name}`")).collect();
        let message = format!("exactly one of {} is needed, but {count} are there", names.join(", "));
        findings.key(key, "sink-needs-one-url", message, "");
    }
}

fn login(key: &[&str; 3], index: &Elasticsearch, findings: &mut Findings<'_>) {
    address(key, &index.url, findings);
    let ways = [
        index.api_key_file.is_some(),
        index.api_key_env.is_some(),
        index.password_file.is_some(),
        index.password_env.is_some(),
        index.bearer_token_file.is_some(),
        index.bearer_token_env.is_some(),
    ];
    if ways.iter().filter(|is_there| **is_there).count() > 1 {
        let message = "more than one secret to log in with".to_owned();
        let hint = "an API key, a password or a token, each from a file or from the environment";
        findings.key(key, "one-secret", message, hint);
    }
    if index.client_certificate_file.is_some() != index.client_key_file.is_some() {
        let message = "a certificate and its key need each other".to_owned();
        findings.key(key, "certificate-needs-key", message, "`client_certificate_file` with `client_key_file`");
    }
    if index.client_certificate_file.is_some() && index.username.is_some() {
        let message = "a certificate and a password are two ways to log in".to_owned();
        let hint = "leave one out; an API key or a token may go with a certificate";
        findings.key(key, "one-secret", message, hint);
    }
    let has_password = index.password_file.is_some() || index.password_env.is_some();
    password(key, index.username.is_some(), has_password, findings);
}

fn password(key: &[&str; 3], has_name: bool, has_password: bool, findings: &mut Findings<'_>) {
    if has_name != has_password {
        let message = "a user name and a password need each other".to_owned();
        findings.key(key, "username-needs-password", message, "`username` with `password_file` or `password_env`");
    }
}

/// An address has a scheme, and no secret in it.
fn address(key: &[&str; 3], url: &str, findings: &mut Findings<'_>) {
    let path = [key[0], key[1], key[2], "url"];
    let Some(rest) =
        url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).filter(|rest| !rest.is_empty())
    else {
        let message = format!("`{}` is not an address", shown(url));
        findings.value(&path, "bad-url", message, "such as https://host:9200");
        return;
    };
    if rest.split('/').next().is_some_and(|host| host.contains('@')) {
        let message = "a password does not belong into an address: it would be shown in messages".to_owned();
        findings.value(&path, "secret-in-url", message, "use `username` with `password_file` or `password_env`");
    }
}

/// Addresses that are refused when alerts are sent are told before.
fn local_address(key: &[&str; 3], url: &str, allow_local: bool, findings: &mut Findings<'_>) {
    let host = url.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(""));
    let name = host.strip_prefix('[').map_or_else(|| host.split(':').next(), |inner| inner.split(']').next());
    let name = name.unwrap_or("").trim_end_matches('.').to_ascii_lowercase();
    let is_local = name.parse().map_or(name == "localhost" || name.ends_with(".localhost"), is_local);
    if is_local && !allow_local {
        let message = format!("`{}` is on this machine, and what calls it is trusted there", shown(&name));
        findings.value(
            &[key[0], key[1], key[2], "url"],
            "local-address",
            message,
            "`allow_local: true` if it is meant",
        );
    }
}

fn delivery(delivery: &Delivery, findings: &mut Findings<'_>) {
    let [least, most] = Delivery::TIMEOUT;
    if !(least..=most).contains(&delivery.timeout) {
        let message = format!("a request cannot take {}", delivery.timeout);
        findings.value(&["delivery", "timeout"], "out-of-range", message, "from 1s to 5m");
    }
}

fn limits(limits: &Limits, findings: &mut Findings<'_>) {
    if limits.query_timeout < Period::SECOND {
        let message = format!("a query cannot end within {}", limits.query_timeout);
        findings.value(&["limits", "query_timeout"], "out-of-range", message, "at least 1s");
    }
    if limits.memory < Limits::MEMORY_LEAST {
        let message = format!("margay cannot run in {} bytes", limits.memory);
        findings.value(&["limits", "memory"], "out-of-range", message, "at least 128MiB");
    }
    if limits.query_memory < Limits::QUERY_MEMORY_LEAST {
        let message = format!("a query cannot run in {} bytes", limits.query_memory);
        findings.value(&["limits", "query_memory"], "out-of-range", message, "at least 16MiB");
    }
    if limits.pull_time < Period::SECOND {
        let message = format!("nothing can be read within {}", limits.pull_time);
        findings.value(&["limits", "pull_time"], "out-of-range", message, "at least 1s");
    }
    if limits.pull_bytes < Limits::PULL_BYTES_LEAST {
        let message = format!("nothing can be read in {} bytes", limits.pull_bytes);
        findings.value(&["limits", "pull_bytes"], "out-of-range", message, "at least 1MiB");
    }
}

fn daemon(engine: &Engine, findings: &mut Findings<'_>) {
    let daemon = &engine.daemon;
    let periods = [("reload", daemon.reload), ("detector_timeout", daemon.detector_timeout)];
    for (key, period) in periods.into_iter().filter(|(_, period)| *period < Daemon::LEAST) {
        let message = format!("{period} is too short");
        findings.value(&["daemon", key], "out-of-range", message, "at least 1s");
    }
}

fn web(engine: &Engine, findings: &mut Findings<'_>) {
    let Some(web) = engine.web.as_ref().filter(|web| web.address().is_none()) else { return };
    let message = format!("`{}` is no address to listen at", shown(&web.listen));
    findings.value(
        &["web", "listen"],
        "bad-address",
        message,
        "an IP address and a port, such as 127.0.0.1:9090 or [::1]:9090",
    );
}
