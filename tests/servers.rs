//! Real servers that tests talk to: each is started on first use, once for all tests, and ends with them.

use std::net::TcpListener;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;

use crate::support::{leave_out, root};

/// Longest wait for one answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// A server that searches. They differ in how they are paged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// OpenSearch 3.8: points in time at a path of its own.
    OpenSearch,
    /// Elasticsearch 8.17: points in time.
    Elasticsearch,
    /// Elasticsearch 7.10: scrolls only.
    ElasticsearchOss,
}

impl Cluster {
    pub const ALL: [Self; 3] = [Self::OpenSearch, Self::Elasticsearch, Self::ElasticsearchOss];

    fn script(self) -> &'static str {
        match self {
            Self::OpenSearch => "opensearch",
            Self::Elasticsearch => "elasticsearch",
            Self::ElasticsearchOss => "elasticsearch-oss",
        }
    }

    /// The running server; `None` where it is not installed, which is said.
    ///
    /// # Panics
    /// It is installed and does not start.
    pub fn start(self, test: &str) -> Option<Server> {
        static STARTED: [OnceLock<String>; 3] = [const { OnceLock::new() }; 3];
        let script = self.script();
        if !root().join("target/services").join(script).join("ready").exists() {
            leave_out(test, &format!("needs what `tests/services/{script}.sh install` fetches"));
            return None;
        }
        let url = STARTED[self as usize].get_or_init(|| up(script));
        Some(Server { url: url.clone() })
    }
}

/// Starts a server that does not outlive this process.
fn up(script: &str) -> String {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let started = Command::new(root().join(format!("tests/services/{script}.sh")))
        .arg("up")
        .env("PORT", port.to_string())
        .env("WATCH", std::process::id().to_string())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&started.stderr);
    assert!(started.status.success(), "{script} does not start: {said}");
    String::from_utf8(started.stdout).unwrap().trim().to_owned()
}

/// A server that is spoken to over HTTP.
#[derive(Clone, Debug)]
pub struct Server {
    /// Its address.
    pub url: String,
}

impl Server {
    /// The answer to a request, which must be good.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, body: impl Into<String>) -> Value {
        let (status, text) = self.send(method, path, body.into());
        assert!(status < 300, "{method} {path}: {status}: {text}");
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{method} {path}: {error}: {text}"))
    }

    /// Writes documents of `index` with one request, and makes them visible. `lines` are JSON objects.
    #[track_caller]
    pub fn index(&self, index: &str, lines: &[&str]) {
        let body: String = lines.iter().map(|line| format!("{{\"index\":{{}}}}\n{line}\n")).collect();
        let answer = self.ask("POST", &format!("/{index}/_bulk?refresh=true"), body);
        assert_eq!(answer["errors"], false, "{}", answer["items"][0]);
    }

    /// The answer to a request, whatever it is.
    pub fn send(&self, method: &str, path: &str, body: String) -> (u16, String) {
        static RUNTIME: OnceLock<Runtime> = OnceLock::new();
        let runtime = RUNTIME.get_or_init(|| Runtime::new().unwrap());
        runtime.block_on(async {
            let client = reqwest::Client::builder().timeout(ANSWER_TIMEOUT).build().unwrap();
            let request = client
                .request(method.parse().unwrap(), format!("{}{path}", self.url))
                .header("content-type", "application/json")
                .body(body);
            let answer = request.send().await.unwrap();
            (answer.status().as_u16(), answer.text().await.unwrap())
        })
    }
}

#[test]
fn each_search_server_starts_once_and_finds_what_was_written() {
    for cluster in Cluster::ALL {
        let Some(server) = cluster.start("each_search_server_starts_once_and_finds_what_was_written") else { continue };
        assert_eq!(cluster.start("").unwrap().url, server.url);
        server.index("smoke", &[r#"{"name":"a"}"#, r#"{"name":"b"}"#]);
        let found = server.ask("GET", "/smoke/_search?q=name:b", "");
        assert_eq!(found["hits"]["total"]["value"], 1, "{cluster:?}: {found}");
        server.ask("DELETE", "/smoke", "");
    }
}
