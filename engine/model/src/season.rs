//! Seasonal offsets by slot of the cycle, learnt at training.

use margay_core::{Period, Time};
use serde::{Deserialize, Serialize};

use crate::{decompose, robust};

/// Most slots of one cycle. Cycles of more than a day have slots of at least an hour.
const SLOTS: i64 = 288;
/// Cycles with at least this many slots borrow from the neighbouring slots.
const SLOTS_FINE: usize = 96;
/// The grain at which long series are decomposed and long cycles are kept.
const GRAIN: Period = Period::HOUR;
/// Share of a single cycle's deviation that is believed.
const ONE_CYCLE: f64 = 0.5;
/// Share of the slot's buckets that must be known.
const KNOWN: f64 = 0.3;

/// Offsets that repeat, and how far they can be relied on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Season {
    cycles: Vec<Cycle>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cycle {
    period_ms: i64,
    slot_ms: i64,
    offset: Packed,
    spread: Coarse,
}

/// Numbers of either sign in two bytes each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Packed {
    unit: f64,
    values: Vec<[u8; 2]>,
}

impl Packed {
    fn new(values: &[f64]) -> Self {
        let largest = values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        let unit = largest / f64::from(i16::MAX);
        if unit == 0.0 {
            return Self::default();
        }
        let values = values.iter().map(|value| ((value / unit).round() as i16).to_le_bytes()).collect();
        Self { unit, values }
    }

    fn get(&self, slot: usize) -> f64 {
        self.values.get(slot).map_or(0.0, |&bytes| f64::from(i16::from_le_bytes(bytes)) * self.unit)
    }
}

/// Numbers of at least 0 in one byte each.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Coarse {
    unit: f64,
    values: Vec<u8>,
}

impl Coarse {
    fn new(values: &[f64]) -> Self {
        let unit = values.iter().fold(0.0f64, |largest, &value| largest.max(value)) / f64::from(u8::MAX);
        if unit == 0.0 {
            return Self::default();
        }
        Self { unit, values: values.iter().map(|value| (value / unit).ceil() as u8).collect() }
    }

    fn get(&self, slot: usize) -> f64 {
        self.values.get(slot).map_or(0.0, |&value| f64::from(value) * self.unit)
    }
}

/// What the season says of a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Offset {
    /// To be added to the level.
    pub(crate) centre: f64,
    /// Its own standard deviation.
    pub(crate) spread: f64,
}

impl Season {
    /// Lengths after which it repeats.
    pub(crate) fn periods(&self) -> Vec<Period> {
        self.cycles.iter().map(|cycle| Period(cycle.period_ms)).collect()
    }

    /// Offset of the bucket that starts at `time`.
    pub(crate) fn at(&self, time: Time) -> Offset {
        let (mut centre, mut variance) = (0.0, 0.0);
        for cycle in &self.cycles {
            let slot = (time.0.rem_euclid(cycle.period_ms) / cycle.slot_ms) as usize;
            centre += cycle.offset.get(slot);
            variance += cycle.spread.get(slot).powi(2);
        }
        Offset { centre, spread: variance.sqrt() }
    }
}

/// A regular series in the space where seasons add up.
pub(crate) struct Grid<'a> {
    /// Start of the first bucket.
    pub(crate) start: Time,
    /// Length of the buckets.
    pub(crate) bucket: Period,
    /// One value a bucket; `NaN` is a gap.
    pub(crate) values: &'a [f64],
}

impl Grid<'_> {
    fn slot(&self, at: usize, period: i64, slot: i64) -> usize {
        ((self.start.0 + at as i64 * self.bucket.0).rem_euclid(period) / slot) as usize
    }

    fn span(&self) -> i64 {
        self.bucket.0.saturating_mul(self.values.len() as i64)
    }
}

/// Learns the season of each period that the series covers; the shortest first.
pub(crate) fn learn(grid: &Grid<'_>, seasonality: &[Period]) -> Season {
    let mut periods: Vec<i64> = seasonality.iter().map(|period| period.0).filter(|&p| p >= 2 * grid.bucket.0).collect();
    periods.sort_unstable();
    periods.dedup();
    periods.retain(|&period| grid.span() >= if period > Period::DAY.0 { 2 * period } else { period });
    let mut known: Vec<f64> = grid.values.iter().copied().filter(|value| value.is_finite()).collect();
    if periods.is_empty() || known.len() < 8 {
        return Season::default();
    }
    let level = robust::median(&mut known);
    let mut rest: Vec<f64> = grid.values.iter().map(|value| value - level).collect();
    let coarse = coarse_cycles(grid, &rest, &periods);
    let mut season = Season::default();
    for &period in &periods {
        let start = coarse.iter().find(|cycle| cycle.period_ms == period);
        let cycle = learn_cycle(grid, &rest, period, start);
        for (at, value) in rest.iter_mut().enumerate() {
            *value -= cycle.offset.get(grid.slot(at, cycle.period_ms, cycle.slot_ms));
        }
        season.cycles.push(cycle);
    }
    season
}

