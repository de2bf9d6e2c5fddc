//! Faults of a sink: whatever it does, no alert is lost, none is told under a second id, and the sinks beside it get theirs.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::daemon::detector;
use crate::support::{Home, rounds};

/// Seconds of an outage; the long form has 1800.
const OUTAGE: &str = "MARGAY_OUTAGE";
const ALERTS: usize = 12;

/// What the server does with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    /// Takes it.
    Takes,
    /// Answers with a status and further headers.
    Answers(u16, &'static str),
    /// Notes the alert, and answers that it could not: the client cannot know.
    TakesAndFails,
    /// Ends the connection, before the answer or in the middle of it.
    Hangs,
    Cuts,
    /// Sends a byte of the answer now and then.
    Drips,
    /// Never answers.
    Sleeps,
    /// Answers well, and never ends.
    Floods,
    /// Sends what is no HTTP.
    Babbles,
}

/// Decides by the number of the request and its body.
type Plan = fn(usize, &str) -> Does;

/// A server that keeps a ledger of the alerts that it took: key of the revision → how often.
struct Faulty {
    address: String,
    ledger: Arc<Mutex<BTreeMap<String, usize>>>,
    calls: Arc<Mutex<usize>>,
    plan: Arc<Mutex<Plan>>,
}

impl Faulty {
    fn start(plan: Plan) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let faulty = Self {
            address: listener.local_addr().unwrap().to_string(),
            ledger: Arc::default(),
            calls: Arc::default(),
            plan: Arc::new(Mutex::new(plan)),
        };
        let (ledger, calls, plan) = (faulty.ledger.clone(), faulty.calls.clone(), faulty.plan.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (ledger, calls, plan) = (ledger.clone(), calls.clone(), *plan.lock().unwrap());
                std::thread::spawn(move || serve(stream, &ledger, &calls, plan));
            }
        });
        faulty
    }

    fn heal(&self) {
        *self.plan.lock().unwrap() = |_, _| Does::Takes;
    }

    fn calls(&self) -> usize {
        *self.calls.lock().unwrap()
    }
}

/// Serves one request; a client that went away is no fault of this one.
fn serve(stream: TcpStream, ledger: &Mutex<BTreeMap<String, usize>>, calls: &Mutex<usize>, plan: Plan) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 || line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    let call = {
        let mut calls = calls.lock().unwrap();
        *calls += 1;
        *calls
    };
    let does = plan(call, &body);
    if matches!(does, Does::Takes | Does::TakesAndFails | Does::Floods) {
        let alert: Value = serde_json::from_str(&body).ok()?;
        *ledger.lock().unwrap().entry(format!("{} {}", alert["id"], alert["revision"])).or_default() += 1;
    }
    answer(stream, does)
}

fn answer(mut stream: TcpStream, does: Does) -> Option<()> {
    let whole = |status: u16, headers: &str| {
        format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: 2\r\nConnection: close\r\n\r\nok")
    };
    match does {
        Does::Takes => stream.write_all(whole(200, "").as_bytes()).ok(),
        Does::Answers(status, headers) => stream.write_all(whole(status, headers).as_bytes()).ok(),
        Does::TakesAndFails => stream.write_all(whole(500, "").as_bytes()).ok(),
        Does::Hangs => Some(()),
        Does::Cuts => stream.write_all(&whole(200, "").as_bytes()[..12]).ok(),
        Does::Drips => whole(200, "").bytes().try_for_each(|byte| {
            std::thread::sleep(Duration::from_millis(300));
            stream.write_all(&[byte]).ok()
        }),
        Does::Sleeps => {
            std::thread::sleep(Duration::from_secs(3));
            Some(())
        }
        Does::Floods => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n").ok()?;
            let noise = [b'x'; 65_536];
            (0..4096).try_for_each(|_| stream.write_all(&noise).ok())
        }
        Does::Babbles => stream.write_all(b"\x00\x01\x02 220 smtp.example.com ESMTP\r\n").ok(),
    }
}

fn home(faulty: &Faulty) -> Home {
    let home = Home::with(&format!(
        "logs:\n  web: {{ files: \"logs/*.csv\", time: {{ field: ts }} }}\ndetectors: [detectors.d]\n\
         daemon: {{ reload: 1s, alert_age: 520w }}\ndelivery: {{ timeout: 1s, tries: 2, messages_per_minute: 100000 }}\n\
         sinks:\n  - webhook: {{ url: 'http://{}/', allow_local: true, name: faulty }}\n  - file: {{ path: alerts.ndjson }}\n",
        faulty.address
    ));
    home.write("detectors.d/loud.yaml", detector("loud", 50));
    let row = |minute: i64| {
        let time = margay_core::Time(1_793_577_600_000 + minute * 60_000);
        format!("{time},web,{}\n", if minute % 10 == 0 { 99 } else { 1 })
    };
    home.write("logs/0.csv", std::iter::once("ts,app,hits\n".to_owned()).chain((0..60).map(row)).collect::<String>());
    home
}

fn waiting(home: &Home) -> u64 {
    let status = home.margay(&["status", "--output", "json"]).expect(0).json();
    status["sinks"].as_array().unwrap().iter().find(|sink| sink["name"] == "faulty").unwrap()["waiting"]
        .as_u64()
        .unwrap()
}

fn recorded(home: &Home) -> Vec<String> {
    let key = |line: &str| {
        let alert: Value = serde_json::from_str(line).unwrap();
        format!("{} {}", alert["id"], alert["revision"])
    };
    home.read("alerts.ndjson").lines().map(key).collect()
}

