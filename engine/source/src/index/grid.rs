//! Time as an index orders it, and the stretches in which it is read.

use margay_core::{Period, Time, TimeRange};
use serde_json::{Value, json};

use super::client::Fault;
use super::mapping::TimeIn;
use crate::spec::TimeFormat;

/// Length of a stretch: what is read anew when one record of it is new.
pub(crate) const STRETCH: Period = Period(5 * 60 * 1000);

/// A time field of one index: its name, and how its values relate to milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Axis {
    pub(crate) field: String,
    pub(crate) unit: Unit,
}

/// How an index writes the values of a time field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Unit {
    /// As dates, which are asked for in milliseconds.
    Date,
    /// As numbers, so many of which are a millisecond.
    Number { per_milli: f64 },
}

impl Axis {
    /// The axis of a field whose largest value is `largest`; only a number's unit depends on it.
    ///
    /// # Errors
    /// The declared format writes no numbers.
    pub(crate) fn new(time: TimeIn<'_>, format: TimeFormat, largest: f64) -> Result<Self, Fault> {
        let unit = if time.is_date {
            Unit::Date
        } else {
            let per_milli = crate::time::units_per_milli(largest.abs(), format).ok_or_else(|| {
                Fault::lasting(format!(
                    "`{}` is mapped as a number, which `format: rfc3339` does not write",
                    time.field
                ))
            })?;
            Unit::Number { per_milli }
        };
        Ok(Self { field: time.field.to_owned(), unit })
    }

    /// A condition on the field; an end that is open is left out.
    pub(crate) fn within(&self, range: TimeRange) -> Value {
        let mut bounds = serde_json::Map::new();
        if range.start > Time::MIN {
            bounds.insert("gte".to_owned(), self.value(range.start));
        }
        if range.end < Time::MAX {
            bounds.insert("lt".to_owned(), self.value(range.end));
        }
        self.bounded(bounds)
    }

    /// The condition that the field is after a time.
    pub(crate) fn after(&self, time: Time) -> Value {
        self.bounded(serde_json::Map::from_iter([("gt".to_owned(), self.value(time))]))
    }

    fn bounded(&self, mut bounds: serde_json::Map<String, Value>) -> Value {
        if bounds.is_empty() {
            return json!({ "exists": { "field": self.field } });
        }
        if self.unit == Unit::Date {
            bounds.insert("format".to_owned(), json!("epoch_millis"));
        }
        json!({ "range": { &self.field: bounds } })
    }

    /// An aggregation that counts the records of each stretch.
    pub(crate) fn stretches(&self) -> Value {
        match self.unit {
            Unit::Date => json!({ "date_histogram": {
                "field": self.field, "fixed_interval": format!("{}s", STRETCH.0 / 1000), "min_doc_count": 1
            } }),
            Unit::Number { per_milli } => json!({ "histogram": {
                "field": self.field, "interval": STRETCH.0 as f64 * per_milli, "min_doc_count": 1
            } }),
        }
    }

    /// The time of a value that an aggregation gives.
    pub(crate) fn time(&self, value: f64) -> Time {
        match self.unit {
            Unit::Date => Time(value.floor() as i64),
            Unit::Number { per_milli } => Time((value / per_milli).floor() as i64),
        }
    }

    fn value(&self, time: Time) -> Value {
        match self.unit {
            Unit::Date => json!(time.0),
            Unit::Number { per_milli } if per_milli < 1.0 && time.0 % 1000 == 0 => json!(time.0 / 1000),
            Unit::Number { per_milli } => json!(time.0 as f64 * per_milli),
        }
    }
}

/// Ranges in order, those that touch made one.
pub(crate) fn joined(mut ranges: Vec<TimeRange>) -> Vec<TimeRange> {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut joined: Vec<TimeRange> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const SEVEN: Time = Time(1_795_503_600_000);

    fn axis(is_date: bool, format: TimeFormat, largest: f64) -> Axis {
        Axis::new(TimeIn { field: "ts", is_date }, format, largest).unwrap()
    }

    #[test]
    fn a_range_is_asked_for_in_the_units_of_the_index() {
        let hour = TimeRange { start: SEVEN, end: SEVEN.plus(Period::HOUR) };
        let date = axis(true, TimeFormat::Auto, 0.0);
        let in_millis = json!({ "gte": 1_795_503_600_000_i64, "lt": 1_795_507_200_000_i64, "format": "epoch_millis" });
        assert_eq!(date.within(hour), json!({ "range": { "ts": in_millis } }));
        let seconds = axis(false, TimeFormat::Auto, 1.8e9);
        assert_eq!(seconds.within(hour), json!({ "range": { "ts": { "gte": 1_795_503_600, "lt": 1_795_507_200 } } }));
        assert_eq!(seconds.time(1_795_503_600.0), SEVEN);
        assert_eq!(date.within(TimeRange::ALL), json!({ "exists": { "field": "ts" } }));
        assert!(Axis::new(TimeIn { field: "ts", is_date: false }, TimeFormat::Rfc3339, 1.0).is_err());
    }

    #[test]
    fn ranges_that_touch_are_joined() {
        let range = |start, end| TimeRange { start: Time(start), end: Time(end) };
        let ranges = vec![range(5, 10), range(0, 5), range(20, 30), range(22, 25)];
        assert_eq!(joined(ranges), [range(0, 10), range(20, 30)]);
    }
}
