//! Faults between margay and a cluster: each is got over, or the pull fails and says why. Nothing short is ever used.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::elasticsearch::{PULLED, contents, record, web_with};
use crate::servers::{Cluster, Server};
use crate::sinks;
use crate::support::Home;

/// Records of the log: three pages.
const RECORDS: i64 = 12_000;

/// What goes wrong with an answer.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Another answer.
    Instead(u16, &'static str),
    /// Another text at one place of it.
    Replaced(&'static str, &'static str),
    /// Half of it, then the end of the connection.
    Cut,
    /// The end of the connection.
    Nothing,
    /// All of it, later.
    Late(Duration),
    /// A place to look instead.
    Elsewhere,
}

/// Which answers it goes wrong with.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Part of the request's line.
    line: &'static str,
    /// Part of its body.
    body: &'static str,
    /// So many go well first, and so many do not.
    after: usize,
    times: usize,
    fault: Fault,
}

/// Stands between margay and a cluster.
struct Proxy {
    server: Server,
    plan: Mutex<Option<Plan>>,
}

impl Proxy {
    /// Its address, and itself.
    fn start(server: Server) -> (Server, Arc<Self>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let proxy = Arc::new(Self { server, plan: Mutex::new(None) });
        let serving = proxy.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let proxy = serving.clone();
                std::thread::spawn(move || proxy.serve(stream));
            }
        });
        (Server { url }, proxy)
    }

    fn set(&self, plan: Option<Plan>) {
        *self.plan.lock().unwrap() = plan;
    }

    /// The fault of this request, if it is its turn.
    fn fault(&self, line: &str, body: &str) -> Option<Fault> {
        let mut planned = self.plan.lock().unwrap();
        let plan = planned.as_mut().filter(|plan| line.contains(plan.line) && body.contains(plan.body))?;
        if plan.after > 0 {
            plan.after -= 1;
            return None;
        }
        plan.times = plan.times.checked_sub(1)?;
        Some(plan.fault)
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut stream = stream;
        loop {
            let (line, body) = request(&mut reader)?;
            let mut parts = line.split(' ');
            let (method, path) = (parts.next()?, parts.next()?);
            let fault = self.fault(&line, &body);
            let (mut status, mut text) = self.server.send(method, path, body);
            let mut head = String::new();
            let mut sent = None;
            match fault {
                Some(Fault::Instead(other, instead)) => (status, text) = (other, instead.to_owned()),
                Some(Fault::Replaced(from, to)) => text = text.replacen(from, to, 1),
                Some(Fault::Cut) => sent = Some(text.len() / 2),
                Some(Fault::Nothing) => return None,
                Some(Fault::Late(wait)) => std::thread::sleep(wait),
                Some(Fault::Elsewhere) => {
                    status = 307;
                    head = format!("location: {}{path}\r\n", self.server.url);
                }
                None => {}
            }
            let length = text.len();
            let form = "content-type: application/json\r\n";
            write!(stream, "HTTP/1.1 {status} -\r\n{form}{head}content-length: {length}\r\n\r\n").ok()?;
            stream.write_all(&text.as_bytes()[..sent.unwrap_or(length)]).ok()?;
            if sent.is_some() {
                return None;
            }
        }
    }
}

/// A request's line and body.
fn request(reader: &mut impl BufRead) -> Option<(String, String)> {
    let (mut first, mut length) = (None, 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((_, value)) = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            length = value.trim().parse().ok()?;
        }
        first.get_or_insert_with(|| line.to_owned());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first?, String::from_utf8(body).ok()?))
}

