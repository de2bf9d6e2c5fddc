//! Events of a calendar → stretches of time, day by day.

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone};
use chrono_tz::Tz;
use margay_core::{Period, Time, TimeRange};

use crate::recurrence::{Recurrence, YEARS};

/// Most days that the events of one calendar cover.
pub(crate) const DAYS_MOST: usize = 20_000;
/// Longest that one occurrence of an event lasts, in days.
pub(crate) const EVENT_DAYS_MOST: i64 = 366;
/// Steps of a minute to the end of a gap that a change of clocks leaves, at most.
const GAP_MINUTES_MOST: i64 = 24 * 60;

/// A day of an event, or the part of it that the event covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// When.
    pub range: TimeRange,
    /// So much later it is the same time of a Sunday.
    pub to_sunday: Period,
}

/// Something that happens once or again and again.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// Start in the time of its zone.
    pub(crate) start: NaiveDateTime,
    /// End, in the same time.
    pub(crate) end: NaiveDateTime,
    pub(crate) zone: Tz,
    pub(crate) repeat: Option<Recurrence>,
    /// Further days on which it begins.
    pub(crate) also: Vec<NaiveDate>,
    /// Days on which it does not begin.
    pub(crate) except: Vec<NaiveDate>,
}

impl Event {
    /// Whole days, the last one included.
    pub(crate) fn days(first: NaiveDate, last: NaiveDate, zone: Tz) -> Self {
        let after = last.checked_add_days(Days::new(1)).unwrap_or(last);
        let (start, end) = (first.and_time(NaiveTime::MIN), after.and_time(NaiveTime::MIN));
        Self { start, end, zone, repeat: None, also: Vec::new(), except: Vec::new() }
    }

    /// Days on which it begins, in order.
    fn beginnings(&self) -> Vec<NaiveDate> {
        let first = self.start.date();
        let end = NaiveDate::from_ymd_opt(YEARS.end() + 1, 1, 1).unwrap_or(NaiveDate::MAX);
        let mut days: Vec<NaiveDate> = match &self.repeat {
            None => vec![first],
            Some(rule) => rule.days(first, end).take(DAYS_MOST + 1).collect(),
        };
        days.extend(&self.also);
        // An event begins on its first day even where its rule would not have it so (RFC 5545, 3.8.5.3).
        days.push(first);
        days.retain(|day| !self.except.contains(day));
        days.sort_unstable();
        days.dedup();
        days
    }

    /// Days of which one occurrence covers a part.
    fn midnights(&self) -> usize {
        let last = (self.end - TimeDelta::nanoseconds(1)).date();
        usize::try_from((last - self.start.date()).num_days()).unwrap_or(0) + 1
    }

    /// Adds the event that begins on a day, cut at midnights.
    fn cut(&self, begins: NaiveDate, days: &mut Vec<Day>) {
        let shift = begins - self.start.date();
        let (start, end) = (self.start + shift, self.end + shift);
        let mut from = start;
        while from < end {
            let next = from.date().checked_add_days(Days::new(1)).map(|day| day.and_time(NaiveTime::MIN));
            let to = next.map_or(end, |next| next.min(end));
            let range = TimeRange { start: instant(from, self.zone), end: instant(to, self.zone) };
            let to_sunday = (7 - i64::from(from.weekday().num_days_from_sunday())) % 7;
            if !range.is_empty() {
                days.push(Day { range, to_sunday: Period::DAY.times(to_sunday) });
            }
            from = to;
        }
    }
}

/// Days of all events, in order; where events overlap, the one that began first has the time. `None` where there are
/// more than [`DAYS_MOST`].
pub(crate) fn days(events: &[Event]) -> Option<Vec<Day>> {
    let (mut all, mut covered) = (Vec::new(), 0);
    for event in events {
        let beginnings = event.beginnings();
        covered += beginnings.len() * event.midnights();
        if covered > DAYS_MOST {
            return None;
        }
        beginnings.into_iter().for_each(|begins| event.cut(begins, &mut all));
    }
    all.sort_by_key(|day| (day.range.start, day.range.end));
    let mut days: Vec<Day> = Vec::with_capacity(all.len());
    for mut day in all {
        if let Some(last) = days.last() {
            day.range.start = day.range.start.max(last.range.end);
        }
        if !day.range.is_empty() {
            days.push(day);
        }
    }
    Some(days)
}

