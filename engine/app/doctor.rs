//! What is amiss with a configuration's logs and sinks as they are now.

use std::collections::BTreeMap;

use margay_config::{Loaded, Problem, Severity};
use margay_core::{Period, Time, TimeRange};
use margay_source::{Examination, Flow, Log, Scan};
use serde::Serialize;

use crate::ingest::{chain, threads};
use crate::lint;
use crate::open;
use crate::outlet::Way;
use crate::sinks;
use crate::state::State;

/// Difference of two clocks that is not spoken of.
const SKEW_MOST: Period = Period::MINUTE;
/// Time that the newest record may be old, beyond the log's delay.
const LAG_MOST: Period = Period::HOUR;
/// Time that the newest record may lie in the future: clocks of nodes differ.
const AHEAD_MOST: Period = Period(5 * Period::MINUTE.0);

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Something is seen less well than it could be.
    Warning,
    /// Something does not work.
    Error,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What it is about, such as `log flows`.
    pub about: String,
    /// How bad it is.
    pub verdict: Verdict,
    /// What it is.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Asks every log and sink.
#[must_use]
pub fn examine(loaded: &Loaded, now: Time) -> Vec<Finding> {
    let mut findings = vec![configuration(loaded)];
    let (logs, lost) = open::logs(loaded, &BTreeMap::new());
    for (name, reason) in &lost {
        findings.push(unreachable(&format!("log {name}"), reason));
    }
    for (name, log) in &logs {
        let about = format!("log {name}");
        let delay = loaded.engine.logs.get(name).map(margay_config::Log::delay).unwrap_or_default();
        match log.examine() {
            Err(error) => findings.push(unreachable(&about, &chain(&error))),
            Ok(Some(examination)) => findings.extend(index(&about, &examination, delay, now)),
            Ok(None) => findings.extend(files(&about, log)),
        }
    }
    findings.extend(lint::source::problems(loaded).iter().map(of_problem));
    findings.extend(lint::source::ways(loaded).into_iter().map(|way| ok("detector", way)));
    findings.extend(of_sinks(loaded));
    findings
}

fn ok(about: &str, message: impl Into<String>) -> Finding {
    Finding { about: about.to_owned(), verdict: Verdict::Ok, message: message.into(), hint: None }
}

fn amiss(about: &str, verdict: Verdict, message: String, hint: &str) -> Finding {
    Finding { about: about.to_owned(), verdict, message, hint: Some(hint.to_owned()) }
}

fn configuration(loaded: &Loaded) -> Finding {
    let errors = lint::problems(loaded).iter().filter(|one| one.severity == Severity::Error).count();
    match errors {
        0 => ok("configuration", format!("{} files, no errors", loaded.files_checked)),
        errors => amiss("configuration", Verdict::Error, format!("{errors} errors"), "`margay check` shows them"),
    }
}

/// What cannot be asked, and what to do about it, as far as the reason tells.
fn unreachable(about: &str, reason: &str) -> Finding {
    let hints = [
        ("answers 401", "the server does not know this key, token or password"),
        ("answers 403", "the user needs `read` and `view_index_metadata` on the indices"),
        ("no such index", "see `index`: the server has no index, alias or data stream of this name"),
        ("no index has this name", "see `index`: the server has no index, alias or data stream of this name"),
        ("certificate", "see `ca_file`: who signed the server's certificate is not trusted"),
        ("no answer", "see `url`: nobody answers there, or a network policy is in the way"),
        ("cannot read", "the file has to be there and readable for the user that margay runs as"),
        ("is mapped as", "map the time as a date; indices that exist have to be written anew"),
        ("one type in index", "map the field alike in all indices, or name only some of them in `index`"),
        ("no file matches", "see `files`: patterns are relative to the folder of margay.yaml"),
    ];
    let hint = hints.iter().find(|(part, _)| reason.contains(part)).map(|(_, hint)| (*hint).to_owned());
    Finding { about: about.to_owned(), verdict: Verdict::Error, message: reason.to_owned(), hint }
}