fn buried(home: &Home) -> usize {
    let path = home.path(".margay/dead-letters/faulty.ndjson");
    if path.exists() { std::fs::read_to_string(path).unwrap().lines().count() } else { 0 }
}

/// What must come of a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    /// All is delivered, by a few runs.
    GotOver,
    /// All waits while the fault lasts, and is delivered afterwards.
    Waits,
    /// So many are put aside, and the others delivered.
    PutAside(usize),
}

/// Whether one in so many requests fails, at places that look like chance.
fn fails(call: usize, percent: u64) -> Does {
    let mixed = (call as u64).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) >> 33;
    if mixed % 100 < percent { Does::Answers(500, "") } else { Does::Takes }
}

const CASES: [(&str, Plan, Outcome); 18] = [
    ("takes all", |_, _| Does::Takes, Outcome::GotOver),
    ("fails 10 of 100", |call, _| fails(call, 10), Outcome::GotOver),
    ("fails 50 of 100", |call, _| fails(call, 50), Outcome::GotOver),
    ("fails 90 of 100", |call, _| fails(call, 90), Outcome::GotOver),
    ("fails always", |_, _| Does::Answers(503, ""), Outcome::Waits),
    (
        "takes and says that it failed",
        |call, _| if call % 3 == 0 { Does::TakesAndFails } else { Does::Takes },
        Outcome::GotOver,
    ),
    ("ends the connection", |_, _| Does::Hangs, Outcome::Waits),
    ("cuts its answers", |_, _| Does::Cuts, Outcome::Waits),
    ("slow loris", |_, _| Does::Drips, Outcome::Waits),
    ("never answers", |_, _| Does::Sleeps, Outcome::Waits),
    ("answers without end", |_, _| Does::Floods, Outcome::GotOver),
    ("speaks no HTTP", |_, _| Does::Babbles, Outcome::Waits),
    (
        "asks for a pause",
        |call, _| if call == 1 { Does::Answers(429, "Retry-After: 1\r\n") } else { Does::Takes },
        Outcome::GotOver,
    ),
    ("asks for an hour", |_, _| Does::Answers(503, "Retry-After: 3600\r\n"), Outcome::Waits),
    (
        "redirects to the cloud's metadata",
        |_, _| Does::Answers(307, "Location: http://169.254.169.254/latest/meta-data/\r\n"),
        Outcome::Waits,
    ),
    ("redirects to itself", |_, _| Does::Answers(308, "Location: /elsewhere\r\n"), Outcome::Waits),
    ("refuses one", |_, body| if is_poison(body) { Does::Answers(400, "") } else { Does::Takes }, Outcome::PutAside(2)),
    ("refuses all", |_, _| Does::Answers(422, ""), Outcome::PutAside(ALERTS)),
];

/// An episode that opens and closes.
fn is_poison(body: &str) -> bool {
    body.contains("\"start\":\"2026-11-02T00:20:00Z\"")
}

#[test]
fn no_fault_of_a_sink_loses_an_alert_or_holds_up_another_sink() {
    std::thread::scope(|scope| {
        for case in CASES {
            scope.spawn(move || try_case(case));
        }
    });
}

fn try_case((name, plan, outcome): (&str, Plan, Outcome)) {
    let faulty = Faulty::start(plan);
    let home = home(&faulty);
    let tries = if outcome == Outcome::Waits { 2 } else { 60 };
    let done = (0..tries).any(|_| home.margay(&["run", "--once"]).code == 0);
    let all = recorded(&home);
    assert_eq!(all.len(), ALERTS, "{name}: the sink beside it");
    if outcome == Outcome::Waits {
        assert!(!done, "{name}");
        assert_eq!((waiting(&home), buried(&home)), (ALERTS as u64, 0), "{name}");
        assert!(faulty.calls() <= 2 * 2, "{name}: {} calls of two deliveries", faulty.calls());
        faulty.heal();
        home.margay(&["run", "--once"]).expect(0);
    }
    let put_aside = if let Outcome::PutAside(some) = outcome { some } else { 0 };
    assert_eq!((waiting(&home), buried(&home)), (0, put_aside), "{name}");
    let ledger = faulty.ledger.lock().unwrap();
    assert_eq!(ledger.len(), ALERTS - put_aside, "{name}: {ledger:?}");
    assert!(ledger.keys().all(|key| all.contains(key)), "{name}: no second id");
    if name != "takes and says that it failed" {
        assert!(ledger.values().all(|times| *times == 1), "{name}: {ledger:?}");
    }
    home.margay(&["run", "--once"]).expect(0);
    assert_eq!(recorded(&home).len(), ALERTS, "{name}: nothing twice");
}

#[test]
fn a_daemon_gets_over_an_outage_of_its_sink() {
    let faulty = Faulty::start(|_, _| Does::Hangs);
    let home = home(&faulty);
    let mut daemon = home.spawn("daemon", &["run"]);
    crate::support::wait("the file", || home.path("alerts.ndjson").exists() && recorded(&home).len() == ALERTS);
    let ends = Instant::now() + Duration::from_secs(rounds(OUTAGE, 8).unsigned_abs());
    while Instant::now() < ends {
        std::thread::sleep(Duration::from_millis(200));
    }
    let during = faulty.calls();
    faulty.heal();
    // Its next try comes within five minutes, however long the outage was.
    let latest = Instant::now() + Duration::from_secs(330);
    while faulty.ledger.lock().unwrap().len() < ALERTS {
        assert!(Instant::now() < latest, "{} of {ALERTS}", faulty.ledger.lock().unwrap().len());
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("{during} calls during the outage");
    assert!(faulty.ledger.lock().unwrap().values().all(|times| *times == 1));
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.said());
}
