//! Files beside detectors.d.

use std::collections::BTreeMap;

use margay_core::Time;

use crate::{Selector, SilenceFile, load, load_detectors};

use super::{found, repository};

const EXCLUSION: &str = "\
selector: { detectors: [bytes-*], entity: { namespace: payments } }
from: 2026-11-10T08:00:00Z
to: 2026-11-10T12:30:00Z
reason: payment provider down
owner: team-payments
";

/// Files of a folder and the rule and line of what is wrong with each.
fn broken(folder: &str) -> BTreeMap<String, (String, usize)> {
    let loaded = load_detectors(&[repository().join("tests/bad").join(folder)], None);
    assert_eq!(loaded.beside.exclusions.len() + loaded.beside.silences.len(), 0);
    let stem = |path: &std::path::Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    let told = loaded.problems.iter().map(|one| (stem(&one.file), (one.rule.clone(), one.line))).collect();
    assert_eq!(loaded.problems.len(), loaded.files_checked, "{:?}", loaded.problems);
    told
}

fn at_lines(lines: &[(&str, usize)]) -> BTreeMap<String, (String, usize)> {
    lines.iter().map(|(rule, line)| ((*rule).to_owned(), ((*rule).to_owned(), *line))).collect()
}

#[test]
fn each_broken_exclusion_gives_the_problem_it_is_named_after_at_its_line() {
    let expected = [
        ("bad-time", 4),
        ("empty-value", 5),
        ("missing-key", 2),
        ("selector-is-empty", 4),
        ("times-cross", 4),
        ("unknown-key", 2),
    ];
    assert_eq!(broken("exclusions.d"), at_lines(&expected));
}

#[test]
fn each_broken_silence_gives_the_problem_it_is_named_after_at_its_line() {
    let expected =
        [("missing-key", 2), ("selector-is-empty", 2), ("silence-too-long", 4), ("times-cross", 4), ("wrong-type", 2)];
    assert_eq!(broken("silences.d"), at_lines(&expected));
}

#[test]
fn folders_beside_the_detectors_are_read_if_they_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("margay.yaml");
    std::fs::write(&config, "detectors: []\n").unwrap();
    assert_eq!(found(&load(&config)), []);
    std::fs::create_dir(dir.path().join("exclusions.d")).unwrap();
    assert_eq!(found(&load(&config)), []);
    std::fs::write(dir.path().join("exclusions.d/outage.yaml"), EXCLUSION).unwrap();
    let loaded = load(&config);
    assert_eq!((found(&loaded), loaded.files_checked), (vec![], 2));
    let [outage] = &loaded.beside.exclusions[..] else { panic!("{:?}", loaded.beside) };
    assert_eq!((outage.name.as_str(), outage.value.owner.as_str()), ("outage", "team-payments"));
    assert_eq!(outage.value.selector.entity["namespace"], "payments");
}

#[test]
fn a_folder_that_is_named_must_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("margay.yaml");
    std::fs::write(&config, "detectors: []\nsilences: [quiet.d]\n").unwrap();
    assert_eq!(found(&load(&config)), [("unreadable-file", 2, 12)]);
}

#[test]
fn a_silence_reads_back_whatever_its_texts_hold() {
    for text in ["web-*", "it's: {a} #b", "- x", "\"q\"\n---\nowner: evil", "\u{202e}\u{7f}", "true", "12", " a ", "~"]
    {
        let silence = SilenceFile {
            selector: Selector {
                entity: [("app".to_owned(), text.to_owned()), (text.to_owned(), "x".to_owned())].into(),
                ..Selector::default()
            },
            from: Time(1_793_577_600_000),
            until: Time(1_793_664_000_000),
            reason: text.to_owned(),
            owner: "ops".to_owned(),
        };
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("silences.d").join("quiet.yaml");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::write(&path, silence.to_yaml()).unwrap();
        let loaded = load_detectors(&[path], None);
        let back: Vec<&SilenceFile> = loaded.beside.silences.iter().map(|file| &file.value).collect();
        assert_eq!(back, [&silence], "{text:?}: {:?}\n{}", loaded.problems, silence.to_yaml());
    }
}

const ICAL: &str = "\
BEGIN:VCALENDAR\r
VERSION:2.0\r
X-WR-TIMEZONE:Europe/Berlin\r
BEGIN:VTIMEZONE\r
TZID:Europe/Berlin\r
BEGIN:DAYLIGHT\r
DTSTART:19810329T020000\r
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU\r
END:DAYLIGHT\r
END:VTIMEZONE\r
BEGIN:VEVENT\r
UID:sale@shop\r
SUMMARY:Sale: \"the\r
 big one\"\r
DTSTART;TZID=Europe/Berlin:20261127T180000\r
DURATION:PT2H\r
RRULE:FREQ=MONTHLY;BYDAY=-1FR;COUNT=4\r
EXDATE;TZID=Europe/Berlin:20270129T180000\r
BEGIN:VALARM\r
TRIGGER:-PT15M\r
END:VALARM\r
END:VEVENT\r
BEGIN:VEVENT\r
UID:sale@shop\r
RECURRENCE-ID;TZID=Europe/Berlin:20261225T180000\r
DTSTART:20261223T170000Z\r
DTEND:20261223T180000Z\r
END:VEVENT\r
BEGIN:VEVENT\r
STATUS:CANCELLED\r
DTSTART;VALUE=DATE:20261212\r
END:VEVENT\r
BEGIN:VEVENT\r
DTSTART;VALUE=DATE:20261224\r
END:VEVENT\r
END:VCALENDAR\r
";

