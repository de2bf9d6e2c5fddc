//! Many features of one entity together: what never went together before.
//!
//! Each feature is standardised by its own seasonal level (`signal`), so that a row holds distances from the usual of the
//! hour in standard deviations, cut at [`CLIP`]: several features that are off count more than one that is far off. Three
//! voters look at the row. T² and Q of robust principal components (`pca`) are learnt for each entity, the rest that an
//! autoencoder leaves (margay-neural) from the rows of all entities, because a network wants many. Each voter's cube root
//! is nearly normal where the row is (Wilson and Hilferty, 1931); the mean of the three is judged by tails that are
//! calibrated like those of every other model. On TSB-AD's multivariate series such a reconstruction is as good as
//! anything (Liu and Paparrizos, NeurIPS 2024).
//!
//! The blame of a feature is its part in the voters, weighted by how far each of them is off: the exact terms of T² and Q,
//! and the squared rest of the autoencoder.

use margay_core::Direction;
use margay_neural::{Autoencoder, Training};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::panel::slot;
use crate::pca::{Components, Distance};
use crate::robust;
use crate::tail::Tally;
use crate::tails::Tails;

/// Standard deviations beyond which a feature counts no more.
pub(crate) const CLIP: f64 = 8.0;
/// Rows of an entity from which its components are learnt at most, evenly spread over its past.
const ROWS_MOST: usize = 600;
/// The first of so many parts of the past is not learnt from.
const SOUGHT: usize = 10;
/// Fewest rows for each feature that components are learnt from.
const ROWS_EACH: usize = 10;
/// Rows of all entities from which the network learns at most.
const TAUGHT_MOST: usize = 2_000;
/// Fewest rows from which a network learns.
const TAUGHT_LEAST: usize = 500;
/// Passes of the network over its rows.
const EPOCHS: usize = 5;
/// Distances of a training enter the tails at most this far out.
const TRAINED_MOST: f64 = 8.0;
/// Share of every voter in the blame, besides what it is off.
const SAY_LEAST: f64 = 0.1;
/// Share of a normal distribution below one standard deviation.
const ONE_SIGMA: f64 = 0.8413;
/// Trainings in which the scale of distances still changes: until a week is known.
const SETTLING_TRAININGS: u32 = 7;
/// Smallest spread of a cube root.
const SPREAD_LEAST: f64 = 1e-3;

/// What is known of all entities.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Joints {
    shapes: Vec<Option<Shape>>,
    encoder: Autoencoder,
    tails: Tails,
    /// Those of entities of which no training has learnt a shape yet.
    young: Tails,
    trainings: u32,
}

impl Default for Joints {
    fn default() -> Self {
        let (tails, young) = (Tails::known(), Tails::known());
        Self { shapes: Vec::new(), encoder: Autoencoder::default(), tails, young, trainings: 0 }
    }
}

/// What is usual of one entity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Shape {
    components: Components,
    usual: Vec<Usual>,
    /// Distances of the rows that it was learnt from.
    tally: Tally,
}

/// The usual cube root of a voter's statistic.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Usual {
    middle: f64,
    spread: f64,
}

/// What a training learnt: in the order of the entities that it was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Learnt {
    shapes: Vec<Option<Shape>>,
    encoder: Autoencoder,
}

/// How unusual a row is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Judgement {
    /// Standard deviations by which the voters are off in the mean.
    pub(crate) distance: f64,
    /// Blame of each feature; the shares add up to 1.
    pub(crate) shares: Vec<f64>,
}

/// The distances of an entity's features as they are judged; `None` where nothing is known of any.
fn row(residuals: impl Iterator<Item = f64>, direction: Direction) -> Option<Vec<f32>> {
    let mut known = false;
    let row = residuals
        .map(|z| {
            known |= !z.is_nan();
            let watched = match direction {
                Direction::Above => z.max(0.0),
                Direction::Below => (-z).max(0.0),
                Direction::Both => z,
            };
            if z.is_nan() { 0.0 } else { watched.clamp(-CLIP, CLIP) as f32 }
        })
        .collect();
    known.then_some(row)
}

impl Usual {
    /// Of a sum of as many squares of standard normal numbers.
    fn of_squares(count: f64) -> Self {
        let (size, spread) = (count.cbrt(), (2.0 / (9.0 * count)).sqrt());
        Self { middle: size * (1.0 - spread * spread), spread: size * spread }
    }

