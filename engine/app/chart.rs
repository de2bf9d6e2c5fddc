//! Small charts for the terminal.

use margay_core::Time;
use textplots::{Chart, LabelBuilder, LabelFormat, Plot, Shape};

use crate::detect::Scored;

/// Width and height in dots; a character holds 2 × 4.
const SIZE: (u32, u32) = (140, 32);
/// Width and height of a chart that stands under another.
const SMALL: (u32, u32) = (140, 16);

/// Points of a line.
type Points = Vec<(f32, f32)>;

/// Draws one feature of one entity over time: a line for the values, dots for both ends of the
/// 95 % interval. Empty where there are fewer than two values.
#[must_use]
pub fn draw(title: &str, feature: usize, series: &[Scored]) -> String {
    let Some((values, span)) = line(feature, series, |row| row.score.value) else { return String::new() };
    let mut band: Points = Vec::new();
    for end in [|row: &Scored| row.score.lower, |row: &Scored| row.score.upper] {
        band.extend(line(feature, series, end).map(|(points, _)| points).unwrap_or_default());
    }
    let chart = plot(SIZE, &values, &band, 0.0);
    format!("{title}\n{chart}\n{span}   line: measured   dots: ends of the 95 % interval\n")
}

/// Draws the scores of one feature of one entity over time, and the threshold as dots.
#[must_use]
pub fn scores(feature: usize, series: &[Scored], threshold: f64) -> String {
    let Some((scores, span)) = line(feature, series, |row| row.score.score) else { return String::new() };
    let level = level(&scores, threshold);
    format!(
        "{}\n{span}   line: score   dots: threshold {threshold:.1}\n",
        plot(SMALL, &scores, &level, threshold as f32)
    )
}

/// Draws what is to come of one feature of one entity: a line for what is expected, dots for both ends of the 95 %
/// interval.
#[must_use]
pub fn forecast(title: &str, feature: usize, series: &[Scored]) -> String {
    let text = draw(title, feature, series);
    text.replace("line: measured", "line: expected")
}

/// Draws a quantity over the score from which it depends, and a level of it as dots.
#[must_use]
pub fn curve(title: &str, points: &[(f64, f64)], limit: f64) -> String {
    let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) else { return String::new() };
    let line: Points = points.iter().map(|(x, y)| ((x - first) as f32, *y as f32)).collect();
    format!("{title}\n{}\nscore {first:.0} to {last:.0}\n", plot(SIZE, &line, &level(&line, limit), limit as f32))
}

/// A feature over the hours since its first value, and the times that it spans; `None` with fewer than two values.
fn line(feature: usize, series: &[Scored], figure: impl Fn(&Scored) -> f64) -> Option<(Points, String)> {
    let known = || series.iter().filter(|row| row.feature == feature && row.score.value.is_finite());
    let (first, last) = (known().next()?, known().next_back()?);
    if first.bucket == last.bucket {
        return None;
    }
    let hours = |time: Time| (time.since(first.bucket).seconds() / 3600.0) as f32;
    let points = known().map(|row| (hours(row.bucket), figure(row) as f32)).filter(|(_, y)| y.is_finite());
    Some((points.collect(), format!("{} to {}", first.bucket, last.bucket)))
}

/// As many points at one height.
fn level(line: &[(f32, f32)], height: f64) -> Points {
    line.iter().map(|(x, _)| (*x, height as f32)).collect()
}

/// A line and dots from 0 to the highest of them, or to `least`.
fn plot(size: (u32, u32), line: &[(f32, f32)], dots: &[(f32, f32)], least: f32) -> String {
    let highest = line.iter().chain(dots).map(|(_, y)| *y).fold(least.max(f32::MIN_POSITIVE), f32::max);
    let lowest = line.iter().chain(dots).map(|(_, y)| *y).fold(0.0, f32::min);
    let end = line.last().map_or(1.0, |(x, _)| *x).max(f32::MIN_POSITIVE);
    let (line, dots) = (Shape::Lines(line), Shape::Points(dots));
    let mut chart = Chart::new_with_y_range(size.0, size.1, 0.0, end, lowest, highest);
    let chart = chart
        .lineplot(&line)
        .lineplot(&dots)
        .x_label_format(LabelFormat::None)
        .y_label_format(LabelFormat::Custom(Box::new(|value| short(f64::from(value)))));
    chart.axis();
    chart.figures();
    chart.to_string()
}

/// A figure with at most four digits and a metric prefix.
fn short(value: f64) -> String {
    let prefixes = [(1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ")];
    let size = value.abs();
    let (unit, prefix) = prefixes.iter().find(|(unit, _)| size >= *unit).copied().unwrap_or((1.0, ""));
    format!("{:.1}{prefix}", value / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        assert_eq!(short(12_345_678.0), "12.3M");
        assert_eq!(short(0.0), "0.0");
        assert_eq!(short(0.0042), "4.2m");
    }
}
