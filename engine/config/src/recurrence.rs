//! When a day comes again: the recurrence rules of iCalendar (RFC 5545, 3.3.10) that are about days.
//!
//! Read here and not by a crate because problems need a place in the file, what a rule expands to needs a bound, and
//! a day is either special or not, so that rules about hours and positions have no meaning.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use chrono::{Datelike, Months, NaiveDate, Weekday};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Years in which calendars have days.
pub(crate) const YEARS: RangeInclusive<i32> = 1900..=2099;
/// Most values in one list of a rule.
const LIST_MOST: usize = 400;

/// Why a text is not a recurrence that is understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecurrenceError {
    /// A part is not `NAME=VALUE`, or its value is none that the name takes.
    #[error("`{0}` is not a part of a recurrence rule")]
    Part(String),
    /// A part that says more than on which days.
    #[error(
        "`{0}` is not supported: a rule says on which days, with FREQ, INTERVAL, COUNT, UNTIL, BYMONTH, BYMONTHDAY, BYDAY and WKST"
    )]
    Unsupported(String),
    /// There is no FREQ.
    #[error("the rule has no FREQ, which is DAILY, WEEKLY, MONTHLY or YEARLY")]
    NoFrequency,
}

/// A recurrence rule about days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Recurrence {
    text: String,
    frequency: Frequency,
    interval: i64,
    count: Option<usize>,
    until: Option<NaiveDate>,
    months: Vec<u32>,
    month_days: Vec<i64>,
    weekdays: Vec<(i64, Weekday)>,
    week_start: Weekday,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

impl Recurrence {
    /// Days from `start` to before `end`, in order; `start` itself only where the rule holds for it.
    pub(crate) fn days(&self, start: NaiveDate, end: NaiveDate) -> impl Iterator<Item = NaiveDate> {
        let next = move |day: &NaiveDate| if self.is_month(start, *day) { day.succ_opt() } else { next_month(*day) };
        let days = std::iter::successors(Some(start), next);
        let is_before = move |day: &NaiveDate| *day < end && self.until.is_none_or(|until| *day <= until);
        days.take_while(is_before).filter(move |day| self.holds(start, *day)).take(self.count.unwrap_or(usize::MAX))
    }

    /// Whether the month of a day may hold one for which the rule holds.
    fn is_month(&self, start: NaiveDate, day: NaiveDate) -> bool {
        let any_month = self.frequency != Frequency::Yearly || !self.weekdays.is_empty() || !self.month_days.is_empty();
        if self.months.is_empty() {
            any_month || day.month() == start.month()
        } else {
            self.months.contains(&day.month())
        }
    }

    /// Whether the rule that began at `start` holds for a later day.
    fn holds(&self, start: NaiveDate, day: NaiveDate) -> bool {
        let weekday = || self.weekdays.iter().any(|(_, weekday)| *weekday == day.weekday());
        let any_weekday = || self.weekdays.is_empty() || weekday();
        let steps = match self.frequency {
            Frequency::Daily => (day - start).num_days(),
            Frequency::Weekly => (self.week_of(day) - self.week_of(start)).num_days() / 7,
            Frequency::Monthly => months(day) - months(start),
            Frequency::Yearly => i64::from(day.year() - start.year()),
        };
        if steps % self.interval != 0 || !(self.months.is_empty() || self.months.contains(&day.month())) {
            return false;
        }
        match self.frequency {
            Frequency::Daily => any_weekday() && self.is_month_day(day),
            Frequency::Weekly if self.weekdays.is_empty() => day.weekday() == start.weekday(),
            Frequency::Weekly => weekday(),
            Frequency::Monthly | Frequency::Yearly => self.is_chosen(start, day),
        }
    }

    /// Whether it is a day that the parts about days choose in its month or year; without such parts, the day of `start`.
    fn is_chosen(&self, start: NaiveDate, day: NaiveDate) -> bool {
        if self.weekdays.is_empty() && self.month_days.is_empty() {
            let same_month = self.frequency == Frequency::Monthly || !self.months.is_empty();
            return day.day() == start.day() && (same_month || day.month() == start.month());
        }
        let in_year = self.frequency == Frequency::Yearly && self.months.is_empty();
        let (from_first, from_last) =
            if in_year { (day.ordinal(), days_of_year(day) - day.ordinal()) } else { (day.day(), days_left(day)) };
        let (nth, nth_last) = (i64::from(from_first - 1) / 7 + 1, -(i64::from(from_last) / 7) - 1);
        let fits = |&(n, weekday): &(i64, Weekday)| weekday == day.weekday() && (n == 0 || n == nth || n == nth_last);
        (self.weekdays.is_empty() || self.weekdays.iter().any(fits)) && self.is_month_day(day)
    }

