//! All entities of one detector: score, learn, train, adopt.

use std::collections::BTreeMap;

use margay_core::{Entity, ModelInfo, Score, ScoreState, Time, digest};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::multivariate::Joints;
use crate::panel::{Panel, Setting, companion};
use crate::pool::Pool;
use crate::role::{Role, roles};
use crate::season::Grid;
use crate::snapshot::{Parts, Snapshot, Summary, Tracks};
use crate::spec::{Kind, Observation, Past, Spec};
use crate::tail::Tally;
use crate::track::{Frame, Lesson, Method, Sample, Track};
use crate::verdict;
use crate::{distribution, level};

/// Days of buckets after which an entity counts as known.
const MATURE_DAYS: f64 = 2.0;
/// Days after which the residuals of all entities have been half forgotten.
const POOL_HALF_LIFE_DAYS: f64 = 14.0;
/// Members named as the evidence of a score at most, the worst first.
pub const EVIDENCE_MOST: usize = 10;

/// A model of all entities of one detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    spec: Spec,
    entities: Vec<Entity>,
    tracks: Vec<Vec<Option<Track>>>,
    pools: Vec<Pool>,
    /// The model of kinds that judge a bucket as a whole.
    panel: Option<Panel>,
    /// What is known of features together, where the kind asks for it.
    joints: Option<Joints>,
    keys: Vec<u64>,
    digest: String,
    trained_until: Option<Time>,
    #[serde(skip)]
    index: BTreeMap<Entity, usize>,
}

impl Model {
    /// A model that knows nothing yet.
    #[must_use]
    pub fn new(spec: Spec) -> Self {
        let pools = vec![Pool::default(); spec.features.len()];
        Self {
            panel: Panel::of(&spec.kind),
            joints: matches!(spec.kind, Kind::Multivariate(_)).then(Joints::default),
            spec,
            entities: Vec::new(),
            tracks: Vec::new(),
            pools,
            keys: Vec::new(),
            digest: String::new(),
            trained_until: None,
            index: BTreeMap::new(),
        }
    }

    /// Index of an entity, which is added where it is new. Indices are dense and never change.
    pub fn entity(&mut self, entity: &Entity) -> usize {
        if self.index.len() != self.entities.len() {
            self.index = self.entities.iter().cloned().enumerate().map(|(at, entity)| (entity, at)).collect();
        }
        if let Some(&at) = self.index.get(entity) {
            return at;
        }
        let at = self.entities.len();
        let methods = roles(&self.spec);
        self.tracks.push(methods.iter().map(|role| role.method().map(Track::new)).collect());
        let key = digest(&[entity.to_json()]);
        self.keys.push(u64::from_str_radix(&key, 16).unwrap_or(0));
        self.entities.push(entity.clone());
        self.index.insert(entity.clone(), at);
        at
    }

    /// All entities by index.
    #[must_use]
    pub fn entities(&self) -> &[Entity] {
        &self.entities
    }

    /// Judges a bucket by what was known before it: for each observation one score a feature, and one more for all of them
    /// together where the kind is [`Kind::Multivariate`].
    #[must_use]
    pub fn score(&self, bucket: Time, observations: &[Observation<'_>]) -> Vec<Vec<Score>> {
        if let Some(panel) = &self.panel {
            return panel.judge().score(bucket, observations, &self.setting());
        }
        let roles = roles(&self.spec);
        let score = |one: &Observation<'_>| match &self.joints {
            Some(joints) => self.score_joint(bucket, one, &roles, joints),
            None => self.score_one(bucket, one, &roles),
        };
        observations.iter().map(score).collect()
    }

    /// Members behind the score of an observation, the worst first, at most [`EVIDENCE_MOST`]; to be asked before the
    /// bucket is learnt.
    #[must_use]
    pub fn evidence(&self, bucket: Time, observation: &Observation<'_>) -> Vec<String> {
        let Some(panel) = &self.panel else { return Vec::new() };
        let mut evidence = panel.judge().evidence(bucket, observation, &self.setting());
        evidence.truncate(EVIDENCE_MOST);
        evidence
    }

