//! Numbers as people read them.

use margay_core::{Period, Time};

const BYTE_UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// An amount of data, in powers of 1000: `10.5 MB`.
pub(crate) fn bytes(value: f64) -> String {
    let mut size = value.abs();
    let mut unit = 0;
    while size >= 999.95 && unit + 1 < BYTE_UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{} {}", grouped(size, 1), BYTE_UNITS[unit])
}

/// A number with its thousands set apart: `1,313`; below 100 with two decimals, below 1 with three digits.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1e15 {
        return format!("{value:e}");
    }
    let decimals = match size {
        0.0 => 0,
        size if size < 1e-9 => return format!("{value:.2e}"),
        size if size < 1.0 => (2.0 - size.log10().floor()) as usize,
        size if size < 100.0 => 2,
        size if size < 1000.0 => 1,
        _ => 0,
    };
    let sign = if value < 0.0 { "-" } else { "" };
    format!("{sign}{}", grouped(size, decimals))
}

/// A share of 1: `12.3%`.
pub(crate) fn percent(ratio: f64) -> String {
    format!("{}%", number((ratio * 100_000.0).round() / 1000.0))
}

/// A length of time given in seconds: `12.3 ms`, `4.2 s`, `1h30m`.
pub(crate) fn duration(seconds: f64) -> String {
    let size = seconds.abs();
    match size {
        _ if size >= 120.0 => Period((seconds.round() as i64).saturating_mul(1000)).to_string(),
        _ if size >= 0.9995 || size == 0.0 => format!("{} s", number(round3(seconds))),
        _ if size >= 0.999_5e-3 => format!("{} ms", number(round3(seconds * 1e3))),
        _ if size >= 0.999_5e-6 => format!("{} µs", number(round3(seconds * 1e6))),
        _ => format!("{} ns", number(round3(seconds * 1e9))),
    }
}

/// A point in time for people: `2026-11-24 07:00:00 UTC`.
pub(crate) fn time(time: Time) -> String {
    time.to_string().replacen('T', " ", 1).replacen('Z', " UTC", 1)
}

/// Three digits that count.
fn round3(value: f64) -> f64 {
    if value == 0.0 {
        return value;
    }
    let scale = 10f64.powf(2.0 - value.abs().log10().floor());
    (value * scale).round() / scale
}

/// `size`, which is not negative, with at most `decimals` decimals and `,` between the thousands.
fn grouped(size: f64, decimals: usize) -> String {
    let text = format!("{size:.decimals$}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let mut out = String::with_capacity(text.len() + whole.len() / 3);
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    let fraction = fraction.trim_end_matches('0');
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_the_unit_that_leaves_few_digits() {
        let shown: Vec<String> =
            [0.0, 999.0, 1500.0, 999_999.0, 10_500_000.0, -2e9, 1e24].into_iter().map(bytes).collect();
        assert_eq!(shown, ["0 B", "999 B", "1.5 kB", "1 MB", "10.5 MB", "-2 GB", "1,000,000 EB"]);
    }

    #[test]
    fn numbers_keep_the_digits_that_count() {
        let shown: Vec<String> =
            [0.0, 1313.0, 3.0, 2.345, 0.00123, -45_300_000.4, 123.45, 1e21].into_iter().map(number).collect();
        assert_eq!(shown, ["0", "1,313", "3", "2.35", "0.00123", "-45,300,000", "123.5", "1e21"]);
    }

    #[test]
    fn shares_are_percentages() {
        assert_eq!([percent(0.123), percent(1.0), percent(0.0001)], ["12.3%", "100%", "0.01%"]);
    }

    #[test]
    fn durations_take_the_unit_that_leaves_few_digits() {
        let shown: Vec<String> =
            [0.0123, 4.2, 0.000_001_5, 5400.0, 0.0, 0.9999, 2.5e-8].into_iter().map(duration).collect();
        assert_eq!(shown, ["12.3 ms", "4.2 s", "1.5 µs", "1h30m", "0 s", "1 s", "25 ns"]);
    }

    #[test]
    fn times_are_spelt_with_their_zone() {
        assert_eq!(time("2026-11-24T07:00:00Z".parse().unwrap()), "2026-11-24 07:00:00 UTC");
    }

    #[test]
    fn no_number_breaks_a_unit() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, -0.0, 5e-324] {
            for shown in [bytes(value), number(value), percent(value), duration(value)] {
                assert!(!shown.is_empty() && shown.len() < 400, "{value}: {shown}");
            }
        }
    }
}
