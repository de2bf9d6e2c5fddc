//! A small chart for the terminal: what was measured, and what was expected at most.

use margay_core::Time;
use textplots::{Chart, LabelBuilder, LabelFormat, Plot, Shape};

use crate::detect::Scored;

/// Width and height in dots; a character holds 2 × 4.
const SIZE: (u32, u32) = (140, 32);

/// Draws one feature of one entity over time: a line for the values, dots for the upper end of the
/// 95 % interval. Empty where there are fewer than two values.
#[must_use]
pub fn draw(title: &str, feature: usize, series: &[Scored]) -> String {
    let of_feature = || series.iter().filter(|row| row.feature == feature && row.score.value.is_finite());
    let (Some(first), Some(last)) = (of_feature().next(), of_feature().next_back()) else { return String::new() };
    if first.bucket == last.bucket {
        return String::new();
    }
    let hours = |time: Time| (time.since(first.bucket).seconds() / 3600.0) as f32;
    let line = |figure: &dyn Fn(&Scored) -> f64| -> Vec<(f32, f32)> {
        of_feature().filter(|row| figure(row).is_finite()).map(|row| (hours(row.bucket), figure(row) as f32)).collect()
    };
    let values = line(&|row| row.score.value);
    let upper = line(&|row| row.score.upper);
    let highest = values.iter().chain(&upper).map(|(_, y)| *y).fold(f32::MIN, f32::max);
    let (values, upper) = (Shape::Lines(&values), Shape::Points(&upper));
    let mut chart =
        Chart::new_with_y_range(SIZE.0, SIZE.1, 0.0, hours(last.bucket), 0.0, highest.max(f32::MIN_POSITIVE));
    let chart = chart
        .lineplot(&values)
        .lineplot(&upper)
        .x_label_format(LabelFormat::None)
        .y_label_format(LabelFormat::Custom(Box::new(|value| short(f64::from(value)))));
    chart.axis();
    chart.figures();
    format!(
        "{title}\n{chart}\n{} to {}   line: measured   dots: upper end of the 95 % interval\n",
        first.bucket, last.bucket
    )
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
