#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use super::*;
use crate::plain::is_unsafe;

fn features() -> Vec<String> {
    vec!["bytes_out".to_owned()]
}

fn entity() -> Vec<String> {
    vec!["source_namespace".to_owned(), "source_name_aggr".to_owned()]
}

fn typical() -> Alert {
    let [_, typical, _] = sample::alerts(&features(), &entity());
    typical
}

fn templates_in(files: &[(&str, &str)]) -> Result<Templates, Vec<TemplateError>> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    Templates::load(Some(directory.path()))
}

#[test]
fn a_summary_is_rendered_with_units() {
    let templates = Templates::load(None).unwrap();
    for (template, expected) in [
        (
            "{{entity}} sent {{bytes feature.bytes_out.value}}, expected {{bytes feature.bytes_out.expected}}",
            "shop/checkout-5d8f9c7b6-* sent 45.3 MB, expected 1.2 MB",
        ),
        ("{{entity}}: {{detector}} scored {{score}}", "shop/checkout-5d8f9c7b6-*: bytes-out scored 71.3"),
        ("{{entity.source_namespace}} {{labels.source_namespace}}", "shop shop"),
        ("{{time start}}, {{duration duration}}, {{time}}", "2026-11-24 07:00:00 UTC, 15m, 2026-11-24 07:15:00 UTC"),
        ("{{#if (gt severity 50)}}{{percent 0.5}}{{/if}} of {{number 1313}}\n", "50% of 1,313"),
    ] {
        assert_eq!(templates.check_summary(template, &features(), &entity()), Ok(()), "{template}");
        assert_eq!(templates.summary(template, &typical()).unwrap(), expected);
    }
}

#[test]
fn a_wrong_summary_is_refused_with_its_place() {
    let templates = Templates::load(None).unwrap();
    for (template, message, place) in [
        ("{{entity}} sent {{bytes feature.byte_out.value}}", "there is no `feature.byte_out.value`", (1, 17)),
        ("{{entity", "invalid handlebars syntax", (1, 9)),
        ("{{bytes}}", "there is no `bytes`", (1, 1)),
        ("{{bytes entity.source_namespace}}", "`bytes` cannot show", (1, 1)),
        ("{{bytes 1 2}}", "`bytes` takes one value, not 2", (1, 1)),
        ("{{{entity}}}", "leave out the escaping", (1, 1)),
        ("a\nb", "one line", (1, 1)),
        ("{{#each records}}{{nosuch}}{{/each}}", "there is no `nosuch`", (1, 18)),
    ] {
        let error = templates.check_summary(template, &features(), &entity()).unwrap_err();
        assert!(error.message.contains(message), "{template}: {error}");
        assert_eq!((error.line, error.column), place, "{template}: {error}");
    }
}

#[test]
fn the_alerts_text_is_this() {
    let templates = Templates::load(None).unwrap();
    insta::assert_snapshot!(templates.alert_text(&typical()).unwrap());
}

#[test]
fn every_sample_alert_has_a_text_without_unsafe_characters() {
    let templates = Templates::load(None).unwrap();
    templates.check_text("alert", &features(), &entity()).unwrap();
    for alert in sample::alerts(&features(), &entity()) {
        let text = templates.alert_text(&alert).unwrap();
        assert!(!text.chars().any(|char| char != '\n' && is_unsafe(char)), "{text}");
    }
}

#[test]
fn users_replace_templates_and_add_their_own() {
    let templates = templates_in(&[
        ("alert.text.hbs", "{{detector}} on {{entity}}"),
        ("my.json.hbs", r#"{"text": "{{entity}}: {{summary}}", "severity": "{{json severity}}"}"#),
        ("README.md", "{{not a template"),
    ])
    .unwrap();
    assert_eq!(templates.alert_text(&typical()).unwrap(), "bytes-out on shop/checkout-5d8f9c7b6-*");
    let document = templates.json("my", &typical()).unwrap();
    assert_eq!(document["severity"], 80);
    assert_eq!(templates.text("nosuch", &typical()), Err(RenderError::Unknown("nosuch.text".into())));
}

#[test]
fn all_that_is_wrong_in_a_directory_is_told_at_once() {
    let problems = templates_in(&[
        ("a.text.hbs", "{{#if x}}"),
        ("b.json.hbs", "{\"a\": {{score}}}"),
        ("c.hbs", "x"),
        ("d.text.hbs", "{{> other}}"),
        ("e.text.hbs", "{{severty}}"),
    ])
    .err()
    .unwrap();
    let names: Vec<&str> = problems.iter().map(|problem| problem.name.as_str()).collect();
    assert_eq!(names, ["a.text.hbs", "b.json.hbs", "c.hbs", "d.text.hbs", "e.text.hbs"]);
    assert_eq!(problems[4].hint.as_deref(), Some("did you mean `severity`?"));
    assert!(Templates::load(Some(Path::new("/nowhere/templates"))).is_err());
}

#[test]
fn a_template_that_would_fill_memory_is_stopped() {
    let row: serde_json::Map<String, Value> = (0..40).map(|at| (format!("column{at}"), Value::from("x"))).collect();
    let mut alert = typical();
    alert.suspicious_records.get_mut("flows").unwrap().rows = vec![row; 40];
    let loops = "{{#each records}}{{#each rows}}{{#each this}}0123456789012345678901234567890123456789{{/each}}{{/each}}{{/each}}";
    let templates = templates_in(&[("alert.text.hbs", &loops.repeat(20))]).unwrap();
    assert!(matches!(templates.alert_text(&alert), Err(RenderError::TooLong { .. })));
}
