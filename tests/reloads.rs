//! A storm of edits: the daemon goes on with the last good configuration, and ends with the last one that is good.

use std::os::unix::fs::symlink;
use std::time::Duration;

use serde_json::Value;

use crate::daemon::{CONFIGURATION, detector};
use crate::support::{Home, rounds, wait};

/// Edits; the long form has 500.
const EDITS: &str = "MARGAY_EDITS";

/// What an edit leaves behind: three detectors, of which some are broken in one way or another.
fn files(edit: i64) -> Vec<(String, String)> {
    let broken = |text: String| match edit % 8 {
        1 => text.replace("sum(hits)", "sum(hitz)"),
        3 => text.replace("bucket: 1m", "bucket: soon"),
        5 => format!("{text}\tx: ["),
        7 => "name: [".to_owned(),
        _ => text,
    };
    let names = ["a", "b", "c"];
    names
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let text = detector(name, 40 + (edit % 40) as u32);
            (format!("{name}.yaml"), if at as i64 == edit % 3 { broken(text) } else { text })
        })
        .collect()
}

fn csv() -> String {
    let row = |minute: i64| {
        let time = margay_core::Time(1_793_577_600_000 + minute * 60_000);
        format!("{time},web,{}\n", if minute % 10 == 0 { 99 } else { 1 })
    };
    std::iter::once("ts,app,hits\n".to_owned()).chain((0..60).map(row)).collect()
}

/// Puts files as Kubernetes does with a ConfigMap: a folder of its own, and a link that is swapped at once.
fn swap(home: &Home, edit: i64) {
    for (name, text) in files(edit) {
        home.write(&format!("detectors.d/..data-{edit}/{name}"), text);
    }
    let (link, new) = (home.path("detectors.d/..data"), home.path("detectors.d/..data-new"));
    symlink(format!("..data-{edit}"), &new).unwrap();
    std::fs::rename(&new, &link).unwrap();
    if edit > 0 {
        std::fs::remove_dir_all(home.path(&format!("detectors.d/..data-{}", edit - 1))).unwrap();
    }
}

/// Rewrites the files in place, one after the other, as an editor does.
fn rewrite(home: &Home, edit: i64) {
    for (name, text) in files(edit) {
        home.write(&format!("detectors.d/{name}"), text);
    }
}

fn home() -> Home {
    let home = Home::with(CONFIGURATION);
    home.write("logs/0.csv", csv());
    home
}

fn rows(home: &Home) -> Vec<(Value, Value, Value)> {
    let status = home.margay(&["status", "--output", "json"]).expect(0).json();
    let rows = status["detectors"].as_array().unwrap().iter();
    rows.map(|row| (row["name"].clone(), row["state"].clone(), row["watermark"].clone())).collect()
}

fn storm(apply: fn(&Home, i64), link: bool) {
    let edits = rounds(EDITS, 24);
    let home = home();
    apply(&home, 0);
    if link {
        for name in ["a.yaml", "b.yaml", "c.yaml"] {
            symlink(format!("..data/{name}"), home.path(&format!("detectors.d/{name}"))).unwrap();
        }
    }
    let mut daemon = home.spawn("daemon", &["--log", "info", "run"]);
    wait("the first alerts", || home.path("alerts.ndjson").exists());
    let mut dice: u64 = 7;
    for edit in 1..=edits {
        apply(&home, edit);
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_millis(50 + (dice >> 33) % 150));
        if edit % 50 == 0 {
            assert_eq!(rows(&home).len(), 3, "edit {edit}: {}", daemon.said());
        }
    }
    let last = (edits + 1..).find(|edit| edit % 2 == 0).unwrap();
    (edits + 1..=last).for_each(|edit| apply(&home, edit));
    let cold = self::home();
    for (name, text) in files(last) {
        cold.write(&format!("detectors.d/{name}"), text);
    }
    cold.margay(&["run", "--once"]).expect(0);
    let alerts = |home: &Home| {
        let alerts = home.margay(&["alerts", "--output", "json"]).expect(0).json();
        let mut all: Vec<String> = alerts
            .as_array()
            .unwrap()
            .iter()
            .map(|alert| format!("{} {} {}", alert["id"], alert["score"], alert["end"]))
            .collect();
        all.sort_unstable();
        all
    };
    wait("the last configuration is in use", || {
        let said = daemon.said();
        let (refused, taken) = (said.rfind("cannot be used"), said.rfind("configuration in use"));
        taken > refused && rows(&home) == rows(&cold) && alerts(&home) == alerts(&cold)
    });
    let said = daemon.said();
    assert_eq!(daemon.terminate(), Some(0), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    println!(
        "{edits} edits: {} taken over, {} refused",
        said.matches("configuration in use").count(),
        said.matches("cannot be used").count()
    );
}

#[test]
fn a_storm_of_edits_in_place_ends_with_the_last_good_configuration() {
    storm(rewrite, false);
}

#[test]
fn a_storm_of_swaps_ends_with_the_last_good_configuration() {
    storm(swap, true);
}
