//! A detector in the making, and its YAML.

use std::path::Path;

use margay_config::{ForeignDocument, Place, Problem, SchemaKind, text_problems};
use margay_core::Period;
use serde_yaml::{Mapping, Number, Value};

use crate::sql::Condition;
use crate::{NOT_CONVERTED, names, sql};

/// Seconds in a day, which a bucket must divide.
const DAY_SECONDS: i64 = 86_400;

/// A column of the entity of a rule that knows none: all rows are one entity.
pub(crate) const EVERYTHING: &str = "'all' AS scope";

/// A detector in the making.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    /// What the rule calls itself.
    pub(crate) name: String,
    /// Where the rule stands.
    pub(crate) place: Place,
    pub(crate) description: String,
    pub(crate) disabled: bool,
    pub(crate) log: String,
    pub(crate) condition: Option<String>,
    pub(crate) entity: Vec<String>,
    pub(crate) bucket: Period,
    pub(crate) features: Vec<(String, String)>,
    pub(crate) model: DraftModel,
    pub(crate) threshold: Vec<(&'static str, Value)>,
    pub(crate) severity: Option<u8>,
    pub(crate) summary: String,
}

/// How the features are judged.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct DraftModel {
    /// Values of at least this fire.
    pub(crate) above: Option<f64>,
    /// Values of at most this fire.
    pub(crate) below: Option<f64>,
    /// Instead of bounds: a model that learns, and its settings.
    pub(crate) learnt: Option<Learnt>,
}

/// A model that learns, by its key, and its settings.
pub(crate) type Learnt = (&'static str, Vec<(&'static str, Value)>);

impl DraftModel {
    pub(crate) fn above(bound: f64) -> Self {
        Self { above: Some(bound), ..Self::default() }
    }

    pub(crate) fn below(bound: f64) -> Self {
        Self { below: Some(bound), ..Self::default() }
    }
}

impl Draft {
    /// The text of the file `name.yaml`, read back by the same checks as any detector.
    pub(crate) fn yaml(&self, name: &str, from: &Path, document: &ForeignDocument) -> Result<String, Box<Problem>> {
        let refuse = |reason: String| {
            Box::new(document.problem(
                self.place,
                NOT_CONVERTED,
                format!("the detector cannot be written: {reason}"),
                None,
            ))
        };
        let body = serde_yaml::to_string(&self.mapping(name)).map_err(|error| refuse(error.to_string()))?;
        let source: String = from.display().to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let line = document.line(self.place);
        let text = format!(
            "# yaml-language-server: $schema=detector.schema.json\n# Imported from {source}, line {line}.\n{body}"
        );
        let file = format!("{name}.yaml");
        let problems = text_problems(SchemaKind::Detector, Path::new(&file), text.as_bytes(), None);
        match problems.into_iter().next() {
            None => Ok(text),
            Some(problem) => Err(refuse(problem.message)),
        }
    }

    fn mapping(&self, name: &str) -> Mapping {
        let mut map = Mapping::new();
        let mut put = |key: &str, value: Value| drop(map.insert(key.into(), value));
        put("name", name.into());
        if !self.description.trim().is_empty() {
            put("description", printable(&self.description).into());
        }
        put("tags", vec!["imported"].into());
        if self.disabled {
            put("mode", "disabled".into());
        }
        put("log", self.log.clone().into());
        if let Some(condition) = &self.condition {
            put("where", condition.clone().into());
        }
        put("entity", self.entity.clone().into());
        put("bucket", self.bucket.to_string().into());
        let features = self.features.iter().map(|(name, sql)| (name.clone().into(), sql.clone().into()));
        put("features", Value::Mapping(features.collect()));
        put("model", self.model.value());
        if !self.threshold.is_empty() {
            put("threshold", pairs(&self.threshold));
        }
        let severity = self.severity.map(|severity| ("severity", severity.into()));
        let summary = ("summary", printable(&self.summary).into());
        put("alert", pairs(&severity.into_iter().chain([summary]).collect::<Vec<_>>()));
        map
    }
}

