//! Alerts that people asked not to be told of, for a while.

use margay_core::{Alert, AlertStatus, Silenced, TimeRange};

use crate::selector::{Origin, Selector};

/// Keeps alerts back that are raised in a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Silence {
    /// Its file's name without the ending.
    pub name: String,
    /// Which alerts.
    pub selector: Selector,
    /// When. The time of an alert counts (the end of the bucket that brought it), never the time on the wall.
    pub range: TimeRange,
    /// Why.
    pub reason: String,
    /// Who answers for it.
    pub owner: String,
}

impl Silence {
    /// Whether it keeps back what an alert says now.
    #[must_use]
    pub fn covers(&self, alert: &Alert, log: &str) -> bool {
        let origin = Origin { detector: &alert.detector, tags: &alert.tags, log };
        self.range.contains(alert.time)
            && self.selector.covers_origin(&origin)
            && self.selector.covers_entity(&alert.entity)
    }
}

/// Why a new revision of an alert is kept back, `before` being the last one, if there was one.
///
/// The end of an alert is told to those, and only to those, who were told that it began: whether a silence ends or
/// begins in between makes no difference.
#[must_use]
pub fn silenced(silences: &[Silence], alert: &Alert, before: Option<&Alert>, log: &str) -> Option<Silenced> {
    let earlier = before.and_then(|before| before.silenced.as_ref());
    let is_over = matches!(alert.status, AlertStatus::Closed | AlertStatus::Withdrawn);
    if is_over && before.is_some() {
        return earlier.filter(|silenced| silenced.since_revision <= 1).cloned();
    }
    let silence = silences.iter().find(|silence| silence.covers(alert, log))?;
    Some(Silenced {
        silence: silence.name.clone(),
        reason: silence.reason.clone(),
        owner: silence.owner.clone(),
        until: silence.range.end,
        since_revision: earlier.map_or(alert.revision, |silenced| silenced.since_revision),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use margay_core::Time;

    use super::*;

    fn silence(start: i64, end: i64) -> Silence {
        let range = TimeRange { start: Time(start), end: Time(end) };
        let (reason, owner) = ("known".to_owned(), "ops".to_owned());
        Silence { name: "quiet".to_owned(), selector: Selector::default(), range, reason, owner }
    }

    fn alert(revision: u32, status: AlertStatus, time: i64) -> Alert {
        Alert { revision, status, time: Time(time), ..crate::fixture::alert() }
    }

    /// Which of an alert's revisions are kept back.
    fn kept_back(silences: &[Silence], revisions: &[(AlertStatus, i64)]) -> Vec<bool> {
        let mut before: Option<Alert> = None;
        let mut told = Vec::new();
        for (revision, (status, time)) in (1u32..).zip(revisions) {
            let mut now = alert(revision, *status, *time);
            now.silenced = silenced(silences, &now, before.as_ref(), "flows");
            told.push(now.silenced.is_some());
            before = Some(now);
        }
        told
    }

    #[test]
    fn the_time_of_the_alert_decides() {
        let one = alert(1, AlertStatus::Open, 100);
        assert!(silence(100, 101).covers(&one, "flows"));
        assert!(!silence(0, 100).covers(&one, "flows"));
        assert!(!silence(101, 200).covers(&one, "flows"));
        let other = Silence { selector: Selector::new(&[], &[], &["dns".to_owned()], &[]), ..silence(0, 200) };
        assert!(!other.covers(&one, "flows"));
    }

    #[test]
    fn who_was_told_of_the_beginning_is_told_of_the_end() {
        use AlertStatus::{Closed, Open, Updated};
        let during = [silence(15, 100)];
        assert_eq!(kept_back(&during, &[(Open, 10), (Updated, 20), (Closed, 30)]), [false, true, false]);
        let before = [silence(0, 25)];
        assert_eq!(kept_back(&before, &[(Open, 10), (Closed, 30)]), [true, true]);
        assert_eq!(kept_back(&before, &[(Open, 10), (Updated, 26), (Closed, 30)]), [true, false, false]);
        assert_eq!(kept_back(&[], &[(Open, 10), (Closed, 30)]), [false, false]);
    }

    #[test]
    fn the_first_silence_that_covers_is_named() {
        let other = Silence { name: "other".to_owned(), ..silence(0, 50) };
        let one = alert(1, AlertStatus::Open, 10);
        let kept = silenced(&[silence(20, 30), other], &one, None, "flows").unwrap();
        assert_eq!((kept.silence.as_str(), kept.until, kept.since_revision), ("other", Time(50), 1));
    }
}
