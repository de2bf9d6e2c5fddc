//! What is known to have been true or false: from a file, and from what `label` keeps.

use std::path::{Path, PathBuf};

use margay_core::{Alert, Entity, Time, TimeRange};
use serde::Deserialize;
use serde_json::Value;

/// Labels read from a file at most.
const LABELS_MOST: usize = 100_000;

/// Why labels cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    /// A line is no label.
    #[error(
        "{path}:{line}: no label: {message}; it has `alert` (an id), or `entity`, `start` and `end`; and `label`, which is true or false"
    )]
    Line { path: PathBuf, line: u64, message: String },
    /// An id that nothing is known of.
    #[error("{path}: no alert of this detector has the id `{id}`; see `margay alerts`")]
    Unknown { path: PathBuf, id: String },
    /// Too many.
    #[error("{path}: more than {LABELS_MOST} labels")]
    Many { path: PathBuf },
}

/// A stretch of time in which an alert about an entity is known to be true or false.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// The entity.
    pub entity: Entity,
    /// From its start to its end.
    pub range: TimeRange,
    /// Whether it is real.
    pub real: bool,
}

/// A label as it is written.
#[derive(Clone, Debug, Deserialize)]
struct Written {
    #[serde(default, alias = "id")]
    alert: Option<String>,
    #[serde(default)]
    detector: Option<String>,
    #[serde(default)]
    entity: Option<Value>,
    #[serde(default)]
    start: Option<Time>,
    #[serde(default)]
    end: Option<Time>,
    /// Left out, it is true: a list of incidents is a list of what is real.
    #[serde(default = "real")]
    label: bool,
}

fn real() -> bool {
    true
}

/// Reads the labels of one detector: CSV with a header, one JSON object a line, or a JSON list. `alerts` are the
/// detector's, for ids; `entities` are those it has seen. Labels of other detectors, and of entities never seen, are
/// left out; how many, comes second.
///
/// # Errors
/// The file cannot be read, or a line is no label.
pub fn read(
    path: &Path,
    detector: &str,
    alerts: &[Alert],
    entities: &[Entity],
) -> Result<(Vec<Label>, usize), LabelsError> {
    let text = std::fs::read_to_string(path).map_err(|source| LabelsError::Read { path: path.into(), source })?;
    let (mut labels, mut unseen) = (Vec::new(), 0);
    for (line, written) in written(path, &text)? {
        if written.detector.as_ref().is_some_and(|name| name != detector) {
            continue;
        }
        match written.resolve(alerts, entities) {
            Ok(Some(label)) => labels.push(label),
            Ok(None) => unseen += 1,
            Err(Some(id)) => return Err(LabelsError::Unknown { path: path.into(), id }),
            Err(None) => {
                return Err(LabelsError::Line { path: path.into(), line, message: "something is missing".to_owned() });
            }
        }
    }
    Ok((labels, unseen))
}

fn written(path: &Path, text: &str) -> Result<Vec<(u64, Written)>, LabelsError> {
    let failed = |line: u64, message: String| LabelsError::Line { path: path.into(), line, message };
    let is_csv = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
    let mut all = Vec::new();
    if is_csv {
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).comment(Some(b'#')).from_reader(text.as_bytes());
        let headers = reader.headers().map_err(|error| failed(1, error.to_string()))?.clone();
        for record in reader.records() {
            let line = |error: &csv::Error| error.position().map_or(1, csv::Position::line);
            let record = record.map_err(|error| failed(line(&error), error.to_string()))?;
            let at = record.position().map_or(1, csv::Position::line);
            let one = record.deserialize(Some(&headers)).map_err(|error| failed(at, error.to_string()))?;
            all.push((at, one));
        }
    } else if text.trim_start().starts_with('[') {
        let list: Vec<Written> =
            serde_json::from_str(text).map_err(|error| failed(error.line() as u64, error.to_string()))?;
        all.extend(list.into_iter().map(|one| (1, one)));
    } else {
        for (at, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            all.push((at, serde_json::from_str(line).map_err(|error| failed(at, error.to_string()))?));
        }
    }
    if all.len() > LABELS_MOST {
        return Err(LabelsError::Many { path: path.into() });
    }
    Ok(all)
}