impl DraftModel {
    fn value(&self) -> Value {
        let (key, settings) = match &self.learnt {
            Some(learnt) => learnt.clone(),
            None => {
                let bounds = [("above", self.above), ("below", self.below)];
                ("limit", bounds.into_iter().filter_map(|(key, bound)| Some((key, number(bound?)))).collect())
            }
        };
        pairs(&[(key, pairs(&settings))])
    }
}

/// A number as people write it.
pub(crate) fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { (value as i64).into() } else { Value::Number(Number::from(value)) }
}

fn pairs(pairs: &[(&str, Value)]) -> Value {
    Value::Mapping(pairs.iter().map(|(key, value)| ((*key).into(), value.clone())).collect())
}

fn printable(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// An entity column of a field's column, and the name by which templates know it.
pub(crate) fn entity_column(column: &str, taken: &mut Vec<String>) -> (String, String) {
    let sql = sql::name(column);
    let mut name = names::identifier(column);
    while taken.contains(&name) || name == "bucket_start" {
        name.push('_');
    }
    taken.push(name.clone());
    (if sql == name { sql } else { format!("{sql} AS {name}") }, name)
}

/// The shortest bucket that divides a day and is at least this long; `None` for more than a day.
pub(crate) fn bucket(window: Period) -> Option<Period> {
    let least = (window.0 + 999) / 1000;
    let seconds = (least.max(1)..=DAY_SECONDS).find(|seconds| DAY_SECONDS % seconds == 0)?;
    Some(Period(seconds * 1000))
}

/// The condition as SQL; `None` where every row counts.
pub(crate) fn where_clause(condition: &Condition) -> Result<Option<String>, String> {
    if *condition == Condition::Always { Ok(None) } else { condition.sql().map(Some) }
}

/// The number of rows that meet a condition, zero where none does.
pub(crate) fn count_of(filter: Option<&str>) -> String {
    filter.map_or_else(|| "count(*)".to_owned(), |filter| format!("count(*) FILTER (WHERE {filter})"))
}

/// How far a bound lies beyond what a value may still be, as a share of it: less than any log measures.
const BEYOND: f64 = 1e-9;

/// The bound that a value reaches by being larger than `limit`.
pub(crate) fn just_above(limit: f64, is_whole: bool) -> f64 {
    if is_whole { limit.floor() + 1.0 } else { limit + BEYOND * limit.abs().max(1.0) }
}

/// The bound that a value reaches by being smaller than `limit`.
pub(crate) fn just_below(limit: f64, is_whole: bool) -> f64 {
    if is_whole { limit.ceil() - 1.0 } else { limit - BEYOND * limit.abs().max(1.0) }
}

/// What a message calls a window that had to be lengthened.
pub(crate) fn longer(window: Period, bucket: Period) -> String {
    format!("a day cannot be divided into slots of {window}: slots of {bucket} are used")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_divide_a_day() {
        assert_eq!(bucket(Period::MINUTE.times(10)), Some(Period::MINUTE.times(10)));
        assert_eq!(bucket(Period::MINUTE.times(7)), Some(Period(432_000)));
        assert_eq!(bucket(Period::HOUR.times(13)), Some(Period::DAY));
        assert_eq!(bucket(Period::DAY.times(2)), None);
        assert_eq!(bucket(Period(1)), Some(Period(1000)));
    }

    #[test]
    fn bounds_are_strict() {
        assert_eq!((just_above(5.0, true), just_above(5.5, true), just_below(5.0, true)), (6.0, 6.0, 4.0));
        assert!(just_above(5.0, false) > 5.0 && just_above(5.0, false) < 5.0000001 && just_above(0.0, false) > 0.0);
    }

    #[test]
    fn entity_columns_have_names_of_their_own() {
        let mut taken = Vec::new();
        assert_eq!(entity_column("source_name", &mut taken).0, "source_name");
        assert_eq!(entity_column("a.b", &mut taken), ("\"a.b\" AS a_b".to_owned(), "a_b".to_owned()));
        assert_eq!(entity_column("a-b", &mut taken).1, "a_b_");
    }
}
