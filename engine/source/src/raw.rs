//! A value as it stands in a file, not decoded yet.

use std::borrow::Cow;

use crate::json::{self, Cursor};

/// A value as it stands in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Raw<'a> {
    /// The row does not have the field, or says null.
    #[default]
    Null,
    /// Text without escapes.
    Text(&'a [u8]),
    /// Text between JSON's quotes that holds escapes.
    Escaped(&'a [u8]),
    /// A JSON number.
    Number(&'a [u8]),
    /// A JSON number of at most fifteen digits and nothing else, with its value.
    Whole(&'a [u8], i64),
    /// A JSON boolean.
    Bool(bool),
    /// A JSON array with its brackets.
    List(&'a [u8]),
    /// A JSON object with its braces.
    Object(&'a [u8]),
}

impl<'a> Raw<'a> {
    /// Bytes that the value takes in the file.
    #[inline]
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Null | Self::Bool(_) => 0,
            Self::Text(bytes) | Self::Escaped(bytes) | Self::Number(bytes) | Self::Whole(bytes, _) => bytes.len(),
            Self::List(bytes) | Self::Object(bytes) => bytes.len(),
        }
    }

    /// The value as text, whatever it is; what is not UTF-8 becomes `U+FFFD`, so that one odd byte
    /// does not hide a row.
    pub(crate) fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Null => None,
            Self::Escaped(bytes) => Some(Cow::Owned(json::unescape(bytes))),
            Self::Bool(value) => Some(Cow::Borrowed(if value { "true" } else { "false" })),
            Self::Text(bytes) | Self::Number(bytes) | Self::Whole(bytes, _) => Some(String::from_utf8_lossy(bytes)),
            Self::List(bytes) | Self::Object(bytes) => Some(String::from_utf8_lossy(bytes)),
        }
    }

    /// The value as a whole number; fractions are not.
    #[inline]
    pub(crate) fn int(self) -> Option<i64> {
        match self {
            Self::Whole(_, value) => Some(value),
            Self::Number(bytes) => int(bytes),
            Self::Text(bytes) => int(bytes.trim_ascii()),
            _ => None,
        }
    }

    /// The value as a finite number.
    pub(crate) fn float(self) -> Option<f64> {
        match self {
            Self::Whole(_, value) => Some(value as f64),
            Self::Number(bytes) => float(bytes),
            Self::Text(bytes) => float(bytes.trim_ascii()),
            _ => None,
        }
    }

    /// The value as true or false.
    pub(crate) fn bool(self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(value),
            Self::Text(bytes) if bytes.eq_ignore_ascii_case(b"true") => Some(true),
            Self::Text(bytes) if bytes.eq_ignore_ascii_case(b"false") => Some(false),
            _ => None,
        }
    }

    /// Hands each text of a list to `visit`: the elements of an array, `k=v` for each entry of a map,
    /// those of `labels` where this is all that an object holds, otherwise the value itself. False
    /// where the value is null.
    pub(crate) fn each_text(self, visit: &mut dyn FnMut(&str)) -> bool {
        match self.parsed() {
            Self::Null => return false,
            Self::List(bytes) => json::elements(bytes, &mut |value| {
                if let Some(text) = value.ordered(ORDERED_DEPTH_MOST) {
                    visit(&text);
                }
            }),
            Self::Object(bytes) => match json::only_entry(bytes, b"labels") {
                Some(inner @ (Self::List(_) | Self::Object(_) | Self::Null)) => return inner.each_text(visit),
                _ => json::entries(bytes, &mut |key, value| {
                    let (key, value) = (key.text().unwrap_or_default(), value.text().unwrap_or_default());
                    visit(&format!("{key}={value}"));
                }),
            },
            other => {
                if let Some(text) = other.text() {
                    visit(&text);
                }
            }
        }
        true
    }

    /// The value as text; entries of objects in the order of their keys, down to `depth`: a cluster that is asked for
    /// a few fields of a record hands them on in any.
    fn ordered(self, depth: usize) -> Option<Cow<'a, str>> {
        let Some(deeper) = depth.checked_sub(1) else { return self.text() };
        let (mut parts, brackets) = (Vec::new(), if matches!(self, Self::List(_)) { "[]" } else { "{}" });
        let part = |value: Raw<'a>| match value {
            Self::Text(bytes) | Self::Escaped(bytes) => format!("\"{}\"", String::from_utf8_lossy(bytes)),
            value => value.ordered(deeper).map_or_else(|| "null".to_owned(), Cow::into_owned),
        };
        match self {
            Self::List(bytes) => json::elements(bytes, &mut |value| parts.push(part(value))),
            Self::Object(bytes) => {
                json::entries(bytes, &mut |key, value| parts.push(format!("{}:{}", part(key), part(value))));
                parts.sort_unstable();
            }
            _ => return self.text(),
        }
        Some(Cow::Owned(format!("{}{}{}", &brackets[..1], parts.join(","), &brackets[1..])))
    }

    /// Text that holds a JSON array or object, as CSV has them, becomes what it holds.
    fn parsed(self) -> Self {
        match self {
            Self::Text(bytes) if matches!(bytes.first(), Some(b'[' | b'{')) => {
                let mut cursor = Cursor::new(bytes);
                match cursor.value() {
                    Ok(value) if cursor.rest().is_empty() => value,
                    _ => self,
                }
            }
            _ => self,
        }
    }
}