/// Each answer to `_bulk` goes wrong once: before the documents are written, or after.
#[test]
fn no_fault_of_a_cluster_loses_an_alert_or_doubles_it() {
    let Some(server) = Cluster::Elasticsearch.start("no_fault_of_a_cluster_loses_an_alert_or_doubles_it") else {
        return;
    };
    let (front, proxy) = Proxy::start(server.clone());
    for (at, fault) in [
        Fault::Instead(429, "{}"),
        Fault::Instead(503, "no shard"),
        Fault::Instead(401, "who?"),
        Fault::Instead(413, "too large"),
        Fault::Instead(200, "<html>"),
        Fault::Replaced("\"items\":[", "\"items\":[],\"left\":["),
        Fault::Cut,
        Fault::Nothing,
        Fault::Late(Duration::from_millis(1500)),
        Fault::Elsewhere,
    ]
    .into_iter()
    .enumerate()
    {
        let index = format!("sink-faults-{at}");
        let home = sinks::home(&format!(
            "  - elasticsearch: {{ url: '{}', index: {index}, kind: index, allow_local: true }}\n",
            front.url
        ));
        proxy.set(Some(Plan { line: "/_bulk", body: "", after: 0, times: 1, fault }));
        home.margay(&["run", "--once"]);
        proxy.set(None);
        home.margay(&["run", "--once"]).expect(0);
        server.ask("POST", &format!("/{index}/_refresh"), "");
        let count = server.ask("GET", &format!("/{index}/_count"), "")["count"].clone();
        let status = home.margay(&["status", "--output", "json"]).expect(0).json();
        assert_eq!((count, &status["sinks"][0]["dead_letters"]), (12.into(), &0.into()), "{fault:?}: {status}");
    }
}

/// What margay should make of it.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// The right features.
    Same,
    /// A pull that fails and says this.
    Failed(&'static str),
}

const ALWAYS: usize = usize::MAX;
const PAGE: (&str, &str) = ("POST /_search ", "\"pit\"");
const SCROLL: (&str, &str) = ("POST /_search/scroll ", "");
const FIRST_SCROLL: (&str, &str) = ("_search?scroll", "");
const COUNT: (&str, &str) = ("_search ", "\"aggs\"");
const GROUPS: (&str, &str) = ("_search ", "\"composite\"");
const MAPPING: (&str, &str) = ("_mapping", "");

fn plan((line, body): (&'static str, &'static str), after: usize, times: usize, fault: Fault) -> Plan {
    Plan { line, body, after, times, fault }
}

fn with_points_in_time() -> Vec<(Plan, Expected)> {
    use Expected::{Failed, Same};
    use Fault::{Cut, Elsewhere, Instead, Late, Nothing, Replaced};
    let lost = r#"{"error":{"root_cause":[{"reason":"No search context found for id [7]"}]},"status":404}"#;
    let closed = r#"{"error":{"reason":"no such index [faults-1]"},"status":404}"#;
    let busy = r#"{"error":{"reason":"rejected execution"},"status":429}"#;
    vec![
        (plan(PAGE, 1, 3, Instead(429, busy)), Same),
        (plan(PAGE, 0, 2, Instead(503, "")), Same),
        (plan(PAGE, 2, 1, Instead(502, "<html>bad gateway</html>")), Same),
        (plan(PAGE, 1, 1, Cut), Same),
        (plan(PAGE, 1, 2, Nothing), Same),
        (plan(PAGE, 0, 1, Late(Duration::from_secs(3))), Same),
        (plan(PAGE, 1, 1, Replaced("\"failed\":0", "\"failed\":1")), Same),
        (plan(PAGE, 2, 1, Replaced("\"timed_out\":false", "\"timed_out\":true")), Same),
        (plan(PAGE, 0, 1, Instead(200, "")), Same),
        (plan(PAGE, 1, 1, Instead(200, "{}")), Same),
        (plan(COUNT, 0, 2, Replaced("\"failed\":0", "\"failed\":1")), Same),
        (plan(COUNT, 1, 1, Cut), Same),
        (plan(MAPPING, 0, 2, Instead(429, busy)), Same),
        (plan(PAGE, 1, ALWAYS, Instead(429, busy)), Failed("it answers 429: rejected execution")),
        (plan(PAGE, 1, ALWAYS, Replaced("\"failed\":0", "\"failed\":1")), Failed("1 shards failed")),
        (plan(PAGE, 0, 1, Replaced("\"value\":12000", "\"value\":12001")), Failed("12000 rows came of the 12001")),
        (plan(PAGE, 0, 1, Replaced("\"value\":12000", "\"value\":9000")), Failed("rows came of the 9000")),
        (
            plan(PAGE, 0, 1, Replaced("\"relation\":\"eq\"", "\"relation\":\"gte\"")),
            Failed("does not count what it found"),
        ),
        (plan(PAGE, 1, 1, Instead(404, lost)), Failed("No search context found")),
        (plan(("_pit?", ""), 0, 1, Instead(404, closed)), Failed("no such index [faults-1]")),
        (plan(PAGE, 0, 1, Instead(401, "{\"error\":\"who?\"}")), Failed("it answers 401: who?")),
        (plan(PAGE, 1, 1, Elsewhere), Failed("another address")),
        (plan(MAPPING, 1, 1, Instead(200, "{}")), Failed("no index has this name")),
        (plan(COUNT, 0, ALWAYS, Replaced("\"timed_out\":false", "\"timed_out\":true")), Failed("the search timed out")),
    ]
}

