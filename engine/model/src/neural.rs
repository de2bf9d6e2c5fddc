//! One network that forecasts quantiles of the next value, for all entities of a detector.
//!
//! A global forecaster learns one function from the pooled series, each standardised by its own level and spread, and beats
//! a model for each series where the series are alike (Montero-Manso and Hyndman, International Journal of Forecasting 2021).
//! It sees the last values, the means of this hour and its neighbours a day and a week before, and where in the day and
//! the week it is, and says quantiles learnt by the pinball loss (margay-neural). How far a value lies from the median, in
//! half widths of the middle two thirds on its side, is judged by tails that are calibrated like those of every other model.
//! The network learns from the stored past at each training, the first time from its seed, and then on from where it is;
//! until then a value is expected where the last ones were. Nothing is trained beforehand.

use margay_core::{Direction, Period, Score, ScoreState, Time};
use margay_neural::{Forecaster, QUANTILES, Quantiles, Training};
use serde::{Deserialize, Serialize};
use statrs::function::erf::erfc;

use crate::distribution::score_of_tail;
use crate::level::{CLIP_SIGMA, Shift, Spread, buckets_a_day, rate};
use crate::panel::{Judge, Setting, slot};
use crate::spec::{Observation, Past};
use crate::tails::Tails;
use crate::verdict::score;
use crate::views::clip;

/// Last values that the network sees one by one.
const RECENT: usize = 4;
/// Last values of which it sees the mean.
const TOGETHER: usize = 12;
/// Hours that are remembered: a week.
const HOURS: usize = 168;
/// Numbers that the network sees.
const WIDTH: usize = RECENT + 11;
/// Standardised values are cut here, so that an outlier is no lever.
const CUT: f64 = 6.0;
/// Days after which level and spread have forgotten half.
const HALF_LIFE_DAYS: f64 = 7.0;
/// Spread of a series of which nothing is known, and the smallest that is believed, in logarithms above 1.
const SPREAD_PRIOR: f64 = 0.5;
const SPREAD_LEAST: f64 = 0.02;
/// Smallest half width between quantiles, in spreads.
const WIDTH_LEAST: f64 = 0.25;
/// Examples of all series that a training looks at, at most.
const EXAMPLES_MOST: usize = 12_000;
/// Fewest examples that a network learns from.
const EXAMPLES_LEAST: usize = 500;
/// Passes of the first training, and of each later one.
const EPOCHS: (usize, usize) = (8, 2);
/// Until a network has learnt: quantiles of a standard normal distribution around the last values.
const NORMAL: Quantiles = [-1.96, -1.0, 0.0, 1.0, 1.96];
/// Residuals beyond this are all alike.
const Z_MOST: f64 = 60.0;

/// What is known of all series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Neurals {
    network: Forecaster,
    features: Vec<Feature>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Feature {
    series: Vec<Series>,
    tails: Tails,
}

impl Default for Feature {
    fn default() -> Self {
        Self { series: Vec::new(), tails: Tails::known() }
    }
}

/// The past of one feature of one entity, as far as the network looks back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Series {
    level: f64,
    spread: Spread,
    seen: f64,
    shift: Shift,
    /// Last values, the newest at the end.
    recent: Vec<f32>,
    /// Means of the hours of the last week, by hour of the week; `NaN` where there was none.
    hours: Vec<f32>,
    hour: Hour,
}

/// The hour under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Hour {
    number: i64,
    sum: f64,
    count: f64,
}

/// A forecast in the space in which values are compared.
struct Outlook {
    centre: f64,
    below: f64,
    above: f64,
}

/// Logarithmic above 1, linear below, of either sign.
fn transform(value: f64) -> f64 {
    value.clamp(-1e290, 1e290).asinh()
}

fn restore(value: f64) -> f64 {
    value.clamp(-660.0, 660.0).sinh()
}

impl Series {
    fn sigma(&self) -> f64 {
        self.spread.sigma(SPREAD_PRIOR).max(SPREAD_LEAST)
    }

    fn standard(&self, value: f64) -> f32 {
        clip((value - self.level) / self.sigma(), CUT) as f32
    }

