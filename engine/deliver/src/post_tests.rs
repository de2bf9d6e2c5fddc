//! Against real servers on loopback.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::*;
use crate::Sink;
use crate::listener::{Answers, access, listen, messages};

fn sink(server: Server, batch: Batch) -> Sink {
    Sink::Post(Box::new(Post::new(server, "", "application/json", batch).unwrap()))
}

#[test]
fn a_message_is_posted_once_with_its_key() {
    let listener = listen(|_, _| "ok".into_response());
    let receipt = sink(listener.server(), Batch::One).deliver(&messages(&["1"])).unwrap();
    assert_eq!(receipt, Receipt { delivered: 1, refused: vec![] });
    assert_eq!(*listener.seen.lock().unwrap(), [("1".to_owned(), "key-1".to_owned())]);
}

#[test]
fn a_server_that_is_busy_is_left_alone_as_long_as_it_asks() {
    let listener = listen(|number, _| match number {
        1 => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")]).into_response(),
        2 => StatusCode::BAD_GATEWAY.into_response(),
        _ => "ok".into_response(),
    });
    let began = Instant::now();
    assert_eq!(sink(listener.server(), Batch::One).deliver(&messages(&["1"])).unwrap().delivered, 1);
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(listener.bodies(), ["1", "1", "1"]);
}

#[test]
fn who_asks_for_long_is_not_waited_for() {
    let listener = listen(|_, _| (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "600")]).into_response());
    let began = Instant::now();
    let error = sink(listener.server(), Batch::One).deliver(&messages(&["1"])).unwrap_err();
    assert_eq!(error.again_after(), Some(Duration::from_secs(600)));
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(listener.bodies().len(), 1);
}

#[test]
fn what_is_refused_is_told_after_its_tries_and_the_others_are_delivered() {
    let listener = listen(|_, body| match body.contains("bad") {
        true => (StatusCode::BAD_REQUEST, "no such label").into_response(),
        false => "ok".into_response(),
    });
    let receipt = sink(listener.server(), Batch::List).deliver(&messages(&["1", "\"bad\"", "3"])).unwrap();
    assert_eq!(receipt.delivered, 2);
    assert_eq!(receipt.refused, [Refusal { at: 1, reason: "refuses it with 400: no such label".to_owned() }]);
    assert_eq!(
        listener.bodies(),
        ["[1,\"bad\",3]", "[1,\"bad\",3]", "[1,\"bad\",3]", "[1]", "[\"bad\"]", "[\"bad\"]", "[\"bad\"]", "[3]"]
    );
    let one = sink(listener.server(), Batch::One).deliver(&messages(&["bad"])).unwrap();
    assert_eq!((one.delivered, one.refused.len()), (0, 1));
}

#[test]
fn a_login_or_an_address_that_is_wrong_is_no_refusal_of_the_message() {
    for status in [401, 403, 404, 405, 407, 410] {
        let answers: Answers = match status {
            401 => |_, _| StatusCode::UNAUTHORIZED.into_response(),
            403 => |_, _| StatusCode::FORBIDDEN.into_response(),
            404 => |_, _| StatusCode::NOT_FOUND.into_response(),
            405 => |_, _| StatusCode::METHOD_NOT_ALLOWED.into_response(),
            407 => |_, _| StatusCode::PROXY_AUTHENTICATION_REQUIRED.into_response(),
            _ => |_, _| StatusCode::GONE.into_response(),
        };
        let listener = listen(answers);
        for batch in [Batch::One, Batch::List] {
            let error = sink(listener.server(), batch).deliver(&messages(&["1"])).unwrap_err();
            assert!(matches!(error, DeliverError::Barred { status: told, .. } if told == status), "{error}");
        }
        assert_eq!(listener.bodies().len(), 2, "{status}: sent again in vain");
    }
}

#[test]
fn a_failing_a_slow_and_an_absent_server_are_errors_and_no_refusals() {
    let failing = listen(|_, _| StatusCode::INTERNAL_SERVER_ERROR.into_response());
    let error = sink(failing.server(), Batch::One).deliver(&messages(&["1"])).unwrap_err();
    assert_eq!(error.to_string(), "answers 500");
    assert_eq!(failing.bodies().len(), 3);
    let error = sink(Server { tries: 1, ..failing.server() }, Batch::One).deliver(&messages(&["slow"])).unwrap_err();
    assert!(matches!(error, DeliverError::Request { .. }), "{error}");
    let absent = Server { access: access("http://127.0.0.1:1/secret".to_owned()), tries: 1, ..failing.server() };
    let error = sink(absent, Batch::One).deliver(&messages(&["1"])).unwrap_err();
    assert!(matches!(error, DeliverError::Request { .. }), "{error}");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

#[test]
fn redirects_are_not_followed() {
    let target = listen(|_, _| "ok".into_response());
    let listener = listen(|_, _| {
        (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "http://169.254.169.254/")]).into_response()
    });
    let error = sink(listener.server(), Batch::One).deliver(&messages(&["1"])).unwrap_err();
    assert!(matches!(error, DeliverError::Redirect { status: 307 }), "{error}");
    assert_eq!((listener.bodies().len(), target.bodies().len()), (1, 0));
}

#[test]
fn this_machine_is_not_called_unless_that_is_allowed() {
    let listener = listen(|_, _| "ok".into_response());
    let port = listener.address.port();
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0", "2130706433"] {
        let url = format!("http://{host}:{port}/");
        let server = Server { access: access(url), allow_local: false, tries: 1, ..listener.server() };
        let error = sink(server, Batch::One).deliver(&messages(&["1"])).unwrap_err();
        let mut chain = vec![error.to_string()];
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            chain.push(inner.to_string());
            source = inner.source();
        }
        assert!(chain.join(": ").contains("allow_local"), "{host}: {chain:?}");
    }
    assert_eq!(listener.bodies(), [""; 0]);
}

#[test]
fn an_address_that_is_none_is_told_at_once() {
    let listener = listen(|_, _| "ok".into_response());
    for url in ["", "es:9200", "file:///etc/passwd", "ftp://host/"] {
        let made =
            Post::new(Server { access: access(url.to_owned()), ..listener.server() }, "", "text/plain", Batch::One);
        assert!(matches!(made, Err(DeliverError::Address)), "{url}");
    }
}
