//! Features → model → decide for one detector, bucket by bucket, on a virtual clock.
//!
//! The result depends on the features alone: the same buckets in one run or in many give the same
//! scores and events. Training happens at UTC midnights of bucket time, never of the wall clock.

use std::collections::BTreeMap;

use margay_core::{Entity, FeatureTable, Fill, Period, Score, ScoreState, Time};
use margay_decide::{Event, Judged, Rule, Tracker, Verdict, budget_score, expire, explain, judge};
use margay_model::{Model, Observation, Past, Snapshot, Spec};
use serde::{Deserialize, Serialize};

/// Entities that were not seen for so long are no longer filled with zeros or judged.
const RETIRE_AFTER: Period = Period::WEEK;
/// Time between trainings, in bucket time.
const TRAIN_EVERY: Period = Period::DAY;
/// Scores from which buckets are remembered for the alert budget.
const BUDGET_FLOOR: f64 = 20.0;
/// Buckets remembered for the alert budget at most; the oldest go first.
const BUDGET_BUCKETS: usize = 100_000;
/// Length of an episode in buckets before any was seen.
const EPISODE_BUCKETS: f64 = 3.0;

/// What a detector asks of the stages.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Model to build.
    pub model: Spec,
    /// How far back training looks.
    pub history: Period,
    /// Gates.
    pub rule: Rule,
    /// Place of the feature that says how much there was of another one, by feature: `total` of a ratio.
    pub volume: Vec<Option<usize>>,
    /// What a bucket without rows of the entity means, by feature.
    pub fill: Vec<Fill>,
    /// Alerts per period that the score threshold must keep to.
    pub budget: Option<(u32, Period)>,
    /// Why buckets may be excluded, as one text.
    pub exclusion: String,
    /// Most entities; later ones are counted as over the limit.
    pub entities_most: usize,
}

