//! Digits of a number, eight at a time.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;
/// Added to a byte above 9, sets its high bit.
const ABOVE_NINE: u64 = ONES * (0x80 - 10);
const DIGITS_A_WORD: usize = 8;
const POWERS: [i64; DIGITS_A_WORD] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000];

/// How many digits `bytes` start with.
#[inline]
pub(super) fn count(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(word) = word(bytes, at) {
        match digits_of(word) {
            DIGITS_A_WORD => at += DIGITS_A_WORD,
            digits => return at + digits,
        }
    }
    at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// How many digits `bytes` start with, and their value where they are at most fifteen and no end of the text is near.
#[inline]
pub(super) fn leading(bytes: &[u8]) -> (usize, Option<i64>) {
    let Some(first) = word(bytes, 0) else { return (count(bytes), None) };
    let digits = digits_of(first);
    if digits < DIGITS_A_WORD {
        return (digits, Some(value(first, digits)));
    }
    let Some(second) = word(bytes, DIGITS_A_WORD) else { return (count(bytes), None) };
    let more = digits_of(second);
    if more < DIGITS_A_WORD {
        let total = value(first, DIGITS_A_WORD) * POWERS[more] + value(second, more);
        return (DIGITS_A_WORD + more, Some(total));
    }
    (count(bytes), None)
}

/// The bytes from `at` on, less `0` each, so that digits are 0 to 9.
#[inline]
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..)?.first_chunk::<DIGITS_A_WORD>()?;
    Some(u64::from_le_bytes(*word) ^ (ONES * u64::from(b'0')))
}

/// How many digits a word starts with. A carry may set the high bit of bytes above a true hit, never below.
#[inline]
fn digits_of(word: u64) -> usize {
    let others = (word.wrapping_add(ABOVE_NINE) | word) & HIGH;
    others.trailing_zeros() as usize / 8
}

/// The value of the first `digits` digits of a word: pairs, then fours, then all eight.
#[inline]
fn value(word: u64, digits: usize) -> i64 {
    if digits == 0 {
        return 0;
    }
    let word = word << (64 - 8 * digits);
    let pairs = (word * 10 + (word >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    ((fours * 10_000 + (fours >> 32)) & 0xffff_ffff) as i64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn digits_are_counted_and_read_as_one_by_one(text in "[0-9]{0,20}[^0-9]{0,20}") {
            let bytes = text.as_bytes();
            let digits = text.chars().take_while(char::is_ascii_digit).count();
            prop_assert_eq!(count(bytes), digits);
            let (found, value) = leading(bytes);
            prop_assert_eq!(found, digits);
            if let Some(value) = value {
                prop_assert_eq!(value, text[..digits].parse().unwrap_or(0));
            }
        }
    }

    #[test]
    fn up_to_fifteen_digits_have_a_value() {
        assert_eq!(leading(b"0,       "), (1, Some(0)));
        assert_eq!(leading(b"123456789012345,        "), (15, Some(123_456_789_012_345)));
        assert_eq!(leading(b"1234567890123456,        "), (16, None));
        assert_eq!(leading(b"12"), (2, None));
    }
}