    /// What the network sees before the bucket at `time`; `None` before anything was seen.
    fn example(&self, time: Time) -> Option<[f32; WIDTH]> {
        let newest = f64::from(*self.recent.last()?);
        let mut example = [0.0; WIDTH];
        for (at, cell) in example[..RECENT].iter_mut().enumerate() {
            let known = self.recent.len().checked_sub(at + 1).map_or(newest, |at| f64::from(self.recent[at]));
            *cell = self.standard(known);
        }
        let mean = self.recent.iter().map(|&value| f64::from(value)).sum::<f64>() / self.recent.len() as f64;
        let number = hour_of(time);
        let hour = |back: i64| {
            let mean = self.hours.get(hour_slot(number - back)).copied().unwrap_or(f32::NAN);
            if mean.is_nan() { 0.0 } else { self.standard(f64::from(mean)) }
        };
        let week = HOURS as i64;
        let day = (time.0.rem_euclid(Period::DAY.0) as f64 / Period::DAY.0 as f64 * std::f64::consts::TAU) as f32;
        let weekend = f32::from(u8::from((number.div_euclid(24) + 3).rem_euclid(7) >= 5));
        let rest = [
            self.standard(mean),
            hour(24),
            hour(23),
            hour(25),
            hour(week),
            hour(week - 1),
            day.sin(),
            day.cos(),
            (2.0 * day).sin(),
            (2.0 * day).cos(),
            weekend,
        ];
        example[RECENT..].copy_from_slice(&rest);
        Some(example)
    }

    fn outlook(&self, time: Time, network: &Forecaster) -> Option<Outlook> {
        let example = self.example(time)?;
        let (quantiles, from) = if network.takes(WIDTH) {
            (network.quantiles(&example), 0.0)
        } else {
            (NORMAL, f64::from(example[RECENT]))
        };
        let [_, low, middle, high, _] = quantiles.map(f64::from);
        let (sigma, wide) = (self.sigma(), 1.0 + 1.0 / self.seen.max(1.0));
        Some(Outlook {
            centre: self.level + sigma * (from + middle),
            below: sigma * wide * (middle - low).max(WIDTH_LEAST),
            above: sigma * wide * (high - middle).max(WIDTH_LEAST),
        })
    }

    /// Takes in a value. One of an open episode moves neither level nor spread, unless it stays for a day, and what was
    /// expected `instead` of it is what later forecasts look back on.
    fn learn(&mut self, time: Time, value: f64, instead: Option<f64>, day: f64) {
        let sigma = self.sigma();
        let rest = if self.seen == 0.0 { 0.0 } else { value - self.level };
        let kept = if self.seen == 0.0 { value } else { self.level + clip(rest, CUT * sigma) };
        self.remember(time, instead.unwrap_or(kept));
        if instead.is_some() {
            if let Some(level) = self.shift.hold(value, day) {
                self.level = level;
                self.shift.clear();
            }
            return;
        }
        self.shift.clear();
        if self.seen == 0.0 {
            self.level = value;
        } else {
            let half_life = HALF_LIFE_DAYS * day;
            self.level += rate(self.seen, half_life) * clip(rest, CLIP_SIGMA * sigma);
            self.spread.learn(rest, CLIP_SIGMA * sigma, half_life);
        }
        self.seen = (self.seen + 1.0).min(1e9);
    }

    fn remember(&mut self, time: Time, value: f64) {
        self.recent.push(value as f32);
        if self.recent.len() > TOGETHER {
            self.recent.remove(0);
        }
        let number = hour_of(time);
        if number != self.hour.number {
            if self.hour.count > 0.0 {
                self.hours.resize(HOURS, f32::NAN);
                let missed = (self.hour.number + 1).max(number - HOURS as i64)..number;
                missed.for_each(|number| self.hours[hour_slot(number)] = f32::NAN);
                self.hours[hour_slot(self.hour.number)] = (self.hour.sum / self.hour.count) as f32;
            }
            self.hour = Hour { number, ..Hour::default() };
        }
        self.hour.sum += value;
        self.hour.count += 1.0;
    }
}

impl Outlook {
    fn residual(&self, value: f64) -> f64 {
        let rest = value - self.centre;
        clip(rest / if rest < 0.0 { self.below } else { self.above }, Z_MOST)
    }
}

fn hour_of(time: Time) -> i64 {
    time.0.div_euclid(Period::HOUR.0)
}

fn hour_slot(hour: i64) -> usize {
    hour.rem_euclid(HOURS as i64) as usize
}

/// The residual as a standard normal score that is high in the watched direction.
fn watched(z: f64, direction: Direction) -> f64 {
    match direction {
        Direction::Above => z,
        Direction::Below => -z,
        Direction::Both => score_of_tail(erfc(z.abs() / std::f64::consts::SQRT_2)),
    }
}