/// The instant of a time in a zone: the first of two where clocks are set back, the next there is where they are set
/// forward.
fn instant(local: NaiveDateTime, zone: Tz) -> Time {
    let at = |minutes: i64| zone.from_local_datetime(&(local + TimeDelta::minutes(minutes))).earliest();
    let found = (0..=GAP_MINUTES_MOST).find_map(at);
    found.map_or(Time::MAX, |time| Time(time.timestamp_millis())).clamp(Time::MIN, Time::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn ranges(events: &[Event]) -> Vec<(String, String)> {
        let days = days(events).unwrap();
        days.iter().map(|day| (day.range.start.to_string(), day.range.end.to_string())).collect()
    }

    #[test]
    fn a_day_is_as_long_as_its_zone_says() {
        let berlin = Tz::Europe__Berlin;
        let of = |day: &str| ranges(&[Event::days(date(day), date(day), berlin)]).remove(0);
        let text = |start: &str, end: &str| (start.to_owned(), end.to_owned());
        assert_eq!(of("2026-12-25"), text("2026-12-24T23:00:00Z", "2026-12-25T23:00:00Z"));
        assert_eq!(of("2026-03-29"), text("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"));
        assert_eq!(of("2026-10-25"), text("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"));
        let cairo = ranges(&[Event::days(date("2026-04-24"), date("2026-04-24"), Tz::Africa__Cairo)]).remove(0);
        assert_eq!(cairo, text("2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"), "a day that begins at one o'clock");
    }

    #[test]
    fn a_time_of_the_day_stays_the_same_through_the_year() {
        let start = date("2026-01-05").and_hms_opt(18, 0, 0).unwrap();
        let event = Event {
            end: start + TimeDelta::hours(2),
            start,
            repeat: Some("FREQ=MONTHLY;INTERVAL=6;COUNT=2".parse().unwrap()),
            ..Event::days(date("2026-01-05"), date("2026-01-05"), Tz::Europe__Berlin)
        };
        let starts: Vec<String> = ranges(&[event]).into_iter().map(|(start, _)| start).collect();
        assert_eq!(starts, ["2026-01-05T17:00:00Z", "2026-07-05T16:00:00Z"]);
    }

    #[test]
    fn several_days_are_cut_at_midnights_and_point_to_their_sundays() {
        let days = days(&[Event::days(date("2026-12-24"), date("2026-12-27"), Tz::UTC)]).unwrap();
        let shifts: Vec<i64> = days.iter().map(|day| day.to_sunday.per(Period::DAY)).collect();
        assert_eq!(shifts, [3, 2, 1, 0]);
    }

    #[test]
    fn days_that_overlap_stand_once_and_exceptions_do_not_stand() {
        let one = Event::days(date("2026-12-25"), date("2026-12-26"), Tz::UTC);
        let other =
            Event { except: vec![date("2026-12-26")], ..Event::days(date("2026-12-26"), date("2026-12-27"), Tz::UTC) };
        assert_eq!(ranges(&[one.clone(), one.clone()]).len(), 2);
        assert_eq!(ranges(&[other, one]).len(), 2);
    }

    #[test]
    fn too_many_days_are_refused_quickly() {
        let daily = |day: &str| Event {
            repeat: Some("FREQ=DAILY".parse().unwrap()),
            ..Event::days(date(day), date(day), Tz::UTC)
        };
        let start = std::time::Instant::now();
        assert!(days(&[daily("1900-01-01")]).is_none());
        let year = Event {
            repeat: Some("FREQ=DAILY".parse().unwrap()),
            ..Event::days(date("2026-01-01"), date("2026-12-31"), Tz::UTC)
        };
        assert!(days(&vec![year; 1000]).is_none());
        assert!(start.elapsed().as_millis() < 500, "{:?}", start.elapsed());
    }
}