/// While the server aggregates: what it cannot say for sure is pulled instead.
fn with_groups() -> Vec<(Plan, Expected)> {
    use Expected::{Failed, Same};
    use Fault::{Cut, Instead, Late, Nothing, Replaced};
    let busy = r#"{"error":{"reason":"rejected execution"},"status":429}"#;
    vec![
        (plan(GROUPS, 0, 3, Instead(429, busy)), Same),
        (plan(GROUPS, 1, 1, Instead(502, "<html>bad gateway</html>")), Same),
        (plan(GROUPS, 0, 1, Cut), Same),
        (plan(GROUPS, 0, 2, Nothing), Same),
        (plan(GROUPS, 0, 1, Late(Duration::from_secs(3))), Same),
        (plan(GROUPS, 0, 1, Replaced("\"failed\":0", "\"failed\":1")), Same),
        (plan(GROUPS, 1, 1, Replaced("\"timed_out\":false", "\"timed_out\":true")), Same),
        (plan(GROUPS, 0, 1, Instead(200, "{}")), Same),
        (plan(GROUPS, 0, 1, Replaced("\"value\":8000", "\"value\":7999")), Same),
        (plan(GROUPS, 0, 1, Replaced("\"doc_count\":2000", "\"doc_count\":2001")), Same),
        (
            plan(GROUPS, 0, 1, Replaced("\"doc_count\":2000", "\"doc_count\":1999")),
            Failed("groups of 7999 rows came of the 8000"),
        ),
        (
            plan(GROUPS, 0, 1, Replaced("\"relation\":\"eq\"", "\"relation\":\"gte\"")),
            Failed("does not count what it found"),
        ),
        (
            plan(GROUPS, 0, 1, Replaced("\"doc_count\":2000", "\"doc_count\":\"x\"")),
            Failed("a group is not as it was asked for"),
        ),
        (plan(GROUPS, 1, ALWAYS, Instead(429, busy)), Failed("it answers 429: rejected execution")),
        (plan(GROUPS, 0, ALWAYS, Replaced("\"failed\":0", "\"failed\":1")), Failed("1 shards failed")),
        (plan(GROUPS, 0, 1, Instead(400, r#"{"error":{"reason":"too many buckets"},"status":400}"#)), Same),
    ]
}

fn with_scrolls() -> Vec<(Plan, Expected)> {
    use Expected::{Failed, Same};
    use Fault::{Cut, Instead, Replaced};
    let lost = r#"{"error":{"root_cause":[{"reason":"No search context found for id [7]"}]},"status":404}"#;
    vec![
        (plan(FIRST_SCROLL, 0, 2, Instead(503, "")), Same),
        (plan(FIRST_SCROLL, 0, 1, Cut), Same),
        (plan(SCROLL, 0, 1, Cut), Failed("no answer")),
        (plan(SCROLL, 1, 1, Instead(503, "")), Failed("it answers 503")),
        (plan(SCROLL, 0, 1, Instead(404, lost)), Failed("No search context found")),
        (plan(SCROLL, 0, 1, Replaced("\"failed\":0", "\"failed\":1")), Failed("1 shards failed")),
        (
            plan(FIRST_SCROLL, 0, 1, Replaced("\"value\":12000", "\"value\":12001")),
            Failed("12000 rows came of the 12001"),
        ),
    ]
}

/// Runs with a fault, and then without: the features must be right in the end, and never wrong before.
fn check((place, more): (&Server, &str), proxy: &Proxy, clean: &Home, (plan, expected): (Plan, Expected)) {
    let features = |home: &Home| contents(&home.path(".margay/features"));
    let home = web_with(place, "faults-*", more);
    proxy.set(Some(plan));
    let ran = home.margay(&["run", "--once", "--until", "2026-11-02T01:00:00Z"]);
    proxy.set(None);
    match expected {
        Expected::Same => assert_eq!(ran.code, 0, "{plan:?}\n{}", ran.stderr),
        Expected::Failed(reason) => {
            assert_eq!(ran.code, 2, "{plan:?}\n{}", ran.stderr);
            assert!(ran.stderr.contains(reason), "{plan:?}\n{}", ran.stderr);
            assert!(!has_files(&home.path(".margay/features")), "{plan:?}: what came short was kept");
            assert!(!home.path("alerts.ndjson").exists(), "{plan:?}: something was alerted");
            home.margay(&["run", "--once", "--until", "2026-11-02T01:00:00Z"]).expect(0);
        }
    }
    assert!(features(&home) == features(clean), "{plan:?}: other features");
    assert_eq!(home.read("alerts.ndjson"), clean.read("alerts.ndjson"), "{plan:?}");
}

fn has_files(dir: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(dir) else { return false };
    entries.map(|entry| entry.unwrap().path()).any(|path| path.is_file() || has_files(&path))
}

#[test]
fn no_fault_of_a_cluster_is_taken_for_silence_or_for_all_there_is() {
    let test = "no_fault_of_a_cluster_is_taken_for_silence_or_for_all_there_is";
    for (cluster, cases) in
        [(Cluster::Elasticsearch, with_points_in_time()), (Cluster::ElasticsearchOss, with_scrolls())]
    {
        let Some(server) = cluster.start(test) else { continue };
        let records: Vec<String> = (0..RECORDS).map(|at| record(at / 200, 1 + at % 3)).collect();
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        server.ask(
            "PUT",
            "/faults-1",
            r#"{"mappings":{"properties":{"ts":{"type":"date"},"app":{"type":"keyword"},"hits":{"type":"long"}}}}"#,
        );
        records.chunks(4_000).for_each(|part| server.index("faults-1", part));
        let clean = web_with(&server, "faults-*", PULLED);
        clean.margay(&["run", "--once", "--until", "2026-11-02T01:00:00Z"]).expect(0);
        assert!(clean.read("alerts.ndjson").contains("\"open\""));
        let (place, proxy) = Proxy::start(server);
        for case in cases {
            check((&place, PULLED), &proxy, &clean, case);
        }
        for case in with_groups() {
            check((&place, ""), &proxy, &clean, case);
        }
    }
}

#[test]
fn a_pull_that_reaches_its_limit_of_bytes_or_time_says_what_it_left_out() {
    let test = "a_pull_that_reaches_its_limit_of_bytes_or_time_says_what_it_left_out";
    let late = Fault::Late(Duration::from_secs(2));
    for (cluster, page) in
        [(Cluster::OpenSearch, PAGE), (Cluster::Elasticsearch, PAGE), (Cluster::ElasticsearchOss, FIRST_SCROLL)]
    {
        let Some(server) = cluster.start(test) else { continue };
        let records: Vec<String> = (0..RECORDS).map(|at| record(at / 200, 1)).collect();
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        records.chunks(4_000).for_each(|part| server.index("caps-1", part));
        let (place, proxy) = Proxy::start(server);
        let said = |limit: &str, slow: bool| {
            let home = web_with(&place, "caps-*", PULLED);
            home.write("margay.yaml", home.read("margay.yaml") + &format!("limits: {{ {limit} }}\n"));
            proxy.set(slow.then(|| plan(page, 0, 1, late)));
            let ran = home.margay(&["run", "--once"]).expect(2);
            proxy.set(None);
            assert!(!has_files(&home.path(".margay/features")), "{cluster:?}: what came was kept");
            ran.stderr
        };
        let bytes = said("pull_bytes: 1MiB", false);
        assert!(
            bytes.contains("are more than `limits.pull_bytes`: 10000 rows came, and at least 2000 were left out"),
            "{cluster:?}: {bytes}"
        );
        let time = said("pull_time: 1s", true);
        assert!(
            time.contains("longer than `limits.pull_time`: 5000 rows came, and at least 7000 were left out"),
            "{cluster:?}: {time}"
        );
    }
}
