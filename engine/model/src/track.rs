//! One feature of one entity, whichever way it is modelled.

use margay_core::{Direction, Period, Score, ScoreState, Time};
use serde::{Deserialize, Serialize};

use crate::pool::Pool;
use crate::rate::{self, Rate};
use crate::season::Grid;
use crate::signal::{self, JUDGED, SHOWN, Signal};
use crate::tail::{self, Tally};
use crate::verdict::{Test, score};

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
    /// Whether one bucket is enough for an alert.
    pub(crate) alone: bool,
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
    /// What the entity is like.
    pub(crate) share: Share,
}

/// What an entity tells its peers of itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    /// Logarithm of the rate, and extra variance.
    pub(crate) rate: Option<(f64, f64)>,
    /// Logarithm of the spread.
    pub(crate) spread: Option<f64>,
}

impl Frame<'_> {
    fn signal(&self, shape: signal::Shape) -> signal::Setting<'_> {
        signal::Setting { shape, bucket: self.bucket, pool: self.pool }
    }

    fn rate(&self, family: rate::Family) -> rate::Setting<'_> {
        rate::Setting { family, bucket: self.bucket, pool: self.pool }
    }

    /// Residuals as they may enter the tails.
    fn winsorised(&self, residuals: &[f64], own: &[Tally]) -> Vec<f64> {
        let each = residuals.iter().enumerate();
        each.map(|(number, &z)| Test::new(number, own, self.pool).winsorised(z)).collect()
    }
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

    /// Lengths after which the value repeats its pattern.
    pub(crate) fn seasons(&self) -> Vec<Period> {
        match self {
            Self::Signal(signal) => signal.seasons(),
            Self::Rate(rate) => rate.seasons(),
        }
    }

    /// What the season leaves of a continuous value, as a standard deviation on its scale.
    pub(crate) fn fit_error(&self) -> Option<f64> {
        match self {
            Self::Signal(signal) => signal.fit_error(),
            Self::Rate(_) => None,
        }
    }

    /// Judges a value by what was known before.
    pub(crate) fn score(&self, sample: &Sample, frame: &Frame<'_>) -> Score {
        let judged = match (self, frame.method) {
            (Self::Signal(signal), Method::Signal(shape)) => score_signal(signal, sample, frame, shape),
            (Self::Rate(rate), Method::Rate(family)) => score_rate(rate, sample, frame, family),
            _ => None,
        };
        let state = if sample.value.is_nan() { ScoreState::NoData } else { ScoreState::Warming };
        judged.unwrap_or(Score { value: sample.value, ..Score::absent(state) })
    }

    /// Takes in a value after it was judged.
    pub(crate) fn learn(&mut self, sample: &Sample, held: bool, frame: &Frame<'_>) -> Option<Lesson> {
        if sample.value.is_nan() {
            return None;
        }
        match (self, frame.method) {
            (Self::Signal(signal), Method::Signal(shape)) => learn_signal(signal, sample, held, frame, shape),
            (Self::Rate(rate), Method::Rate(family)) => learn_rate(rate, sample, held, frame, family),
            _ => None,
        }
    }

    /// The standardised residual of a continuous value; `None` where nothing is known, or of the value, or before it.
    pub(crate) fn residual(&self, sample: &Sample, frame: &Frame<'_>) -> Option<f64> {
        let (Self::Signal(signal), Method::Signal(shape)) = (self, frame.method) else { return None };
        let outlook = signal.outlook(sample.time, sample.weight, &frame.signal(shape))?;
        (!sample.value.is_nan()).then(|| signal.residuals(sample.value, &outlook)[JUDGED])
    }

    /// Learns from a regular past; also says the residual of each of its buckets where it is a continuous value.
    pub(crate) fn train(
        grid: &Grid<'_>,
        weights: &[f64],
        seasonality: &[Period],
        frame: &Frame<'_>,
    ) -> (Self, Vec<f32>) {
        match frame.method {
            Method::Signal(shape) => {
                let (signal, residuals) = Signal::train(grid, weights, seasonality, &frame.signal(shape));
                (Self::Signal(Box::new(signal)), residuals)
            }
            Method::Rate(family) => {
                let rate = Rate::train(grid, weights, seasonality, &frame.rate(family));
                (Self::Rate(Box::new(rate)), Vec::new())
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

fn score_signal(signal: &Signal, sample: &Sample, frame: &Frame<'_>, shape: signal::Shape) -> Option<Score> {
    let outlook = signal.outlook(sample.time, sample.weight, &frame.signal(shape))?;
    let shown = if shape.views { SHOWN } else { JUDGED };
    let (below, above) = Test::new(shown, &signal.tallies, frame.pool).sides();
    let (lower, expected, upper) = signal.interval(&outlook, &below, &above);
    let mut judged = Score { value: sample.value, expected, lower, upper, score: 0.0, state: ScoreState::Scored };
    if sample.value.is_nan() {
        judged.state = ScoreState::NoData;
        return Some(judged);
    }
    let residuals = signal.residuals(sample.value, &outlook);
    let raw = raw_score(signal, sample, &residuals, frame);
    judged.score = match &signal.views {
        Some(views) => {
            let tempered = if frame.alone { views.habit.temper(sample.time, raw, frame.bucket) } else { raw };
            views.unrest.grade(tempered, residuals[SHOWN], frame.bucket)
        }
        None => raw,
    };
    Some(judged)
}

/// The score before habit and unrest.
fn raw_score(signal: &Signal, sample: &Sample, residuals: &[f64], frame: &Frame<'_>) -> f64 {
    let p = Test::new(JUDGED, &signal.tallies, frame.pool).probability(residuals[JUDGED], frame.direction);
    let novel = match &signal.views {
        Some(views) => views.novelty.probability(sample.time, frame.bucket, sample.value),
        None => 1.0,
    };
    score(p.min(novel))
}

fn learn_signal(
    signal: &mut Signal,
    sample: &Sample,
    held: bool,
    frame: &Frame<'_>,
    shape: signal::Shape,
) -> Option<Lesson> {
    let setting = frame.signal(shape);
    if let Some(outlook) = signal.outlook(sample.time, sample.weight, &setting) {
        let residuals = signal.residuals(sample.value, &outlook);
        let raw = if shape.views { raw_score(signal, sample, &residuals, frame) } else { 0.0 };
        if let Some(views) = &mut signal.views {
            views.habit.learn(sample.time, raw, frame.bucket);
            views.novelty.learn(sample.time, frame.bucket, sample.value);
        }
    }
    let residuals = signal.learn((sample.time, sample.value, sample.weight), held, &setting)?;
    let residuals = frame.winsorised(&residuals, &signal.tallies);
    let seen = signal.seen();
    tail::enter(&mut signal.tallies, &residuals, seen, setting.pace().day);
    let square = sample.weight.is_finite().then(|| residuals[JUDGED].powi(2));
    Some(Lesson { residuals, square, share: Share { spread: signal.share(), ..Share::default() } })
}

fn score_rate(rate: &Rate, sample: &Sample, frame: &Frame<'_>, family: rate::Family) -> Option<Score> {
    let setting = frame.rate(family);
    let outlook = rate.outlook(sample.time, &setting)?;
    let test = Test::new(JUDGED, &rate.tallies, frame.pool);
    let exposure = if sample.weight.is_finite() { sample.weight.max(0.0) } else { 0.0 };
    let (below, above) = test.sides();
    let (lower, expected, upper) = Rate::interval(&outlook, exposure, (&below, &above), &setting);
    let mut judged = Score { value: sample.value, expected, lower, upper, score: 0.0, state: ScoreState::Scored };
    if sample.value.is_nan() || exposure == 0.0 {
        judged.state = ScoreState::NoData;
        return Some(judged);
    }
    let z = Rate::residual(sample.value, exposure, &outlook, sample.tie, &setting);
    judged.score = score(test.probability(z, frame.direction));
    Some(judged)
}

fn learn_rate(rate: &mut Rate, sample: &Sample, held: bool, frame: &Frame<'_>, family: rate::Family) -> Option<Lesson> {
    if !sample.weight.is_finite() || sample.weight <= 0.0 {
        return None;
    }
    let setting = frame.rate(family);
    let events = sample.value.clamp(0.0, rate::EVENTS_MAX);
    let outlook = rate.outlook(sample.time, &setting);
    let learnt = rate.learn(sample.time, events, sample.weight, held, &setting);
    let outlook = outlook.filter(|_| learnt)?;
    let z = Rate::residual(events, sample.weight, &outlook, sample.tie, &setting);
    let residuals = frame.winsorised(&[z], &rate.tallies);
    let seen = rate.seen();
    tail::enter(&mut rate.tallies, &residuals, seen, setting.day());
    Some(Lesson { residuals, square: None, share: Share { rate: rate.share(), spread: None } })
}
