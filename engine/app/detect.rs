//! Features → model → decide for one detector, bucket by bucket, on a virtual clock.
//!
//! The result depends on the features alone: the same buckets in one run or in many give the same
//! scores and events. Training happens at UTC midnights of bucket time, never of the wall clock.

use margay_core::{Entity, FeatureTable, GateName, Period, Score, ScoreState, Time, TimeRange};
use margay_decide::{Event, Judged, Rule, Verdict, budget_score, expire, explain, judge};
use margay_model::{Observation, Snapshot};

use crate::memory::{Judgement, Memory};
use crate::observe::{Index, Row};

/// Time between trainings, in bucket time.
const TRAIN_EVERY: Period = Period::DAY;
/// Scores from which buckets are remembered for the alert budget: half of the lowest that a budget chooses, so that they
/// can keep an episode open.
const BUDGET_FLOOR: f64 = 10.0;
/// Buckets remembered for the alert budget at most; the oldest go first.
const BUDGET_BUCKETS: usize = 100_000;
/// Length of an episode in buckets before any was seen.
const EPISODE_BUCKETS: f64 = 3.0;

/// One row of the scores.
#[derive(Clone, Debug)]
pub struct Scored {
    /// Start of the bucket.
    pub bucket: Time,
    /// The entity, as an index into [`Memory::entities`].
    pub entity: usize,
    /// Place of the feature.
    pub feature: usize,
    /// The judgement.
    pub score: Score,
}

/// Something to tell people.
#[derive(Clone, Debug)]
pub struct Told {
    /// End of the bucket that brought it.
    pub time: Time,
    /// The entity.
    pub entity: Entity,
    /// What happened.
    pub event: Event,
    /// What the model was when it happened.
    pub model: margay_core::ModelInfo,
    /// Tests of one feature a week, for the expected false alerts.
    pub tests_per_week: f64,
    /// Mean length of this detector's episodes so far, in buckets.
    pub episode_buckets: f64,
    /// Digest of the features that were judged.
    pub data_digest: String,
    /// Members that the judgement rests on, the worst first.
    pub evidence: Vec<String>,
}

/// Where a detector's results go while it runs.
#[derive(Default)]
pub struct Outcome {
    /// Every judgement, by bucket, entity, feature; empty unless asked for.
    pub scores: Vec<Scored>,
    /// Events, by time and entity.
    pub told: Vec<Told>,
    /// Snapshots in the order of training.
    pub snapshots: Vec<Snapshot>,
    /// What was asked to be explained, if its bucket came by.
    pub explained: Option<Verdict>,
}

/// What to do besides judging.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Keep every score of buckets from this time on.
    pub scores_from: Option<Time>,
    /// Explain this entity at this bucket.
    pub explain: Option<(Entity, Time)>,
}

impl Memory {
    /// Judges every covered bucket of `table` from the first one not yet judged up to `until`.
    /// `table` must reach back by the history that training needs.
    pub fn advance(&mut self, judgement: &Judgement, table: &FeatureTable, until: Time, wish: &Wish) -> Outcome {
        let mut outcome = Outcome::default();
        if judgement.budget.is_none() {
            self.score = judgement.rule.score;
        }
        let index = Index::new(self, judgement, table);
        let from = self.next.unwrap_or(Time::MIN);
        let buckets = table.covered.iter().copied().filter(|&start| from <= start && start.plus(table.bucket) <= until);
        for bucket in buckets {
            if let Some(next) = self.next {
                self.gaps.note(TimeRange { start: next, end: bucket });
            }
            self.train_if_due(judgement, &index, bucket, &mut outcome);
            self.step(judgement, &index, bucket, wish, &mut outcome);
            self.next = Some(bucket.plus(table.bucket));
        }
        if let Some(next) = self.next {
            self.exempted = judgement.exempts.digest_until(next);
        }
        outcome.told.sort_by(|a, b| (a.time, &a.entity).cmp(&(b.time, &b.entity)));
        outcome
    }

    /// Whether judging up to `until` may train, so that the table must reach back.
    #[must_use]
    pub fn trains_before(&self, until: Time) -> bool {
        let Some(started) = self.started else { return true };
        let last = self.trained_until.unwrap_or_else(|| started.floor(TRAIN_EVERY));
        until.floor(TRAIN_EVERY) > last
    }

