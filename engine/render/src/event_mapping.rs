//! The types of an event's fields in an index, as Calico maps its own.

use serde_json::{Value, json};

/// Longest text that is searched for, in characters: an index takes 32,766 bytes, and a character has at most four.
const KEYWORD_CHARS_MOST: u32 = 8191;

/// The mapping of the documents of [`calico_event`](crate::calico_event). What else a record holds is kept and shown, but
/// not searched: values of logs add no field to the index, and none of them can be refused by it.
#[must_use]
pub fn calico_event_mapping() -> Value {
    let keyword = json!({ "type": "keyword", "ignore_above": KEYWORD_CHARS_MOST });
    let date = json!({ "type": "date", "format": "strict_date_optional_time||epoch_second" });
    let ip = json!({ "type": "ip", "ignore_malformed": true });
    let record = json!({
        "dynamic": false,
        "properties": {
            "start_time": date, "end_time": date, "incident": keyword, "status": keyword, "revision": { "type": "long" },
            "score": { "type": "double" },
        },
    });
    let mut mapping = json!({
        "dynamic": false,
        "properties": {
            "@timestamp": { "type": "date" }, "time": date, "id": keyword, "type": keyword, "origin": keyword,
            "description": keyword, "severity": { "type": "long" }, "dismissed": { "type": "boolean" }, "host": keyword,
            "protocol": keyword, "name": keyword, "attack_vector": keyword, "mitre_tactic": keyword, "mitre_ids": keyword,
            "mitigations": keyword, "record": record,
        },
    });
    for side in ["source", "dest"] {
        let types = [("ip", &ip), ("port", &json!({ "type": "long" })), ("name", &keyword), ("name_aggr", &keyword)];
        for (column, kind) in types.into_iter().chain([("namespace", &keyword)]) {
            mapping["properties"][format!("{side}_{column}")] = kind.clone();
        }
    }
    mapping
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{calico_event, sample};

    #[test]
    fn every_field_of_an_event_has_a_type() {
        let [alert, ..] = sample::alerts(&["bytes".to_owned()], &["client_name".to_owned()]);
        let (event, mapping) = (calico_event(&alert), calico_event_mapping());
        let known = |object: &Value| -> Vec<String> {
            let mut names: Vec<String> =
                object.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
            names.sort();
            names
        };
        assert_eq!(known(&event), known(&mapping["properties"]));
        assert_eq!(mapping["dynamic"], false);
    }
}
