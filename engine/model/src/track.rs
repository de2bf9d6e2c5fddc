//! One feature of one entity, whichever way it is modelled.

use margay_core::{Direction, Period, Score, ScoreState, Time};
use serde::{Deserialize, Serialize};

use crate::pool::Pool;
use crate::rate::{self, Rate};
use crate::season::Grid;
use crate::signal::{self, Signal, TESTS};
use crate::verdict::{Test, score, strongest};

/// What is kept of one feature of one entity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Track {
    /// A continuous value.
    Signal(Box<Signal>),
    /// Events for each unit of exposure.
    Rate(Box<Rate>),
}

/// How a feature is modelled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Method {
    /// As a continuous value.
    Signal(signal::Shape),
    /// As events for each unit of exposure.
    Rate(rate::Family),
}

/// The fixed surroundings of a step.
#[derive(Clone, Copy)]
pub(crate) struct Frame<'a> {
    pub(crate) method: Method,
    pub(crate) direction: Direction,
    pub(crate) bucket: Period,
    pub(crate) pool: &'a Pool,
}

/// One measured value and what goes with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) time: Time,
    pub(crate) value: f64,
    /// Exposure of a ratio or weight of a duration; 1 for a count.
    pub(crate) weight: f64,
    /// The random part of a discrete score.
    pub(crate) tie: f64,
}

/// What a learnt bucket tells the peers.
pub(crate) struct Lesson {
    /// Winsorised residuals by number of the test.
    pub(crate) residuals: Vec<f64>,
    /// Squared residual of a weighted value.
    pub(crate) square: Option<f64>,
}

impl Track {
    /// A feature of which nothing is known.
    pub(crate) fn new(method: Method) -> Self {
        match method {
            Method::Signal(_) => Self::Signal(Box::default()),
            Method::Rate(_) => Self::Rate(Box::default()),
        }
    }

    /// Buckets learnt.
    pub(crate) fn seen(&self) -> f64 {
        match self {
            Self::Signal(signal) => signal.seen(),
            Self::Rate(rate) => rate.seen(),
        }
    }

    /// Judges a value by what was known before.
    pub(crate) fn score(&self, sample: &Sample, frame: &Frame<'_>) -> Score {
        let judged = match (self, frame.method) {
            (Self::Signal(signal), Method::Signal(shape)) => {
                let setting = signal::Setting { shape, bucket: frame.bucket, pool: frame.pool };
                score_signal(signal, sample, &setting, frame.direction)
            }
            (Self::Rate(rate), Method::Rate(family)) => {
                let setting = rate::Setting { family, bucket: frame.bucket, pool: frame.pool };
                score_rate(rate, sample, &setting, frame.direction)
            }
            _ => None,
        };
        judged.unwrap_or(Score { value: sample.value, ..Score::absent(ScoreState::Warming) })
    }

    /// Takes in a value after it was judged.
    pub(crate) fn learn(&mut self, sample: &Sample, held: bool, frame: &Frame<'_>) -> Option<Lesson> {
        if !sample.value.is_finite() {
            return None;
        }
        match (self, frame.method) {
            (Self::Signal(signal), Method::Signal(shape)) => {
                let setting = signal::Setting { shape, bucket: frame.bucket, pool: frame.pool };
                let residuals = signal.learn(sample.time, sample.value, sample.weight, held, &setting)?;
                let count = if shape.views { TESTS } else { 1 };
                let lesson = lesson(&residuals[..count], &signal.tallies, frame);
                let seen = signal.seen();
                signal::tally(&mut signal.tallies, &lesson, seen, setting.day());
                let square = (sample.weight.is_finite()).then(|| residuals[0].powi(2));
                Some(Lesson { residuals: lesson, square })
            }
            (Self::Rate(rate), Method::Rate(family)) => {
                let setting = rate::Setting { family, bucket: frame.bucket, pool: frame.pool };
                if sample.weight.is_nan() || sample.weight <= 0.0 {
                    return None;
                }
                let events = sample.value.max(0.0);
                let outlook = rate.outlook(sample.time, &setting);
                let learnt = rate.learn(sample.time, events, sample.weight, held, &setting);
                let outlook = outlook.filter(|_| learnt)?;
                let z = Rate::residual(events, sample.weight, &outlook, sample.tie, &setting);
                let lesson = lesson(&[z], &rate.tallies, frame);
                let seen = rate.seen();
                signal::tally(&mut rate.tallies, &lesson, seen, setting.day());
                Some(Lesson { residuals: lesson, square: None })
            }
            _ => None,
        }
    }