/// Starts and ends of a calendar's days.
fn days_of(name: &str, text: &str) -> Vec<(String, String)> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("calendars.d").join(name);
    std::fs::create_dir(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    let loaded = load_detectors(&[path], None);
    assert_eq!(found(&loaded), []);
    let days = loaded.beside.calendars[0].days.iter();
    days.map(|day| (day.range.start.to_string(), day.range.end.to_string())).collect()
}

#[test]
fn each_broken_calendar_gives_the_problem_it_is_named_after_at_its_line() {
    let loaded = load_detectors(&[repository().join("tests/bad/calendars.d")], None);
    let name = |path: &std::path::Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let told: Vec<String> =
        loaded.problems.iter().map(|one| format!("{} {}:{}", name(&one.file), one.line, one.rule)).collect();
    let expected = [
        "bad-date.yaml 3:bad-date",
        "bad-recurrence.ics 5:bad-recurrence",
        "bad-recurrence.yaml 3:bad-recurrence",
        "bad-time.ics 3:bad-time",
        "bad-time.ics 2:missing-key",
        "bad-zone.ics 3:bad-zone",
        "bad-zone.yaml 2:bad-zone",
        "empty-value.yaml 2:empty-value",
        "ical-syntax.ics 4:ical-syntax",
        "missing-key.ics 2:missing-key",
        "out-of-range.yaml 3:out-of-range",
        "times-cross.ics 2:times-cross",
        "times-cross.yaml 3:times-cross",
        "too-many-days.yaml 1:too-many-days",
    ];
    let sorted = |mut all: Vec<String>| {
        all.sort();
        all
    };
    assert_eq!(sorted(told), sorted(expected.map(str::to_owned).to_vec()));
    assert!(loaded.beside.calendars.is_empty());
}

#[test]
fn an_icalendar_gives_its_times_in_their_zones() {
    let text = |start: &str, end: &str| (start.to_owned(), end.to_owned());
    let expected = [
        text("2026-11-27T17:00:00Z", "2026-11-27T19:00:00Z"),
        text("2026-12-23T17:00:00Z", "2026-12-23T18:00:00Z"),
        text("2026-12-23T23:00:00Z", "2026-12-24T23:00:00Z"),
        text("2027-02-26T17:00:00Z", "2027-02-26T19:00:00Z"),
    ];
    assert_eq!(days_of("sale.ics", ICAL), expected);
    assert_eq!(days_of("sale.ics", &ICAL.replace("\r\n", "\n")), expected);
}

#[test]
fn days_in_yaml_begin_at_midnight_of_their_zone() {
    let text =
        "zone: America/New_York\ndays:\n  - { name: Christmas, date: 2026-12-25, repeat: FREQ=YEARLY;COUNT=2 }\n";
    let days = days_of("holidays.yaml", text);
    assert_eq!(days[0], ("2026-12-25T05:00:00Z".to_owned(), "2026-12-26T05:00:00Z".to_owned()));
    assert_eq!(days.len(), 2);
}

#[test]
fn hostile_calendars_are_refused_within_their_bounds() {
    let event = |rule: &str| format!("BEGIN:VEVENT\nDTSTART;VALUE=DATE:19000101\nRRULE:{rule}\nEND:VEVENT\n");
    let within = |body: &str| format!("BEGIN:VCALENDAR\n{body}END:VCALENDAR\n");
    for (text, rule) in [
        (within(&event("FREQ=DAILY")), "too-many-days"),
        (within(&event("FREQ=DAILY").repeat(500)), "too-many-days"),
        (within(&event("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30").repeat(500)), ""),
        (within(&"BEGIN:VEVENT\nEND:VEVENT\n".repeat(600)), "too-many-events"),
        ("BEGIN:VEVENT\n".repeat(9000), "too-many-events"),
        (within(&format!("BEGIN:VEVENT\nDTSTART:20260101\nSUMMARY:x\n{}END:VEVENT\n", " y\n".repeat(60_000))), ""),
        ("\u{feff}".to_owned(), "empty-calendar"),
        ("END:X\n:::\n;=\n".repeat(100), "ical-syntax"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("calendars.d").join("bomb.ics");
        std::fs::create_dir(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
        let loaded = load_detectors(std::slice::from_ref(&path), None);
        let rules: Vec<String> = loaded.problems.iter().map(|one| one.rule.clone()).collect();
        assert!(
            rule.is_empty() == rules.is_empty() && (rule.is_empty() || rules.contains(&rule.to_owned())),
            "{rule}: {rules:?}"
        );
    }
}

#[test]
fn a_detector_names_a_calendar_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("margay.yaml", "logs: { flows: { files: x.csv, preset: calico-flows } }\n");
    write("calendars.d/holidays.yaml", "days: [{ name: Christmas, date: 2026-12-25 }]\n");
    write("calendars.d/holidays.ics", &ICAL.replace('\r', ""));
    write("detectors.d/good.yaml", &format!("{}calendars: [{{ name: holiday }}]\n", super::GOOD));
    let loaded = load(&dir.path().join("margay.yaml"));
    let told: Vec<&str> = loaded.problems.iter().map(|one| one.rule.as_str()).collect();
    assert_eq!(told, ["duplicate-calendar", "unknown-calendar"]);
    assert_eq!((loaded.detectors.len(), loaded.broken.len()), (0, 1));
    assert_eq!(loaded.problems[1].hint.as_deref(), Some("did you mean `holidays`?"));
    write("detectors.d/good.yaml", &format!("{}calendars: [{{ name: holidays, treat_as: sunday }}]\n", super::GOOD));
    assert_eq!(load(&dir.path().join("margay.yaml")).detectors.len(), 1);
}