/// What one detector remembers between two cycles.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Memory {
    model: Model,
    trackers: Vec<Tracker>,
    first_seen: Vec<Time>,
    last_seen: Vec<Time>,
    states: Vec<ScoreState>,
    /// Stretches that must not train: open or past episodes, and excluded buckets.
    held: BTreeMap<(u32, Time), Time>,
    budget: Vec<(Time, u32, f64)>,
    score: f64,
    next: Option<Time>,
    trained_until: Option<Time>,
    started: Option<Time>,
    covered_buckets: u64,
    over_limit: u64,
    episodes_closed: u64,
    episode_buckets: u64,
}

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
    /// A detector that has seen nothing.
    #[must_use]
    pub fn new(judgement: &Judgement) -> Self {
        Self {
            model: Model::new(judgement.model.clone()),
            trackers: Vec::new(),
            first_seen: Vec::new(),
            last_seen: Vec::new(),
            states: Vec::new(),
            held: BTreeMap::new(),
            budget: Vec::new(),
            score: judgement.rule.score,
            next: None,
            trained_until: None,
            started: None,
            covered_buckets: 0,
            over_limit: 0,
            episodes_closed: 0,
            episode_buckets: 0,
        }
    }

    /// First bucket not yet judged.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        self.next
    }

    /// Models learnt from buckets before this time.
    #[must_use]
    pub fn trained_until(&self) -> Option<Time> {
        self.trained_until
    }

    /// Entities seen so far; scores refer to them by index.
    #[must_use]
    pub fn entities(&self) -> &[Entity] {
        self.model.entities()
    }

    /// Number of buckets judged in which the log had rows.
    #[must_use]
    pub fn covered_buckets(&self) -> u64 {
        self.covered_buckets
    }

    /// The score threshold in force.
    #[must_use]
    pub fn threshold(&self) -> f64 {
        self.score
    }

    /// Entities by their latest state, and their mean maturity.
    #[must_use]
    pub fn census(&self) -> (BTreeMap<String, u64>, f64) {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for state in &self.states {
            *counts.entry(state.to_string()).or_default() += 1;
        }
        if self.over_limit > 0 {
            counts.insert(ScoreState::OverLimit.to_string(), self.over_limit);
        }
        let known = self.entities().len();
        let maturity = (0..known).map(|entity| self.model.maturity(entity)).sum::<f64>() / known.max(1) as f64;
        (counts, maturity)
    }

    /// Judges every covered bucket of `table` from the first one not yet judged up to `until`.
    /// `table` must reach back by the history that training needs.
    pub fn advance(&mut self, judgement: &Judgement, table: &FeatureTable, until: Time, wish: &Wish) -> Outcome {
        let mut outcome = Outcome::default();
        let index = Index::new(self, judgement, table);
        let from = self.next.unwrap_or(Time::MIN);
        let buckets = table.covered.iter().copied().filter(|&start| from <= start && start.plus(table.bucket) <= until);
        for bucket in buckets {
            self.train_if_due(judgement, &index, bucket, &mut outcome);
            self.step(judgement, &index, bucket, wish, &mut outcome);
            self.next = Some(bucket.plus(table.bucket));
        }
        outcome.told.sort_by(|a, b| (a.time, &a.entity).cmp(&(b.time, &b.entity)));
        outcome
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
        self.budget.drain(..surplus);
        let history = margay_decide::budget::History {
            scores: &self.budget,
            observed: until.since(self.started.unwrap_or(until)),
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
        let observations: Vec<Observation> =
            rows.iter().map(|row| Observation { entity: row.entity, values: &row.values }).collect();
        let scores = self.model.score(bucket, &observations);
        let rule = Rule { score: self.score, ..judgement.rule.clone() };
        let mut held = vec![false; rows.len()];
        for (at, (row, scores)) in rows.iter().zip(scores).enumerate() {
            let scores = row.absent.map_or(scores, |state| vec![Score::absent(state); judgement.fill.len()]);
            // Whatever reaches the threshold stays out of what is learnt, also while `sustained` still waits.
            held[at] = row.absent.is_some() || scores.iter().any(|score| score.score >= rule.score);
            if let Some(verdict) = self.judge(judgement, &rule, bucket, row, &scores, wish, outcome) {
                held[at] |= verdict.open;
                self.tell(judgement, bucket, row.entity, verdict, &scores, outcome);
            }
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
        self.hold(bucket.plus(judgement.rule.bucket), bucket, &rows, &held);
        self.model.learn(bucket, &observations, &held);
        self.covered_buckets += 1;
    }

    #[expect(clippy::too_many_arguments, reason = "one bucket's surroundings; a struct would only rename them")]
    fn judge(
        &mut self,
        judgement: &Judgement,
        rule: &Rule,
        bucket: Time,
        row: &Row,
        scores: &[Score],
        wish: &Wish,
        outcome: &mut Outcome,
    ) -> Option<Verdict> {
        let judged: Vec<Judged> = scores
            .iter()
            .zip(&judgement.volume)
            .map(|(score, volume)| Judged { score: *score, volume: volume.map_or(score.value, |at| row.values[at]) })
            .collect();
        let excluded = row.excluded().then_some(&judgement.exclusion[..]);
        let tracker = &mut self.trackers[row.entity];
        if wish
            .explain
            .as_ref()
            .is_some_and(|(entity, at)| *at == bucket && *entity == self.model.entities()[row.entity])
        {
            outcome.explained = Some(explain(rule, tracker, bucket, &judged, excluded));
        }
        let verdict = judge(rule, tracker, bucket, &judged, excluded);
        let state = scores.iter().map(|score| score.state).min().unwrap_or(ScoreState::NoData);
        self.states[row.entity] = state;
        if judgement.budget.is_some() {
            let highest = scores.iter().map(|score| score.score).fold(0.0, f64::max);
            if highest >= BUDGET_FLOOR {
                self.budget.push((bucket, row.entity as u32, highest));
            }
        }
        (verdict.open || !verdict.events.is_empty()).then_some(verdict)
    }

    fn tell(
        &mut self,
        judgement: &Judgement,
        bucket: Time,
        entity: usize,
        verdict: Verdict,
        scores: &[Score],
        outcome: &mut Outcome,
    ) {
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
        rows: &[Row],
        outcome: &mut Outcome,
    ) {
        let mut seen = vec![false; self.trackers.len()];
        rows.iter().for_each(|row| seen[row.entity] = true);
        for entity in (0..self.trackers.len()).filter(|&entity| !seen[entity]) {
            self.states[entity] = ScoreState::NoData;
            if let Some(event) = expire(rule, &mut self.trackers[entity], bucket) {
                let verdict = Verdict { events: vec![event], ..Verdict::default() };
                self.tell(judgement, bucket, entity, verdict, &[], outcome);
            }
        }
    }

    /// Remembers stretches that must not train.
    fn hold(&mut self, end: Time, bucket: Time, rows: &[Row], held: &[bool]) {
        for (row, _) in rows.iter().zip(held).filter(|(_, held)| **held) {
            let entity = row.entity as u32;
            match self.held.range_mut((entity, Time::MIN)..(entity, bucket)).next_back() {
                Some((_, stretch_end)) if *stretch_end == bucket => *stretch_end = end,
                _ => drop(self.held.insert((entity, bucket), end)),
            }
        }
    }

    /// Makes room for an entity that was never seen before; `None` where there are too many.
    fn enter(&mut self, entity: &Entity, bucket: Time, most: usize) -> Option<usize> {
        if self.trackers.len() >= most {
            return None;
        }
        let at = self.model.entity(entity);
        self.trackers.push(Tracker::default());
        self.first_seen.push(bucket);
        self.last_seen.push(bucket);
        self.states.push(ScoreState::NoData);
        Some(at)
    }
}

/// What was seen of an entity in a bucket.
struct Row {
    entity: usize,
    values: Vec<f64>,
    absent: Option<ScoreState>,
}

impl Row {
    fn excluded(&self) -> bool {
        self.absent == Some(ScoreState::Excluded)
    }
}

/// Rows of a feature table by bucket and by entity.
struct Index<'a> {
    table: &'a FeatureTable,
    /// Rows of each entity of the table, in order of time.
    by_entity: Vec<Vec<usize>>,
    /// The model's index of each entity of the table, once it has been seen.
    known: Vec<std::cell::Cell<Option<usize>>>,
}

