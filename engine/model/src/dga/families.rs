//! Names as malware generates them, by style: written from published descriptions of the algorithms, with the alphabets,
//! lengths and top-level domains that these name. Not one family's list is used.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::words::{LATIN, NAMES, PLAIN, WORDS};

const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz";
const ALPHANUMERIC: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &str = "0123456789abcdef";
const VOWELS: &str = "aeiou";
const CONSONANTS: &str = "bcdfghjklmnpqrstvwxz";

const COM: &[&str] = &["com"];
const NET: &[&str] = &["net", "net", "net", "net", "net", "ru"];
const COMMON: &[&str] = &["com", "net", "org", "info", "biz", "ru"];
const COMMON_AND_CHEAP: &[&str] = &[
    "com", "net", "org", "info", "biz", "ru", "cc", "tv", "ws", "cn", "eu", "pw", "xyz", "co.uk", "co.in", "me",
    "space",
];
const LATE: &[&str] = &["com", "com", "de", "org", "co", "eu", "net", "online", "info", "ga", "tk", "co.uk"];
#[rustfmt::skip]
const MANY: &[&str] = &[
    "ac", "ag", "am", "at", "be", "bid", "biz", "bt", "bz", "cat", "cc", "ch", "club", "cm", "cn", "co", "co.in", "com",
    "com", "com.au", "cx", "cz", "de", "dj", "dk", "do", "ec", "es", "eu", "fi", "fm", "ga", "gd", "ge", "gl", "gp",
    "gr", "gs", "gy", "hk", "hn", "hu", "id", "il", "im", "in", "info", "ir", "is", "it", "jp", "ki", "kr", "kz", "la",
    "lc", "li", "lu", "lv", "md", "me", "mn", "mo", "ms", "mu", "mv", "mx", "name", "net", "net", "nf", "nl", "nr",
    "nu", "org", "ph", "pk", "pl", "pro", "ps", "pt", "pw", "ro", "rs", "ru", "sa", "sc", "se", "sg", "sh", "si", "so",
    "st", "su", "sx", "tc", "tf", "tj", "tk", "tl", "tm", "tn", "to", "top", "tv", "tw", "ua", "uk", "us", "uz", "vc",
    "vn", "win", "ws", "xyz", "yt",
];

/// A way to make names, and how often it is used.
struct Style {
    weight: u32,
    make: fn(&mut ChaCha8Rng) -> String,
}

const STYLES: &[Style] = &[
    // Conficker, Kraken: a few letters.
    Style { weight: 3, make: |random| random_label(random, LETTERS, (4, 11), MANY) },
    Style { weight: 2, make: |random| random_label(random, LETTERS, (6, 12), &["com", "net", "tv", "cc"]) },
    // CryptoLocker, Ramnit, Dircrypt, Murofet, Necurs, Tinba: more letters.
    Style { weight: 4, make: |random| random_label(random, LETTERS, (7, 21), COMMON_AND_CHEAP) },
    Style { weight: 3, make: |random| random_label(random, LETTERS, (7, 21), MANY) },
    Style { weight: 3, make: |random| random_label(random, LETTERS, (8, 20), COM) },
    Style { weight: 2, make: |random| random_label(random, LETTERS, (12, 15), COMMON_AND_CHEAP) },
    Style { weight: 1, make: |random| random_label(random, LETTERS, (16, 16), &["eu", "com", "org"]) },
    Style { weight: 1, make: |random| random_label(random, LETTERS, (12, 32), COMMON) },
    // Rovnix, new GOZ, Chinad: letters and digits.
    Style { weight: 2, make: |random| random_label(random, ALPHANUMERIC, (8, 28), COMMON_AND_CHEAP) },
    // Bamital, Dyre: digests.
    Style { weight: 2, make: |random| random_label(random, HEX, (10, 34), COMMON_AND_CHEAP) },
    // PadCrypt, Ramdo: small alphabets.
    Style { weight: 1, make: |random| random_label(random, "abcdefklmno", (16, 24), LATE) },
    Style { weight: 1, make: |random| random_label(random, "acegikmoqsuwy", (16, 16), &["org"]) },
    // Simda: syllables. Pykspa, Symmi: almost syllables.
    Style { weight: 3, make: syllables },
    Style { weight: 4, make: pronounceable },
    // Suppobox, Nymaim 2, Matsnu, Gozi: words.
    Style { weight: 4, make: |random| two(random, &PLAIN, "", NET) },
    Style { weight: 2, make: |random| two(random, &NAMES, "", NET) },
    Style { weight: 4, make: two_anywhere },
    Style { weight: 4, make: some_words },
    Style { weight: 3, make: |random| text(random, &LATIN, LATIN.len(), COM) },
    Style { weight: 5, make: |random| text(random, &WORDS, 1500, &["com", "ru"]) },
    // Banjori: a fixed end behind random letters.
    Style { weight: 3, make: scrambled },
];

