//! The fields that a scan needs, as a tree.

/// What a key of an object leads to. Both may be set: a field may be wanted whole and in parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// Slot for the value.
    pub(crate) slot: Option<usize>,
    /// Node for the inside of the value.
    pub(crate) inner: Option<usize>,
}

/// Paths and their slots. Node 0 is the row itself.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    nodes: Vec<Vec<(String, Target)>>,
    /// The path of each slot.
    slots: Vec<String>,
}

impl Paths {
    /// No path.
    pub(crate) fn new() -> Self {
        Self { nodes: vec![Vec::new()], slots: Vec::new() }
    }

    /// The slots of `path`, best first: one, or two where it has dots, since a dot may lead into an
    /// object or be part of a name.
    pub(crate) fn add(&mut self, path: &str) -> Vec<usize> {
        let whole = self.slot(0, path, path);
        let mut node = 0;
        let mut name = path;
        while let Some((outer, rest)) = name.split_once('.') {
            node = self.inner(node, outer);
            name = rest;
        }
        if node == 0 { vec![whole] } else { vec![self.slot(node, name, path), whole] }
    }

    /// The path of each slot; names of two slots are equal where it has dots.
    pub(crate) fn slots(&self) -> &[String] {
        &self.slots
    }

    /// What `key` leads to in an object at `node`.
    pub(crate) fn target(&self, node: usize, key: &[u8]) -> Target {
        self.nodes[node].iter().find(|(name, _)| name.as_bytes() == key).map(|(_, target)| *target).unwrap_or_default()
    }

    /// Slots within the object at `node`, however deep.
    pub(crate) fn slots_within(&self, node: usize) -> Vec<usize> {
        let mut slots = Vec::new();
        for (_, target) in &self.nodes[node] {
            slots.extend(target.slot);
            slots.extend(target.inner.map(|inner| self.slots_within(inner)).unwrap_or_default());
        }
        slots
    }

    /// Number of nodes.
    pub(crate) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    fn slot(&mut self, node: usize, name: &str, path: &str) -> usize {
        let next = self.slots.len();
        let slot = *self.entry(node, name).slot.get_or_insert(next);
        if slot == next {
            self.slots.push(path.to_owned());
        }
        slot
    }

    fn inner(&mut self, node: usize, name: &str) -> usize {
        let next = self.nodes.len();
        let inner = *self.entry(node, name).inner.get_or_insert(next);
        if inner == next {
            self.nodes.push(Vec::new());
        }
        inner
    }

    fn entry(&mut self, node: usize, name: &str) -> &mut Target {
        let names = &mut self.nodes[node];
        let at = names.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            names.push((name.to_owned(), Target::default()));
            names.len() - 1
        });
        &mut names[at].1
    }
}