/// Cycles of a long series by MSTL on hourly medians, with wild values drawn in.
fn coarse_cycles(grid: &Grid<'_>, rest: &[f64], periods: &[i64]) -> Vec<Cycle> {
    let grain = grid.bucket.0.max(GRAIN.0 / grid.bucket.0.max(1) * grid.bucket.0);
    let longest = periods.last().copied().unwrap_or(0);
    let usable = periods.iter().all(|period| period % grain == 0 && period / grain >= 2);
    if !usable || grid.span() < 2 * longest || longest <= Period::DAY.0 {
        return Vec::new();
    }
    // The series starts at a multiple of the longest period, so that indices are slots.
    let lead = (grid.start.0.rem_euclid(longest) / grid.bucket.0) as usize;
    let skip = if lead == 0 { 0 } else { (longest / grid.bucket.0) as usize - lead };
    let whole = if grid.span() - skip as i64 * grid.bucket.0 >= 2 * longest { skip } else { 0 };
    let shift = if whole == 0 { lead as i64 * grid.bucket.0 / grain } else { 0 };
    let width = (grain / grid.bucket.0) as usize;
    let mut hourly: Vec<f64> = rest[whole..]
        .chunks(width)
        .map(|chunk| robust::median(&mut chunk.iter().copied().filter(|v| v.is_finite()).collect::<Vec<_>>()))
        .collect();
    winsorise(&mut hourly, (periods[0] / grain) as usize);
    let lengths: Vec<usize> = periods.iter().map(|period| (period / grain) as usize).collect();
    let Some(found) = decompose::seasons(&hourly, &lengths) else { return Vec::new() };
    let cycles = found.into_iter().zip(periods).map(|(cycle, &period_ms)| {
        let n = cycle.len();
        let turned: Vec<f64> = (0..n).map(|slot| cycle[(slot + n - shift as usize % n) % n]).collect();
        Cycle { period_ms, slot_ms: grain, offset: Packed::new(&turned), spread: Coarse::default() }
    });
    cycles.collect()
}

/// Draws values further than four spreads from the median of their slot back to that distance.
fn winsorise(values: &mut [f64], period: usize) {
    let mut medians = vec![0.0; period];
    for (slot, middle) in medians.iter_mut().enumerate() {
        let mut here: Vec<f64> = values.iter().skip(slot).step_by(period).copied().filter(|v| v.is_finite()).collect();
        *middle = robust::median(&mut here);
    }
    let rest = values.iter().enumerate().map(|(at, value)| value - medians[at % period]);
    let sigma = robust::sigma(&mut rest.filter(|value| value.is_finite()).collect::<Vec<_>>(), 0.0);
    if sigma > 0.0 {
        for (at, value) in values.iter_mut().enumerate() {
            let middle = medians[at % period];
            if value.is_finite() && middle.is_finite() {
                *value = value.clamp(middle - 4.0 * sigma, middle + 4.0 * sigma);
            }
        }
    }
}

/// One cycle: the median of each slot over the cycles seen, drawn towards `start` (or none) where
/// it does not stand out of the noise.
fn learn_cycle(grid: &Grid<'_>, rest: &[f64], period: i64, start: Option<&Cycle>) -> Cycle {
    let per_slot = (period + SLOTS * grid.bucket.0 - 1) / (SLOTS * grid.bucket.0);
    let per_slot = if period > Period::DAY.0 { per_slot.max(GRAIN.per(grid.bucket)) } else { per_slot }.max(1);
    let slot_ms = per_slot * grid.bucket.0;
    let slots = ((period + slot_ms - 1) / slot_ms) as usize;
    let base =
        |slot: usize| start.map_or(0.0, |cycle| cycle.offset.get((slot as i64 * slot_ms / cycle.slot_ms) as usize));
    let mut cells: Vec<Vec<f64>> = vec![Vec::new(); slots];
    let length = ((period / grid.bucket.0) as usize).max(1);
    let phase = (grid.start.0.rem_euclid(period) / grid.bucket.0) as usize;
    let mut from = 0;
    while from < rest.len() {
        let to = if from == 0 { length - phase } else { from + length }.min(rest.len());
        let centred = |at: usize| rest[at] - base(grid.slot(at, period, slot_ms));
        let mut known: Vec<f64> = (from..to).map(centred).filter(|value| value.is_finite()).collect();
        if known.len() as f64 >= KNOWN * length as f64 {
            let middle = robust::median(&mut known);
            for at in from..to {
                let value = centred(at) - middle;
                if value.is_finite() {
                    cells[grid.slot(at, period, slot_ms)].push(value);
                }
            }
        }
        from = to;
    }
    let (offset, spread) = shrink(&cells, per_slot as f64, base);
    Cycle { period_ms: period, slot_ms, offset: Packed::new(&offset), spread: Coarse::new(&spread) }
}