impl Neurals {
    fn judge(&self, time: Time, one: &Observation<'_>, place: usize, setting: &Setting<'_>) -> Score {
        let value = one.value(place);
        let state = if value.is_nan() { ScoreState::NoData } else { ScoreState::Warming };
        let absent = Score { value, ..Score::absent(state) };
        let Some(feature) = self.features.get(place) else { return absent };
        let Some(series) = feature.series.get(one.entity) else { return absent };
        let Some(outlook) = series.outlook(time, &self.network) else { return absent };
        let side = feature.tails.interval(one.entity).1.max(f64::from(QUANTILES[4]));
        let mut judged = Score {
            value,
            expected: restore(outlook.centre),
            lower: restore(outlook.centre - side * outlook.below),
            upper: restore(outlook.centre + side * outlook.above),
            score: 0.0,
            state,
        };
        if !value.is_nan() {
            let known = self.network.takes(WIDTH) && series.seen >= 2.0 * buckets_a_day(setting.bucket);
            judged.state = if known { ScoreState::Scored } else { ScoreState::Warming };
            let z = watched(outlook.residual(transform(value)), setting.direction);
            judged.score = score(feature.tails.exceed(one.entity, z));
        }
        judged
    }

    /// What came after what was seen, in all series of the past before `until`.
    fn examples(past: &[Past], until: Time, setting: &Setting<'_>) -> (Vec<f32>, Vec<f32>) {
        let day = buckets_a_day(setting.bucket);
        let all: usize = past.iter().flat_map(|past| &past.values).map(Vec::len).sum();
        let step = all.div_ceil(EXAMPLES_MOST).max(1);
        let (mut rows, mut came, mut number) = (Vec::new(), Vec::new(), 0);
        for (past, values) in past.iter().flat_map(|past| past.values.iter().map(move |values| (past, values))) {
            let mut series = Series::default();
            for (at, &value) in values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
                let time = past.start.plus(setting.bucket.times(at as i64));
                if time >= until {
                    break;
                }
                number += 1;
                let example = if number % step == 0 && series.seen >= day { series.example(time) } else { None };
                if let Some(example) = example {
                    rows.extend(example);
                    came.push(series.standard(transform(value)));
                }
                series.learn(time, transform(value), None, day);
            }
        }
        (rows, came)
    }
}

impl Judge for Neurals {
    fn score(&self, time: Time, seen: &[Observation<'_>], setting: &Setting<'_>) -> Vec<Vec<Score>> {
        let all = |one: &Observation<'_>| {
            (0..setting.features.len()).map(|place| self.judge(time, one, place, setting)).collect()
        };
        seen.iter().map(all).collect()
    }

