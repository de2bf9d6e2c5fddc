//! Lists that names are made of.

use std::collections::HashSet;
use std::io::Read;
use std::sync::LazyLock;

use flate2::read::GzDecoder;

/// Common English words, the commonest first.
pub(super) static WORDS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("../../data/words.txt").lines().collect());
/// Words that children know.
pub(super) static PLAIN: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("../../data/plain-words.txt").lines().collect());
/// Given names.
pub(super) static NAMES: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("../../data/first-names.txt").lines().collect());
/// Latin words.
pub(super) static LATIN: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| include_str!("../../data/latin.txt").lines().collect());

/// Letters of the longest word that a label is taken apart into.
pub(super) const WORD_MOST: usize = 14;
/// Letters of the shortest.
pub(super) const WORD_LEAST: usize = 3;

/// Words that labels are taken apart into.
pub(super) static DICTIONARY: LazyLock<HashSet<&'static [u8]>> = LazyLock::new(|| {
    let words = WORDS.iter().chain(PLAIN.iter()).filter(|word| word.len() >= WORD_LEAST);
    let names = NAMES.iter().filter(|name| name.len() > WORD_LEAST);
    words.chain(names).map(|word| word.as_bytes()).filter(|word| word.len() <= WORD_MOST).collect()
});

/// Names that people look up.
pub(super) fn benign() -> Vec<String> {
    let mut text = String::new();
    let packed = &include_bytes!("../../data/benign.txt.gz")[..];
    GzDecoder::new(packed).read_to_string(&mut text).expect("the list is text that was packed by gzip");
    text.lines().map(str::to_owned).collect()
}