    fn is_month_day(&self, day: NaiveDate) -> bool {
        let (from_first, from_last) = (i64::from(day.day()), -i64::from(days_left(day)) - 1);
        self.month_days.is_empty() || self.month_days.iter().any(|&n| n == from_first || n == from_last)
    }

    /// First day of the week of a day.
    fn week_of(&self, day: NaiveDate) -> NaiveDate {
        day.week(self.week_start).checked_first_day().unwrap_or(day)
    }

    fn take(&mut self, part: &str) -> Result<(), RecurrenceError> {
        let wrong = || RecurrenceError::Part(crate::problem::shown(part));
        let (name, value) = part.split_once('=').ok_or_else(wrong)?;
        match name {
            "FREQ" => {}
            "INTERVAL" => self.interval = number(value, 1, 1000).ok_or_else(wrong)?,
            "COUNT" => self.count = Some(number(value, 1, 100_000).ok_or_else(wrong)? as usize),
            "UNTIL" => self.until = Some(day(value).ok_or_else(wrong)?),
            "BYMONTH" => self.months = list(value, |one| number(one, 1, 12).map(|n| n as u32)).ok_or_else(wrong)?,
            "BYMONTHDAY" => {
                self.month_days = list(value, |one| number(one, -31, 31).filter(|n| *n != 0)).ok_or_else(wrong)?;
            }
            "BYDAY" => self.weekdays = list(value, nth_weekday).ok_or_else(wrong)?,
            "WKST" => self.week_start = weekday(value).ok_or_else(wrong)?,
            "BYSETPOS" | "BYYEARDAY" | "BYWEEKNO" | "BYHOUR" | "BYMINUTE" | "BYSECOND" | "RSCALE" | "SKIP" => {
                return Err(RecurrenceError::Unsupported(crate::problem::shown(name)));
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }
}

impl FromStr for Recurrence {
    type Err = RecurrenceError;

    fn from_str(text: &str) -> Result<Self, RecurrenceError> {
        let upper = text.trim().to_ascii_uppercase();
        let parts: Vec<&str> = upper.split(';').filter(|part| !part.is_empty()).collect();
        let named = parts.iter().find_map(|part| part.strip_prefix("FREQ="));
        let frequency = match named.ok_or(RecurrenceError::NoFrequency)? {
            "DAILY" => Frequency::Daily,
            "WEEKLY" => Frequency::Weekly,
            "MONTHLY" => Frequency::Monthly,
            "YEARLY" => Frequency::Yearly,
            "SECONDLY" | "MINUTELY" | "HOURLY" => {
                return Err(RecurrenceError::Unsupported(format!("FREQ={}", named.unwrap_or_default())));
            }
            _ => return Err(RecurrenceError::NoFrequency),
        };
        let mut rule = Self {
            text: upper.clone(),
            frequency,
            interval: 1,
            count: None,
            until: None,
            months: Vec::new(),
            month_days: Vec::new(),
            weekdays: Vec::new(),
            week_start: Weekday::Mon,
        };
        parts.iter().try_for_each(|part| rule.take(part))?;
        Ok(rule)
    }
}

impl fmt::Display for Recurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Recurrence {
    type Error = RecurrenceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Recurrence> for String {
    fn from(value: Recurrence) -> Self {
        value.text
    }
}

impl JsonSchema for Recurrence {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Recurrence".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A recurrence rule of iCalendar (RFC 5545): FREQ with DAILY, WEEKLY, MONTHLY or YEARLY, and \
                INTERVAL, COUNT, UNTIL, BYMONTH, BYMONTHDAY, BYDAY, WKST.",
            "pattern": "^FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)(;[A-Z]+=[A-Za-z0-9,+-]+)*$",
            "examples": ["FREQ=YEARLY", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=WEEKLY;BYDAY=SA,SU"]
        })
    }
}

fn months(day: NaiveDate) -> i64 {
    i64::from(day.year()) * 12 + i64::from(day.month0())
}

fn days_of_year(day: NaiveDate) -> u32 {
    if day.leap_year() { 366 } else { 365 }
}

/// First day of the month after that of a day.
fn next_month(day: NaiveDate) -> Option<NaiveDate> {
    day.with_day(1)?.checked_add_months(Months::new(1))
}

/// Days of the month after a day.
fn days_left(day: NaiveDate) -> u32 {
    u32::from(day.num_days_in_month()) - day.day()
}

fn number(text: &str, least: i64, most: i64) -> Option<i64> {
    text.parse::<i64>().ok().filter(|number| (least..=most).contains(number))
}

fn list<T>(text: &str, one: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let values: Option<Vec<T>> = text.split(',').map(one).collect();
    values.filter(|values| values.len() <= LIST_MOST)
}

/// `FR`, `1FR` or `-1FR`; 0 stands for every one.
fn nth_weekday(text: &str) -> Option<(i64, Weekday)> {
    let at = text.len().checked_sub(2).filter(|at| text.is_char_boundary(*at))?;
    let (n, name) = text.split_at(at);
    let n = if n.is_empty() { 0 } else { number(n, -53, 53).filter(|n| *n != 0)? };
    Some((n, weekday(name)?))
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text {
        "MO" => Weekday::Mon,
        "TU" => Weekday::Tue,
        "WE" => Weekday::Wed,
        "TH" => Weekday::Thu,
        "FR" => Weekday::Fri,
        "SA" => Weekday::Sat,
        "SU" => Weekday::Sun,
        _ => return None,
    })
}

