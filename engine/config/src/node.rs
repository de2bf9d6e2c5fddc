//! A YAML document as a tree that knows where everything stands.

use serde_json::{Map, Value};

use crate::source::Place;

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Of a list or map, its beginning.
    pub(crate) place: Place,
    /// First byte after the whole value.
    pub(crate) end: usize,
    pub(crate) data: Data,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) value: Node,
}

/// A text as it was written, after unescaping.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
    Folded,
}

/// What a scalar means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Meaning {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    /// `.nan`, `.inf`, or a number too large for 64 bits.
    NotFinite,
    Text,
}

impl Node {
    /// The value at a path of keys and list positions.
    pub(crate) fn find(&self, path: &[&str]) -> Option<&Self> {
        path.iter().try_fold(self, |node, part| node.child(part).map(|(_, child)| child))
    }

    /// Where the value at `path` stands; where that is left out, the innermost thing around it.
    pub(crate) fn place_of(&self, path: &[&str]) -> Place {
        (0..=path.len()).rev().find_map(|depth| self.find(&path[..depth])).map_or(self.place, |node| node.place)
    }

    /// Where the key at `path` stands; like [`Node::place_of`] where it is left out.
    pub(crate) fn place_of_key(&self, path: &[&str]) -> Place {
        let Some((last, parents)) = path.split_last() else { return self.place };
        match self.find(parents).and_then(|node| node.child(last)) {
            Some((place, _)) => place,
            None => self.place_of(parents),
        }
    }

    /// The child under a key or list position, with the place of its key.
    fn child(&self, part: &str) -> Option<(Place, &Self)> {
        match &self.data {
            Data::Scalar(_) => None,
            Data::List(items) => items.get(part.parse::<usize>().ok()?).map(|item| (item.place, item)),
            Data::Map(entries) => {
                entries.iter().find(|entry| entry.key == part).map(|entry| (entry.place, &entry.value))
            }
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.data, Data::Scalar(scalar) if scalar.meaning() == Meaning::Null)
    }

    /// The value without its places, in the order of its keys. What is not finite stays text.
    pub(crate) fn to_json(&self) -> Value {
        match &self.data {
            Data::List(items) => items.iter().map(Self::to_json).collect::<Vec<_>>().into(),
            Data::Map(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect::<Map<_, _>>().into()
            }
            Data::Scalar(scalar) => match scalar.meaning() {
                Meaning::Null => Value::Null,
                Meaning::Bool(value) => value.into(),
                Meaning::Number(number) => number.into(),
                Meaning::NotFinite | Meaning::Text => scalar.text.clone().into(),
            },
        }
    }

    /// How messages name the kind of value.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.data {
            Data::List(_) => "a list",
            Data::Map(_) => "a map of keys",
            Data::Scalar(scalar) => match scalar.meaning() {
                Meaning::Null => "nothing",
                Meaning::Bool(_) => "true or false",
                Meaning::Number(_) | Meaning::NotFinite => "a number",
                Meaning::Text => "text",
            },
        }
    }
}

impl Scalar {
    /// What the text means by the core schema of YAML 1.2.
    pub(crate) fn meaning(&self) -> Meaning {
        if self.style != Style::Plain {
            return Meaning::Text;
        }
        match self.text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Null,
            "true" | "True" | "TRUE" => Meaning::Bool(true),
            "false" | "False" | "FALSE" => Meaning::Bool(false),
            text => number(text).unwrap_or(Meaning::Text),
        }
    }
}

fn number(text: &str) -> Option<Meaning> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Meaning::NotFinite);
    }
    if let Some(value) = radix(text) {
        return Some(Meaning::Number(value.into()));
    }
    let is_decimal = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.chars().all(|c| c.is_ascii_digit() || ".eE+-".contains(c));
    if !is_decimal {
        return None;
    }
    let signed = text.strip_prefix('+').unwrap_or(text);
    if let Ok(value) = signed.parse::<i64>() {
        return Some(Meaning::Number(value.into()));
    }
    let value: f64 = signed.parse().ok()?;
    Some(serde_json::Number::from_f64(value).map_or(Meaning::NotFinite, Meaning::Number))
}

/// `0x1f` and `0o17`.
fn radix(text: &str) -> Option<i64> {
    let (digits, radix) = match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(digits), _) => (digits, 16),
        (_, Some(digits)) => (digits, 8),
        _ => return None,
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    i64::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Meaning {
        Scalar { text: text.to_owned(), style: Style::Plain }.meaning()
    }

    #[test]
    fn plain_texts_mean_what_the_core_schema_says() {
        for text in ["", "~", "null"] {
            assert_eq!(plain(text), Meaning::Null, "{text}");
        }
        for (text, value) in [("5", 5), ("-5", -5), ("+5", 5), ("007", 7), ("0x1f", 31), ("0o17", 15)] {
            assert_eq!(plain(text), Meaning::Number(value.into()), "{text}");
        }
        assert_eq!(plain("0.5"), Meaning::Number(serde_json::Number::from_f64(0.5).expect("finite")));
        for text in [".nan", ".inf", "-.inf", "1e999"] {
            assert_eq!(plain(text), Meaning::NotFinite, "{text}");
        }
        for text in ["5m", "10MB", "2027-03-01", "yes", "nan", "infinity", "1.2.3", "-", ".", "0x", "e5", "0x-1"] {
            assert_eq!(plain(text), Meaning::Text, "{text}");
        }
        assert_eq!(Scalar { text: "5".to_owned(), style: Style::DoubleQuoted }.meaning(), Meaning::Text);
    }
}
