//! Scores that are kept → series on which other thresholds are tried.

use margay_core::{Entity, Score, ScoreState, Time, TimeRange};
use margay_decide::trial::{self, Series};
use margay_decide::{Judged, Rule};

/// Buckets that score lower are no part of any episode at the lowest score that is tried.
const KEPT_LEAST: f64 = super::grid::SCORE_LEAST / 2.0;

/// The scored past of one detector.
#[derive(Clone, Debug)]
pub struct Past {
    /// Entities by index.
    pub entities: Vec<Entity>,
    /// What was judged of each of them.
    pub series: Vec<Series>,
    /// From the first bucket to the end of the last one.
    pub range: TimeRange,
    /// Buckets of entities that were judged.
    pub tests: u64,
}

impl Past {
    /// Weeks that it covers.
    #[must_use]
    pub fn weeks(&self) -> f64 {
        self.range.weeks()
    }
}

/// Collects scores as they come: by bucket, entity and feature.
pub struct Collector<'a> {
    rule: &'a Rule,
    volume: &'a [Option<usize>],
    within: TimeRange,
    past: Past,
    /// Bucket and entity whose features are coming in.
    present: Option<(Time, usize)>,
    scores: Vec<Score>,
    judged: Vec<Judged>,
}

impl<'a> Collector<'a> {
    /// For the features of a rule; `volume` says which feature is the volume of which. Buckets outside `within` are
    /// left out.
    #[must_use]
    pub fn new(rule: &'a Rule, volume: &'a [Option<usize>], within: TimeRange) -> Self {
        let nothing = Score::absent(ScoreState::NoData);
        Self {
            rule,
            volume,
            within,
            past: Past {
                entities: Vec::new(),
                series: Vec::new(),
                range: TimeRange { start: Time::MAX, end: Time::MIN },
                tests: 0,
            },
            present: None,
            scores: vec![nothing; volume.len()],
            judged: Vec::with_capacity(volume.len()),
        }
    }

    /// Makes an entity known; its index is the number of those before.
    pub fn enter(&mut self, entity: Entity) {
        self.past.entities.push(entity);
        self.past.series.push(Series::default());
    }

    /// Takes one score. Scores of a feature that the detector does not have are left out.
    pub fn take(&mut self, bucket: Time, entity: usize, feature: usize, score: Score) {
        if !self.within.contains(bucket) || feature >= self.scores.len() {
            return;
        }
        if self.present != Some((bucket, entity)) {
            self.complete();
            self.present = Some((bucket, entity));
        }
        self.scores[feature] = score;
    }

    fn complete(&mut self) {
        let Some((bucket, entity)) = self.present.take() else { return };
        let range = &mut self.past.range;
        range.start = range.start.min(bucket);
        range.end = range.end.max(bucket.plus(self.rule.bucket));
        let scores = &self.scores;
        if scores.iter().any(|score| matches!(score.state, ScoreState::Scored | ScoreState::Warming)) {
            self.past.tests += 1;
        }
        let volume = |(score, volume): (&Score, &Option<usize>)| Judged {
            score: *score,
            volume: volume.map_or(score.value, |at| scores[at].value),
        };
        self.judged.clear();
        self.judged.extend(scores.iter().zip(self.volume).map(volume));
        if trial::highest(&self.judged) >= KEPT_LEAST {
            self.past.series[entity].push(bucket, &self.judged);
        }
        self.scores.fill(Score::absent(ScoreState::NoData));
    }

    /// All that was collected; `None` where there was nothing.
    #[must_use]
    pub fn finish(mut self) -> Option<Past> {
        self.complete();
        (self.past.range.start < self.past.range.end).then_some(self.past)
    }
}
