//! Objects as YAML that every reader takes the same way.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_yaml::Value;

use super::error::PolicyError;

/// Words that YAML 1.1 takes for something else than text.
const WORDS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"];

/// The object as YAML under `comment`, read back and compared before anyone sees it.
pub(super) fn settle<T: Serialize + DeserializeOwned + PartialEq>(
    comment: &str,
    object: &T,
) -> Result<String, PolicyError> {
    let yaml = serde_yaml::to_string(object).map_err(PolicyError::Write)?;
    let quoted: String = yaml.lines().flat_map(|line| [quoted(line), "\n".to_owned()]).collect();
    let text = format!("{comment}{quoted}");
    let back: T = serde_yaml::from_str(&text).map_err(PolicyError::Write)?;
    if back == *object { Ok(text) } else { Err(PolicyError::Changed { what: "the document as a whole" }) }
}

/// Quotes the value of a line of block style where a reader of YAML 1.1, such as kubectl, would not see text:
/// serde_yaml writes YAML 1.2, where `no`, `1_000` and `2026-11-24` are text without quotes.
fn quoted(line: &str) -> String {
    let start = line.find(": ").map(|at| at + 2).or_else(|| line.find("- ").map(|at| at + 2));
    let Some((before, value)) = start.map(|at| line.split_at(at)) else { return line.to_owned() };
    let is_text = matches!(serde_yaml::from_str(value), Ok(Value::String(text)) if text == value);
    let looks_odd = value.starts_with(|char: char| char.is_ascii_digit() || "+-.=<".contains(char))
        || WORDS.iter().any(|word| value.eq_ignore_ascii_case(word));
    if is_text && looks_odd { format!("{before}'{}'", value.replace('\'', "''")) } else { line.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn texts_that_look_like_something_else_are_quoted() {
        let texts: BTreeMap<&str, String> = [
            ("a", "no"),
            ("b", "1_000"),
            ("c", "2026-11-24T08:15:00Z"),
            ("d", "1:30"),
            ("e", "1e3"),
            ("f", "0777"),
            ("g", "web"),
            ("h", "On"),
            ("i", "5d8f9c7b6"),
            ("j", "0x1f"),
            ("k", "=x"),
            ("l", "it's"),
            ("m", "1 it's"),
        ]
        .into_iter()
        .map(|(key, text)| (key, text.to_owned()))
        .collect();
        let owned: BTreeMap<String, String> = texts.into_iter().map(|(key, text)| (key.to_owned(), text)).collect();
        let expected = "# c\na: 'no'\nb: '1_000'\nc: '2026-11-24T08:15:00Z'\nd: '1:30'\ne: '1e3'\nf: '0777'\ng: web\n\
                        h: 'On'\ni: '5d8f9c7b6'\nj: '0x1f'\nk: '=x'\nl: it's\nm: '1 it''s'\n";
        assert_eq!(settle("# c\n", &owned).unwrap(), expected);
    }

    #[test]
    fn numbers_stay_numbers() {
        assert_eq!(settle("", &BTreeMap::from([("order".to_owned(), 10)])).unwrap(), "order: 10\n");
        assert_eq!(settle("", &vec![53, 54]).unwrap(), "- 53\n- 54\n");
    }
}