/// `count` names of all styles.
pub(super) fn names(count: usize, random: &mut ChaCha8Rng) -> Vec<String> {
    let total: u32 = STYLES.iter().map(|style| style.weight).sum();
    let one = |random: &mut ChaCha8Rng| {
        let mut left = random.random_range(0..total);
        for style in STYLES {
            if left < style.weight {
                return (style.make)(random);
            }
            left -= style.weight;
        }
        unreachable!("the weights add up to their total")
    };
    (0..count).map(|_| one(random)).collect()
}

fn pick<'a>(random: &mut ChaCha8Rng, from: &[&'a str]) -> &'a str {
    from.choose(random).copied().unwrap_or_default()
}

fn letter(random: &mut ChaCha8Rng, alphabet: &str) -> char {
    char::from(alphabet.as_bytes()[random.random_range(0..alphabet.len())])
}

fn random_label(random: &mut ChaCha8Rng, alphabet: &str, (least, most): (usize, usize), ends: &[&str]) -> String {
    let length = random.random_range(least..=most);
    let label: String = (0..length).map(|_| letter(random, alphabet)).collect();
    format!("{label}.{}", pick(random, ends))
}

fn syllables(random: &mut ChaCha8Rng) -> String {
    let count = random.random_range(2..=5);
    let mut label: String = (0..count).flat_map(|_| [letter(random, CONSONANTS), letter(random, "aeiouy")]).collect();
    if random.random_bool(0.3) {
        label.push(letter(random, CONSONANTS));
    }
    format!("{label}.{}", pick(random, &["com", "net", "info", "info", "eu", "su"]))
}

fn pronounceable(random: &mut ChaCha8Rng) -> String {
    let length = random.random_range(6..=15);
    let mut is_vowel = random.random_bool(0.5);
    let mut label = String::new();
    for _ in 0..length {
        label.push(letter(random, if is_vowel { VOWELS } else { CONSONANTS }));
        if random.random_bool(0.8) {
            is_vowel = !is_vowel;
        }
    }
    format!("{label}.{}", pick(random, &["com", "net", "org", "info", "biz", "cc", "tv", "eu"]))
}

fn two(random: &mut ChaCha8Rng, words: &[&str], between: &str, ends: &[&str]) -> String {
    format!("{}{between}{}.{}", pick(random, words), pick(random, words), pick(random, ends))
}

fn two_anywhere(random: &mut ChaCha8Rng) -> String {
    let between = pick(random, &["", "-"]);
    two(random, &WORDS, between, MANY)
}

fn some_words(random: &mut ChaCha8Rng) -> String {
    let count = random.random_range(2..=5);
    let hyphens = if random.random_bool(0.5) { 0.5 } else { 0.0 };
    let mut label = String::new();
    for at in 0..count {
        if at > 0 && random.random_bool(hyphens) {
            label.push('-');
        }
        let words: &[&str] = if random.random_bool(0.6) { &PLAIN } else { &WORDS[..2500.min(WORDS.len())] };
        label.push_str(pick(random, words));
    }
    label.truncate(40);
    format!("{}.com", label.trim_end_matches('-'))
}

fn text(random: &mut ChaCha8Rng, words: &[&str], common: usize, ends: &[&str]) -> String {
    let (least, mut label) = (random.random_range(12..=22), String::new());
    while label.len() < least {
        let word = pick(random, &words[..common.min(words.len())]);
        let cut = if random.random_bool(0.3) { word.len().div_ceil(2) } else { word.len() };
        label.push_str(&word[..cut]);
    }
    label.truncate(24);
    format!("{label}.{}", pick(random, ends))
}

fn scrambled(random: &mut ChaCha8Rng) -> String {
    let mut base = format!("{}{}", pick(random, &WORDS), pick(random, &WORDS));
    base.truncate(22);
    let kept = base.get(4..).unwrap_or_default().to_owned();
    let front: String = (0..4).map(|_| letter(random, LETTERS)).collect();
    format!("{front}{kept}.com")
}
