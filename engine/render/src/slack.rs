//! Alerts as messages of Slack's incoming webhooks.

use margay_core::Alert;
use serde_json::json;

use crate::context::entity_text;
use crate::json::json_line;
use crate::plain::shown;

/// Characters of a headline and of a section at most; Slack takes 150 and 3000.
const HEADLINE_CHARS_MOST: usize = 120;
const SECTION_CHARS_MOST: usize = 1000;

/// The alert as the body of an incoming webhook. Every text is of the kind that Slack shows as it is: no mark-up, no
/// mention, no link that unfolds.
#[must_use]
pub fn slack_message(alert: &Alert) -> String {
    let headline = format!("{} [{}] severity {}", alert.detector, alert.status, alert.severity);
    let about = format!(
        "{}, score {:.0}, {} to {}, alert {}",
        entity_text(alert),
        alert.score,
        alert.start,
        alert.end,
        alert.id
    );
    let mut blocks = vec![
        json!({"type": "header", "text": text(&headline, HEADLINE_CHARS_MOST)}),
        json!({"type": "section", "text": text(&alert.summary, SECTION_CHARS_MOST)}),
        json!({"type": "context", "elements": [text(&about, SECTION_CHARS_MOST)]}),
    ];
    if let Some(runbook) = &alert.runbook {
        blocks.push(json!({"type": "context", "elements": [text(runbook, SECTION_CHARS_MOST)]}));
    }
    json_line(&json!({
        "text": escaped(&format!("{headline}: {}", alert.summary), SECTION_CHARS_MOST),
        "mrkdwn": false,
        "link_names": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    }))
}

fn text(value: &str, chars_most: usize) -> serde_json::Value {
    json!({"type": "plain_text", "text": escaped(value, chars_most), "emoji": false})
}

/// Slack's three control characters as entities; a text is never empty.
fn escaped(value: &str, chars_most: usize) -> String {
    let text = shown(value, chars_most).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::Value;

    use super::*;
    use crate::sample;

    #[test]
    fn nothing_in_a_log_mentions_links_or_marks_up() {
        let [minimal, typical, hostile] = sample::alerts(&[], &["pod".to_owned()]);
        let mentions = Alert { summary: "<!channel> <@U1> <https://evil|ok> & *b*".to_owned(), ..typical.clone() };
        for alert in [minimal, typical, hostile, mentions] {
            let message: Value = serde_json::from_str(&slack_message(&alert)).unwrap();
            let texts: Vec<&Value> = message["blocks"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|block| block["elements"].as_array().map_or(vec![&block["text"]], |all| all.iter().collect()))
                .collect();
            for one in texts {
                assert_eq!((&one["type"], &one["emoji"]), (&"plain_text".into(), &false.into()));
                let text = one["text"].as_str().unwrap();
                assert!(!text.is_empty() && !text.contains(['<', '>', '\n']), "{text}");
            }
            assert!(!message["text"].as_str().unwrap().contains('<'));
        }
    }
}
