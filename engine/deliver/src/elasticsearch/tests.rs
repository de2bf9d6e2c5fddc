//! What is done with each document, against a server of the test's own; the real ones are asked in `tests/`.

#![allow(clippy::unwrap_used, reason = "tests")]

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::*;
use crate::listener::{Listener, listen, messages};

fn sink(listener: &Listener) -> Elasticsearch {
    Elasticsearch::new(listener.server(), "alerts".to_owned()).unwrap()
}

/// An answer of these statuses.
fn answer(statuses: &[u16]) -> Response {
    let item = |status: &u16| json!({ "create": { "status": status, "error": { "type": "t", "reason": "no", "caused_by": { "reason": "why" } } } });
    json!({ "items": statuses.iter().map(item).collect::<Vec<_>>() }).to_string().into_response()
}

#[test]
fn each_document_is_taken_refused_or_sent_again_for_itself() {
    let listener = listen(|number, _| match number {
        1 => answer(&[201, 400, 429, 409]),
        2 => answer(&[503]),
        _ => answer(&[201]),
    });
    let receipt = sink(&listener).deliver(&messages(&["1", "2", "3", "4"])).unwrap();
    assert_eq!(receipt.delivered, 3);
    assert_eq!(receipt.refused, [Refusal { at: 1, reason: "refuses it with 400: no: why".to_owned() }]);
    let line = |key: &str, text: &str| format!("{{\"create\":{{\"_id\":\"key-{key}\"}}}}\n{text}\n");
    assert_eq!(
        listener.bodies(),
        [line("1", "1") + &line("2", "2") + &line("3", "3") + &line("4", "4"), line("3", "3"), line("3", "3")]
    );
}

#[test]
fn documents_that_are_never_taken_are_an_error_and_no_refusal() {
    let listener = listen(|_, body| answer(&vec![429; body.lines().count() / 2]));
    let error = sink(&listener).deliver(&messages(&["1", "2"])).unwrap_err();
    assert_eq!(error.to_string(), "answers 429: no: why");
    assert_eq!(listener.bodies().len(), 3);
}

#[test]
fn a_right_or_an_index_that_is_missing_refuses_no_document() {
    for status in [401, 403, 404] {
        let answers: crate::listener::Answers = match status {
            401 => |_, _| answer(&[201, 401]),
            403 => |_, _| answer(&[201, 403]),
            _ => |_, _| answer(&[201, 404]),
        };
        let error = sink(&listen(answers)).deliver(&messages(&["1", "2"])).unwrap_err();
        assert!(matches!(error, DeliverError::Barred { status: told, .. } if told == status), "{error}");
    }
}

#[test]
fn what_is_too_large_together_is_sent_in_halves() {
    let listener = listen(|_, body| match body.lines().count() / 2 {
        2.. => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        _ if body.contains("huge") => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        _ => answer(&[201]),
    });
    let receipt = sink(&listener).deliver(&messages(&["1", "2", "huge", "4"])).unwrap();
    assert_eq!((receipt.delivered, receipt.refused.len(), receipt.refused[0].at), (3, 1, 2));
}

#[test]
fn an_answer_that_tells_of_other_documents_is_none() {
    for text in ["<html>", "{}", "{\"items\":[]}"] {
        let answers: crate::listener::Answers = match text {
            "<html>" => |_, _| "<html>".into_response(),
            "{}" => |_, _| "{}".into_response(),
            _ => |_, _| "{\"items\":[]}".into_response(),
        };
        let error = sink(&listen(answers)).deliver(&messages(&["1"])).unwrap_err();
        assert!(matches!(error, DeliverError::Answer { .. }), "{error}");
    }
}
