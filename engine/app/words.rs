//! What a gate saw, as a sentence.

use margay_core::{Gate, GateName};
use margay_render::plain;

/// Text of a limit that a rule does not set.
const UNLIMITED: &str = "none";

/// One sentence without a full stop; values may come from logs, so they are made safe to look at.
#[must_use]
pub fn sentence(gate: &Gate) -> String {
    let (value, limit) = (plain(&gate.value), plain(&gate.limit));
    let reaches = if gate.passed { "reaches" } else { "does not reach" };
    let is_unlimited = gate.limit == UNLIMITED;
    match gate.gate {
        GateName::State if gate.passed => format!("the bucket was judged ({value})"),
        GateName::State => format!("the bucket could not be judged: {value}"),
        GateName::Direction if gate.passed => format!("the value lies {value}, and {limit} is watched"),
        GateName::Direction => format!("the value lies {value}, but only {limit} is watched"),
        GateName::Score => format!("the score {value} {reaches} the threshold {limit}"),
        GateName::MinDev if is_unlimited => format!("any distance is enough (it is {value})"),
        GateName::MinDev => format!("the distance from the expected value, {value}, {reaches} {limit}"),
        GateName::MinRelDev if is_unlimited => format!("any share of the expected value is enough (it is {value})"),
        GateName::MinRelDev => format!("the distance is {value} of the expected value, which {reaches} {limit}"),
        GateName::MinValue if is_unlimited => format!("any volume is enough (it is {value})"),
        GateName::MinValue => format!("the volume {value} {reaches} {limit}"),
        GateName::Sustained => format!("{value} buckets are anomalous, and {limit} are asked for"),
        GateName::Exclusion if gate.passed => "no exclusion applies".to_owned(),
        GateName::Exclusion => format!("excluded: {value}"),
        GateName::Refractory if gate.passed => format!("the last episode is long enough ago ({value})"),
        GateName::Refractory => format!("the last episode ended {value} ago, and {limit} is the rest after one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(gate: GateName, value: &str, limit: &str, passed: bool) -> Gate {
        Gate { gate, value: value.to_owned(), limit: limit.to_owned(), passed }
    }

    #[test]
    fn gates_read_as_sentences() {
        for (gate, sentence_of_it) in [
            (gate(GateName::Score, "62.1", "60", true), "the score 62.1 reaches the threshold 60"),
            (gate(GateName::Score, "41.5", "60", false), "the score 41.5 does not reach the threshold 60"),
            (gate(GateName::MinDev, "5", "none", true), "any distance is enough (it is 5)"),
            (
                gate(GateName::Sustained, "1 of 3", "2 of 3", false),
                "1 of 3 buckets are anomalous, and 2 of 3 are asked for",
            ),
            (gate(GateName::Direction, "below", "above", false), "the value lies below, but only above is watched"),
            (gate(GateName::State, "warming", "scored or warming", true), "the bucket was judged (warming)"),
        ] {
            assert_eq!(sentence(&gate), sentence_of_it);
        }
    }
}