impl<'a> Index<'a> {
    fn new(memory: &Memory, judgement: &Judgement, table: &'a FeatureTable) -> Self {
        debug_assert_eq!(judgement.fill.len(), table.values.len(), "one column for each feature");
        let mut by_entity = vec![Vec::new(); table.entities.len()];
        for (row, &entity) in table.entity.iter().enumerate() {
            by_entity[entity as usize].push(row);
        }
        let places: BTreeMap<&Entity, usize> =
            memory.entities().iter().enumerate().map(|(at, entity)| (entity, at)).collect();
        let known = table.entities.iter().map(|entity| std::cell::Cell::new(places.get(entity).copied())).collect();
        Self { table, by_entity, known }
    }

    /// Everything to be judged in a bucket: entities with rows, and known ones that zeros stand for.
    fn observe(&self, memory: &mut Memory, judgement: &Judgement, bucket: Time) -> Vec<Row> {
        let table = self.table;
        let first = table.bucket_start.partition_point(|&start| start < bucket);
        let last = table.bucket_start.partition_point(|&start| start <= bucket);
        let mut rows = Vec::with_capacity(memory.trackers.len());
        let mut seen = vec![false; memory.trackers.len()];
        memory.over_limit = 0;
        for row in first..last {
            let at = table.entity[row] as usize;
            let known = self.known[at].get();
            let Some(entity) = known.or_else(|| memory.enter(&table.entities[at], bucket, judgement.entities_most))
            else {
                memory.over_limit += 1;
                continue;
            };
            self.known[at].set(Some(entity));
            memory.last_seen[entity] = bucket;
            if entity < seen.len() {
                seen[entity] = true;
            }
            let absent = if table.excluded[row] {
                Some(ScoreState::Excluded)
            } else if !table.detailed[row] {
                Some(ScoreState::InsufficientDetail)
            } else {
                None
            };
            let mut values: Vec<f64> = table.values.iter().map(|column| column[row]).collect();
            if absent.is_some() {
                values.fill(f64::NAN);
            }
            rows.push(Row { entity, values, absent });
        }
        for entity in (0..seen.len()).filter(|&entity| !seen[entity]) {
            if bucket.since(memory.last_seen[entity]) > RETIRE_AFTER {
                continue;
            }
            let values: Vec<f64> = judgement.fill.iter().map(|fill| filled(*fill)).collect();
            if values.iter().any(|value| !value.is_nan()) {
                rows.push(Row { entity, values, absent: None });
            }
        }
        rows.sort_by(|a, b| memory.entities()[a.entity].cmp(&memory.entities()[b.entity]));
        rows
    }

