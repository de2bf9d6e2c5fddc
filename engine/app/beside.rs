//! Exclusions, silences and calendars → what the stages take.

use margay_config::{Day, Loaded, LoadedCalendar, LoadedDetector, LoadedFile, SilenceFile, TreatAs};
use margay_core::{Period, TimeRange};
use margay_decide::{Origin, Selector, Silence};

use crate::budgets::TeamBudget;
use crate::exempt::{Effect, Exempt, Exempts, Span, Target};

/// Silences by name.
#[must_use]
pub fn silences(loaded: &Loaded) -> Vec<Silence> {
    let mut silences: Vec<Silence> = loaded.beside.silences.iter().map(silence).collect();
    silences.sort_by(|one, other| one.name.cmp(&other.name));
    silences
}

/// One silence.
#[must_use]
pub fn silence(file: &LoadedFile<SilenceFile>) -> Silence {
    Silence {
        name: file.name.clone(),
        selector: selector(&file.value.selector),
        range: TimeRange { start: file.value.from, end: file.value.until },
        reason: file.value.reason.clone(),
        owner: file.value.owner.clone(),
    }
}

/// What a detector's buckets are exempt from.
#[must_use]
pub fn exempts(loaded: &Loaded, detector: &LoadedDetector) -> Exempts {
    let mut exempts = Exempts::default();
    for file in &loaded.beside.exclusions {
        let selector = selector(&file.value.selector);
        if selector.covers_origin(&origin(detector)) {
            let range = TimeRange { start: file.value.from, end: file.value.to };
            let text = serde_json::to_string(&file.value.selector.entity).expect("a map of texts is JSON");
            exempts.push(Exempt {
                effect: Effect::Excluded,
                reason: format!("{}: {}", file.name, file.value.reason),
                target: Target::Matching(selector, text),
                spans: vec![Span { range, shift: Period(0) }],
            });
        }
    }
    for days in &detector.detector.calendars {
        let known = loaded.beside.calendars.iter().find(|calendar| calendar.name == days.name);
        if let Some(calendar) = known {
            exempts.push(special_days(calendar, days.treat_as));
        }
    }
    exempts
}

/// The days of a calendar, which are not learnt, and judged as the detector asks for.
fn special_days(calendar: &LoadedCalendar, treat_as: TreatAs) -> Exempt {
    let span = |day: &Day| match treat_as {
        TreatAs::Ignore => Span { range: day.range, shift: Period(0) },
        TreatAs::Sunday => Span { range: day.range, shift: day.to_sunday },
    };
    Exempt {
        effect: match treat_as {
            TreatAs::Ignore => Effect::Excluded,
            TreatAs::Sunday => Effect::Unlearnt,
        },
        reason: format!("a day of the calendar {}", calendar.name),
        target: Target::Matching(Selector::default(), "{}".to_owned()),
        spans: calendar.days.iter().map(span).collect(),
    }
}

/// Budgets of teams, by name.
#[must_use]
pub fn budgets(loaded: &Loaded) -> Vec<TeamBudget> {
    let budget = |(name, budget): (&String, &margay_config::TeamBudget)| TeamBudget {
        name: name.clone(),
        selector: selector(&budget.selector),
        alerts: budget.alerts,
        per: budget.per,
    };
    loaded.engine.budgets.iter().map(budget).collect()
}

/// The detector as selectors see it.
#[must_use]
pub fn origin(detector: &LoadedDetector) -> Origin<'_> {
    let detector = &detector.detector;
    Origin { detector: &detector.name, tags: &detector.tags, log: &detector.log }
}

/// A selector as it is applied.
#[must_use]
pub fn selector(selector: &margay_config::Selector) -> Selector {
    let entity: Vec<(String, String)> =
        selector.entity.iter().map(|(column, text)| (column.clone(), text.clone())).collect();
    Selector::new(&selector.detectors, &selector.tags, &selector.logs, &entity)
}
