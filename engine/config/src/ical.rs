//! iCalendar (RFC 5545): what of it is about when, with the lines on which it stands.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use chrono_tz::Tz;

use crate::calendar::Zone;
use crate::days::{EVENT_DAYS_MOST, Event};
use crate::problem::{Problem, shown};
use crate::recurrence::day;
use crate::source::{Place, Source};

/// Most events in one file.
const EVENTS_MOST: usize = 500;
/// Most days that one event excepts or adds.
const LIST_MOST: usize = 1000;
/// Longest line after unfolding, in bytes.
const LINE_BYTES_MOST: usize = 16 * 1024;

/// A line of the file after unfolding: `NAME;PARAMETER=VALUE:value`.
struct Line {
    name: String,
    parameters: Vec<(String, String)>,
    value: String,
    place: Place,
}

/// An event and what links it with others.
struct Draft {
    begun: Place,
    uid: Option<String>,
    replaces: Option<NaiveDate>,
    cancelled: bool,
    start: Option<(NaiveDateTime, Tz, bool)>,
    end: Option<NaiveDateTime>,
    length: Option<TimeDelta>,
    event: Event,
}

/// The events of a file; problems are told at their lines.
pub(crate) fn events(source: &Source, problems: &mut Vec<Problem>) -> Vec<Event> {
    let lines = unfold(source);
    let is_event = |line: &&Line| line.name == "BEGIN" && line.value.eq_ignore_ascii_case("VEVENT");
    if let Some(surplus) = lines.iter().flatten().filter(is_event).nth(EVENTS_MOST) {
        let message = format!("the file holds more than {EVENTS_MOST} events");
        problems.push(source.problem(surplus.place, "too-many-events", message));
        return Vec::new();
    }
    let mut reader = Reader { source, problems, drafts: Vec::new(), within: Vec::new(), zone: Tz::UTC };
    for line in &lines {
        match line {
            Ok(line) => reader.take(line),
            Err(place) => reader.report(*place, "ical-syntax", "this is no line of iCalendar".to_owned()),
        }
    }
    if let Some(name) = reader.within.pop() {
        let end = source.place(source.text.len());
        reader.report(end, "ical-syntax", format!("`BEGIN:{}` has no end", shown(&name)));
    }
    reader.finish()
}

struct Reader<'a> {
    source: &'a Source,
    problems: &'a mut Vec<Problem>,
    drafts: Vec<Draft>,
    /// Components around the present line.
    within: Vec<String>,
    /// Zone of times that name none.
    zone: Tz,
}