impl Written {
    /// The label; `None` where its entity was never seen. An error is the id that is not known, or nothing where
    /// something is missing.
    fn resolve(self, alerts: &[Alert], entities: &[Entity]) -> Result<Option<Label>, Option<String>> {
        if let (Some(entity), Some(start), Some(end)) = (&self.entity, self.start, self.end) {
            let known = entities.iter().find(|known| is_meant(entity, known));
            let range = TimeRange { start, end };
            return Ok(known.map(|known| Label { entity: known.clone(), range, real: self.label }));
        }
        let id = self.alert.filter(|id| !id.is_empty()).ok_or(None)?;
        let alert = alerts.iter().find(|alert| alert.id == id).ok_or(Some(id))?;
        let range = alert.range();
        Ok(Some(Label { entity: alert.entity.clone(), range, real: self.label }))
    }
}

/// An entity is written as a JSON object, as the text of one, or as its values joined by `/`.
fn is_meant(written: &Value, entity: &Entity) -> bool {
    match written {
        Value::String(text) => *text == entity.to_string() || *text == entity.to_json(),
        Value::Object(map) => {
            entity.columns().iter().all(|column| map.get(column).and_then(Value::as_str) == entity.get(column))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn entity(value: &str) -> Entity {
        Entity::new(["ns".to_owned(), "name".to_owned()].into(), vec![Some("shop".to_owned()), Some(value.to_owned())])
    }

    fn read_text(name: &str, text: &str) -> Result<(Vec<Label>, usize), LabelsError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        read(&path, "bytes-out", &[], &[entity("web"), entity("db")])
    }

    fn label(value: &str, real: bool) -> Label {
        let time = |text: &str| text.parse::<Time>().unwrap();
        let range = TimeRange { start: time("2026-11-10T01:00:00Z"), end: time("2026-11-10T02:00:00Z") };
        Label { entity: entity(value), range, real }
    }

    #[test]
    fn labels_are_read_from_csv_lines_and_lists() {
        let expected = (vec![label("web", true), label("db", false)], 1);
        let csv = "detector,entity,start,end,label\n\
            bytes-out,shop/web,2026-11-10T01:00:00Z,2026-11-10T02:00:00Z,true\n\
            # other detectors and entities\n\
            bytes-in,shop/web,2026-11-10T01:00:00Z,2026-11-10T02:00:00Z,true\n\
            bytes-out,\"{\"\"ns\"\":\"\"shop\"\",\"\"name\"\":\"\"db\"\"}\",2026-11-10T01:00:00Z,2026-11-10T02:00:00Z,false\n\
            bytes-out,shop/gone,2026-11-10T01:00:00Z,2026-11-10T02:00:00Z,true\n";
        assert_eq!(read_text("labels.csv", csv).unwrap(), expected);
        let lines = r#"{"entity":{"ns":"shop","name":"web"},"start":"2026-11-10T01:00:00Z","end":"2026-11-10T02:00:00Z"}
            {"entity":"shop/db","start":"2026-11-10T01:00:00Z","end":"2026-11-10T02:00:00Z","label":false}
            {"entity":"shop/gone","start":"2026-11-10T01:00:00Z","end":"2026-11-10T02:00:00Z"}"#;
        assert_eq!(read_text("labels.ndjson", lines).unwrap(), expected);
        assert_eq!(read_text("labels.json", &format!("[{}]", lines.replace('\n', ","))).unwrap(), expected);
    }

    #[test]
    fn what_is_no_label_is_told_with_its_line() {
        let told = |name: &str, text: &str| read_text(name, text).unwrap_err().to_string();
        assert!(told("a.csv", "alert,label\nabc,maybe\n").contains("a.csv:2: no label"));
        assert!(told("a.ndjson", "{\"label\":true}\n").contains("a.ndjson:1: no label: something is missing"));
        assert!(told("a.csv", "alert,label\nabc,true\n").contains("no alert of this detector has the id `abc`"));
    }
}