    /// Trains on everything before the first bucket not yet judged, besides the schedule.
    pub fn train_now(&mut self, judgement: &Judgement, table: &FeatureTable) -> Option<Snapshot> {
        let until = self.next?;
        let index = Index::new(self, judgement, table);
        Some(self.train(judgement, &index, until))
    }

    fn train_if_due(&mut self, judgement: &Judgement, index: &Index, bucket: Time, outcome: &mut Outcome) {
        let boundary = bucket.floor(TRAIN_EVERY);
        let started = *self.started.get_or_insert(bucket);
        let last = self.trained_until.unwrap_or_else(|| started.floor(TRAIN_EVERY));
        if boundary > last && boundary > started {
            outcome.snapshots.push(self.train(judgement, index, boundary));
        }
    }

    fn train(&mut self, judgement: &Judgement, index: &Index, until: Time) -> Snapshot {
        let from = until.minus(judgement.history);
        self.held.retain(|_, end| *end > from);
        let past = index.past(self, judgement, from, until);
        let snapshot = self.model.train(until, &past);
        self.model.adopt(snapshot.clone());
        self.trained_until = Some(until);
        self.keep_to_budget(judgement, until);
        snapshot
    }

    fn keep_to_budget(&mut self, judgement: &Judgement, until: Time) {
        let Some((alerts, per)) = judgement.budget else { return };
        let surplus = self.budget.len().saturating_sub(BUDGET_BUCKETS);
        if let Some((last, ..)) = self.budget.drain(..surplus).next_back() {
            self.budget_from = Some(last.plus(judgement.rule.bucket));
        }
        let history = margay_decide::budget::History {
            scores: &self.budget,
            observed: until.since(self.budget_from.or(self.started).unwrap_or(until)),
            tests_per_week: self.tests_per_week(judgement),
        };
        self.score = budget_score(&history, &judgement.rule, alerts, per);
    }

    fn tests_per_week(&self, judgement: &Judgement) -> f64 {
        let judged = self.states.iter().filter(|state| matches!(state, ScoreState::Scored | ScoreState::Warming));
        judged.count() as f64 * Period::WEEK.per(judgement.rule.bucket) as f64
    }

    fn step(&mut self, judgement: &Judgement, index: &Index, bucket: Time, wish: &Wish, outcome: &mut Outcome) {
        let rows = index.observe(self, judgement, bucket);
        let mut observations: Vec<Observation> = rows
            .iter()
            .map(|row| Observation { entity: row.entity, values: &row.values, members: &row.members })
            .collect();
        let mut scores = self.model.score(bucket, &observations);
        for (at, row) in rows.iter().enumerate().filter(|(_, row)| row.shift > Period(0)) {
            scores[at] = self.model.score(bucket.plus(row.shift), &observations[at..=at]).remove(0);
        }
        let rule = Rule { score: self.score, ..judgement.rule.clone() };
        let mut held = vec![false; rows.len()];
        for (at, (row, scores)) in rows.iter().zip(scores).enumerate() {
            let scores = row.absent.map_or(scores, |state| vec![Score::absent(state); judgement.rule.features.len()]);
            let verdict = self.judge(judgement, &rule, bucket, row, &scores, wish, outcome);
            held[at] = row.absent.is_some() || !row.learns || verdict.open || waits(&verdict);
            let evidence = if tells(&verdict) { self.model.evidence(bucket, &observations[at]) } else { Vec::new() };
            self.tell(judgement, bucket, row.entity, verdict, (&scores, evidence), outcome);
            if wish.scores_from.is_some_and(|from| from <= bucket) {
                outcome.scores.extend(scores.iter().enumerate().map(|(feature, score)| Scored {
                    bucket,
                    entity: row.entity,
                    feature,
                    score: *score,
                }));
            }
        }
        self.expire_missing(judgement, &rule, bucket, &rows, outcome);
        let held_entities = rows.iter().zip(&held).filter(|(_, held)| **held).map(|(row, _)| row.entity);
        self.hold(held_entities, bucket, bucket.plus(judgement.rule.bucket));
        let nothing = vec![f64::NAN; judgement.fill.len()];
        for (lesson, _) in observations.iter_mut().zip(&rows).filter(|(_, row)| !row.learns) {
            (lesson.values, lesson.members) = (&nothing, &[]);
        }
        self.model.learn(bucket, &observations, &held);
        self.covered_buckets += 1;
    }