    fn setting(&self) -> Setting<'_> {
        Setting {
            kind: &self.spec.kind,
            features: &self.spec.features,
            direction: self.spec.direction,
            bucket: self.spec.bucket,
            seed: self.spec.seed,
            entities: &self.entities,
            keys: &self.keys,
        }
    }

    fn score_one(&self, bucket: Time, observation: &Observation<'_>, roles: &[Role]) -> Vec<Score> {
        let value = |feature: usize| observation.values.get(feature).copied().unwrap_or(f64::NAN);
        let judge = |(feature, role): (usize, &Role)| match (role, &self.spec.kind) {
            (Role::Rule, Kind::Limit(limit)) => limit.score(value(feature)),
            (Role::Judged { method, weight }, _) => {
                let Some(Some(track)) = self.tracks.get(observation.entity).and_then(|tracks| tracks.get(feature))
                else {
                    return Score::absent(ScoreState::Error);
                };
                let sample = self.sample(bucket, observation, feature, *weight);
                let mut score = track.score(&sample, &self.frame(feature, *method));
                if score.state == ScoreState::Scored && self.maturity(observation.entity) < 1.0 {
                    score.state = ScoreState::Warming;
                }
                score
            }
            _ => companion(value(feature)),
        };
        roles.iter().enumerate().map(judge).collect()
    }

    /// Scores of all features by their share in the blame, and the score of the joint distance.
    fn score_joint(&self, bucket: Time, one: &Observation<'_>, roles: &[Role], joints: &Joints) -> Vec<Score> {
        let mut scores = self.score_one(bucket, one, roles);
        let residuals = self.residuals(bucket, one, roles);
        let Some(judged) = joints.judge(one.entity, &residuals, self.spec.direction) else {
            scores.push(Score::absent(ScoreState::NoData));
            return scores;
        };
        let score = verdict::score(joints.exceed(one.entity, judged.distance));
        for (feature, share) in scores.iter_mut().zip(&judged.shares) {
            feature.score = score * share;
        }
        let state = if self.maturity(one.entity) < 1.0 { ScoreState::Warming } else { ScoreState::Scored };
        let (lower, upper) = joints.interval(one.entity);
        scores.push(Score { value: judged.distance, expected: 0.0, lower, upper, score, state });
        scores
    }

    /// How far each feature is from what is usual of it; `NaN` where that is not known.
    fn residuals(&self, bucket: Time, one: &Observation<'_>, roles: &[Role]) -> Vec<f64> {
        let residual = |(feature, role): (usize, &Role)| {
            let Role::Judged { method, weight } = role else { return f64::NAN };
            let track = self.tracks.get(one.entity).and_then(|tracks| tracks.get(feature)?.as_ref());
            let sample = self.sample(bucket, one, feature, *weight);
            track.and_then(|track| track.residual(&sample, &self.frame(feature, *method))).unwrap_or(f64::NAN)
        };
        roles.iter().enumerate().map(residual).collect()
    }

    fn sample(&self, bucket: Time, observation: &Observation<'_>, feature: usize, weight: Option<usize>) -> Sample {
        let value = |feature: usize| observation.values.get(feature).copied().unwrap_or(f64::NAN);
        let key = self.keys.get(observation.entity).copied().unwrap_or(0);
        Sample {
            time: bucket,
            value: value(feature),
            weight: weight.map_or_else(|| self.plain_weight(), value),
            tie: distribution::tie(self.spec.seed, key ^ (feature as u64).wrapping_mul(0x9e37_79b9), bucket.0),
        }
    }

    fn plain_weight(&self) -> f64 {
        if matches!(self.spec.kind, Kind::Count(_)) { 1.0 } else { f64::NAN }
    }

    fn frame(&self, feature: usize, method: Method) -> Frame<'_> {
        let Spec { direction, bucket, alone, .. } = self.spec;
        Frame { method, direction, bucket, pool: &self.pools[feature], alone }
    }

    /// Takes in a bucket after its decisions. `held[i]` tells that the entity of observation `i` has an
    /// open episode: it is not learnt, but a shift that lasts for a day is accepted.
    pub fn learn(&mut self, bucket: Time, observations: &[Observation<'_>], held: &[bool]) {
        if let Some(mut panel) = self.panel.take() {
            panel.judge_mut().learn(bucket, observations, held, &self.setting());
            self.panel = Some(panel);
        }
        let roles = roles(&self.spec);
        self.learn_joints(bucket, observations, held, &roles);
        for (feature, role) in roles.iter().enumerate() {
            let Role::Judged { method, weight } = role else { continue };
            let mut lessons = Vec::new();
            for (at, observation) in observations.iter().enumerate() {
                let held = held.get(at).copied().unwrap_or(false);
                let sample = self.sample(bucket, observation, feature, *weight);
                let Some(slot) = self.tracks.get_mut(observation.entity).and_then(|tracks| tracks.get_mut(feature))
                else {
                    continue;
                };
                let Some(mut track) = slot.take() else { continue };
                let lesson = track.learn(&sample, held, &self.frame(feature, *method));
                self.tracks[observation.entity][feature] = Some(track);
                lessons.extend(lesson.map(|lesson| (lesson, sample.weight)));
            }
            self.share(bucket, feature, &lessons);
        }
    }

    fn learn_joints(&mut self, bucket: Time, observations: &[Observation<'_>], held: &[bool], roles: &[Role]) {
        let Some(mut joints) = self.joints.take() else { return };
        let day = level::buckets_a_day(self.spec.bucket);
        let is_held = |at: usize| held.get(at).copied().unwrap_or(false);
        for (_, one) in observations.iter().enumerate().filter(|(at, _)| !is_held(*at)) {
            let residuals = self.residuals(bucket, one, roles);
            if let Some(judged) = joints.judge(one.entity, &residuals, self.spec.direction) {
                joints.learn(one.entity, judged.distance, day);
            }
        }
        self.joints = Some(joints);
    }

    fn share(&mut self, bucket: Time, feature: usize, lessons: &[(Lesson, f64)]) {
        let day = level::buckets_a_day(self.spec.bucket);
        let entities = self.entities.len().max(1) as f64;
        let pool = &mut self.pools[feature];
        if bucket.0.rem_euclid(margay_core::Period::DAY.0) == 0 {
            let keep = (-std::f64::consts::LN_2 / POOL_HALF_LIFE_DAYS).exp();
            pool.tallies.iter_mut().for_each(|tally| tally.forget(keep));
        }
        for (lesson, weight) in lessons {
            if pool.tallies.len() < lesson.residuals.len() {
                pool.tallies.resize(lesson.residuals.len(), Tally::default());
            }
            for (tally, &z) in pool.tallies.iter_mut().zip(&lesson.residuals) {
                tally.add(z);
            }
            if let Some(square) = lesson.square {
                pool.weight.learn(square, *weight);
            }
            let half_life = day * entities;
            if let Some((rate, dispersion)) = lesson.share.rate {
                pool.level.learn(rate, half_life);
                pool.dispersion.learn(dispersion, half_life);
            }
            if let Some(spread) = lesson.share.spread {
                pool.spread.learn(spread, half_life);
            }
        }
    }

    /// Learns from the stored past before `until`. The model itself is not changed: see [`Model::adopt`].
    #[must_use]
    pub fn train(&self, until: Time, past: &[Past]) -> Snapshot {
        let roles = roles(&self.spec);
        let trained: Vec<(Tracks, Vec<Vec<f32>>)> = past
            .par_iter()
            .filter_map(|past| {
                let entity = self.entities.get(past.entity)?.clone();
                let one = |(feature, role)| self.train_one(until, past, feature, role).unzip();
                let (tracks, residuals): (_, Vec<Option<Vec<f32>>>) = roles.iter().enumerate().map(one).unzip();
                let together =
                    if self.joints.is_some() { residuals.into_iter().flatten().collect() } else { Vec::new() };
                Some(((entity, tracks), together))
            })
            .collect();
        let (tracks, residuals): (Vec<_>, Vec<_>) = trained.into_iter().unzip();
        let joints = self.joints.as_ref().map(|_| Joints::train(&residuals, self.spec.direction, self.spec.seed));
        let learnt = self.panel.as_ref().and_then(|panel| panel.judge().train(until, past, &self.setting()));
        let (network, loss) = learnt.unzip();
        let parts = Parts { tracks, joints, network };
        let summary = Summary { network_loss: loss, ..Summary::of(&parts, past, until, &self.spec) };
        Snapshot::new(until, parts, summary)
    }

    fn train_one(&self, until: Time, past: &Past, feature: usize, role: &Role) -> Option<(Track, Vec<f32>)> {
        let Role::Judged { method, weight } = role else { return None };
        let history = self.spec.kind.history()?;
        let values = past.values.get(feature)?;
        let bucket = self.spec.bucket;
        let end = (until.since(past.start).0 / bucket.0.max(1)).clamp(0, values.len() as i64) as usize;
        let first = end.saturating_sub(history.history.per(bucket).max(1) as usize);
        let weights = weight.and_then(|weight| past.values.get(weight)).and_then(|weights| weights.get(first..end));
        let grid = Grid { start: past.start.plus(bucket.times(first as i64)), bucket, values: &values[first..end] };
        Some(Track::train(&grid, weights.unwrap_or_default(), &history.seasonality, &self.frame(feature, *method)))
    }

    /// Takes over what a training learnt. Entities that it does not hold stay as they are.
    pub fn adopt(&mut self, snapshot: Snapshot) {
        let day = level::buckets_a_day(self.spec.bucket);
        self.digest = snapshot.digest().to_owned();
        self.trained_until = Some(snapshot.trained_until());
        let Parts { tracks, joints, network } = snapshot.parts;
        if let (Some(panel), Some(network)) = (&mut self.panel, network) {
            panel.judge_mut().adopt(network);
        }
        let mut entities = Vec::with_capacity(tracks.len());
        for (entity, trained) in tracks {
            let at = self.entity(&entity);
            entities.push(at);
            for (here, there) in self.tracks[at].iter_mut().zip(&trained) {
                if let (Some(here), Some(there)) = (here.as_mut(), there) {
                    here.adopt(there, day);
                }
            }
        }
        if let (Some(joints), Some(learnt)) = (&mut self.joints, joints) {
            joints.adopt(learnt, entities.into_iter());
        }
    }

    /// Name, digest and time of the training in use.
    #[must_use]
    pub fn info(&self) -> ModelInfo {
        ModelInfo {
            kind: self.spec.kind.name().to_owned(),
            digest: self.digest.clone(),
            trained_until: self.trained_until,
        }
    }

    /// How much of an entity's own past is known, 0 to 1; below 1 its scores are `warming`.
    #[must_use]
    pub fn maturity(&self, entity: usize) -> f64 {
        if matches!(self.spec.kind, Kind::Limit(_)) {
            return 1.0;
        }
        let wanted = MATURE_DAYS * level::buckets_a_day(self.spec.bucket);
        if let Some(panel) = &self.panel {
            return (panel.judge().seen(entity) / wanted).min(1.0);
        }
        let tracks = self.tracks.get(entity).map_or(&[][..], Vec::as_slice);
        let seen = tracks.iter().flatten().map(Track::seen).fold(0.0, f64::max);
        (seen / wanted).min(1.0)
    }
}