    /// Learns from a regular past.
    pub(crate) fn train(grid: &Grid<'_>, weights: Option<&[f64]>, seasonality: &[Period], frame: &Frame<'_>) -> Self {
        match frame.method {
            Method::Signal(shape) => {
                let setting = signal::Setting { shape, bucket: frame.bucket, pool: frame.pool };
                Self::Signal(Box::new(Signal::train(grid, weights, seasonality, &setting)))
            }
            Method::Rate(family) => {
                let setting = rate::Setting { family, bucket: frame.bucket, pool: frame.pool };
                Self::Rate(Box::new(Rate::train(grid, weights, seasonality, &setting)))
            }
        }
    }

    /// Takes over what a training found.
    pub(crate) fn adopt(&mut self, trained: &Self, day: f64) {
        match (self, trained) {
            (Self::Signal(here), Self::Signal(there)) => here.adopt(there, day),
            (Self::Rate(here), Self::Rate(there)) => here.adopt(there, day),
            (here, there) => *here = there.clone(),
        }
    }
}

/// Residuals as they may enter the tails; the last one is that of the tests together.
fn lesson(residuals: &[f64], own: &[crate::tail::Tally], frame: &Frame<'_>) -> Vec<f64> {
    let tests: Vec<Test> = (0..residuals.len()).map(|number| Test::new(number, own, frame.pool)).collect();
    let mut lesson: Vec<f64> = tests.iter().zip(residuals).map(|(test, &z)| test.winsorised(z)).collect();
    if residuals.len() > 1 {
        let together = Test::new(residuals.len(), own, frame.pool);
        lesson.push(together.winsorised(strongest(&tests, residuals, frame.direction)));
    }
    lesson
}

fn score_signal(
    signal: &Signal,
    sample: &Sample,
    setting: &signal::Setting<'_>,
    direction: Direction,
) -> Option<Score> {
    let outlook = signal.outlook(sample.time, sample.weight, setting)?;
    let count = if setting.shape.views { TESTS } else { 1 };
    let tests: Vec<Test> = (0..count).map(|number| Test::new(number, &signal.tallies, setting.pool)).collect();
    let shown = &tests[if setting.shape.views { signal::INNOVATION } else { signal::DISTANCE }];
    let (lower, expected, upper) = signal.interval(&outlook, &shown.below, &shown.above);
    let mut judged = Score { value: sample.value, expected, lower, upper, score: 0.0, state: ScoreState::Scored };
    if sample.value.is_nan() {
        judged.state = ScoreState::NoData;
        return Some(judged);
    }
    let residuals = signal.residuals(sample.value, &outlook, setting);
    let p = if count == 1 {
        tests[0].watched(residuals[0], direction)
    } else {
        let together = Test::new(count, &signal.tallies, setting.pool);
        together.watched(strongest(&tests, &residuals, direction), direction)
    };
    judged.score = score(p);
    Some(judged)
}

fn score_rate(rate: &Rate, sample: &Sample, setting: &rate::Setting<'_>, direction: Direction) -> Option<Score> {
    let outlook = rate.outlook(sample.time, setting)?;
    let test = Test::new(0, &rate.tallies, setting.pool);
    let exposure = if sample.weight.is_nan() { 1.0 } else { sample.weight.max(0.0) };
    let (lower, expected, upper) = Rate::interval(&outlook, exposure, (&test.below, &test.above), setting);
    let mut judged = Score { value: sample.value, expected, lower, upper, score: 0.0, state: ScoreState::Scored };
    if sample.value.is_nan() || sample.weight.is_nan() || exposure == 0.0 {
        judged.state = ScoreState::NoData;
        return Some(judged);
    }
    let z = Rate::residual(sample.value, exposure, &outlook, sample.tie, setting);
    judged.score = score(test.watched(z, direction));
    Some(judged)
}
