//! A server of HTTP on loopback that notes what it is sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

/// Bodies in the order in which they came.
type Seen = Arc<Mutex<Vec<String>>>;

/// Listens until it is dropped.
pub struct Listener {
    pub address: SocketAddr,
    seen: Seen,
    _runtime: Runtime,
}

impl Listener {
    /// Answers each body with the status that `answer` gives it.
    pub fn start(answer: impl Fn(&str) -> u16 + Clone + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", answer)
    }

    /// The same, at an address.
    pub fn at(address: &str, answer: impl Fn(&str) -> u16 + Clone + Send + Sync + 'static) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let seen = Seen::default();
        let noted = seen.clone();
        let handler = move |headers: HeaderMap, body: String| async move {
            assert!(headers.contains_key("content-type"));
            let status = answer(&body);
            noted.lock().unwrap().push(body);
            StatusCode::from_u16(status).unwrap()
        };
        let socket = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = socket.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(socket, Router::new().fallback(handler)).await });
        Self { address, seen, _runtime: runtime }
    }

    pub fn bodies(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}
