//! Reads the wanted fields of one JSON object after another.

use crate::json::cursor::{Broken, Cursor, unescape};
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
    /// The key with its quotes and the colon.
    text: Box<[u8]>,
    target: Target,
}

impl RowReader {
    /// A reader of the fields in `paths`.
    pub(crate) fn new(paths: Paths) -> Self {
        let nodes = (0..paths.nodes()).map(|node| Node { keys: Vec::new(), slots: paths.slots_within(node) });
        Self { nodes: nodes.collect(), paths }
    }

    /// Reads the object in `line` into `slots`, which are null before; the last of equal keys counts.
    pub(crate) fn read<'a>(&mut self, line: &'a [u8], slots: &mut [Raw<'a>]) -> Result<(), Broken> {
        let mut cursor = Cursor::new(line);
        self.object(0, &mut cursor, slots)?;
        cursor.skip_space();
        if cursor.rest().is_empty() { Ok(()) } else { Err(Broken("something follows the object")) }
    }

    /// Reads an object; as deep as the paths, not as the input.
    fn object<'a>(&mut self, node: usize, cursor: &mut Cursor<'a>, slots: &mut [Raw<'a>]) -> Result<(), Broken> {
        if !cursor.take(b'{') {
            return Err(Broken("not an object"));
        }
        if cursor.take(b'}') {
            return Ok(());
        }
        let mut expected = 0;
        loop {
            cursor.skip_space();
            let target = match self.nodes[node].keys.get(expected) {
                Some(key) if cursor.rest().starts_with(&key.text) => {
                    cursor.advance(key.text.len());
                    expected += 1;
                    key.target
                }
                _ => self.surprise(node, cursor, &mut expected)?,
            };
            let value = cursor.value()?;
            if !target.is_unwanted() {
                self.store(target, value, slots)?;
            }
            if !cursor.take(b',') {
                break;
            }
        }
        if cursor.take(b'}') { Ok(()) } else { Err(Broken("a comma or a closing brace is missing")) }
    }

    #[inline]
    fn store<'a>(&mut self, target: Target, value: Raw<'a>, slots: &mut [Raw<'a>]) -> Result<(), Broken> {
        if let Some(slot) = target.slot {
            slots[slot] = value;
        }
        let Some(inner) = target.inner else { return Ok(()) };
        for slot in &self.nodes[inner].slots {
            slots[*slot] = Raw::Null;
        }
        match value {
            Raw::Object(bytes) => self.object(inner, &mut Cursor::new(bytes), slots),
            _ => Ok(()),
        }
    }

    /// Moves past a key that was not expected, and expects what followed it before.
    #[cold]
    fn surprise(&mut self, node: usize, cursor: &mut Cursor<'_>, expected: &mut usize) -> Result<Target, Broken> {
        let rest = cursor.rest();
        let Node { keys, .. } = &mut self.nodes[node];
        if let Some(at) = keys.iter().position(|key| rest.starts_with(&key.text)) {
            cursor.advance(keys[at].text.len());
            *expected = at + 1;
            return Ok(keys[at].target);
        }
        if cursor.peek() != Some(b'"') {
            return Err(Broken("a key is missing"));
        }
        let key = cursor.string()?;
        if !cursor.take(b':') {
            return Err(Broken("a colon is missing"));
        }
        let Raw::Text(name) = key else {
            let Raw::Escaped(name) = key else { return Err(Broken("a key is missing")) };
            return Ok(self.paths.target(node, unescape(name).as_bytes()));
        };
        let target = self.paths.target(node, name);
        let text = &rest[..rest.len() - cursor.rest().len()];
        if text.len() == name.len() + 3 && keys.len() < KEYS_MOST {
            let at = (*expected).min(keys.len());
            keys.insert(at, Key { text: text.into(), target });
            *expected = at + 1;
        }
        Ok(target)
    }
}
