//! The folders beside detectors.d, each with one kind of file: exclusions.d, silences.d and calendars.d.

use std::path::{Path, PathBuf};

use garde::Validate;
use serde::de::DeserializeOwned;

use crate::calendar::CalendarFile;
use crate::days::{self, Day};
use crate::detector::Mode;
use crate::document::{self, Document};
use crate::engine::Engine;
use crate::exclusion::ExclusionFile;
use crate::files;
use crate::hint::nearest;
use crate::ical;
use crate::load::LoadedDetector;
use crate::problem::{Problem, Severity, shown};
use crate::rules::{self, Findings};
use crate::schema::SchemaKind;
use crate::silence::SilenceFile;
use crate::source::Source;

/// What the folders beside detectors.d hold; broken files are told of and left out.
#[derive(Clone, Debug, Default)]
pub struct Beside {
    /// Files of exclusions.d, by name.
    pub exclusions: Vec<LoadedFile<ExclusionFile>>,
    /// Files of silences.d, by name.
    pub silences: Vec<LoadedFile<SilenceFile>>,
    /// Files of calendars.d, by name.
    pub calendars: Vec<LoadedCalendar>,
    /// Every file that was read, broken ones too.
    pub files: Vec<PathBuf>,
    /// Names of calendars, broken ones too.
    calendar_names: Vec<String>,
}

/// A file that was read, and where it came from.
#[derive(Clone, Debug)]
pub struct LoadedFile<T> {
    /// The file's name without its ending.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// What it says.
    pub value: T,
    document: Document,
}

/// A calendar that was read.
#[derive(Clone, Debug)]
pub struct LoadedCalendar {
    /// The file's name without its ending.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Its days, in order, none overlapping another.
    pub days: Vec<Day>,
}

impl<T> LoadedFile<T> {
    /// An error at the value of a path of keys, such as `["selector"]`.
    #[must_use]
    pub fn problem(&self, key: &[&str], rule: &'static str, message: String, hint: Option<String>) -> Problem {
        self.document.problem(key, None, rule, message).hint(hint)
    }
}

/// A kind of file that lies in a folder beside detectors.d.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Exclusion,
    Silence,
    Calendar,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Exclusion, Self::Silence, Self::Calendar];

    /// Key of margay.yaml that names its folders.
    fn key(self) -> &'static str {
        match self {
            Self::Exclusion => "exclusions",
            Self::Silence => "silences",
            Self::Calendar => "calendars",
        }
    }

    fn endings(self) -> &'static [&'static str] {
        match self {
            Self::Exclusion | Self::Silence => files::YAML,
            Self::Calendar => &["yaml", "yml", "ics"],
        }
    }

    pub(crate) fn entries(self, engine: &Engine) -> &[PathBuf] {
        match self {
            Self::Exclusion => &engine.exclusions,
            Self::Silence => &engine.silences,
            Self::Calendar => &engine.calendars,
        }
    }

    /// The kind of what lies at a path, by the name of its folder; `None` where it is a detector's.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let folder = if path.is_dir() { Some(path) } else { path.parent() };
        let name = folder?.file_name()?.to_string_lossy();
        Self::ALL.into_iter().find(|kind| name == format!("{}.d", kind.key()))
    }
}

impl Beside {
    /// Reads the folders that margay.yaml names. One that is not named need not be there.
    pub(crate) fn load(engine: &Engine, document: Option<&Document>, root: &Path, problems: &mut Vec<Problem>) -> Self {
        let mut beside = Self::default();
        for kind in Kind::ALL {
            let is_named = document.is_some_and(|document| document.root.find(&[kind.key()]).is_some());
            for (at, entry) in kind.entries(engine).iter().enumerate() {
                let path = root.join(entry);
                if !is_named && !path.exists() {
                    continue;
                }
                let place = [kind.key(), &at.to_string()];
                beside.take(kind, &path, problems, |rule, message| match document {
                    Some(document) => document.problem(&place, None, rule, message),
                    None => Problem::new(&path, (1, 1), rule, message),
                });
            }
        }
        beside
    }

    /// Reads what lies at a path.
    pub(crate) fn take(
        &mut self,
        kind: Kind,
        path: &Path,
        problems: &mut Vec<Problem>,
        lost: impl Fn(&str, String) -> Problem,
    ) {
        let files = match files::list_all(path, kind.endings()) {
            Ok(files) => files,
            Err((rule, message)) => return problems.push(lost(rule, message)),
        };
        for file in files.into_iter().filter(|file| !self.files.contains(file)).collect::<Vec<_>>() {
            match kind {
                Kind::Exclusion => {
                    self.exclusions.extend(read(&file, SchemaKind::Exclusion, rules::beside::exclusion, problems));
                }
                Kind::Silence => {
                    self.silences.extend(read(&file, SchemaKind::Silence, rules::beside::silence, problems));
                }
                Kind::Calendar => self.take_calendar(&file, problems),
            }
            self.files.push(file);
        }
    }