    fn of(sizes: impl Iterator<Item = f64>) -> Self {
        let mut roots: Vec<f64> = sizes.map(f64::cbrt).collect();
        let middle = robust::median(&mut roots);
        // Above the median alone: where one side of the features counts, the statistic is skewed.
        let spread = robust::quantile(&mut roots, ONE_SIGMA) - middle;
        Self { middle, spread: spread.max(SPREAD_LEAST) }
    }

    fn off(&self, size: f64) -> f64 {
        (size.cbrt() - self.middle) / self.spread
    }
}

impl Joints {
    /// Judges a bucket of an entity by the residuals of its features; `None` where none of them is known.
    pub(crate) fn judge(&self, entity: usize, residuals: &[f64], direction: Direction) -> Option<Judgement> {
        let row = row(residuals.iter().copied(), direction)?;
        let shape = self.shapes.get(entity).and_then(Option::as_ref);
        let shape = shape.filter(|shape| shape.components.takes(row.len()));
        let (voters, usual) = match shape {
            Some(shape) => {
                let mut voters = voters(&shape.components, &self.encoder, &row);
                voters.truncate(shape.usual.len());
                (voters, shape.usual.clone())
            }
            None => {
                let squares = Distance::of(row.iter().map(|z| f64::from(z * z)).collect());
                (vec![squares], vec![Usual::of_squares(row.len() as f64)])
            }
        };
        let off: Vec<f64> = voters.iter().zip(&usual).map(|(voter, usual)| usual.off(voter.size)).collect();
        Some(Judgement { distance: off.iter().sum::<f64>() / off.len() as f64, shares: shares(&voters, &off) })
    }

    /// Probability of a distance at least as large.
    pub(crate) fn exceed(&self, entity: usize, distance: f64) -> f64 {
        self.tails(entity).exceed(entity, distance)
    }

    /// Ends of the interval that holds 95 % of the distances.
    pub(crate) fn interval(&self, entity: usize) -> (f64, f64) {
        self.tails(entity).interval(entity)
    }

    /// Takes in the distance of a normal bucket; `day` is the number of buckets in one.
    pub(crate) fn learn(&mut self, entity: usize, distance: f64, day: f64) {
        let tails = if self.is_young(entity) { &mut self.young } else { &mut self.tails };
        tails.learn(entity, distance, day);
    }

    fn is_young(&self, entity: usize) -> bool {
        self.shapes.get(entity).is_none_or(Option::is_none)
    }

    fn tails(&self, entity: usize) -> &Tails {
        if self.is_young(entity) { &self.young } else { &self.tails }
    }

    /// Learns from the residuals of entities: for each the columns of its features, one number a bucket.
    pub(crate) fn train(columns: &[Vec<Vec<f32>>], direction: Direction, seed: u64) -> Learnt {
        let rows: Vec<(usize, Vec<f32>)> = columns.par_iter().map(|columns| rows(columns, direction)).collect();
        let training = Training { epochs: EPOCHS, batch: 32, rate: 3e-3, seed };
        let width = columns.iter().map(|columns| columns.len()).max().unwrap_or(0);
        let taught = taught(&rows, width);
        let encoder = if taught.len() >= TAUGHT_LEAST * width.max(1) {
            Autoencoder::train(&taught, width, &training).0
        } else {
            Autoencoder::default()
        };
        let shapes = rows.par_iter().map(|(width, rows)| Shape::fit(rows, *width, &encoder)).collect();
        Learnt { shapes, encoder }
    }

    /// Takes over what a training learnt of these entities, given by their indices.
    pub(crate) fn adopt(&mut self, learnt: Learnt, entities: impl Iterator<Item = usize>) {
        self.encoder = learnt.encoder;
        self.trainings = self.trainings.saturating_add(1);
        let settles = self.trainings <= SETTLING_TRAININGS;
        if settles {
            self.tails.age();
        }
        for (entity, shape) in entities.zip(learnt.shapes) {
            if let (true, Some(shape)) = (settles, &shape) {
                self.tails.renew(entity, &shape.tally);
            }
            // An entity that was absent for so long that nothing could be learnt keeps what was known of it.
            let known = slot(&mut self.shapes, entity);
            *known = shape.or_else(|| known.take());
        }
    }
}

