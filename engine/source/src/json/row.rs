//! Reads the wanted fields of one JSON object after another.

use crate::json::cursor::{Broken, Cursor};
use crate::json::paths::{Paths, Target};
use crate::raw::Raw;

/// Keys that are remembered of each object; rows with more are read, only slower.
const KEYS_MOST: usize = 256;

/// Reads the wanted fields of one JSON object after another.
///
/// Rows of a log mostly have the same keys in the same order, so each key is first compared with the
/// one that followed the last one in earlier rows; only a surprise is looked up.
#[derive(Clone, Debug)]
pub(crate) struct RowReader {
    paths: Paths,
    nodes: Vec<Node>,
}

/// What is remembered of an object.
#[derive(Clone, Debug)]
struct Node {
    /// Keys in the order in which they came.
    keys: Vec<Key>,
    /// Slots to clear when the object comes twice.
    slots: Vec<usize>,
}

/// A key that was seen.
#[derive(Clone, Debug)]
struct Key {
    /// The comma before the key, the key with its quotes, and the colon.
    text: Box<[u8]>,
    target: Target,
}

impl Key {
    /// How long the key is where `rest` starts with it, and with a comma unless it is the first of its object.
    #[inline]
    fn length_in(&self, rest: &[u8], is_first: bool) -> Option<usize> {
        let text = if is_first { &self.text[1..] } else { &self.text };
        rest.get(..text.len()).filter(|here| is_same(here, text)).map(<[u8]>::len)
    }
}

/// Compares texts of one length. Keys are short: two words that may overlap are compared in place, which is faster
/// than a call of the C library.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() <= 16
        && let (Some(start), Some(end)) = (one.first_chunk::<8>(), one.last_chunk::<8>())
        && let (Some(other_start), Some(other_end)) = (other.first_chunk::<8>(), other.last_chunk::<8>())
    {
        let word = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
        return word(start) == word(other_start) && word(end) == word(other_end);
    }
    if one.len() <= 32
        && let (Some(start), Some(end)) = (one.first_chunk::<16>(), one.last_chunk::<16>())
        && let (Some(other_start), Some(other_end)) = (other.first_chunk::<16>(), other.last_chunk::<16>())
    {
        let word = |bytes: &[u8; 16]| u128::from_ne_bytes(*bytes);
        return word(start) == word(other_start) && word(end) == word(other_end);
    }
    one == other
}

impl RowReader {
    /// A reader of the fields in `paths`.
    pub(crate) fn new(paths: Paths) -> Self {
        let nodes = (0..paths.nodes()).map(|node| Node { keys: Vec::new(), slots: paths.slots_within(node) });
        Self { nodes: nodes.collect(), paths }
    }

    /// Reads the object in `line` into `slots`, which are null before; the last of equal keys counts.
    pub(crate) fn read<'a>(&mut self, line: &'a [u8], slots: &mut [Raw<'a>]) -> Result<(), Broken> {
        let mut cursor = self.object(0, Cursor::new(line), slots)?;
        cursor.skip_space();
        if cursor.rest().is_empty() { Ok(()) } else { Err(Broken("something follows the object")) }
    }

