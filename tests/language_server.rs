//! The schemas in a real editor's server: the npm package yaml-language-server, spoken to over standard input and output.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Home, leave_out, root};

/// Longest wait for one answer; the first one loads the server.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

const DETECTOR: &str = "\
# yaml-language-server: $schema=detector.schema.json
name: first
log: flows
entity: [source_namespace]
bucket: 5 minutes
features:
  sent: sum(bytes_out)
model:
  seasonal: { history: 28days }
threshold:
  score: 160
  min_dev: 10 apples
  min_deviation: 3
";

/// A server with the folder that `margay init` wrote.
struct Server {
    process: Child,
    input: ChildStdin,
    messages: Receiver<Value>,
    /// Messages that nobody waited for yet.
    kept: VecDeque<Value>,
    home: Home,
    id: u64,
}

impl Server {
    /// `None` where node or the package is missing, which is said.
    fn start(test: &str) -> Option<Self> {
        let program = root().join("target/editor/node_modules/yaml-language-server/bin/yaml-language-server");
        let has_node = Command::new("node").arg("--version").output().is_ok_and(|ran| ran.status.success());
        if !has_node || !program.exists() {
            leave_out(test, "needs node and what tests/services/editor.sh fetches");
            return None;
        }
        let home = Home::new();
        home.margay(&["init"]).expect(0);
        let mut process = Command::new("node")
            .arg(program)
            .arg("--stdio")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            while let Some(message) = read(&mut output) {
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let mut server = Self { process, input, messages, kept: VecDeque::new(), home, id: 0 };
        let folder = server.uri("");
        let capabilities = json!({ "workspace": { "configuration": true } });
        server.ask("initialize", json!({ "processId": null, "rootUri": folder, "capabilities": capabilities }));
        server.tell("initialized", json!({}));
        Some(server)
    }

    fn uri(&self, name: &str) -> String {
        format!("file://{}", self.home.path(name).display())
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.input, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.input.flush().unwrap();
    }

    fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.id += 1;
        let id = self.id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        self.wait(|message| message["id"] == id && message.get("method").is_none())["result"].clone()
    }

    /// The next message of a kind; what the server asks of its client is answered on the way.
    fn wait(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&is_it) {
            return self.kept.remove(at).unwrap();
        }
        loop {
            let message = self.messages.recv_timeout(ANSWER_TIMEOUT).expect("an answer in time");
            if message.get("method").is_some() && message.get("id").is_some() {
                self.answer(&message);
            } else if is_it(&message) {
                return message;
            } else {
                self.kept.push_back(message);
            }
        }
    }

    fn answer(&mut self, request: &Value) {
        let settings =
            json!({ "validate": true, "hover": true, "completion": true, "schemaStore": { "enable": false } });
        let items = request["params"]["items"].as_array().cloned().unwrap_or_default();
        let of = |item: &Value| if item["section"] == "yaml" { settings.clone() } else { json!({}) };
        let result: Value = match request["method"].as_str() {
            Some("workspace/configuration") => items.iter().map(of).collect(),
            _ => Value::Null,
        };
        self.send(&json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }));
    }

    /// Shows the server a file, and returns what it says about it.
    fn open(&mut self, name: &str, text: &str) -> Vec<Value> {
        let uri = self.uri(name);
        let document = json!({ "uri": uri, "languageId": "yaml", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document }));
        let said = self.wait(|message| {
            message["method"] == "textDocument/publishDiagnostics" && message["params"]["uri"] == uri[..]
        });
        said["params"]["diagnostics"].as_array().unwrap().clone()
    }

    /// Asks about a place: line and character, from 0.
    fn at(&mut self, method: &str, name: &str, (line, character): (u64, u64)) -> Value {
        let uri = self.uri(name);
        let position = json!({ "line": line, "character": character });
        self.ask(method, json!({ "textDocument": { "uri": uri }, "position": position }))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn read(output: &mut impl BufRead) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if output.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.trim().parse().ok()?,
            None => break,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    output.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

fn told(diagnostics: &[Value]) -> Vec<(u64, &str)> {
    diagnostics
        .iter()
        .map(|one| (one["range"]["start"]["line"].as_u64().unwrap() + 1, one["message"].as_str().unwrap()))
        .collect()
}

#[test]
fn an_editor_flags_wrong_keys_units_and_ranges_at_their_lines() {
    let Some(mut server) = Server::start("an_editor_flags_wrong_keys_units_and_ranges_at_their_lines") else { return };
    let diagnostics = server.open("detectors.d/first.yaml", DETECTOR);
    let told = told(&diagnostics);
    let expected = [
        (5, "not a length of time"),
        (9, "not a length of time"),
        (11, "above the maximum of 100"),
        (12, "not a quantity"),
        (13, "min_deviation is not allowed"),
    ];
    for (line, part) in expected {
        assert!(told.iter().any(|(at, message)| *at == line && message.contains(part)), "{line} {part}: {told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[test]
fn an_editor_has_nothing_to_say_about_what_init_wrote_and_what_is_shipped() {
    let Some(mut server) = Server::start("an_editor_has_nothing_to_say_about_what_init_wrote_and_what_is_shipped")
    else {
        return;
    };
    for name in yaml_files(&server.home.path("")) {
        let text = server.home.read(&name);
        assert!(text.starts_with("# yaml-language-server: $schema="), "{name} names no schema");
        let diagnostics = server.open(&name, &text);
        assert_eq!(told(&diagnostics), [], "{name}");
    }
    for name in yaml_files(&root().join("detectors.d")) {
        let text = std::fs::read_to_string(root().join("detectors.d").join(&name)).unwrap();
        let diagnostics = server.open(&format!("detectors.d/{name}"), &text);
        assert_eq!(told(&diagnostics), [], "{name}");
    }
}

/// The names of YAML files of a folder and of those in it.
fn yaml_files(dir: &Path) -> Vec<String> {
    let mut folders = vec![PathBuf::new()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(dir.join(&folder)).unwrap() {
            let name = folder.join(entry.unwrap().file_name());
            if dir.join(&name).is_dir() {
                folders.push(name);
            } else if name.extension().is_some_and(|ending| ending == "yaml") {
                found.push(name.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    assert!(!found.is_empty());
    found
}

#[test]
fn an_editor_completes_models_and_shows_the_manual() {
    let Some(mut server) = Server::start("an_editor_completes_models_and_shows_the_manual") else { return };
    let name = "detectors.d/first.yaml";
    server.open(
        name,
        "# yaml-language-server: $schema=detector.schema.json\nname: first\nthreshold:\n  score: 40\nmodel:\n  ",
    );
    let completed = server.at("textDocument/completion", name, (5, 2));
    let items = completed["items"].as_array().unwrap();
    for model in ["limit", "seasonal", "count", "ratio", "latency", "auto"] {
        let item = items.iter().find(|item| item["label"] == model).unwrap_or_else(|| panic!("{model}: {items:?}"));
        assert!(item["documentation"].to_string().len() > 20, "{item}");
    }
    let hover = server.at("textDocument/hover", name, (3, 4))["contents"].to_string();
    assert!(hover.contains("one bucket in a thousand"), "{hover}");
}
