//! Alerts over the network: each sink gets each revision, whatever becomes of the others.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::listener::Listener;
use crate::support::{Home, leave_out, root, wait};

const DETECTOR: &str = "name: loud\nlog: web\nentity: [app]\nbucket: 1m\nfeatures: { hits: sum(hits) }\nmodel: { limit: { above: 50 } }\nthreshold: { refractory: 1m }\n";

/// An hour of two applications, one of which is loud every tenth minute; and sinks.
pub fn home(sinks: &str) -> Home {
    let home = Home::with(&format!(
        "logs:\n  web: {{ files: \"logs/*.csv\", time: {{ field: ts }} }}\ndetectors: [detectors.d]\ntemplates: templates\n\
         daemon: {{ reload: 1s, alert_age: 520w }}\ndelivery: {{ timeout: 1s, tries: 2 }}\nsinks:\n{sinks}"
    ));
    home.write("detectors.d/loud.yaml", DETECTOR);
    home.write(
        "templates/note.json.hbs",
        r#"{"what": "{{summary}}", "state": "{{status}}", "severity": "{{json severity}}"}"#,
    );
    let row = |minute: i64| {
        let time = margay_core::Time(1_793_577_600_000 + minute * 60_000);
        let hits = if minute % 10 == 0 { 99 } else { 1 };
        format!("{time},web,{hits}\n{time},cart,1\n")
    };
    let rows = (0..60).map(row);
    home.write("logs/0.csv", std::iter::once("ts,app,hits\n".to_owned()).chain(rows).collect::<String>());
    home
}

fn webhook(listener: &Listener, more: &str) -> String {
    format!("  - webhook: {{ url: 'http://{}/', allow_local: true{more} }}\n", listener.address)
}

fn revisions<'a>(documents: impl Iterator<Item = &'a str>) -> Vec<(String, Value)> {
    let revision = |text: &str| {
        let alert: Value = serde_json::from_str(text).unwrap();
        (alert["id"].as_str().unwrap().to_owned(), alert["revision"].clone())
    };
    documents.map(revision).collect()
}

fn told(home: &Home) -> Vec<(String, Value)> {
    revisions(home.read("alerts.ndjson").lines())
}

#[test]
fn a_sink_that_fails_keeps_its_alerts_and_holds_up_no_other() {
    let dead = "  - webhook: { url: 'http://127.0.0.1:9/', allow_local: true, name: later }\n";
    let live = Listener::start(|_| 200);
    let sinks = format!("{dead}  - file: {{ path: alerts.ndjson }}\n{}", webhook(&live, ""));
    let home = home(&sinks);
    let ran = home.margay(&["run", "--once"]).expect(2);
    assert!(ran.stderr.contains("sink later"), "{}", ran.stderr);
    let status = home.margay(&["status", "--output", "json"]).expect(0).json();
    assert_eq!(
        (&status["sinks"][0]["name"], &status["sinks"][0]["waiting"]),
        (&"later".into(), &12.into()),
        "{status}"
    );
    assert!(status["sinks"][0]["error"].as_str().is_some_and(|error| error.contains("no answer")), "{status}");
    let all = told(&home);
    assert_eq!(all.len(), 12, "six episodes open and close");
    assert_eq!(revisions(live.bodies().iter().map(String::as_str)), all);

    let back = Listener::start(|_| 200);
    let configuration = home.read("margay.yaml").replace("127.0.0.1:9/", &format!("{}/", back.address));
    home.write("margay.yaml", configuration);
    home.margay(&["run", "--once"]).expect(0);
    assert_eq!(revisions(back.bodies().iter().map(String::as_str)), all, "in their order");
    assert_eq!((told(&home).len(), live.bodies().len()), (12, 12), "and nothing twice to the others");
    home.margay(&["run", "--once"]).expect(0);
    assert_eq!(back.bodies().len(), 12);
}

#[test]
fn what_a_sink_refuses_is_put_aside_and_the_rest_goes_on() {
    let picky = Listener::start(|body| if body.contains("00:20:00Z") { 422 } else { 200 });
    let home = home(&(webhook(&picky, ", name: picky") + "  - file: { path: alerts.ndjson }\n"));
    let ran = home.margay(&["--log", "error", "run", "--once"]).expect(0);
    assert!(ran.stderr.contains("dead-letters"), "{}", ran.stderr);
    let refused: Vec<Value> = home
        .read(".margay/dead-letters/picky.ndjson")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(!refused.is_empty());
    for letter in &refused {
        assert!(letter["reason"].as_str().unwrap().contains("422"), "{letter}");
        let body: Value = serde_json::from_str(letter["body"].as_str().unwrap()).unwrap();
        assert_eq!(body["id"], letter["alert"]);
    }
    let taken: BTreeSet<String> = picky.bodies().into_iter().filter(|body| !body.contains("00:20:00Z")).collect();
    assert_eq!(taken.len() + refused.len(), told(&home).len());

    let listed = home.margay(&["sink", "dead-letters", "picky"]).expect(0).stdout;
    assert_eq!(listed.lines().filter(|line| line.contains("refuses it with 422")).count(), refused.len(), "{listed}");
    let in_vain = home.margay(&["sink", "resend", "--output", "json"]).expect(2).json();
    assert_eq!(in_vain["sinks"][0]["left"], refused.len(), "{in_vain}");
    let mended = Listener::start(|_| 200);
    home.write(
        "margay.yaml",
        home.read("margay.yaml").replace(&picky.address.to_string(), &mended.address.to_string()),
    );
    home.margay(&["sink", "resend"]).expect(0);
    let bodies: Vec<Value> = refused.iter().map(|letter| letter["body"].clone()).collect();
    assert_eq!(mended.bodies().into_iter().map(Value::from).collect::<Vec<_>>(), bodies, "as they were");
    assert_eq!(home.margay(&["sink", "dead-letters"]).expect(0).stdout, "");
    let unknown = home.margay(&["sink", "resend", "pager"]).expect(2);
    assert!(unknown.stderr.contains("there are: picky, file"), "{}", unknown.stderr);
}

