//! Times as logs write them.

use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use margay_core::Time;

use crate::raw::Raw;
use crate::spec::TimeFormat;

/// Milliseconds since 1970, if the value is a time in `format` that margay handles.
#[inline]
pub(crate) fn millis(raw: Raw<'_>, format: TimeFormat) -> Option<i64> {
    let millis = match raw {
        Raw::Whole(_, value) => whole(value, format),
        Raw::Number(bytes) => number(bytes, format),
        Raw::Text(bytes) => match (number(bytes.trim_ascii(), format), format) {
            (None, TimeFormat::Rfc3339 | TimeFormat::Auto) => text(bytes.trim_ascii()),
            (millis, _) => millis,
        },
        Raw::Escaped(_) => raw.text().and_then(|text| millis(Raw::Text(text.as_bytes()), format)),
        _ => None,
    };
    millis.filter(|millis| (Time::MIN.0..=Time::MAX.0).contains(millis))
}

/// Milliseconds of a number in the unit of `format`.
pub(crate) fn number_millis(value: f64, format: TimeFormat) -> Option<i64> {
    let per_milli = units_per_milli(value.abs(), format)?;
    Some((value / per_milli).round() as i64)
}

fn number(bytes: &[u8], format: TimeFormat) -> Option<i64> {
    let raw = Raw::Number(bytes);
    match raw.int() {
        Some(value) => whole(value, format),
        None => number_millis(raw.float()?, format),
    }
}

#[inline]
fn whole(value: i64, format: TimeFormat) -> Option<i64> {
    match format {
        TimeFormat::EpochMs => Some(value),
        _ => match units_per_milli(value.unsigned_abs() as f64, format)? {
            0.001 => value.checked_mul(1000),
            units => Some(value.div_euclid(units as i64)),
        },
    }
}

/// How many units make a millisecond; in `Auto` a number too large for one unit is in the next smaller
/// one: 1e11 s is the year 5138, 1e11 ms is 1973.
pub(crate) fn units_per_milli(size: f64, format: TimeFormat) -> Option<f64> {
    match format {
        TimeFormat::EpochS => Some(0.001),
        TimeFormat::EpochMs => Some(1.0),
        TimeFormat::Auto if size < 1e11 => Some(0.001),
        TimeFormat::Auto if size < 1e14 => Some(1.0),
        TimeFormat::Auto if size < 1e17 => Some(1e3),
        TimeFormat::Auto => Some(1e6),
        TimeFormat::Rfc3339 => None,
    }
}

fn text(bytes: &[u8]) -> Option<i64> {
    let nanos = string_to_timestamp_nanos(std::str::from_utf8(bytes).ok()?).ok()?;
    Some(nanos.div_euclid(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEVEN: i64 = 1_795_503_600_000;

    fn auto(text: &str) -> Option<i64> {
        millis(Raw::Text(text.as_bytes()), TimeFormat::Auto)
    }

    #[test]
    fn the_unit_of_a_number_follows_from_its_size() {
        for text in
            ["1795503600", "1795503600000", "1795503600000000", "1795503600000000000", "1795503600.0", "1.7955036e9"]
        {
            assert_eq!(auto(text), Some(SEVEN), "{text}");
        }
        assert_eq!(auto("1795503600.25"), Some(SEVEN + 250));
        assert_eq!(millis(Raw::Number(b"1795503600"), TimeFormat::EpochMs), Some(1_795_503_600));
        assert_eq!(millis(Raw::Number(b"1795503600"), TimeFormat::Rfc3339), None);
    }

    #[test]
    fn rfc_3339_is_read_with_and_without_an_offset() {
        for text in [
            "2026-11-24T07:00:00Z",
            "2026-11-24T07:00:00.000Z",
            "2026-11-24T08:00:00+01:00",
            "2026-11-24 07:00:00",
            "2026-11-24T07:00:00",
            " 2026-11-24T07:00:00.0000001Z ",
        ] {
            assert_eq!(auto(text), Some(SEVEN), "{text}");
        }
        assert_eq!(auto("2026-11-24"), Some(SEVEN - 7 * 3_600_000));
        for text in ["", "-", "yesterday", "2026-13-01T00:00:00Z", "NaN", "1e400", "99999999999999999999999"] {
            assert_eq!(auto(text), None, "{text}");
        }
    }
}
