//! What a name looks like, as numbers of slots in a table of weights.

use super::words::{DICTIONARY, WORD_LEAST, WORD_MOST};
use crate::names::split;

/// Slots of the table.
pub(super) const SLOTS: usize = 1 << 17;
/// Letters in a row that are looked at at most.
const GRAM_MOST: usize = 4;
/// Letters of a label that are looked at at most.
const LABEL_MOST: usize = 63;
/// Cost of a letter that no word explains, in words.
const UNKNOWN_COST: u32 = 2;

/// Puts the slots of a plain name into `slots`; false where it has no registered label.
pub(super) fn slots(name: &str, slots: &mut Vec<u32>) -> bool {
    slots.clear();
    let (label, suffix) = match split(name) {
        Some(parts) => (parts.label, parts.suffix),
        // A name below no known suffix, or a suffix itself: its first label is judged.
        None => name.split_once('.').unwrap_or((name, "")),
    };
    if label.is_empty() {
        return false;
    }
    let label = &label.as_bytes()[..label.len().min(LABEL_MOST)];
    grams(label, slots);
    shape(label, suffix, slots);
    true
}

/// Letters, and two to four in a row, with the ends of the label.
fn grams(label: &[u8], slots: &mut Vec<u32>) {
    let mut padded = [b'^'; LABEL_MOST + 2];
    padded[1..=label.len()].copy_from_slice(label);
    padded[label.len() + 1] = b'$';
    let padded = &padded[..label.len() + 2];
    for length in 1..=GRAM_MOST {
        slots.extend(padded.windows(length).map(|gram| slot(length as u32, gram, &[])));
    }
}

/// Figures of the whole label, alone and together with its length and suffix.
fn shape(label: &[u8], suffix: &str, slots: &mut Vec<u32>) {
    let looks = Looks::of(label);
    let (length, third) = (looks.length.min(30), looks.length.min(30) / 3);
    let suffix = suffix.as_bytes();
    let unknown = looks.share(looks.unknown);
    let vowels = looks.share(looks.vowels);
    let mut add = |kind: u32, text: &[u8], figures: &[u32]| slots.push(slot(kind, text, figures));
    add(10, suffix, &[]);
    add(11, &[], &[length]);
    add(12, suffix, &[length]);
    add(13, &[], &[looks.digits.min(5)]);
    add(14, &[], &[vowels]);
    add(15, &[], &[vowels, third]);
    add(16, &[], &[looks.hyphens.min(3)]);
    add(17, suffix, &[looks.hyphens.min(2)]);
    add(18, &[], &[looks.run.min(8)]);
    add(19, &[], &[looks.run.min(8), third]);
    add(20, &[], &[looks.entropy]);
    add(21, &[], &[looks.entropy, length]);
    add(22, &[], &[looks.alphabet]);
    add(23, &[], &[looks.alphabet, length]);
    add(24, suffix, &[looks.alphabet]);
    add(25, &[], &[looks.words.min(6)]);
    add(26, &[], &[looks.words.min(6), unknown]);
    add(27, suffix, &[looks.words.min(6), unknown]);
    add(28, &[], &[unknown, third]);
    add(29, &[], &[looks.words.min(6), unknown / 3, length / 2]);
}

/// FNV-1a of what is looked at, folded into the table.
fn slot(kind: u32, text: &[u8], figures: &[u32]) -> u32 {
    let step = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = text.iter().fold(step(0x811c_9dc5, kind as u8), |hash, byte| step(hash, *byte));
    let hash = figures.iter().fold(hash, |hash, figure| step(step(hash, 0xff), *figure as u8));
    (hash ^ (hash >> 15)).wrapping_mul(0x9e37_79b1) >> 15
}

struct Looks {
    length: u32,
    digits: u32,
    vowels: u32,
    hyphens: u32,
    /// Longest row of consonants.
    run: u32,
    /// Entropy of the letters, in quarters of a bit.
    entropy: u32,
    /// Which small alphabets the label keeps to, as bits.
    alphabet: u32,
    /// Words that the label is made of, and letters that belong to none.
    words: u32,
    unknown: u32,
}

