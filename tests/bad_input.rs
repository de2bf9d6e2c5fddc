//! Bad input is named; its neighbours go on; what was stored stays readable.

use std::io::Write;

use crate::support::Home;

const CONFIGURATION: &str = "\
logs:
  good: { files: good.csv, time: { field: ts } }
  bad: { files: FILE, time: { field: ts } }
detectors: [detectors.d]
sinks:
  - file: { path: alerts.ndjson }
";

fn detector(log: &str) -> String {
    format!(
        "name: {log}\nlog: {log}\nentity: [app]\nbucket: 1m\nfeatures: {{ hits: sum(hits) }}\nmodel: {{ limit: {{ above: 50 }} }}\n"
    )
}

fn csv() -> String {
    let rows = (0..100).map(|at| format!("{},web,{}\n", margay_core::Time(1_793_577_600_000 + at * 60_000), at));
    std::iter::once("ts,app,hits\n".to_owned()).chain(rows).collect()
}

fn ndjson(rows: i64) -> String {
    (0..rows)
        .map(|at| {
            format!(
                "{{\"ts\":\"{}\",\"app\":\"web\",\"hits\":{at}}}\n",
                margay_core::Time(1_793_577_600_000 + at * 60_000)
            )
        })
        .collect()
}

fn home(file: &str) -> Home {
    let home = Home::with(&CONFIGURATION.replace("FILE", file));
    home.write("detectors.d/good.yaml", detector("good"));
    home.write("detectors.d/bad.yaml", detector("bad"));
    home.write("good.csv", csv());
    home
}

fn gzip(text: &str) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(text.as_bytes()).unwrap();
    writer.finish().unwrap()
}

/// Runs, and expects that the good detector alerts and that the text names the bad file.
#[track_caller]
fn neighbours_go_on(home: &Home, code: i32, named: &str) -> String {
    let ran = home.margay(&["run", "--once"]).expect(code);
    let said = ran.stdout + &ran.stderr;
    assert!(said.contains(named), "{said}");
    let alerts = home.margay(&["alerts", "--detector", "good", "--output", "json"]);
    let alerts: serde_json::Value = serde_json::from_str(&alerts.stdout).unwrap();
    assert_eq!(alerts.as_array().unwrap().len(), 1, "{alerts}");
    said
}

#[test]
fn a_cut_gzip_keeps_the_rows_before_the_cut_and_is_named() {
    let home = home("cut.ndjson.gz");
    let whole = gzip(&ndjson(20_000));
    home.write("cut.ndjson.gz", &whole[..whole.len() - 4000]);
    neighbours_go_on(&home, 0, "cut.ndjson.gz");
}

#[test]
fn an_empty_file_is_named() {
    let home = home("empty.csv");
    home.write("empty.csv", "");
    neighbours_go_on(&home, 2, "empty.csv");
}

#[test]
fn a_csv_without_its_time_column_is_named() {
    let home = home("timeless.csv");
    home.write("timeless.csv", "when,app,hits\n2026-11-02T00:00:00Z,web,1\n");
    let said = neighbours_go_on(&home, 2, "timeless.csv");
    assert!(said.contains("ts"), "{said}");
}

#[test]
fn a_broken_line_is_counted_and_the_others_are_read() {
    let home = home("broken.ndjson");
    home.write("broken.ndjson", ndjson(100).replacen("\"hits\":7}", "\"hits\":", 1));
    let said = neighbours_go_on(&home, 0, "broken.ndjson:8");
    assert!(said.contains("1 bad row"), "{said}");
    let status = home.margay(&["status", "--output", "json"]).expect(0).json();
    assert_eq!(status["detectors"][0]["rows"], 99, "{status}");
}

#[test]
fn a_directory_in_place_of_a_file_is_named() {
    let home = home("folder.csv");
    std::fs::create_dir(home.path("folder.csv")).unwrap();
    neighbours_go_on(&home, 2, "folder.csv");
}

#[test]
fn a_pattern_that_matches_nothing_is_named() {
    let home = home("\"nowhere/*.csv\"");
    neighbours_go_on(&home, 2, "nowhere/*.csv");
}

/// Needs a file system that fills up: a small tmpfs, which only root may mount.
#[test]
fn a_full_disk_is_named_and_what_was_stored_stays_readable() {
    let home = home("good.csv");
    std::fs::create_dir(home.path("small")).unwrap();
    let small = home.path("small");
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=48m", "tmpfs"])
        .arg(&small)
        .status()
        .is_ok_and(|status| status.success());
    if !mounted {
        println!("left out: a_full_disk…: mounting a tmpfs needs root");
        return;
    }
    let unmount = Unmount(small.clone());
    home.write("margay.yaml", CONFIGURATION.replace("FILE", "good.csv") + "state: { dir: small/state }\n");
    home.margay(&["run", "--once"]).expect(0);
    let before = home.margay(&["alerts", "--output", "json"]).expect(0).stdout;
    let mut filler = std::fs::File::create(small.join("filler")).unwrap();
    while filler.write_all(&[0; 4096]).is_ok() {}
    drop(filler);
    home.write("good.csv", csv() + &format!("{},web,99\n", margay_core::Time(1_793_577_600_000 + 200 * 60_000)));
    let ran = home.margay(&["run", "--once"]).expect(2);
    assert!(ran.stderr.contains("small/state"), "{}", ran.stderr);
    std::fs::remove_file(small.join("filler")).unwrap();
    assert_eq!(home.margay(&["alerts", "--output", "json"]).expect(0).stdout, before);
    home.margay(&["run", "--once"]).expect(0);
    drop(unmount);
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(&self.0).status();
    }
}