/// The day of `20261225` or `20261225T…`.
pub(crate) fn day(text: &str) -> Option<NaiveDate> {
    let date = text.split('T').next()?;
    NaiveDate::parse_from_str(date, "%Y%m%d").ok().filter(|day| date.len() == 8 && YEARS.contains(&day.year()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// Days of a rule that begins at a day, up to the end of 2030.
    fn days(start: &str, rule: &str) -> Vec<String> {
        let rule: Recurrence = rule.parse().unwrap();
        let end = NaiveDate::from_ymd_opt(2031, 1, 1).unwrap();
        rule.days(day(start).unwrap(), end).take(6).map(|day| day.to_string()).collect()
    }

    #[test]
    fn days_come_again_as_their_rules_say() {
        for (start, rule, first) in [
            ("20261225", "FREQ=YEARLY", &["2026-12-25", "2027-12-25", "2028-12-25", "2029-12-25", "2030-12-25"][..]),
            ("20240229", "FREQ=YEARLY", &["2024-02-29", "2028-02-29"]),
            ("20261126", "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;COUNT=3", &["2026-11-26", "2027-11-25", "2028-11-23"]),
            ("20260529", "FREQ=MONTHLY;BYDAY=-1FR;COUNT=3", &["2026-05-29", "2026-06-26", "2026-07-31"]),
            ("20260131", "FREQ=MONTHLY;COUNT=3", &["2026-01-31", "2026-03-31", "2026-05-31"]),
            ("20260131", "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3", &["2026-01-31", "2026-02-28", "2026-03-31"]),
            ("20260101", "FREQ=DAILY;INTERVAL=10;UNTIL=20260121T000000Z", &["2026-01-01", "2026-01-11", "2026-01-21"]),
            (
                "20260105",
                "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;COUNT=4",
                &["2026-01-05", "2026-01-11", "2026-01-19", "2026-01-25"],
            ),
            (
                "20260105",
                "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU;WKST=SU;COUNT=3",
                &["2026-01-05", "2026-01-18", "2026-01-19"],
            ),
            ("20260107", "FREQ=WEEKLY;COUNT=2", &["2026-01-07", "2026-01-14"]),
            ("20260101", "FREQ=YEARLY;BYDAY=1MO;COUNT=2", &["2026-01-05", "2027-01-04"]),
            ("20260101", "FREQ=YEARLY;BYDAY=-1SU;COUNT=2", &["2026-12-27", "2027-12-26"]),
            ("20260213", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=2", &["2026-02-13", "2026-03-13"]),
            ("20260101", "freq=yearly;bymonth=3,5;count=2", &["2026-03-01", "2026-05-01"]),
        ] {
            assert_eq!(days(start, rule), first, "{start} {rule}");
        }
    }

    #[test]
    fn what_is_not_about_days_is_refused() {
        for text in ["FREQ=HOURLY", "FREQ=YEARLY;BYSETPOS=1", "FREQ=DAILY;BYHOUR=3"] {
            assert!(matches!(text.parse::<Recurrence>(), Err(RecurrenceError::Unsupported(_))), "{text}");
        }
        for text in [
            "",
            "daily",
            "FREQ=",
            "FREQ=NEVER",
            "FREQ=DAILY;INTERVAL=0",
            "FREQ=DAILY;COUNT=-1",
            "FREQ=DAILY;COUNT=1e9",
            "FREQ=DAILY;UNTIL=2026",
            "FREQ=DAILY;BYDAY=XX",
            "FREQ=DAILY;BYDAY=0MO",
            "FREQ=DAILY;BYDAY=é",
            "FREQ=DAILY;X=1",
            "FREQ=DAILY;BYMONTH=13",
            "FREQ=DAILY;BYMONTHDAY=0",
            "FREQ=DAILY;BYDAY",
        ] {
            assert!(text.parse::<Recurrence>().is_err(), "{text}");
        }
    }
}