    /// Values of every known entity on the grid of buckets of `[from, until)`.
    fn past(&self, memory: &Memory, judgement: &Judgement, from: Time, until: Time) -> Vec<Past> {
        let table = self.table;
        let first = table.covered.partition_point(|&start| start < from);
        let last = table.covered.partition_point(|&start| start < until);
        let covered = &table.covered[first..last];
        let Some(&origin) = covered.first() else { return Vec::new() };
        let mut past: Vec<Past> = Vec::new();
        for (at, rows) in self.by_entity.iter().enumerate() {
            let Some(entity) = self.known[at].get() else { continue };
            if memory.last_seen[entity] < from {
                continue;
            }
            let start = origin.max(memory.first_seen[entity]);
            let length = usize::try_from(until.since(start).per(table.bucket)).unwrap_or(0);
            let place = |time: Time| usize::try_from(time.since(start).per(table.bucket)).ok();
            let mut values: Vec<Vec<f64>> = judgement.fill.iter().map(|_| vec![f64::NAN; length]).collect();
            for &time in covered.iter().filter(|&&time| time >= start) {
                if let Some(place) = place(time).filter(|&place| place < length) {
                    values.iter_mut().zip(&judgement.fill).for_each(|(column, fill)| column[place] = filled(*fill));
                }
            }
            for &row in rows {
                let time = table.bucket_start[row];
                if time < start || time >= until {
                    continue;
                }
                let Some(place) = place(time).filter(|&place| place < length) else { continue };
                let known = table.detailed[row] && !table.excluded[row];
                for (column, source) in values.iter_mut().zip(&table.values) {
                    column[place] = if known { source[row] } else { f64::NAN };
                }
            }
            past.push(Past { entity, start, values });
        }
        self.leave_out_held(memory, &mut past);
        past.sort_by_key(|past| past.entity);
        past
    }

    fn leave_out_held(&self, memory: &Memory, past: &mut [Past]) {
        let places: BTreeMap<usize, usize> = past.iter().enumerate().map(|(at, past)| (past.entity, at)).collect();
        for (&(entity, start), &end) in &memory.held {
            let Some(past) = places.get(&(entity as usize)).map(|&at| &mut past[at]) else { continue };
            let length = past.values.first().map_or(0, Vec::len) as i64;
            let first = start.since(past.start).per(self.table.bucket).clamp(0, length) as usize;
            let last = end.since(past.start).per(self.table.bucket).clamp(0, length) as usize;
            past.values.iter_mut().for_each(|column| column[first..last].fill(f64::NAN));
        }
    }
}

fn filled(fill: Fill) -> f64 {
    match fill {
        Fill::Zero => 0.0,
        Fill::Missing => f64::NAN,
    }
}