fn shrink(cells: &[Vec<f64>], per_slot: f64, base: impl Fn(usize) -> f64) -> (Vec<f64>, Vec<f64>) {
    let slots = cells.len();
    let reach = if slots >= SLOTS_FINE { 1 } else { 0 };
    let mut medians = vec![0.0; slots];
    let mut spreads = vec![0.0; slots];
    for slot in 0..slots {
        let mut near: Vec<f64> =
            (0..=2 * reach).flat_map(|step| &cells[(slot + slots + step - reach) % slots]).copied().collect();
        if !near.is_empty() {
            medians[slot] = robust::median(&mut near);
            spreads[slot] = robust::sigma(&mut near, medians[slot]);
        }
    }
    let noise = robust::median(&mut spreads.clone());
    let raw = medians.clone();
    let mut offset = vec![0.0; slots];
    for slot in 0..slots {
        let n = cells[slot].len() as f64 / per_slot;
        let effective = (n * (1.0 + reach as f64)).max(1.0);
        let signal = raw[slot].powi(2);
        let chance = 1.57 * noise.max(spreads[slot]).powi(2) / effective;
        let kept = if signal > 0.0 { (1.0 - chance / signal).max(0.0) } else { 0.0 };
        let kept = if n < 1.5 { kept.min(ONE_CYCLE) } else { kept };
        offset[slot] = kept * raw[slot];
        let jump = (raw[(slot + 1) % slots] - raw[(slot + slots - 1) % slots]).abs();
        let jitter = if reach > 0 { 0.25 * (jump - 2.0 * noise).max(0.0) } else { 0.0 };
        let young = raw[slot].abs() * (if n < 1.5 { ONE_CYCLE } else { 0.35 / n });
        let extra = (spreads[slot].powi(2) - noise.powi(2)).max(0.0);
        spreads[slot] = (extra + jitter.powi(2) + (young * kept).powi(2)).sqrt();
    }
    let middle = offset.iter().sum::<f64>() / slots.max(1) as f64;
    let offset = offset.iter().enumerate().map(|(slot, value)| value - middle + base(slot)).collect();
    (offset, spreads)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time(1_600_000_000_000 / 86_400_000 * 86_400_000);

    fn noise(at: usize) -> f64 {
        crate::distribution::tie(7, at as u64, 3) - 0.5
    }

    #[test]
    fn a_nightly_job_is_known_after_two_days_and_half_known_after_one() {
        for (days, wanted) in [(1usize, 2.0), (2, 3.3), (10, 3.5)] {
            let values: Vec<f64> = (0..288 * days)
                .map(|at| if (24..30).contains(&(at % 288)) { 4.0 } else { 0.0 } + 0.2 * noise(at))
                .collect();
            let grid = Grid { start: START, bucket: Period::MINUTE.times(5), values: &values };
            let season = learn(&grid, &[Period::DAY, Period::WEEK]);
            let inside = season.at(START.plus(Period::MINUTE.times(5 * 26)));
            let outside = season.at(START.plus(Period::HOUR.times(12)));
            assert!(inside.centre - outside.centre >= 0.9 * wanted, "{days} {inside:?} {outside:?}");
            assert!(outside.spread < 0.2, "{days} {outside:?}");
        }
    }

    #[test]
    fn a_quiet_weekend_is_known_after_two_weeks() {
        let week_start = START.floor(Period::WEEK);
        let values: Vec<f64> = (0..24 * 21)
            .map(|at| {
                let day = (at / 24) % 7;
                (if day >= 5 { -3.0 } else { 0.0 }) + (at as f64 * std::f64::consts::TAU / 24.0).sin() + 0.1 * noise(at)
            })
            .collect();
        let grid = Grid { start: week_start, bucket: Period::HOUR, values: &values };
        let season = learn(&grid, &[Period::DAY, Period::WEEK]);
        let at = |hours| season.at(week_start.plus(Period::HOUR.times(hours))).centre;
        assert!((at(24 * 5 + 12) - at(24 * 3 + 12) + 3.0).abs() < 0.6, "{} {}", at(24 * 5 + 12), at(24 * 3 + 12));
        assert!((at(6) - at(18) - 2.0).abs() < 0.5);
    }

    #[test]
    fn noise_alone_has_next_to_no_season() {
        let values: Vec<f64> = (0..288 * 14).map(noise).collect();
        let grid = Grid { start: START, bucket: Period::MINUTE.times(5), values: &values };
        let season = learn(&grid, &[Period::DAY, Period::WEEK]);
        let mean: f64 =
            (0..2016).map(|k| season.at(START.plus(Period::MINUTE.times(5 * k))).centre.powi(2)).sum::<f64>() / 2016.0;
        assert!(mean.sqrt() < 0.12, "{}", mean.sqrt());
    }

    #[test]
    fn gaps_and_empty_series_give_no_season() {
        for values in [vec![], vec![f64::NAN; 600], vec![1.0; 3]] {
            let grid = Grid { start: START, bucket: Period::MINUTE.times(5), values: &values };
            assert_eq!(learn(&grid, &[Period::DAY]), Season::default());
        }
    }
}