#[test]
fn a_wrong_login_or_address_holds_the_alerts_and_says_so() {
    for status in [401, 403, 404, 410] {
        let closed = Listener::start(move |_| status);
        let home = home(&webhook(&closed, ", name: closed"));
        home.margay(&["run", "--once"]).expect(2);
        assert_eq!(closed.bodies().len(), 1, "{status}: sent again in vain");
        let sink = home.margay(&["status", "--output", "json"]).expect(0).json()["sinks"][0].clone();
        assert_eq!((&sink["waiting"], &sink["dead_letters"]), (&12.into(), &0.into()), "{sink}");
        let said = home.margay(&["status"]).expect(0).stdout;
        assert!(said.contains(&format!("answers {status}: its login or its address is wrong")), "{said}");
    }
}

#[test]
fn a_daemon_tells_each_sink_each_revision_once_although_one_comes_late() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sinks =
        format!("  - file: {{ path: alerts.ndjson }}\n  - webhook: {{ url: 'http://{port}/', allow_local: true }}\n");
    let home = home(&sinks);
    let mut daemon = home.spawn("daemon", &["run"]);
    wait("the file", || home.path("alerts.ndjson").exists() && told(&home).len() == 12);
    let late = Listener::at(&port.to_string(), |_| 200);
    wait("the webhook", || late.bodies().len() >= 12);
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.said());
    assert_eq!(revisions(late.bodies().iter().map(String::as_str)), told(&home));
}

#[test]
fn a_test_alert_goes_to_each_sink_in_its_form() {
    let (good, bad) = (Listener::start(|_| 200), Listener::start(|_| 500));
    let sinks = webhook(&good, ", name: chat, template: note.json.hbs") + &webhook(&bad, ", name: broken");
    let home = home(&(sinks + "  - slack: { url_file: slack.url, allow_local: true }\n"));
    home.write("slack.url", format!("http://{}/services/x\n", good.address));
    let tried = home.margay(&["sink", "test", "--output", "json"]).expect(2).json();
    let delivered: Vec<&Value> = tried["sinks"].as_array().unwrap().iter().map(|one| &one["delivered"]).collect();
    assert_eq!(delivered, [true, false, true], "{tried}");
    let [note, slack]: [String; 2] = good.bodies().try_into().unwrap();
    let note: Value = serde_json::from_str(&note).unwrap();
    assert_eq!((&note["state"], &note["severity"]), (&"open".into(), &1.into()), "{note}");
    let slack: Value = serde_json::from_str(&slack).unwrap();
    assert!(slack["blocks"][1]["text"]["text"].as_str().unwrap().contains("test of the sink slack"), "{slack}");
    let one = home.margay(&["sink", "test", "chat"]).expect(0);
    assert_eq!(one.stdout, "chat: took the test alert\n");
    let none = home.margay(&["sink", "test", "pager"]).expect(2);
    assert!(none.stderr.contains("there are: chat, broken, slack"), "{}", none.stderr);
}

#[test]
fn a_template_that_is_not_there_is_told_at_its_line() {
    let home =
        home("  - stdout: {}\n  - webhook:\n      url: https://hooks.example.com\n      template: nte.json.hbs\n");
    let problems = home.margay(&["check", "--format", "json"]).expect(3).json();
    let problem = problems.as_array().unwrap().iter().find(|one| one["rule"] == "template").unwrap();
    assert_eq!((&problem["line"], &problem["column"]), (&11.into(), &17.into()), "{problems}");
}

#[test]
fn a_real_alertmanager_raises_and_resolves() {
    let name = "a_real_alertmanager_raises_and_resolves";
    let script = root().join("tests/services/alertmanager.sh");
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let run = |args: &[&str]| {
        Command::new(&script).args(args).arg(dir.path()).args((args == ["up"]).then_some(&port)).output()
    };
    let up = run(&["up"]).unwrap();
    if !up.status.success() {
        return leave_out(name, "needs Debian's prometheus-alertmanager: tests/services/alertmanager.sh install");
    }
    let url = String::from_utf8(up.stdout).unwrap().trim().to_owned();
    let home = home(&format!("  - alertmanager: {{ url: '{url}', allow_local: true }}\n"));
    let outcome = std::panic::catch_unwind(|| {
        home.margay(&["sink", "test"]).expect(0);
        let known = alerts(&url);
        let test = &known[0];
        assert_eq!(test["labels"]["alertname"], "margay-sink-test", "{known}");
        assert_eq!(test["status"]["state"], "active");
        home.margay(&["run", "--once"]).expect(0);
        // What is over is not listed, and an open alert of the same labels would be.
        assert_eq!(alerts(&url).as_array().unwrap().len(), 1, "every episode has ended");
    });
    run(&["down"]).unwrap();
    outcome.unwrap();
}

/// What an Alertmanager lists.
fn alerts(url: &str) -> Value {
    let listed = Command::new("curl").arg("-fsS").arg(format!("{url}/api/v2/alerts")).output().unwrap();
    serde_json::from_slice(&listed.stdout).unwrap()
}
