//! What attackers write into logs, through every renderer.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use margay_core::{Alert, Entity, Period, Records};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::plain::is_unsafe;
use crate::policy::{PolicyError, PolicyKind, Quarantine, quarantine};
use crate::{Templates, alert_json, calico_event, json_line, markdown, plain, sample};

/// Values of which every combination with its surroundings is tried.
const VALUES: [&str; 64] = [
    "\n",
    "\nkind: Pod",
    "\n  selector: all()",
    "\r\n",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "\0",
    "\u{1b}[31m",
    "\u{1b}]0;x\u{7}",
    "\u{8}\u{8}",
    "\u{202e}gpj.exe",
    "\u{2066}x\u{2069}",
    "\u{feff}",
    "\u{200b}",
    "\u{e0041}",
    "---",
    "\n---\n",
    "...",
    "#",
    " # x",
    ": ",
    "- ",
    "? ",
    "&a",
    "*a",
    "!!python/object:os.system",
    "{}",
    "[]",
    "~",
    "null",
    "no",
    "1e3",
    "0x1f",
    "1:30",
    "\"",
    "'",
    "''",
    "' || all() || '",
    "a' && has(b",
    "{{this}}",
    "{{summary}}",
    "{{{{raw}}}}",
    "{{> x}}",
    "}}",
    "<!channel>",
    "<https://evil|ok>",
    "@here",
    "*b*",
    "`id`",
    "$(id)",
    "</script>",
    "javascript:alert(1)",
    "'; DROP TABLE x; --",
    "%00",
    "%n",
    "../../etc/passwd",
    "${jndi:ldap://x}",
    "=cmd()",
    "\\",
    "\\u{a}",
    "xn--pple-43d.com",
    "\u{430}pple",
    "\u{301}\u{301}\u{301}",
];

/// Each value alone, around and within an ordinary name, and long ones.
fn corpus() -> Vec<String> {
    let mut all: Vec<String> = VALUES
        .iter()
        .flat_map(|value| [(*value).to_owned(), format!("web{value}"), format!("{value}web"), format!("web-{value}-0")])
        .collect();
    all.extend([
        "x".repeat(65_536),
        "\n".repeat(300),
        "[".repeat(5000),
        "{{".repeat(5000),
        "a.".repeat(200),
        String::new(),
    ]);
    all
}

/// Where in an alert a value stands.
const PLACES: [&str; 9] =
    ["namespace", "workload", "label", "label key", "peer", "pod", "summary", "description", "detector"];

fn alert(place: &str, value: &str) -> Alert {
    let columns = ["source_namespace".to_owned(), "source_name_aggr".to_owned()];
    let [_, mut alert, _] = sample::alerts(&["bytes_out".to_owned()], &columns);
    let at = |here: &str, benign: &str| if here == place { value.to_owned() } else { benign.to_owned() };
    let (namespace, workload) = (at("namespace", "shop"), at("workload", "web-5d8f9c7b6-*"));
    alert.entity = Entity::new(columns.as_slice().into(), vec![Some(namespace.clone()), Some(workload.clone())]);
    alert.summary = at("summary", "a summary");
    alert.description = at("description", "a description");
    alert.detector = at("detector", "bytes-out");
    let row = json!({
        "source_namespace": namespace, "source_name_aggr": workload, "source_name": at("pod", "web-5d8f9c7b6-x"),
        "source_labels": {"app": at("label", "web"), "pod-template-hash": "5d8f9c7b6", at("label key", "tier"): "web"},
        "dest_namespace": "shop", "dest_name_aggr": at("peer", "db-*"),
    });
    let records = Records { rows: vec![row.as_object().unwrap().clone()], left_out: 0 };
    alert.suspicious_records = [("flows".to_owned(), records)].into();
    alert
}

fn templates() -> Templates {
    let directory = tempfile::tempdir().unwrap();
    let body =
        r#"{"text": "{{entity}}: {{summary}} {{text description}}", "rows": ["{{json records}}", "{{detector}}"]}"#;
    std::fs::write(directory.path().join("hook.json.hbs"), body).unwrap();
    Templates::load(Some(directory.path())).unwrap()
}

/// Every path of keys and positions in a document.
fn shape(value: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, at: &str, paths: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => map.iter().for_each(|(key, value)| walk(value, &format!("{at}/{key}"), paths)),
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(n, item)| walk(item, &format!("{at}/{n}"), paths))
            }
            _ => drop(paths.insert(at.to_owned())),
        }
    }
    let mut paths = BTreeSet::new();
    walk(value, "", &mut paths);
    paths
}

/// Lines, and markup that is not escaped.
fn skeleton(markdown: &str) -> (usize, String) {
    let mut chars = markdown.chars();
    let mut markup = String::new();
    while let Some(char) = chars.next() {
        match char {
            '\\' => drop(chars.next()),
            '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '&' | '@' | '$' => markup.push(char),
            _ => {}
        }
    }
    (markdown.lines().count(), markup)
}

fn is_safe(text: &str) -> bool {
    !text.chars().any(|char| char != '\n' && is_unsafe(char))
}