impl Shape {
    /// `None` where the rows are too few.
    fn fit(rows: &[f32], width: usize, encoder: &Autoencoder) -> Option<Self> {
        if rows.len() < ROWS_EACH * width * width || width == 0 {
            return None;
        }
        let components = Components::fit(rows, width);
        let seen: Vec<Vec<f64>> = rows
            .chunks_exact(width)
            .map(|row| voters(&components, encoder, row).iter().map(|voter| voter.size).collect())
            .collect();
        let count = seen.first().map_or(0, Vec::len);
        let usual: Vec<Usual> = (0..count).map(|voter| Usual::of(seen.iter().map(|sizes| sizes[voter]))).collect();
        let mut tally = Tally::default();
        for sizes in &seen {
            let off: f64 = sizes.iter().zip(&usual).map(|(size, usual)| usual.off(*size)).sum();
            tally.add((off / count as f64).min(TRAINED_MOST));
        }
        Some(Self { components, usual, tally })
    }
}

/// T², Q, and where there is a network, the rest that it leaves.
fn voters(components: &Components, encoder: &Autoencoder, row: &[f32]) -> Vec<Distance> {
    let (along, left) = components.distances(row);
    let mut voters = vec![along, left];
    if encoder.takes(row.len()) {
        voters.push(Distance::of(encoder.rest(row).iter().map(|rest| f64::from(*rest).powi(2)).collect()));
    }
    voters
}

/// Parts of the features in all voters, each weighted by how far it is off.
fn shares(voters: &[Distance], off: &[f64]) -> Vec<f64> {
    let width = voters.first().map_or(0, |voter| voter.parts.len());
    let mut shares = vec![0.0; width];
    for (voter, off) in voters.iter().zip(off) {
        let total: f64 = voter.parts.iter().sum();
        if total > 0.0 {
            let say = off.max(0.0) + SAY_LEAST;
            shares.iter_mut().zip(&voter.parts).for_each(|(share, part)| *share += say * part / total);
        }
    }
    let total: f64 = shares.iter().sum();
    let share = |share: f64| if total > 0.0 { share / total } else { 1.0 / width as f64 };
    shares.into_iter().map(share).collect()
}

/// Known rows of one entity, at most [`ROWS_MOST`] of them, and their width.
fn rows(columns: &[Vec<f32>], direction: Direction) -> (usize, Vec<f32>) {
    let length = columns.iter().map(Vec::len).min().unwrap_or(0);
    // The first rows are of a level that is still sought.
    let first = length / SOUGHT;
    let step = (length - first).div_ceil(ROWS_MOST).max(1);
    let at = |at: usize| row(columns.iter().map(|column| f64::from(column[at])), direction);
    (columns.len(), (first..length).step_by(step).filter_map(at).flatten().collect())
}