impl Reader<'_> {
    fn report(&mut self, place: Place, rule: &str, message: String) {
        self.problems.push(self.source.problem(place, rule, message));
    }

    fn take(&mut self, line: &Line) {
        match &line.name[..] {
            "BEGIN" => self.begin(line),
            "END" => self.end(line),
            "X-WR-TIMEZONE" if self.within == ["VCALENDAR"] => match line.value.parse::<Zone>() {
                Ok(zone) => self.zone = zone.0,
                Err(error) => self.report(line.place, "bad-zone", error.to_string()),
            },
            _ if self.within == ["VCALENDAR", "VEVENT"] => self.detail(line),
            _ if self.within.is_empty() => {
                self.report(line.place, "ical-syntax", "a file begins with `BEGIN:VCALENDAR`".to_owned());
            }
            _ => {}
        }
    }

    fn begin(&mut self, line: &Line) {
        self.within.push(line.value.to_ascii_uppercase());
        if self.within != ["VCALENDAR", "VEVENT"] {
            return;
        }
        let nothing = Event::days(NaiveDate::MIN, NaiveDate::MIN, Tz::UTC);
        self.drafts.push(Draft {
            begun: line.place,
            uid: None,
            replaces: None,
            cancelled: false,
            start: None,
            end: None,
            length: None,
            event: nothing,
        });
    }

    fn end(&mut self, line: &Line) {
        if self.within.pop().as_deref() != Some(&line.value.to_ascii_uppercase()[..]) {
            self.report(line.place, "ical-syntax", format!("`END:{}` ends nothing", shown(&line.value)));
        }
    }

    /// A line of an event.
    fn detail(&mut self, line: &Line) {
        let read = self.read(line);
        let Some(draft) = self.drafts.last_mut() else { return };
        let value = &line.value;
        match (&line.name[..], read) {
            ("UID", _) => draft.uid = Some(value.clone()),
            ("STATUS", _) => draft.cancelled = value.eq_ignore_ascii_case("CANCELLED"),
            ("DTSTART", Some(start)) => draft.start = Some(start),
            ("DTEND", Some((end, ..))) => draft.end = Some(end),
            ("RECURRENCE-ID", Some((time, ..))) => draft.replaces = Some(time.date()),
            ("DTSTART" | "DTEND" | "RECURRENCE-ID", None) => {
                self.report(line.place, "bad-time", format!("`{}` is no time of iCalendar", shown(value)));
            }
            ("DURATION", _) => match duration(value) {
                Some(length) => draft.length = Some(length),
                None => self.report(line.place, "bad-period", format!("`{}` is no length of time", shown(value))),
            },
            ("RRULE", _) => match value.parse() {
                Ok(rule) => draft.event.repeat = Some(rule),
                Err(error) => {
                    let error: crate::recurrence::RecurrenceError = error;
                    self.report(line.place, "bad-recurrence", error.to_string());
                }
            },
            ("EXDATE" | "RDATE", _) => {
                let days: Option<Vec<NaiveDate>> = value.split(',').map(day).collect();
                let into = if line.name == "RDATE" { &mut draft.event.also } else { &mut draft.event.except };
                match days.filter(|days| days.len() + into.len() <= LIST_MOST) {
                    Some(days) => into.extend(days),
                    None => {
                        let message = format!("`{}` is no list of at most {LIST_MOST} days", shown(value));
                        self.report(line.place, "bad-time", message);
                    }
                }
            }
            _ => {}
        }
    }

    /// A time with its zone, and whether it is a whole day. `None` where it is none, or the line holds no time.
    fn read(&mut self, line: &Line) -> Option<(NaiveDateTime, Tz, bool)> {
        if !matches!(&line.name[..], "DTSTART" | "DTEND" | "RECURRENCE-ID") {
            return None;
        }
        let named = line.parameters.iter().find(|(name, _)| name == "TZID").map(|(_, zone)| zone.parse::<Zone>());
        let zone = match named {
            Some(Ok(zone)) => zone.0,
            Some(Err(error)) => {
                self.report(line.place, "bad-zone", error.to_string());
                self.zone
            }
            None if line.value.ends_with('Z') => Tz::UTC,
            None => self.zone,
        };
        let date = day(&line.value)?;
        let Some((_, time)) = line.value.split_once('T') else {
            return Some((date.and_time(NaiveTime::MIN), zone, true));
        };
        let time = NaiveTime::parse_from_str(time.trim_end_matches('Z'), "%H%M%S").ok()?;
        Some((date.and_time(time), zone, false))
    }

    fn finish(mut self) -> Vec<Event> {
        let replaced: Vec<(Option<String>, NaiveDate)> =
            self.drafts.iter().filter_map(|draft| Some((draft.uid.clone(), draft.replaces?))).collect();
        let mut events = Vec::new();
        for mut draft in std::mem::take(&mut self.drafts).into_iter().filter(|draft| !draft.cancelled) {
            if draft.replaces.is_none() {
                let own = replaced.iter().filter(|(uid, _)| uid.is_some() && *uid == draft.uid);
                draft.event.except.extend(own.map(|(_, day)| *day));
            }
            let Some((start, zone, whole_day)) = draft.start else {
                self.report(draft.begun, "missing-key", "the event has no `DTSTART`".to_owned());
                continue;
            };
            let usual = if whole_day { TimeDelta::days(1) } else { TimeDelta::zero() };
            let end = draft.end.unwrap_or(start + draft.length.unwrap_or(usual));
            if end <= start {
                self.report(draft.begun, "times-cross", "the event ends before or when it begins".to_owned());
            } else if end - start > TimeDelta::days(EVENT_DAYS_MOST) {
                self.report(draft.begun, "out-of-range", format!("the event lasts more than {EVENT_DAYS_MOST} days"));
            } else {
                events.push(Event { start, end, zone, ..draft.event });
            }
        }
        events
    }
}

/// Lines of the file, those that go on in the next joined; the place of one that is none.
fn unfold(source: &Source) -> Vec<Result<Line, Place>> {
    let mut joined: Vec<(Place, String)> = Vec::new();
    let mut start = 0;
    for (at, raw) in source.text.split_inclusive('\n').enumerate() {
        let text = raw.trim_end_matches(['\r', '\n']);
        let place = Place { line: at + 1, column: 1, start, end: start + text.len() };
        match (text.strip_prefix([' ', '\t']), joined.last_mut()) {
            (Some(more), Some((_, line))) if line.len() < LINE_BYTES_MOST => line.push_str(more),
            (Some(_), Some(_)) => {}
            _ if text.is_empty() => {}
            _ => joined.push((place, text.to_owned())),
        }
        start += raw.len();
    }
    joined.into_iter().map(|(place, text)| line(&text, place).ok_or(place)).collect()
}

fn line(text: &str, place: Place) -> Option<Line> {
    let mut quoted = false;
    let colon = text.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == ':' && !quoted).then_some(at)
    })?;
    let mut parts = text[..colon].split(';');
    let name = parts.next()?.to_ascii_uppercase();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let parameters = parts.filter_map(|part| part.split_once('='));
    let parameters = parameters.map(|(name, value)| (name.to_ascii_uppercase(), value.trim_matches('"').to_owned()));
    is_name.then(|| Line { name, parameters: parameters.collect(), value: text[colon + 1..].trim().to_owned(), place })
}

/// `P1D`, `PT2H30M`, `P2W`.
fn duration(text: &str) -> Option<TimeDelta> {
    let rest = text.strip_prefix('+').unwrap_or(text).strip_prefix('P')?;
    let (mut total, mut digits) = (TimeDelta::zero(), String::new());
    for c in rest.chars() {
        let unit = match c {
            '0'..='9' if digits.len() < 9 => {
                digits.push(c);
                continue;
            }
            'T' if digits.is_empty() => continue,
            'W' => 604_800,
            'D' => 86_400,
            'H' => 3600,
            'M' => 60,
            'S' => 1,
            _ => return None,
        };
        let number: i64 = digits.parse().ok()?;
        total += TimeDelta::try_seconds(number.checked_mul(unit)?)?;
        digits.clear();
    }
    digits.is_empty().then_some(total)
}