    /// Reads an object; as deep as the paths, not as the input. The cursor is handed over and back, so
    /// that it stays in registers.
    fn object<'a>(&mut self, node: usize, mut cursor: Cursor<'a>, slots: &mut [Raw<'a>]) -> Result<Cursor<'a>, Broken> {
        if !cursor.take(b'{') {
            return Err(Broken("not an object"));
        }
        let (mut expected, mut is_first) = (0, true);
        loop {
            let key = self.nodes[node].keys.get(expected);
            let found = key.and_then(|key| Some((key.length_in(cursor.rest(), is_first)?, key.target)));
            let target = match found {
                Some((length, target)) => {
                    cursor.advance(length);
                    expected += 1;
                    target
                }
                None => {
                    if cursor.take(b'}') {
                        return Ok(cursor);
                    }
                    if !is_first && !cursor.take(b',') {
                        return Err(Broken("a comma or a closing brace is missing"));
                    }
                    let (target, next, after) = self.surprise(node, expected, cursor)?;
                    (expected, cursor) = (next, after);
                    target
                }
            };
            is_first = false;
            match target {
                Target { slot: None, inner: None } => cursor.pass()?,
                Target { slot: Some(slot), inner: None } => cursor.value_into(&mut slots[slot])?,
                Target { slot, inner: Some(inner) } => {
                    let value = cursor.value()?;
                    if let Some(slot) = slot {
                        slots[slot] = value;
                    }
                    self.inside(inner, value, slots)?;
                }
            }
        }
    }

    /// Reads the inside of a value.
    fn inside<'a>(&mut self, node: usize, value: Raw<'a>, slots: &mut [Raw<'a>]) -> Result<(), Broken> {
        for slot in &self.nodes[node].slots {
            slots[*slot] = Raw::Null;
        }
        match value {
            Raw::Object(bytes) => self.object(node, Cursor::new(bytes), slots).map(|_| ()),
            _ => Ok(()),
        }
    }

    /// Moves past a key that was not expected in this place or in this form, and space before it. Says what it leads
    /// to and which key is expected next: the one that followed it before.
    #[cold]
    fn surprise<'a>(
        &mut self,
        node: usize,
        expected: usize,
        mut cursor: Cursor<'a>,
    ) -> Result<(Target, usize, Cursor<'a>), Broken> {
        cursor.skip_space();
        let rest = cursor.rest();
        let keys = &mut self.nodes[node].keys;
        let is_here = |key: &Key| key.length_in(rest, true).is_some();
        let found =
            if keys.get(expected).is_some_and(is_here) { Some(expected) } else { keys.iter().position(is_here) };
        if let Some(at) = found {
            cursor.advance(keys[at].text.len() - 1);
            return Ok((keys[at].target, at + 1, cursor));
        }
        if cursor.peek() != Some(b'"') {
            return Err(Broken("a key is missing"));
        }
        let key = cursor.string()?;
        if !cursor.take(b':') {
            return Err(Broken("a colon is missing"));
        }
        let name = match key {
            Raw::Text(name) => name,
            other => {
                return Ok((self.paths.target(node, other.text().unwrap_or_default().as_bytes()), expected, cursor));
            }
        };
        let target = self.paths.target(node, name);
        let text = &rest[..rest.len() - cursor.rest().len()];
        let has_space = text.len() > name.len() + "\"\":".len();
        if has_space || keys.len() >= KEYS_MOST {
            return Ok((target, expected, cursor));
        }
        keys.insert(expected, Key { text: [b",", text].concat().into(), target });
        Ok((target, expected + 1, cursor))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    const PATHS: [&str; 5] = ["a", "b", "c.a", "c", "déjà"];

    fn reader() -> RowReader {
        let mut paths = Paths::new();
        PATHS.iter().for_each(|path| {
            paths.add(path);
        });
        RowReader::new(paths)
    }

    /// What a slot holds, decoded.
    fn value(raw: Raw) -> Value {
        match raw {
            Raw::Text(_) | Raw::Escaped(_) => Value::String(raw.text().unwrap().into_owned()),
            other => serde_json::from_str(&other.text().unwrap_or("null".into())).unwrap(),
        }
    }

    fn expect_same(reader: &mut RowReader, line: &str) {
        let whole: Map<String, Value> = serde_json::from_str(line).unwrap();
        let names = reader.paths.slots().to_vec();
        let mut slots = vec![Raw::Null; names.len()];
        reader.read(line.as_bytes(), &mut slots).unwrap();
        let get = |name: &str| whole.get(name).cloned().unwrap_or(Value::Null);
        for (name, raw) in names.iter().zip(&slots) {
            let nested = whole.get("c").and_then(|inner| inner.get("a")).cloned().unwrap_or(Value::Null);
            let found = value(*raw);
            assert!(found == get(name) || (name == "c.a" && found == nested), "{name}: {found} in {line}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            "[\"\\\\{}\\[\\]:, a]{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 20, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((key(), inner), 0..5)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    fn key() -> impl Strategy<Value = String> {
        prop_oneof![3 => prop::sample::select(vec!["a", "b", "c", "d", "déjà", "c.a"]).prop_map(str::to_owned), 1 => any::<String>()]
    }

    /// A row with repeated keys, which `serde_json` cannot write by itself.
    fn line() -> impl Strategy<Value = String> {
        let space = || prop::sample::select(vec!["", " ", "\t ", "\r"]);
        let entry = (space(), key(), space(), space(), json(), space());
        (prop::collection::vec(entry, 0..8), any::<bool>()).prop_map(|(entries, ascii)| {
            let text = |value: &Value| {
                let text = value.to_string();
                if !ascii {
                    return text;
                }
                let escape = |letter: char| {
                    let mut units = [0; 2];
                    let units = letter.encode_utf16(&mut units).iter();
                    units.map(|unit| format!("\\u{unit:04x}")).collect::<String>()
                };
                text.chars().map(|letter| if letter.is_ascii() { letter.into() } else { escape(letter) }).collect()
            };
            let entries = entries.iter().map(|(before, key, around, after, value, end)| {
                format!("{before}{}{around}:{after}{}{end}", text(&Value::from(key.as_str())), text(value))
            });
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        })
    }

    proptest! {
        #[test]
        fn rows_are_read_as_serde_json_reads_them(lines in prop::collection::vec(line(), 1..6)) {
            let mut reader = reader();
            for line in &lines {
                expect_same(&mut reader, line);
            }
        }

        #[test]
        fn no_bytes_make_the_reader_panic(start in line(), cut in any::<prop::sample::Index>(), junk in prop::collection::vec(any::<u8>(), 0..20)) {
            let mut bytes = start.into_bytes();
            bytes.truncate(cut.index(bytes.len() + 1));
            bytes.extend(junk);
            let mut reader = reader();
            let mut slots = vec![Raw::Null; reader.paths.slots().len()];
            let read = reader.read(&bytes, &mut slots);
            if serde_json::from_slice::<Map<String, Value>>(&bytes).is_ok() {
                prop_assert!(read.is_ok());
            }
            for raw in slots {
                raw.text();
                raw.int();
                raw.float();
                raw.each_text(&mut |_| {});
            }
        }
    }

    #[test]
    fn keys_in_another_order_or_missing_are_still_found() {
        let mut reader = reader();
        for line in [
            r#"{"x":0,"a":1,"y":[{"a":9}],"b":"\"","c":{"a":2}}"#,
            r#"{"x":0,"a":1,"b":"","c":{"b":1,"a":2},"z":1}"#,
            r#"{"c":{"a":2},"b":null,"a":"{\"a\":3}"}"#,
            r#"{"a":1,"a":2,"c":{"a":1},"c":{"b":1}}"#,
            r#"{"\u0061":5,"déjà":6}"#,
            r#"{}"#,
        ] {
            expect_same(&mut reader, line);
        }
    }

    #[test]
    fn what_is_not_one_object_is_broken() {
        for line in [
            "",
            "[]",
            "{",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":1",
            "{\"a\":1,}",
            "{\"a\":\"x}",
            "{\"a\":nul}",
            "{} {}",
            "{\"a\" 1}",
            "{a:1}",
        ] {
            let mut reader = reader();
            let mut slots = vec![Raw::Null; reader.paths.slots().len()];
            assert!(reader.read(line.as_bytes(), &mut slots).is_err(), "{line}");
        }
    }
}