impl Looks {
    fn of(label: &[u8]) -> Self {
        let count = |fits: &dyn Fn(u8) -> bool| label.iter().filter(|byte| fits(**byte)).count() as u32;
        let (mut run, mut longest) = (0, 0);
        for byte in label {
            run = if byte.is_ascii_alphabetic() && !is_vowel(*byte) && *byte != b'y' { run + 1 } else { 0 };
            longest = longest.max(run);
        }
        let keeps = |alphabet: &[u8]| label.iter().all(|byte| alphabet.contains(byte));
        let syllables = label.chunks(2).all(|pair| {
            pair[0].is_ascii_alphabetic()
                && !is_vowel(pair[0])
                && pair.get(1).is_none_or(|byte| is_vowel(*byte) || *byte == b'y')
        });
        let alphabets = [
            keeps(b"0123456789abcdef"),
            keeps(b"abcdefklmno"),
            keeps(b"acegikmoqsuwy"),
            syllables,
            count(&|byte| !byte.is_ascii_alphabetic()) == 0,
        ];
        let (words, unknown) = words(label);
        Self {
            length: label.len() as u32,
            digits: count(&|byte| byte.is_ascii_digit()),
            vowels: count(&is_vowel),
            hyphens: count(&|byte| byte == b'-'),
            run: longest,
            entropy: entropy(label),
            alphabet: alphabets.iter().enumerate().map(|(at, keeps)| u32::from(*keeps) << at).sum(),
            words,
            unknown,
        }
    }

    /// In tenths of the length.
    fn share(&self, part: u32) -> u32 {
        (10 * part + self.length / 2) / self.length.max(1)
    }
}

fn is_vowel(byte: u8) -> bool {
    matches!(byte, b'a' | b'e' | b'i' | b'o' | b'u')
}

fn entropy(label: &[u8]) -> u32 {
    let mut counts = [0u32; 256];
    label.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let length = label.len() as f64;
    let share = |count: u32| f64::from(count) / length;
    let bits: f64 = counts.iter().filter(|count| **count > 0).map(|count| -share(*count) * share(*count).log2()).sum();
    (4.0 * bits) as u32
}

/// Fewest words and unexplained letters that make the label, hyphens aside.
fn words(label: &[u8]) -> (u32, u32) {
    let mut letters = [0u8; LABEL_MOST];
    let mut length = 0;
    for byte in label.iter().filter(|byte| **byte != b'-') {
        letters[length] = *byte;
        length += 1;
    }
    let letters = &letters[..length];
    // Cost, words, unexplained letters of the first letters.
    let mut best = [(u32::MAX, 0, 0); LABEL_MOST + 1];
    best[0] = (0, 0, 0);
    for at in 0..length {
        let (cost, words, unknown) = best[at];
        if cost + UNKNOWN_COST < best[at + 1].0 {
            best[at + 1] = (cost + UNKNOWN_COST, words, unknown + 1);
        }
        for end in at + WORD_LEAST..=length.min(at + WORD_MOST) {
            if cost + 1 < best[end].0 && DICTIONARY.contains(&letters[at..end]) {
                best[end] = (cost + 1, words + 1, unknown);
            }
        }
    }
    (best[length].1, best[length].2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_taken_apart_into_words() {
        assert_eq!(words(b"breadevery"), (2, 0));
        assert_eq!(words(b"bread-every"), (2, 0));
        assert_eq!(words(b"xqzw"), (0, 4));
        assert_eq!(words(b"xqzwbread"), (1, 4));
    }

    #[test]
    fn any_name_is_looked_at_without_failing() {
        let mut out = Vec::new();
        for name in ["", ".", "com", "a", "xn--80ak6aa92e.com", "ü.com", &"a".repeat(300), "-", "1.2.3.4"] {
            slots(name, &mut out);
            assert!(out.iter().all(|slot| (*slot as usize) < SLOTS), "{name}");
        }
        assert!(slots("example.com", &mut out) && !slots("", &mut out));
    }
}
