//! Alerts as JSON.

use std::fmt::Write;

use margay_core::Alert;
use schemars::generate::SchemaSettings;
use serde::Serialize;
use serde_json::Value;

use crate::plain::is_unsafe;

/// The alert as one line of NDJSON, without the line's end.
///
/// Control, direction and invisible characters are written as JSON escapes, so that the line
/// is safe to print and reads back to exactly the alert.
#[must_use]
pub fn alert_json(alert: &Alert) -> String {
    json_line(alert)
}

/// JSON Schema (draft-07) of [`alert_json`].
#[must_use]
pub fn alert_schema() -> Value {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<Alert>();
    schema.insert("title".to_owned(), Value::String("margay alert".to_owned()));
    schema.to_value()
}

/// `value`, whose keys are texts, as JSON on one line in characters that are safe to look at.
#[must_use]
pub fn json_line(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("maps have text keys, so this is JSON");
    if !json.chars().any(is_unsafe) {
        return json;
    }
    let mut text = String::with_capacity(json.len());
    for char in json.chars() {
        if is_unsafe(char) {
            for unit in char.encode_utf16(&mut [0; 2]) {
                write!(text, "\\u{unit:04x}").expect("a string takes what is written");
            }
        } else {
            text.push(char);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::sample;

    #[test]
    fn an_alert_is_one_line_that_reads_back_and_fits_its_schema() {
        let validator = jsonschema::draft7::new(&alert_schema()).unwrap();
        for alert in sample::alerts(&["bytes_out".into()], &["source_namespace".into(), "source_name_aggr".into()]) {
            let line = alert_json(&alert);
            assert!(!line.chars().any(is_unsafe), "{line}");
            let back: Alert = serde_json::from_str(&line).unwrap();
            assert_eq!(serde_json::to_string(&back).unwrap(), serde_json::to_string(&alert).unwrap());
            let problems: Vec<String> =
                validator.iter_errors(&serde_json::from_str(&line).unwrap()).map(|error| error.to_string()).collect();
            assert!(problems.is_empty(), "{problems:?}");
        }
    }

    #[test]
    fn unsafe_characters_are_escaped_and_read_back() {
        let text = "a\u{202e}b\u{2028}c\u{85}d\u{e0041}e\u{7f}";
        let line = json_line(&text);
        assert_eq!(line, r#""a\u202eb\u2028c\u0085d\udb40\udc41e\u007f""#);
        assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
    }
}