fn index(about: &str, examination: &Examination, delay: Period, now: Time) -> Vec<Finding> {
    let Examination { server, time, indices, records, timeless, range } = examination;
    let mut findings = vec![match time {
        None => ok(about, format!("{server} answers; it does not tell the time to this user")),
        Some(time) => clock(about, server, time.since(now)),
    }];
    let Some(range) = range else {
        let hint = "is anything written, and under this name?";
        findings.push(amiss(about, Verdict::Warning, "there is no record with a time".to_owned(), hint));
        return findings;
    };
    let span = format!("{records} records in {indices} indices, from {} to {}", range.start, range.end);
    findings.push(ok(about, span));
    if *timeless > 0 {
        let message = format!("{timeless} records have no time and are never read");
        findings.push(amiss(about, Verdict::Warning, message, "see `time.field`, or what writes them"));
    }
    findings.extend(age(about, *range, delay, now));
    findings
}

fn clock(about: &str, server: &str, ahead: Period) -> Finding {
    if ahead.0.abs() <= SKEW_MOST.0 {
        return ok(about, format!("{server} answers, and its clock agrees"));
    }
    let way = if ahead.0 > 0 { "ahead" } else { "behind" };
    let message = format!("the clock of {server} is {} {way}", Period(ahead.0.abs()));
    amiss(about, Verdict::Warning, message, "synchronise the clocks: a bucket is judged when it is over by ours")
}

/// Whether the newest record is as new as it should be.
fn age(about: &str, range: TimeRange, delay: Period, now: Time) -> Option<Finding> {
    let lag = now.since(range.end);
    if lag.0 < -AHEAD_MOST.0 {
        let message = format!("the newest record lies {} in the future", Period(-lag.0));
        let hint = "see `time.format`, and the clocks of the nodes";
        return Some(amiss(about, Verdict::Warning, message, hint));
    }
    if lag.0 > delay.0 + LAG_MOST.0 {
        let message = format!("the newest record is {lag} old");
        let hint = "what writes the log may have stopped; if records are always so late, raise `query_delay`";
        return Some(amiss(about, Verdict::Warning, message, hint));
    }
    None
}

fn files(about: &str, log: &Log) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pattern in log.unmatched() {
        let hint = "patterns are relative to the folder of margay.yaml";
        findings.push(amiss(about, Verdict::Warning, format!("no file matches {}", pattern.display()), hint));
    }
    let listed = log.list(Time::MIN).unwrap_or_default();
    let Some(newest) = listed.last() else { return findings };
    let files = Some(vec![newest.path.clone()]);
    let times = Scan { columns: Vec::new(), range: TimeRange::ALL, files, grouping: None, threads: threads() };
    for file in log.scan(&times, &|_| Flow::Continue, &|_| {}).files {
        let name = file.path.display();
        findings.push(match (&file.error, file.span) {
            (Some(error), _) => {
                amiss(about, Verdict::Error, format!("{name}: {error}"), "its whole rows count, the rest does not")
            }
            (None, Some(span)) => ok(about, format!("{} files, the last of which ends at {}", listed.len(), span.end)),
            (None, None) => {
                let message = format!("{name} has no record that can be read, and {} bad ones", file.bad_rows);
                amiss(about, Verdict::Warning, message, "see `preset` and `time`")
            }
        });
    }
    findings
}

fn of_problem(problem: &Problem) -> Finding {
    let stem = problem.file.file_stem().unwrap_or_default().to_string_lossy();
    Finding {
        about: format!("detector {stem}"),
        verdict: if problem.severity == Severity::Error { Verdict::Error } else { Verdict::Warning },
        message: problem.message.clone(),
        hint: problem.hint.clone(),
    }
}

/// Sinks are not spoken to: that would send something.
fn of_sinks(loaded: &Loaded) -> Vec<Finding> {
    let state = State::open_existing(&loaded.root.join(&loaded.engine.state.dir));
    let waiting = state.and_then(|state| state.waiting().ok()).unwrap_or_default();
    let waiting = |name: &str| waiting.get(name).copied().unwrap_or(0);
    let finding = |outlet: crate::outlet::Outlet| {
        let about = format!("sink {}", outlet.name);
        match (&outlet.way, waiting(&outlet.name)) {
            (Way::Broken(reason), _) => unreachable(&about, reason),
            (_, 0) => ok(&about, format!("nothing waits; `margay sink test {}` sends an alert", outlet.name)),
            (_, count) => {
                let hint = format!("`margay sink test {}` says why", outlet.name);
                amiss(&about, Verdict::Warning, format!("{count} alerts wait for it"), &hint)
            }
        }
    };
    sinks::sinks(loaded).into_iter().map(finding).collect()
}
