//! A real server on loopback, which notes what it is sent.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use margay_core::{Access, Login};

use crate::{Message, Server};

/// What a server was sent: each body with its key.
pub(crate) type Seen = Arc<Mutex<Vec<(String, String)>>>;
/// What a server answers to the request of a number.
pub(crate) type Answers = fn(usize, &str) -> Response;

pub(crate) struct Listener {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Seen,
    _runtime: tokio::runtime::Runtime,
}

/// Listens until it is dropped.
pub(crate) fn listen(answers: Answers) -> Listener {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let seen = Seen::default();
    let handler = move |State(seen): State<Seen>, headers: HeaderMap, body: String| async move {
        let key = headers.get("Idempotency-Key").map_or("", |key| key.to_str().unwrap()).to_owned();
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push((body.clone(), key));
            seen.len()
        };
        if body == "slow" {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        answers(number, &body)
    };
    let app = Router::new().fallback(handler).with_state(seen.clone());
    let socket = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = socket.local_addr().unwrap();
    runtime.spawn(async move { axum::serve(socket, app).await });
    Listener { address, seen, _runtime: runtime }
}

impl Listener {
    pub(crate) fn server(&self) -> Server {
        Server {
            access: access(format!("http://{}/hook", self.address)),
            allow_local: true,
            timeout: Duration::from_secs(1),
            tries: 3,
        }
    }

    pub(crate) fn bodies(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(body, _)| body.clone()).collect()
    }
}

pub(crate) fn access(url: String) -> Access {
    Access { url, login: Login::None, ca: None, certificate: None }
}

pub(crate) fn messages(texts: &[&str]) -> Vec<Message> {
    texts.iter().map(|text| Message { key: format!("key-{text}"), text: (*text).to_owned() }).collect()
}