    fn take_calendar(&mut self, path: &Path, problems: &mut Vec<Problem>) {
        self.calendar_names.push(stem(path));
        let Some(calendar) = calendar(path, problems) else { return };
        match self.calendars.iter().find(|one| one.name == calendar.name) {
            None => self.calendars.push(calendar),
            Some(first) => {
                let message = format!("{} already defines `{}`", first.path.display(), calendar.name);
                problems.push(Problem::new(path, (1, 1), "duplicate-calendar", message));
            }
        }
    }

    /// Detectors that name a calendar or a detector which is not there are broken.
    pub(crate) fn check_names(
        &self,
        detectors: &mut Vec<LoadedDetector>,
        broken: &mut Vec<LoadedDetector>,
        problems: &mut Vec<Problem>,
    ) {
        let known: Vec<&str> = self.calendar_names.iter().map(String::as_str).collect();
        let names: Vec<String> = detectors.iter().chain(&*broken).map(|loaded| loaded.detector.name.clone()).collect();
        for loaded in std::mem::take(detectors) {
            let named = loaded.detector.calendars.iter().enumerate();
            let mut lost: Vec<Problem> = named
                .filter(|(_, days)| !known.contains(&&days.name[..]))
                .map(|(at, days)| {
                    let message = format!("there is no calendar `{}`", shown(&days.name));
                    let hint = match nearest(&days.name, &known) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "a calendar is a file of calendars.d, named without its ending".to_owned(),
                    };
                    loaded.problem(
                        &["calendars", &at.to_string(), "name"],
                        None,
                        "unknown-calendar",
                        message,
                        Some(hint),
                    )
                })
                .collect();
            lost.extend(replaces_nothing(&loaded, &names));
            let into = if lost.is_empty() { &mut *detectors } else { &mut *broken };
            into.push(loaded);
            problems.extend(lost);
        }
    }
}

/// A shadow that should replace a detector which is not there, or itself. Once it is promoted, the other may go.
fn replaces_nothing(loaded: &LoadedDetector, names: &[String]) -> Option<Problem> {
    let replaces = loaded.detector.replaces.as_ref().filter(|_| loaded.detector.mode == Mode::Shadow)?;
    let others: Vec<&str> = names.iter().map(String::as_str).filter(|name| *name != loaded.detector.name).collect();
    if others.contains(&&replaces[..]) {
        return None;
    }
    let hint = match nearest(replaces, &others) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "the name of another detector".to_owned(),
    };
    let message = format!("there is no other detector `{}`", shown(replaces));
    Some(loaded.problem(&["replaces"], None, "unknown-detector", message, Some(hint)))
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The calendar of a file, unless it has errors.
fn calendar(path: &Path, problems: &mut Vec<Problem>) -> Option<LoadedCalendar> {
    let mut own = Vec::new();
    let events = if path.extension().is_some_and(|ending| ending == "ics") {
        match Source::read(path) {
            Ok(source) => ical::events(&source, &mut own),
            Err(problem) => {
                own.push(*problem);
                Vec::new()
            }
        }
    } else {
        let (document, file) = document::read::<CalendarFile>(path, SchemaKind::Calendar, &mut own);
        let read = document.zip(file);
        read.map(|(document, file)| {
            rules::beside::calendar(&file, &mut Findings { document: &document, problems: &mut own });
            file.events()
        })
        .unwrap_or_default()
    };
    let days = if own.is_empty() { days::days(&events) } else { Some(Vec::new()) };
    match &days {
        None => {
            let message = format!("the events cover more than {} days", days::DAYS_MOST);
            let hint = "end a recurrence with UNTIL, or give it a longer INTERVAL".to_owned();
            own.push(Problem::new(path, (1, 1), "too-many-days", message).hint(hint));
        }
        Some(days) if days.is_empty() && own.is_empty() => {
            own.push(Problem::new(path, (1, 1), "empty-calendar", "the calendar has no day".to_owned()).warning());
        }
        Some(_) => {}
    }
    let is_broken = own.iter().any(|problem| problem.severity == Severity::Error);
    problems.append(&mut document::cut(path, own));
    days.filter(|_| !is_broken).map(|days| LoadedCalendar { name: stem(path), path: path.to_owned(), days })
}

/// The file, unless it has errors.
fn read<T: DeserializeOwned + Validate<Context = ()>>(
    path: &Path,
    kind: SchemaKind,
    check: impl Fn(&T, &mut Findings<'_>),
    problems: &mut Vec<Problem>,
) -> Option<LoadedFile<T>> {
    let mut own = Vec::new();
    let (document, value) = document::read::<T>(path, kind, &mut own);
    let read = document.zip(value);
    if let Some((document, value)) = &read {
        check(value, &mut Findings { document, problems: &mut own });
    }
    let is_broken = own.iter().any(|problem| problem.severity == Severity::Error);
    problems.append(&mut document::cut(path, own));
    let (document, value) = read.filter(|_| !is_broken)?;
    Some(LoadedFile { name: stem(path), path: path.to_owned(), value, document })
}