/// Rows of all entities in equal parts, at most [`TAUGHT_MOST`] of them.
fn taught(rows: &[(usize, Vec<f32>)], width: usize) -> Vec<f32> {
    let all: Vec<&[f32]> = rows
        .iter()
        .filter(|(own, _)| *own == width && width > 0)
        .flat_map(|(_, rows)| rows.chunks_exact(width))
        .collect();
    let step = all.len().div_ceil(TAUGHT_MOST).max(1);
    all.into_iter().step_by(step).flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use margay_core::{Entity, Period, Score, ScoreState, Time};

    use super::*;
    use crate::trial::Numbers;
    use crate::{History, Kind, Model, Observation, Past, Spec};

    const BUCKET: Period = Period(300_000);
    const START: Time = Time(1_600_041_600_000);
    const DAY: usize = 288;

    fn model(direction: Direction) -> Model {
        let features = ["received", "sent", "requests"].map(str::to_owned).to_vec();
        let kind = Kind::Multivariate(History::default());
        Model::new(Spec { kind, direction, bucket: BUCKET, features, seed: 3, alone: true })
    }

    /// Three features that follow the load of the hour.
    fn usual(random: &mut Numbers, at: usize) -> Vec<f64> {
        let hour = (at % DAY) as f64 / DAY as f64 * std::f64::consts::TAU;
        let load = (0.5 * hour.sin() + 0.2 * random.normal()).exp();
        [1e6, 1e5, 200.0].map(|size| (size * load * (0.1 * random.normal()).exp()).round()).to_vec()
    }

    /// Feeds one entity with `usual`, changed by `change`, training at midnight; the scores of each bucket.
    fn feed(model: &mut Model, days: usize, change: &dyn Fn(usize, &mut Vec<f64>)) -> Vec<Vec<Score>> {
        let entity = model.entity(&Entity::new(["pod".to_owned()].into(), vec![Some("a".to_owned())]));
        let mut past = Past { entity, start: START, values: vec![Vec::new(); 3] };
        let (mut random, mut scores) = (Numbers::new(8), Vec::new());
        for at in 0..days * DAY {
            let time = START.plus(BUCKET.times(at as i64));
            if at > 0 && at % DAY == 0 {
                model.adopt(model.train(time, std::slice::from_ref(&past)));
            }
            let mut values = usual(&mut random, at);
            change(at, &mut values);
            let seen = [Observation::numbers(entity, &values)];
            scores.push(model.score(time, &seen).remove(0));
            model.learn(time, &seen, &[false]);
            past.values.iter_mut().zip(&values).for_each(|(column, &value)| column.push(value));
        }
        scores
    }

    const LATE: usize = 6 * DAY + 100;

    #[test]
    fn what_never_went_together_scores_and_the_feature_that_left_the_others_is_blamed() {
        let rise = |at: usize, values: &mut Vec<f64>| values[1] *= if at == LATE { 4.0 } else { 1.0 };
        let scores = feed(&mut model(Direction::Both), 7, &rise);
        let found = &scores[LATE];
        assert_eq!((found.len(), found[3].state), (4, ScoreState::Scored));
        assert!(found[3].score >= 35.0, "{found:?}");
        let sum: f64 = found[..3].iter().map(|feature| feature.score).sum();
        assert!((sum - found[3].score).abs() < 1e-9 && found[1].score > 0.5 * sum, "{found:?}");
        let quiet = scores[5 * DAY..LATE].iter().filter(|scores| scores[3].score >= 40.0).count();
        assert_eq!(quiet, 0);
    }

    #[test]
    fn a_rush_that_moves_all_features_alike_scores_less_than_one_that_moves_one() {
        let together = |at: usize, values: &mut Vec<f64>| {
            values.iter_mut().for_each(|value| *value *= if at == LATE { 1.6 } else { 1.0 });
        };
        let alone = |at: usize, values: &mut Vec<f64>| values[2] *= if at == LATE { 1.6f64.powi(2) } else { 1.0 };
        let score = |change: &dyn Fn(usize, &mut Vec<f64>)| feed(&mut model(Direction::Both), 7, change)[LATE][3].score;
        assert!(score(&together) < 30.0 && score(&alone) > score(&together), "{} {}", score(&together), score(&alone));
    }

    #[test]
    fn only_the_watched_side_of_a_feature_counts() {
        let fall = |at: usize, values: &mut Vec<f64>| values[1] *= if at == LATE { 0.05 } else { 1.0 };
        let score = |direction: Direction| feed(&mut model(direction), 7, &fall)[LATE][3].score;
        let (below, above) = (score(Direction::Below), score(Direction::Above));
        assert!(below > 30.0 && above < 20.0, "{below} {above}");
    }

    #[test]
    fn what_is_missing_constant_or_wild_gives_scores_in_range() {
        let wild = |at: usize, values: &mut Vec<f64>| match at % 7 {
            0 => values.fill(f64::NAN),
            1 => values[0] = f64::INFINITY,
            2 => values[1] = f64::NAN,
            3 => values[2] = -1e300,
            _ => values[0] = 5.0,
        };
        for direction in [Direction::Above, Direction::Below, Direction::Both] {
            for scores in feed(&mut model(direction), 3, &wild) {
                assert_eq!(scores.len(), 4);
                assert!(scores.iter().all(|score| (0.0..=100.0).contains(&score.score)), "{scores:?}");
            }
        }
    }

    #[test]
    fn a_resumed_model_and_a_second_training_give_the_same_bits() {
        let mut whole = model(Direction::Both);
        feed(&mut whole, 3, &|_, _| ());
        let bytes = postcard::to_allocvec(&whole).unwrap();
        let cut: Model = postcard::from_bytes(&bytes).unwrap();
        let mut random = Numbers::new(9);
        let values: Vec<f64> = usual(&mut random, 3 * DAY);
        let seen = [Observation::numbers(0, &values)];
        let time = START.plus(BUCKET.times(3 * DAY as i64));
        assert_eq!(format!("{:?}", whole.score(time, &seen)), format!("{:?}", cut.score(time, &seen)));
        let mut columns = vec![Vec::new(); 3];
        for at in 0..2 * DAY {
            columns.iter_mut().zip(usual(&mut random, at)).for_each(|(column, value)| column.push(value));
        }
        let past = [Past { entity: 0, start: START, values: columns }];
        let snapshot = whole.train(time, &past);
        assert_eq!(snapshot, cut.train(time, &past));
        assert_eq!(snapshot.digest(), cut.train(time, &past).digest());
    }
}
