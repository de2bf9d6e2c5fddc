//! Times in which entities are not judged or learnt as usual, and why.

use margay_core::{Entity, Period, Time, TimeRange, digest};
use margay_decide::Selector;

/// What becomes of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It is neither judged nor learnt.
    Excluded,
    /// It is judged as usual, and not learnt.
    Unlearnt,
}

/// Entities that are meant.
#[derive(Clone, Debug)]
pub enum Target {
    /// Those that patterns match, and the patterns as text.
    Matching(Selector, String),
    /// This one.
    One(Entity),
}

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// When.
    pub range: TimeRange,
    /// Buckets are judged as if they were so much later: a holiday as the next Sunday.
    pub shift: Period,
}

/// Times of entities that are treated alike, for one reason.
#[derive(Clone, Debug)]
pub struct Exempt {
    /// What becomes of the buckets.
    pub effect: Effect,
    /// Why.
    pub reason: String,
    /// Whose.
    pub target: Target,
    /// When; in order, none overlaps another.
    pub spans: Vec<Span>,
}

/// All of a detector.
#[derive(Clone, Debug, Default)]
pub struct Exempts(Vec<Exempt>);

impl Exempts {
    /// Adds one to the others.
    pub fn push(&mut self, exempt: Exempt) {
        self.0.push(exempt);
        self.0.sort_by_key(|one| one.effect);
    }

    /// Those that overlap a bucket, with its shift; the strongest effect first.
    #[must_use]
    pub fn active(&self, bucket: &TimeRange) -> Vec<(&Exempt, Period)> {
        let here = |one: &Exempt| {
            let next = one.spans.partition_point(|span| span.range.start < bucket.end);
            one.spans[..next].last().filter(|span| span.range.overlaps(bucket)).map(|span| span.shift)
        };
        self.0.iter().filter_map(|one| here(one).map(|shift| (one, shift))).collect()
    }

    /// Names what the buckets before a time are exempt from: while it stays the same, so do their scores.
    #[must_use]
    pub fn digest_until(&self, end: Time) -> String {
        let mut parts: Vec<String> = Vec::new();
        for one in &self.0 {
            let spans: Vec<_> = one.spans.iter().filter(|span| span.range.start < end).collect();
            let said = spans.iter().map(|span| {
                let Span { range, shift } = span;
                format!("{:?} {} {} {} {}", one.effect, one.target.key(), range.start, range.end.min(end), shift.0)
            });
            parts.extend(said);
        }
        parts.sort_unstable();
        parts.dedup();
        digest(&parts)
    }
}

impl Exempt {
    /// Whether the entity is meant.
    #[must_use]
    pub fn covers(&self, entity: &Entity) -> bool {
        match &self.target {
            Target::Matching(selector, _) => selector.covers_entity(entity),
            Target::One(one) => one == entity,
        }
    }
}

impl Target {
    fn key(&self) -> String {
        match self {
            Self::Matching(_, text) => text.clone(),
            Self::One(entity) => entity.to_json(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exempt(spans: &[(i64, i64)]) -> Exempt {
        let span = |&(start, end): &(i64, i64)| Span {
            range: TimeRange { start: Time(start), end: Time(end) },
            shift: Period(0),
        };
        let target = Target::Matching(Selector::default(), String::new());
        let spans = spans.iter().map(span).collect();
        Exempt { effect: Effect::Excluded, reason: "upgrade".to_owned(), target, spans }
    }

    fn exempts(spans: &[(i64, i64)]) -> Exempts {
        Exempts(vec![exempt(spans)])
    }

    #[test]
    fn a_bucket_that_overlaps_at_all_is_exempt() {
        let one = exempts(&[(100, 200), (500, 600)]);
        let is_active = |start, end| !one.active(&TimeRange { start: Time(start), end: Time(end) }).is_empty();
        assert!(is_active(0, 101) && is_active(199, 300) && is_active(0, 1000) && is_active(550, 560));
        assert!(!is_active(0, 100) && !is_active(200, 500) && !is_active(600, 700));
    }

    #[test]
    fn only_what_lies_before_a_time_changes_its_digest() {
        let until = Time(300);
        let before = exempts(&[(100, 200)]).digest_until(until);
        assert_eq!(exempts(&[(100, 200), (300, 400)]).digest_until(until), before);
        assert_ne!(exempts(&[(100, 201)]).digest_until(until), before);
        assert_eq!(exempts(&[(100, 400)]).digest_until(until), exempts(&[(100, 900)]).digest_until(until));
        assert_eq!(exempts(&[(300, 400)]).digest_until(until), Exempts::default().digest_until(until));
    }

    #[test]
    fn the_strongest_effect_comes_first() {
        let mut both = Exempts::default();
        both.push(Exempt { effect: Effect::Unlearnt, ..exempt(&[(0, 9)]) });
        both.push(exempt(&[(0, 9)]));
        let active = both.active(&TimeRange { start: Time(0), end: Time(5) });
        assert_eq!(active.iter().map(|(one, _)| one.effect).collect::<Vec<_>>(), [Effect::Excluded, Effect::Unlearnt]);
    }
}
