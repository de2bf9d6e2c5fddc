//! One file of calendars.d: holidays and other special days.

use std::fmt;
use std::str::FromStr;

use chrono::{Datelike, NaiveDate};
use chrono_tz::Tz;
use garde::Validate;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::days::Event;
use crate::problem::shown;
use crate::recurrence::{Recurrence, YEARS};

/// Special days, for detectors that name the calendar by its file's name. Times with hours and minutes are written as
/// iCalendar (`.ics`) in the same folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schemars(title = "margay calendar")]
pub struct CalendarFile {
    /// Where the days begin and end, as the time zone database names it, such as `Europe/Berlin`.
    #[serde(default)]
    #[garde(skip)]
    pub zone: Zone,
    /// The days that are special, at most 500 of them, each of which may come again.
    #[garde(length(min = 1, max = 500), dive)]
    pub days: Vec<SpecialDay>,
}

/// A day, or several in a row, once or again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct SpecialDay {
    /// What is special about it. Shown where it matters.
    #[garde(length(min = 1))]
    pub name: String,
    /// The (first) day.
    #[garde(skip)]
    pub date: Date,
    /// The last day, where it is more than one.
    #[serde(default)]
    #[garde(skip)]
    pub through: Option<Date>,
    /// When it comes again, as iCalendar's RRULE says it: `FREQ=YEARLY`, or `FREQ=MONTHLY;BYDAY=-1FR`.
    #[serde(default)]
    #[garde(skip)]
    pub repeat: Option<Recurrence>,
    /// Days on which it does not come again.
    #[serde(default)]
    #[garde(length(max = 1000))]
    pub except: Vec<Date>,
}

impl CalendarFile {
    pub(crate) fn events(&self) -> Vec<Event> {
        let event = |day: &SpecialDay| Event {
            repeat: day.repeat.clone(),
            except: day.except.iter().map(|date| date.0).collect(),
            ..Event::days(day.date.0, day.through.unwrap_or(day.date).0, self.zone.0)
        };
        self.days.iter().map(event).collect()
    }
}

/// A day of a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Date(pub NaiveDate);

/// A time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Zone(pub Tz);

impl Default for Zone {
    fn default() -> Self {
        Self(Tz::UTC)
    }
}

/// Why a text is not a day or a zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CalendarError {
    /// Not a day.
    #[error("`{0}` is not a day such as 2026-12-25, from 1900 to 2099")]
    Date(String),
    /// Not a zone.
    #[error("`{0}` is not a time zone such as Europe/Berlin")]
    Zone(String),
}

impl FromStr for Date {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        let is_meant = |day: &NaiveDate| text.len() == 10 && YEARS.contains(&day.year());
        let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(is_meant);
        date.map(Self).ok_or_else(|| CalendarError::Date(shown(text)))
    }
}

impl FromStr for Zone {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        text.parse().map(Self).map_err(|_| CalendarError::Zone(shown(text)))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl TryFrom<String> for Date {
    type Error = CalendarError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Date> for String {
    fn from(value: Date) -> Self {
        value.to_string()
    }
}

impl TryFrom<String> for Zone {
    type Error = CalendarError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(value: Zone) -> Self {
        value.to_string()
    }
}

impl JsonSchema for Date {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Date".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A day, year first.",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            "examples": ["2026-12-25"]
        })
    }
}

impl JsonSchema for Zone {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Zone".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A time zone, as the time zone database names it.",
            "examples": ["Europe/Berlin", "America/New_York", "UTC"]
        })
    }
}