    #[expect(clippy::too_many_arguments, reason = "one bucket's surroundings; a struct would only rename them")]
    fn judge(
        &mut self,
        judgement: &Judgement,
        rule: &Rule,
        bucket: Time,
        row: &Row<'_>,
        scores: &[Score],
        wish: &Wish,
        outcome: &mut Outcome,
    ) -> Verdict {
        let judged: Vec<Judged> = scores
            .iter()
            .zip(&judgement.volume)
            .map(|(score, volume)| Judged { score: *score, volume: volume.map_or(score.value, |at| row.values[at]) })
            .collect();
        let tracker = &mut self.trackers[row.entity];
        if wish
            .explain
            .as_ref()
            .is_some_and(|(entity, at)| *at == bucket && *entity == self.model.entities()[row.entity])
        {
            outcome.explained = Some(explain(rule, tracker, bucket, &judged, row.excluded));
        }
        let verdict = judge(rule, tracker, bucket, &judged, row.excluded);
        let state = scores.iter().map(|score| score.state).min().unwrap_or(ScoreState::NoData);
        self.states[row.entity] = state;
        if judgement.budget.is_some() && verdict.effect_score >= BUDGET_FLOOR {
            self.budget.push((bucket, row.entity as u32, verdict.effect_score));
        }
        verdict
    }

    fn tell(
        &mut self,
        judgement: &Judgement,
        bucket: Time,
        entity: usize,
        verdict: Verdict,
        (scores, evidence): (&[Score], Vec<String>),
        outcome: &mut Outcome,
    ) {
        if verdict.events.is_empty() {
            return;
        }
        let parts: Vec<String> = scores.iter().map(|score| format!("{}", score.value)).collect();
        let key = [bucket.to_string(), self.entities()[entity].to_json()];
        let digest = margay_core::digest(&key.iter().chain(&parts).collect::<Vec<_>>());
        for event in verdict.events {
            self.note_closing(&event);
            outcome.told.push(Told {
                time: bucket.plus(judgement.rule.bucket),
                entity: self.entities()[entity].clone(),
                event,
                model: self.model.info(),
                tests_per_week: self.tests_per_week(judgement),
                episode_buckets: self.mean_episode_buckets(),
                data_digest: digest.clone(),
                evidence: evidence.clone(),
            });
        }
    }

    fn note_closing(&mut self, event: &Event) {
        if let Event::Closed(episode) = event {
            self.episodes_closed += 1;
            self.episode_buckets += u64::from(episode.buckets);
        }
    }

    fn mean_episode_buckets(&self) -> f64 {
        if self.episodes_closed == 0 {
            return EPISODE_BUCKETS;
        }
        self.episode_buckets as f64 / self.episodes_closed as f64
    }

    /// Closes episodes of entities that are gone.
    fn expire_missing(
        &mut self,
        judgement: &Judgement,
        rule: &Rule,
        bucket: Time,
        rows: &[Row<'_>],
        outcome: &mut Outcome,
    ) {
        let mut seen = vec![false; self.trackers.len()];
        rows.iter().for_each(|row| seen[row.entity] = true);
        for entity in (0..self.trackers.len()).filter(|&entity| !seen[entity]) {
            self.states[entity] = ScoreState::NoData;
            if let Some(event) = expire(rule, &mut self.trackers[entity], bucket) {
                let verdict = Verdict { events: vec![event], ..Verdict::default() };
                self.tell(judgement, bucket, entity, verdict, (&[], Vec::new()), outcome);
            }
        }
    }
}

/// Whether people are told of an episode that opens or gets worse.
fn tells(verdict: &Verdict) -> bool {
    verdict.events.iter().any(|event| !matches!(event, Event::Closed(_)))
}

/// Whether only `sustained` keeps the bucket from being a finding: it may be the first of an episode, so it is not learnt.
fn waits(verdict: &Verdict) -> bool {
    verdict.gates.iter().find(|gate| !gate.passed).is_some_and(|gate| gate.gate == GateName::Sustained)
}
