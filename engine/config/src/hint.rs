//! What the writer may have meant.

use serde_json::{Map, Value};

use crate::problem::shown;

/// Longest text for which a near one is sought, in characters.
const MAX_NEAR_CHARS: usize = 64;

/// The known word that differs least from `text`, if it is near.
pub(crate) fn nearest<'w>(text: &str, known: &[&'w str]) -> Option<&'w str> {
    let length = text.chars().count();
    if length > MAX_NEAR_CHARS {
        return None;
    }
    let plain = |word: &str| word.to_lowercase().replace('-', "_");
    let allowed = (length / 3).max(1);
    known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(&plain(text), &plain(word)), *word))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, word)| word)
}

/// Most words that a list in a message shows.
const MAX_LISTED: usize = 20;

/// Words as a message lists them.
pub(crate) fn list(words: &[&str]) -> String {
    let mut text = words.iter().take(MAX_LISTED).map(|word| shown(word)).collect::<Vec<_>>().join(", ");
    if words.len() > MAX_LISTED {
        text += &format!(" and {} more", words.len() - MAX_LISTED);
    }
    text
}

/// What to say of a key that is not known.
pub(crate) struct UnknownKey {
    pub(crate) rule: &'static str,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// About the key `key` of a value of the type `definition`, whose `known` keys do not hold it. Those that do not stand
/// there yet are `free`: one of them was rather meant.
pub(crate) fn unknown_key(schema: &Value, definition: &str, key: &str, known: &[&str], free: &[&str]) -> UnknownKey {
    let shown_key = shown(key);
    let every = list(known);
    let (rule, message) = match definition {
        "Model" => ("unknown-model", format!("there is no model `{shown_key}`")),
        "Sink" => ("unknown-sink", format!("there is no sink `{shown_key}`")),
        _ => ("unknown-key", format!("there is no key `{shown_key}`")),
    };
    let hint = match (nearest(key, free).or_else(|| nearest(key, known)), elsewhere(schema, key)) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, Some(parent)) => format!("`{shown_key}` belongs under `{parent}`"),
        (None, None) => format!("known are {every}"),
    };
    UnknownKey { rule, message, hint }
}

/// The key of the root under which a key would be known.
fn elsewhere<'s>(schema: &'s Value, key: &str) -> Option<&'s str> {
    let children: &Map<String, Value> = schema["properties"].as_object()?;
    children.iter().find_map(|(parent, child)| {
        let text = child["$ref"].as_str().or(child["allOf"][0]["$ref"].as_str())?;
        let name = text.strip_prefix("#/definitions/")?;
        schema["definitions"][name]["properties"].get(key).map(|_| parent.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_near_words_are_near() {
        assert_eq!(nearest("treshold", &["threshold", "tags"]), Some("threshold"));
        assert_eq!(nearest("min-dev", &["min_dev", "min_rel_dev"]), Some("min_dev"));
        assert_eq!(nearest("zebra", &["threshold", "tags"]), None);
        assert_eq!(nearest(&"threshold".repeat(1000), &["threshold"]), None);
    }

    #[test]
    fn a_key_that_stands_there_already_was_not_meant_if_another_is_as_near() {
        let hint = |free: &[&str]| unknown_key(&Value::Null, "Detector", "modle", &["mode", "model"], free).hint;
        assert_eq!(hint(&["model"]), "did you mean `model`?");
        assert_eq!(hint(&[]), "did you mean `mode`?");
    }
}
