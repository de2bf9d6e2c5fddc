//! A rule's keys: read by kind, and remembered, so that what nobody read is told.

use std::cell::RefCell;
use std::collections::BTreeSet;

use margay_config::{ForeignDocument, Item, Place, Problem, Tree, shown};

use crate::sql::Literal;
use crate::{APPROXIMATE, LEFT_OUT, NOT_CONVERTED};

/// Why a rule cannot become a detector.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    place: Place,
    message: String,
    hint: Option<String>,
}

impl Refusal {
    pub(crate) fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// What is said about one rule.
pub(crate) struct Report<'d> {
    document: &'d ForeignDocument,
    problems: RefCell<Vec<Problem>>,
}

impl<'d> Report<'d> {
    pub(crate) fn new(document: &'d ForeignDocument) -> Self {
        Self { document, problems: RefCell::default() }
    }

    /// The rule is not converted.
    pub(crate) fn refuse(&self, refusal: Refusal) {
        let Refusal { place, message, hint } = refusal;
        self.problems.borrow_mut().push(self.document.problem(place, NOT_CONVERTED, message, hint));
    }

    /// The detector means something slightly different.
    pub(crate) fn approximate(&self, place: Place, message: impl Into<String>) {
        self.warn(place, APPROXIMATE, message.into());
    }

    /// A part of the rule has no effect on what fires, and none on the detector.
    pub(crate) fn left_out(&self, place: Place, message: impl Into<String>) {
        self.warn(place, LEFT_OUT, message.into());
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }

    fn warn(&self, place: Place, rule: &'static str, message: String) {
        let problem = self.document.problem(place, rule, message, None).warning();
        let mut problems = self.problems.borrow_mut();
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
}

/// The keys of a map.
pub(crate) struct Fields<'d> {
    entries: &'d [(String, Place, Item)],
    /// Where the map stands.
    pub(crate) place: Place,
    read: RefCell<BTreeSet<&'d str>>,
}

impl<'d> Fields<'d> {
    /// The keys of a value that must be a map; `what` names it in the message.
    pub(crate) fn of(item: &'d Item, what: &str) -> Result<Self, Refusal> {
        match &item.tree {
            Tree::Map(entries) => Ok(Self { entries, place: item.place, read: RefCell::default() }),
            _ => Err(Refusal::new(item.place, format!("{what} is a map of keys"))),
        }
    }

    /// The value under a key, unless it is null.
    pub(crate) fn get(&self, key: &str) -> Option<&'d Item> {
        let (name, _, item) = self.entries.iter().find(|(name, ..)| name == key)?;
        self.read.borrow_mut().insert(name);
        (item.tree != Tree::Null).then_some(item)
    }

    /// The value under a key that must be there.
    pub(crate) fn need(&self, key: &str) -> Result<&'d Item, Refusal> {
        self.get(key).ok_or_else(|| Refusal::new(self.place, format!("`{key}` is missing")))
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<String>, Refusal> {
        self.get(key).map(|item| text(item, key)).transpose()
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, Refusal> {
        self.get(key).map(|item| number(item, key)).transpose()
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, Refusal> {
        self.get(key)
            .map(|item| match item.tree {
                Tree::Bool(value) => Ok(value),
                _ => Err(Refusal::new(item.place, format!("`{key}` is true or false"))),
            })
            .transpose()
    }

    /// A list of texts; one text is a list of one.
    pub(crate) fn texts(&self, key: &str) -> Result<Vec<String>, Refusal> {
        match self.get(key).map(|item| (&item.tree, item)) {
            None => Ok(Vec::new()),
            Some((Tree::List(items), _)) => items.iter().map(|item| text(item, key)).collect(),
            Some((_, item)) => Ok(vec![text(item, key)?]),
        }
    }

    /// Where the value under a key stands, or the map around it.
    pub(crate) fn place_of(&self, key: &str) -> Place {
        self.entries.iter().find(|(name, ..)| name == key).map_or(self.place, |(_, _, item)| item.place)
    }

    /// The one key of the map.
    pub(crate) fn only(&self, what: &str) -> Result<(&'d str, &'d Item), Refusal> {
        match self.entries {
            [(key, _, item)] => Ok((key, item)),
            _ => Err(Refusal::new(self.place, format!("{what} has exactly one key"))),
        }
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'d str, Place, &'d Item)> {
        self.entries.iter().map(|(key, place, item)| (&key[..], *place, item))
    }

    /// Keys that nobody asked for, with their places.
    pub(crate) fn unread(&self) -> Vec<(&'d str, Place)> {
        let read = self.read.borrow();
        self.entries
            .iter()
            .filter(|(key, ..)| !read.contains(&key[..]))
            .map(|(key, place, _)| (&key[..], *place))
            .collect()
    }
}

/// A value that is written as text, or as a number or flag that stands for its text.
pub(crate) fn text(item: &Item, key: &str) -> Result<String, Refusal> {
    match &item.tree {
        Tree::Text(text) => Ok(text.clone()),
        Tree::Number(number) => Ok(number.to_string()),
        Tree::Bool(value) => Ok(value.to_string()),
        _ => Err(Refusal::new(item.place, format!("`{}` is text", shown(key)))),
    }
}

pub(crate) fn number(item: &Item, key: &str) -> Result<f64, Refusal> {
    let value = match &item.tree {
        Tree::Number(number) => number.as_f64(),
        Tree::Text(text) => text.trim().parse().ok().filter(|value: &f64| value.is_finite()),
        _ => None,
    };
    value.ok_or_else(|| Refusal::new(item.place, format!("`{}` is a number", shown(key))))
}

pub(crate) fn literal(item: &Item, key: &str) -> Result<Literal, Refusal> {
    match &item.tree {
        Tree::Text(text) => Ok(Literal::Text(text.clone())),
        Tree::Number(number) => Ok(Literal::Number(number.as_f64().unwrap_or_default(), number.to_string())),
        Tree::Bool(value) => Ok(Literal::Bool(*value)),
        _ => Err(Refusal::new(item.place, format!("`{}` is a single value", shown(key)))),
    }
}
