//! Logins and TLS of a cluster, for the log that is read there and for the alerts that are written there: a proxy that
//! ends TLS stands before a real server, and lets nobody through who does not show what it asks for.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::elasticsearch::record;
use crate::servers::{Cluster, Server};
use crate::sinks;
use crate::support::{Home, leave_out, root, wait};

const HITS: &str = "name: hits\nlog: web\nentity: [app]\nbucket: 10m\nfeatures: { hits: sum(hits) }\nmodel: { limit: { above: 50 } }\n";

/// Writes certificates into a folder; false where there is no openssl, which is said.
fn certificates(dir: &Path, test: &str) -> bool {
    let made = Command::new(root().join("tests/services/certificates.sh")).arg(dir).output().unwrap();
    if !made.status.success() && Command::new("openssl").arg("version").output().is_err() {
        leave_out(test, "needs openssl");
        return false;
    }
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    true
}

/// Ends TLS before a server.
struct Gate {
    server: Server,
    tls: Arc<ServerConfig>,
    /// The `authorization` that it asks for; empty is none.
    authorization: Mutex<String>,
}

impl Gate {
    /// Its address, which its certificate names, and itself.
    fn start(server: &Server, certificates: &Path, asks_for_certificate: bool) -> (String, Arc<Self>) {
        let pem = |name: &str| certificates.join(name);
        let chain = vec![CertificateDer::from_pem_file(pem("server.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(pem("server.key")).unwrap();
        let provider = Arc::new(default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let builder = if asks_for_certificate {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_file(pem("ca.pem")).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let tls = Arc::new(builder.with_single_cert(chain, key).unwrap());
        let gate = Arc::new(Self { server: server.clone(), tls, authorization: Mutex::default() });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let serving = gate.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let gate = serving.clone();
                std::thread::spawn(move || gate.serve(stream));
            }
        });
        (url, gate)
    }

    fn ask_for(&self, authorization: &str) {
        *self.authorization.lock().unwrap() = authorization.to_owned();
    }

    fn serve(&self, stream: TcpStream) -> Option<()> {
        let connection = ServerConnection::new(self.tls.clone()).ok()?;
        let mut reader = BufReader::new(StreamOwned::new(connection, stream));
        loop {
            let (line, authorization, body) = request(&mut reader)?;
            let mut parts = line.split(' ');
            let (method, path) = (parts.next()?, parts.next()?);
            let wanted = self.authorization.lock().unwrap().clone();
            let (status, text) = if authorization == wanted {
                self.server.send(method, path, body)
            } else {
                (401, r#"{"error":{"reason":"unable to authenticate"},"status":401}"#.to_owned())
            };
            let head = "content-type: application/json\r\n";
            let answer = format!("HTTP/1.1 {status} -\r\n{head}content-length: {}\r\n\r\n{text}", text.len());
            reader.get_mut().write_all(answer.as_bytes()).ok()?;
            reader.get_mut().flush().ok()?;
        }
    }
}

/// A request's line, authorization and body.
fn request(reader: &mut impl BufRead) -> Option<(String, String, String)> {
    let (mut first, mut authorization, mut length) = (None, String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        match line.split_once(':').map(|(name, value)| (name.to_ascii_lowercase(), value.trim())) {
            Some((name, value)) if name == "content-length" => length = value.parse().ok()?,
            Some((name, value)) if name == "authorization" => authorization = value.to_owned(),
            _ => {}
        }
        first.get_or_insert_with(|| line.to_owned());
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((first?, authorization, String::from_utf8(body).ok()?))
}

/// Reads a log and writes alerts through a gate; `login` is what both show besides the authority that they trust.
fn home(url: &str, index: &str, login: &str) -> Home {
    let home = Home::with(&format!(
        "logs:\n  web: {{ elasticsearch: {{ url: '{url}', index: 'tls-log'{login} }}, time: {{ field: ts }} }}\n\
         delivery: {{ tries: 1 }}\nsinks:\n  - elasticsearch: {{ url: '{url}', index: {index}, kind: index, allow_local: true{login} }}\n"
    ));
    home.write("detectors.d/hits.yaml", HITS);
    home.write("key", "c2VjcmV0\n");
    home
}

fn documents(server: &Server, index: &str) -> u64 {
    server.ask("POST", &format!("/{index}/_refresh"), "");
    server.ask("GET", &format!("/{index}/_count"), "")["count"].as_u64().unwrap()
}

#[test]
fn a_cluster_is_read_and_written_with_each_way_to_log_in_and_with_none_that_is_wrong() {
    let test = "a_cluster_is_read_and_written_with_each_way_to_log_in_and_with_none_that_is_wrong";
    let Some(server) = Cluster::OpenSearch.start(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    if !certificates(dir.path(), test) {
        return;
    }
    let records: Vec<String> = (0..60).map(|minute| record(minute, 10)).collect();
    server.index("tls-log", &records.iter().map(String::as_str).collect::<Vec<_>>());
    let (url, gate) = Gate::start(&server, dir.path(), false);
    let (with_certificate, _) = Gate::start(&server, dir.path(), true);
    let ca = format!(", ca_file: {}", dir.path().join("ca.pem").display());
    let path = |name: &str| dir.path().join(name).display().to_string();
    let certificate =
        format!(", client_certificate_file: {}, client_key_file: {}", path("client.pem"), path("client.key"));
    let variable = [("MARGAY_TEST_KEY", "c2VjcmV0")];
    for (at, (url, asked, login)) in [
        (&url, "", ""),
        (&url, "ApiKey c2VjcmV0", ", api_key_file: key"),
        (&url, "ApiKey c2VjcmV0", ", api_key_env: MARGAY_TEST_KEY"),
        (&url, "Bearer c2VjcmV0", ", bearer_token_file: key"),
        (&url, "Bearer c2VjcmV0", ", bearer_token_env: MARGAY_TEST_KEY"),
        // base64 of me:c2VjcmV0
        (&url, "Basic bWU6YzJWamNtVjA=", ", username: me, password_file: key"),
        (&url, "Basic bWU6YzJWamNtVjA=", ", username: me, password_env: MARGAY_TEST_KEY"),
        (&with_certificate, "", &certificate),
    ]
    .into_iter()
    .enumerate()
    {
        gate.ask_for(asked);
        let index = format!("tls-alerts-{at}");
        let home = home(url, &index, &(ca.clone() + login));
        home.margay_with(&variable, &["elasticsearch", "setup"]).expect(0);
        home.margay_with(&variable, &["run", "--once"]).expect(0);
        assert!(documents(&server, &index) > 0, "{login}");
    }
    gate.ask_for("ApiKey c2VjcmV0");
    for (url, login, said) in [
        (&url, ca.clone(), "401"),
        (&url, format!("{ca}, bearer_token_file: key"), "401"),
        (&url, ", api_key_file: key".to_owned(), "certificate"),
        (&url.replace("localhost", "127.0.0.1"), format!("{ca}, api_key_file: key"), "certificate"),
        (&with_certificate, ca.clone(), "ertificate"),
    ] {
        let home = home(url, "tls-never", &login);
        let ran = home.margay(&["run", "--once"]).expect(2);
        assert!(ran.stderr.contains(said), "{login}: {}", ran.stderr);
        let tried = home.margay(&["sink", "test", "--output", "json"]).expect(2).json();
        let error = tried["sinks"][0]["error"].as_str().unwrap();
        assert!(error.contains(said), "{login}: {error}");
        for text in [&ran.stderr, &ran.stdout, error] {
            assert!(!text.contains("c2VjcmV0"), "a secret in a message: {text}");
        }
    }
    assert_eq!(server.send("GET", "/tls-never", String::new()).0, 404);
}

#[test]
fn a_key_that_expired_holds_alerts_and_discards_none() {
    let test = "a_key_that_expired_holds_alerts_and_discards_none";
    let Some(server) = Cluster::OpenSearch.start(test) else { return };
    let dir = tempfile::tempdir().unwrap();
    if !certificates(dir.path(), test) {
        return;
    }
    let (url, gate) = Gate::start(&server, dir.path(), false);
    gate.ask_for("ApiKey new");
    let ca = dir.path().join("ca.pem");
    let home = sinks::home(&format!(
        "  - elasticsearch: {{ url: '{url}', index: tls-held, allow_local: true, api_key_file: key, ca_file: {} }}\n",
        ca.display()
    ));
    home.write("key", "old");
    home.margay(&["run", "--once"]).expect(2);
    let sink = |home: &Home| home.margay(&["status", "--output", "json"]).expect(0).json()["sinks"][0].clone();
    let held = sink(&home);
    assert_eq!((&held["waiting"], &held["dead_letters"]), (&12.into(), &0.into()), "{held}");
    assert!(held["error"].as_str().unwrap().contains("401"), "{held}");
    assert!(held["failing_since"].is_string(), "{held}");
    let mut daemon = home.spawn("daemon", &["run"]);
    wait("the daemon fails as well", || daemon.said().contains("401"));
    home.write("key", "new");
    wait("the renewed key is taken over", || sink(&home)["waiting"] == 0);
    assert_eq!(daemon.terminate(), Some(0), "{}", daemon.said());
    let well = sink(&home);
    assert_eq!((&well["waiting"], &well["error"]), (&0.into(), &serde_json::Value::Null), "{well}");
    assert_eq!(documents(&server, "tls-held"), 12);
}