/// Objects within objects whose entries are ordered; deeper ones stay as they are.
const ORDERED_DEPTH_MOST: usize = 8;
/// Digits that surely fit an `i64`.
const DIGITS_SAFE: usize = 18;
/// Digits that an `f64` surely holds exactly.
const DIGITS_EXACT: usize = 15;
/// `2^63`: the first number above all `i64`.
const INT_END: f64 = 9_223_372_036_854_775_808.0;

fn int(bytes: &[u8]) -> Option<i64> {
    if let Some(value) = digits(bytes, DIGITS_SAFE) {
        return Some(value);
    }
    let text = std::str::from_utf8(bytes).ok()?;
    if let Ok(value) = text.parse::<i64>() {
        return Some(value);
    }
    let value = float(bytes)?;
    (value.fract() == 0.0 && (-INT_END..INT_END).contains(&value)).then_some(value as i64)
}

fn float(bytes: &[u8]) -> Option<f64> {
    if let Some(value) = digits(bytes, DIGITS_EXACT) {
        return Some(if value == 0 && bytes[0] == b'-' { -0.0 } else { value as f64 });
    }
    let value: f64 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

/// A whole number of at most `most` digits.
fn digits(bytes: &[u8], most: usize) -> Option<i64> {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    if digits.is_empty() || digits.len() > most {
        return None;
    }
    let mut value = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(raw: Raw) -> Option<Vec<String>> {
        let mut all = Vec::new();
        raw.each_text(&mut |text| all.push(text.to_owned())).then_some(all)
    }

    #[test]
    fn labels_are_read_in_all_three_forms() {
        let expected = Some(vec!["app=web".to_owned(), "tier=1".to_owned()]);
        assert_eq!(texts(Raw::List(br#"["app=web", "tier=1"]"#)), expected);
        assert_eq!(texts(Raw::Object(br#"{"labels":["app=web","tier=1"]}"#)), expected);
        assert_eq!(texts(Raw::Object(br#"{"app":"web","tier":1}"#)), expected);
        assert_eq!(texts(Raw::Object(br#"{"labels":{"app":"web","tier":"1"}}"#)), expected);
        assert_eq!(texts(Raw::Text(br#"["app=web","tier=1"]"#)), expected);
        assert_eq!(texts(Raw::Text(b"app=web")), Some(vec!["app=web".to_owned()]));
        assert_eq!(texts(Raw::Object(br#"{"labels":null}"#)), None);
        assert_eq!(texts(Raw::Object(br#"{"labels":"blue"}"#)), Some(vec!["labels=blue".to_owned()]));
        assert_eq!(texts(Raw::Null), None);
    }

    #[test]
    fn objects_of_a_list_are_the_same_text_in_whatever_order_their_keys_come() {
        let expected = Some(vec![r#"{"a":[{"b":1,"c":null}],"d":"\"x\\n"}"#.to_owned(), "plain".to_owned()]);
        let one = br#"[ {"d" : "\"x\\n", "a":[ {"c":null ,"b":1} ]}, "plain"]"#;
        assert_eq!(texts(Raw::List(one)), expected);
        assert_eq!(texts(Raw::List(br#"[{"a":[{"b":1,"c":null}],"d":"\"x\\n"},"plain"]"#)), expected);
        let deep = [&b"["[..], &br#"{"a":"#.repeat(100_000), b"1", &b"}".repeat(100_000), b"]"].concat();
        assert_eq!(texts(Raw::List(&deep)).map(|all| all.len()), Some(1));
    }

    #[test]
    fn numbers_are_read_from_text_and_from_exponents_but_not_from_words() {
        assert_eq!(Raw::Text(b" 42 ").int(), Some(42));
        assert_eq!(Raw::Number(b"1e3").int(), Some(1000));
        assert_eq!(Raw::Number(b"9223372036854775807").int(), Some(i64::MAX));
        assert_eq!(Raw::Number(b"9223372036854775808").int(), None);
        assert_eq!(Raw::Number(b"1.5").int(), None);
        assert_eq!(Raw::Text(b"NaN").float(), None);
        assert_eq!(Raw::Text(b"ten").float(), None);
        assert_eq!(Raw::Number(b"-0.25e1").float(), Some(-2.5));
    }
}
