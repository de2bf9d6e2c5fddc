//! The shipped detectors' own tests: each file of tests/detectors fires where it should and nowhere else.

use margay_core::{Period, Time};
use margay_generate::cases::{Case, CaseFile, Expect, expand};
use serde_json::Value;

use crate::support::{Home, root};

const SEED: u64 = 1;

#[test]
fn every_shipped_detector_has_a_case_that_fires_and_one_that_stays_quiet() {
    for name in shipped() {
        let file = read(&name);
        assert_eq!(file.detector, name);
        assert!(file.cases.iter().any(|case| matches!(case.expect, Expect::Fires { .. })), "{name}");
        assert!(file.cases.iter().any(|case| matches!(case.expect, Expect::Quiet(_))), "{name}");
    }
}

#[test]
fn every_case_of_every_shipped_detector_holds() {
    let mut failures = Vec::new();
    for name in shipped() {
        let file = read(&name);
        for case in &file.cases {
            if let Err(reason) = hold(&file, case) {
                failures.push(format!("{name}: {}: {reason}", case.name));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn shipped() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(root().join("detectors.d"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn read(name: &str) -> CaseFile {
    let path = root().join("tests/detectors").join(format!("{name}.yaml"));
    serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn hold(file: &CaseFile, case: &Case) -> Result<(), String> {
    let log = &file.log;
    let home = Home::with(&format!(
        "logs: {{ {log}: {{ files: log.ndjson, preset: calico-{log} }} }}\ndetectors: [detectors.d]\nsinks: []\n"
    ));
    let name = format!("detectors.d/{}.yaml", file.detector);
    home.write(&name, std::fs::read_to_string(root().join(&name)).unwrap());
    let rows = expand(case, SEED).map_err(|error| error.to_string())?;
    home.write("log.ndjson", rows.iter().map(|row| format!("{row}\n")).collect::<String>());
    let alerts = home.margay(&["replay", "--output", "json"]).expect(0).json();
    let opened: Vec<&Value> = alerts.as_array().unwrap().iter().filter(|alert| alert["status"] == "open").collect();
    judge(case, &opened)
}

fn judge(case: &Case, opened: &[&Value]) -> Result<(), String> {
    let Expect::Fires { fires } = &case.expect else {
        return if opened.is_empty() { Ok(()) } else { Err(format!("should be quiet, but: {}", told(opened))) };
    };
    let entity = Value::Object(fires.entity.clone());
    if let Some(other) = opened.iter().find(|alert| alert["entity"] != entity) {
        return Err(format!("fired for another entity: {}", told(&[other])));
    }
    let injected = case.injected_at().unwrap_or(case.start);
    let delay = |alert: &Value| alert["time"].as_str().unwrap().parse::<Time>().unwrap().since(injected);
    match opened.iter().map(|alert| delay(alert)).min() {
        None => Err("did not fire".to_owned()),
        Some(delay) if delay < Period(0) || delay > fires.within => Err(format!("fired {delay} after the injection")),
        Some(_) => Ok(()),
    }
}

fn told(alerts: &[&Value]) -> String {
    alerts
        .iter()
        .map(|alert| format!("{} {} {}", alert["start"], alert["score"], alert["summary"]))
        .collect::<Vec<_>>()
        .join("; ")
}