#[test]
fn texts_keep_their_lines_and_hold_no_unsafe_characters() {
    let templates = templates();
    let template = "{{entity}} {{entity.source_name_aggr}} {{detector}} {{json entity}}";
    for place in PLACES {
        let lines = templates.alert_text(&alert(place, "benign")).unwrap().lines().count();
        for value in corpus() {
            let alert = alert(place, &value);
            let text = templates.alert_text(&alert).unwrap();
            let expected = lines - usize::from(place == "description" && value.is_empty());
            assert_eq!(text.lines().count(), expected, "{place} {value:?}\n{text}");
            let summary = templates.summary(template, &alert).unwrap();
            assert!(is_safe(&text) && is_safe(&summary) && !summary.contains('\n'), "{place} {value:?}");
            assert!(text.len() < 16_384, "{place} {value:?}");
        }
    }
}

#[test]
fn documents_keep_their_shape_and_read_back() {
    let templates = templates();
    for place in PLACES {
        let benign = alert(place, "benign");
        let (event, hook) = (shape(&calico_event(&benign)), shape(&templates.json("hook", &benign).unwrap()));
        for value in corpus() {
            let alert = alert(place, &value);
            let line = alert_json(&alert);
            let event_line = json_line(&calico_event(&alert));
            assert!([&line, &event_line].iter().all(|line| is_safe(line) && !line.contains('\n')), "{place} {value:?}");
            assert_eq!(serde_json::from_str::<Alert>(&line).unwrap(), alert, "{place} {value:?}");
            let keys_are_data = place == "label key";
            assert!(keys_are_data || shape(&calico_event(&alert)) == event, "{place} {value:?}");
            assert!(keys_are_data || shape(&templates.json("hook", &alert).unwrap()) == hook, "{place} {value:?}");
        }
    }
}

#[test]
fn policies_keep_their_shape_or_are_refused() {
    let templates = templates();
    let (mut rendered, mut refused) = (0, 0);
    for place in PLACES {
        for (kind, enforced) in
            [(PolicyKind::Calico, false), (PolicyKind::Calico, true), (PolicyKind::Kubernetes, true)]
        {
            let render = |value: &str| {
                let alert = alert(place, value);
                let expires = alert.time.plus(Period::HOUR);
                quarantine(&templates, &Quarantine { alert: &alert, kind, enforced, protect: &[], expires })
            };
            let benign = render("benign").unwrap();
            for value in corpus() {
                let files = match render(&value) {
                    Ok(files) => files,
                    Err(
                        PolicyError::NoNamespace
                        | PolicyError::NoWorkload { .. }
                        | PolicyError::Name { .. }
                        | PolicyError::Label { .. },
                    ) => {
                        refused += 1;
                        continue;
                    }
                    Err(error) => panic!("{place} {value:?}: {error:?}"),
                };
                rendered += 1;
                for ((name, text), (benign_name, benign_text)) in
                    [(&files.policy, &benign.policy), (&files.undo, &benign.undo)]
                {
                    assert_eq!(name, benign_name);
                    assert!(is_safe(text), "{place} {value:?}");
                    let tree = |text: &str| serde_yaml::from_str::<Value>(text).unwrap();
                    assert_eq!(shape(&tree(text)), shape(&tree(benign_text)), "{place} {value:?}\n{text}");
                }
                assert!(is_safe(&files.report.1), "{place} {value:?}");
                if !matches!(place, "pod" | "namespace" | "workload" | "label") && !value.is_empty() {
                    assert_eq!(skeleton(&files.report.1), skeleton(&benign.report.1), "{place} {value:?}");
                }
            }
        }
    }
    assert!(rendered > 2000 && refused > 1000, "{rendered} rendered, {refused} refused");
}

proptest! {
    #[test]
    fn any_value_is_safe_in_every_escape(value in "\\PC*|(.|\n){0,80}") {
        prop_assert!(is_safe(&plain(&value)) && !plain(&value).contains('\n'));
        let text = markdown::markdown(&value, 256);
        prop_assert!(is_safe(&text) && skeleton(&text).1.is_empty(), "{}", text);
        let line = json_line(&value);
        prop_assert!(is_safe(&line));
        prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), value);
    }

    #[test]
    fn no_template_panics(parts in prop::collection::vec(prop::sample::select(vec![
        "{{", "}}", "{{{", "}}}", "#if ", "/if", "else", "else if ", "^", "#each ", "/each", "#with ", "/with", "~", "!", "!--", "--",
        "a", "entity", "score", ".", "..", "/", "@", "@index", "this", "(", ")", "[", "]", "\"", "'", "\\", "=", "|", "as |x|", " ",
        "\n", "1", "-1.5", "true", "null", "json ", "bytes ", "lookup ", "{{#if score}}", "{{/if}}", "{{else}}", "{{else if score}}", "é",
    ]), 0..24)) {
        let template = parts.concat();
        let [_, alert, _] = sample::alerts(&["bytes_out".to_owned()], &["source_namespace".to_owned()]);
        let templates = Templates::load(None).unwrap();
        let columns = ["source_namespace".to_owned()];
        if templates.check_summary(&template, &["bytes_out".to_owned()], &columns).is_ok() {
            prop_assert!(templates.summary(&template, &alert).is_ok());
        }
        let _ = templates.summary(&template, &alert);
    }
}
