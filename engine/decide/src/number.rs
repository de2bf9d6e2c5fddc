//! Numbers as people read them in a gate trace.

/// Significant digits of a number that is not whole.
const DIGITS: i32 = 4;

/// `value` in few digits, but in enough of them to differ from `limit` where the two differ.
pub(crate) fn beside(value: f64, limit: f64) -> String {
    let text = short(value);
    if value != limit && text == short(limit) { exact(value) } else { text }
}

/// A number in at most four significant digits; whole numbers in full.
pub(crate) fn short(value: f64) -> String {
    if value.is_nan() {
        return "none".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "infinite" } else { "-infinite" }.to_owned();
    }
    let size = value.abs();
    if !is_plain(size) {
        return trim_exponent(&format!("{value:.*e}", DIGITS as usize - 1));
    }
    if value == value.trunc() {
        return format!("{}", value.trunc() + 0.0);
    }
    let decimals = (DIGITS - 1 - size.log10().floor() as i32).max(1);
    let text = format!("{value:.*}", decimals as usize);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The shortest text that reads back as the number.
fn exact(value: f64) -> String {
    if is_plain(value.abs()) { format!("{value}") } else { format!("{value:e}") }
}

/// Whether a number of this size reads better without an exponent.
fn is_plain(size: f64) -> bool {
    size == 0.0 || (1e-4..1e15).contains(&size)
}

/// `1.500e-9` as `1.5e-9`.
fn trim_exponent(text: &str) -> String {
    match text.split_once('e') {
        Some((digits, exponent)) => {
            format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'))
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (60.0, "60"),
            (12_345_678.0, "12345678"),
            (12_345.678, "12345.7"),
            (62.136_9, "62.14"),
            (0.2, "0.2"),
            (1.0 / 3.0, "0.3333"),
            (-0.001_234_56, "-0.001235"),
            (1.5e-9, "1.5e-9"),
            (2e20, "2e20"),
            (f64::NAN, "none"),
            (f64::INFINITY, "infinite"),
        ];
        for (value, text) in cases {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn a_number_just_under_its_limit_does_not_read_like_the_limit() {
        assert_eq!(beside(59.999_9, 60.0), "59.9999");
        assert_eq!(beside(60.0, 60.0), "60");
        assert_eq!(beside(61.234_56, 60.0), "61.23");
    }
}