    fn learn(&mut self, time: Time, seen: &[Observation<'_>], held: &[bool], setting: &Setting<'_>) {
        let day = buckets_a_day(setting.bucket);
        for place in 0..setting.features.len() {
            let feature = slot(&mut self.features, place);
            for (at, one) in seen.iter().enumerate().filter(|(_, one)| one.value(place).is_finite()) {
                let held = held.get(at).copied().unwrap_or(false);
                let value = transform(one.value(place));
                let series = slot(&mut feature.series, one.entity);
                let outlook = series.outlook(time, &self.network);
                series.learn(time, value, outlook.as_ref().filter(|_| held).map(|outlook| outlook.centre), day);
                if let Some(outlook) = outlook.filter(|_| !held) {
                    let z = watched(outlook.residual(value), setting.direction);
                    feature.tails.learn(one.entity, z, day);
                }
            }
        }
    }

    fn evidence(&self, _: Time, _: &Observation<'_>, _: &Setting<'_>) -> Vec<String> {
        Vec::new()
    }

    fn seen(&self, entity: usize) -> f64 {
        self.features.iter().filter_map(|feature| feature.series.get(entity)).map(|one| one.seen).fold(0.0, f64::max)
    }

    fn train(&self, until: Time, past: &[Past], setting: &Setting<'_>) -> Option<(Forecaster, f64)> {
        let (rows, came) = Self::examples(past, until, setting);
        if came.len() < EXAMPLES_LEAST {
            return None;
        }
        let training = Training { epochs: EPOCHS.0, seed: setting.seed, ..Training::default() };
        if self.network.takes(WIDTH) {
            let less = Training { epochs: EPOCHS.1, rate: training.rate / 3.0, ..training };
            return Some(self.network.clone().refine(&rows, &came, &less));
        }
        Some(Forecaster::train(&rows, &came, WIDTH, &training))
    }

    fn adopt(&mut self, network: Forecaster) {
        self.network = network;
        self.features.iter_mut().for_each(|feature| feature.tails.age());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use margay_core::Entity;

    use super::*;
    use crate::trial::Numbers;
    use crate::{History, Kind, Model, Spec};

    const BUCKET: Period = Period(900_000);
    const START: Time = Time(1_600_041_600_000);
    const DAY: usize = 96;

    fn model(direction: Direction) -> Model {
        let kind = Kind::Neural(History::default());
        Model::new(Spec {
            kind,
            direction,
            bucket: BUCKET,
            features: vec!["requests".to_owned()],
            seed: 3,
            alone: true,
        })
    }

    /// Requests of a service in a bucket: busy by day, each service more than the one before.
    fn usual(random: &mut Numbers, entity: usize, at: usize) -> f64 {
        let hour = (at % DAY) as f64 / DAY as f64 * std::f64::consts::TAU;
        (100.0 * (entity + 1) as f64 * (0.8 * hour.sin() + 0.1 * random.normal()).exp()).round()
    }

    /// Feeds six services, the first changed by `change`, training at midnight; the scores of the first one.
    fn feed(model: &mut Model, days: usize, change: &dyn Fn(usize, f64) -> f64) -> Vec<Score> {
        let named = |at: usize| Entity::new(["service".to_owned()].into(), vec![Some(at.to_string())]);
        let entities: Vec<usize> = (0..6).map(|at| model.entity(&named(at))).collect();
        let past = |entity: &usize| Past { entity: *entity, start: START, values: vec![Vec::new()] };
        let mut past: Vec<Past> = entities.iter().map(past).collect();
        let (mut random, mut scores) = (Numbers::new(8), Vec::new());
        for at in 0..days * DAY {
            let time = START.plus(BUCKET.times(at as i64));
            if at > 0 && at % DAY == 0 {
                model.adopt(model.train(time, &past));
            }
            let mut values: Vec<[f64; 1]> = entities.iter().map(|&entity| [usual(&mut random, entity, at)]).collect();
            values[0][0] = change(at, values[0][0]);
            let seen: Vec<Observation<'_>> =
                entities.iter().zip(&values).map(|(&entity, values)| Observation::numbers(entity, values)).collect();
            scores.push(model.score(time, &seen)[0][0]);
            model.learn(time, &seen, &[]);
            past.iter_mut().zip(&values).for_each(|(past, values)| past.values[0].push(values[0]));
        }
        scores
    }

    #[test]
    fn the_network_expects_the_hour_of_the_day_and_is_surprised_by_what_leaves_it() {
        let at = 9 * DAY + 24;
        let scores =
            feed(&mut model(Direction::Both), 10, &|here, value| if here == at { value / 10.0 } else { value });
        assert!(scores[at].score >= 25.0 && scores[at].state == ScoreState::Scored, "{:?}", scores[at]);
        let late = &scores[6 * DAY..at];
        let error = late.iter().map(|score| (score.value / score.expected).ln().abs()).sum::<f64>() / late.len() as f64;
        assert!(error < 0.15, "the noise alone is 0.08, the swing 0.5: {error}");
        let inside = late.iter().filter(|score| score.lower <= score.value && score.value <= score.upper).count();
        assert!((inside as f64 / late.len() as f64 - 0.95).abs() < 0.04, "{inside} of {}", late.len());
        assert!(late.iter().all(|score| score.score < 45.0));
    }

    #[test]
    fn only_the_watched_side_scores() {
        let at = 6 * DAY + 24;
        let fall = |here: usize, value: f64| if here == at { value / 10.0 } else { value };
        assert!(feed(&mut model(Direction::Below), 7, &fall)[at].score >= 40.0);
        assert!(feed(&mut model(Direction::Above), 7, &fall)[at].score < 1.0);
    }

    #[test]
    fn missing_and_wild_values_give_scores_in_range_and_finite_forecasts() {
        let wild = |at: usize, value: f64| match at % 9 {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => -1e300,
            3 => 0.0,
            _ => value,
        };
        for score in &feed(&mut model(Direction::Both), 4, &wild)[4..] {
            assert!((0.0..=100.0).contains(&score.score) && score.expected.is_finite(), "{score:?}");
        }
    }

    #[test]
    fn the_same_past_gives_the_same_weights_and_a_resumed_model_the_same_bits() {
        let (mut one, mut other) = (model(Direction::Both), model(Direction::Both));
        feed(&mut one, 3, &|_, value| value);
        feed(&mut other, 3, &|_, value| value);
        assert_eq!(one.info().digest, other.info().digest);
        let bytes = postcard::to_allocvec(&one).unwrap();
        let cut: Model = postcard::from_bytes(&bytes).unwrap();
        let seen = [Observation::numbers(0, &[77.0])];
        let time = START.plus(BUCKET.times(3 * DAY as i64));
        assert_eq!(format!("{:?}", one.score(time, &seen)), format!("{:?}", cut.score(time, &seen)));
        assert_eq!(bytes, postcard::to_allocvec(&cut).unwrap());
    }
}
