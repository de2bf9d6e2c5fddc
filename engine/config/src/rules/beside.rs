//! Rules across the keys of exclusions, silences and calendars.

use crate::calendar::CalendarFile;
use crate::days::EVENT_DAYS_MOST;
use crate::exclusion::ExclusionFile;
use crate::problem::shown;
use crate::rules::Findings;
use crate::selector::Selector;
use crate::silence::SilenceFile;

/// Checks everything about an exclusion that one key alone does not show.
pub(crate) fn exclusion(file: &ExclusionFile, findings: &mut Findings<'_>) {
    selector(&["selector"], &file.selector, findings);
    if file.to <= file.from {
        let message = format!("the exclusion ends at {}, before it begins at {}", file.to, file.from);
        findings.value(&["to"], "times-cross", message, "`to` must be later than `from`");
    }
}

/// Checks everything about a silence that one key alone does not show, but for its expiry, which takes a clock.
pub(crate) fn silence(file: &SilenceFile, findings: &mut Findings<'_>) {
    selector(&["selector"], &file.selector, findings);
    if file.until <= file.from {
        let message = format!("the silence ends at {}, before it begins at {}", file.until, file.from);
        findings.value(&["until"], "times-cross", message, "`until` must be later than `from`");
    } else if file.until.since(file.from) > SilenceFile::LONGEST {
        let message = format!("a silence of {} is too long", file.until.since(file.from));
        let hint = format!("at most {}; for longer, raise a threshold of the detector", SilenceFile::LONGEST);
        findings.value(&["until"], "silence-too-long", message, &hint);
    }
}

/// Checks everything about a calendar that one key alone does not show.
pub(crate) fn calendar(file: &CalendarFile, findings: &mut Findings<'_>) {
    for (at, day) in file.days.iter().enumerate() {
        let Some(through) = day.through else { continue };
        let key = ["days", &at.to_string(), "through"];
        if through < day.date {
            let message = format!("`{}` ends on {through}, before it begins", shown(&day.name));
            findings.value(&key, "times-cross", message, "`through` is the last day, not before `date`");
        } else if (through.0 - day.date.0).num_days() >= EVENT_DAYS_MOST {
            let message = format!("`{}` lasts more than {EVENT_DAYS_MOST} days", shown(&day.name));
            findings.value(&key, "out-of-range", message, "a day that is special for a year is none");
        }
    }
}

/// A selector that names nothing would mean everything, which nobody writes on purpose. What it names may have been
/// left out because it is wrong, which has its own problem.
pub(crate) fn selector(key: &[&str], selector: &Selector, findings: &mut Findings<'_>) {
    if selector.is_empty() && findings.problems.is_empty() {
        let message = "the selector names nothing".to_owned();
        findings.key(key, "selector-is-empty", message, "everything is written `detectors: [\"*\"]`");
    }
}
