//! What the daemon answers by HTTP: health, metrics, the state, alerts and a page. It only reads.

mod api;
mod board;
mod limit;
mod metrics;
mod openapi;
mod page;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use margay_render::json_line;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tracing::{error, info};

use crate::ingest::chain;
use crate::overview::Scene;
use crate::state::StateError;
pub use board::Board;
use limit::Limited;
use openapi::Trouble;

/// Answers that read the state at the same time; further ones wait.
const READS_MOST: usize = 2;
/// The text format of Prometheus.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";
const HEADERS: [(HeaderName, HeaderValue); 3] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    ),
];

/// Listens, and answers for as long as the runtime lives.
///
/// # Errors
/// The address is in use, or not of this machine.
pub async fn start(address: SocketAddr, board: Arc<Board>) -> anyhow::Result<()> {
    let cannot = || format!("cannot listen at {address}, the `listen` of `web`");
    let listener = TcpListener::bind(address).await.with_context(cannot)?;
    info!(address = %listener.local_addr().with_context(cannot)?, "answering by HTTP");
    let site = Arc::new(Site { board, reads: Arc::new(Semaphore::new(READS_MOST)) });
    tokio::spawn(async move {
        if let Err(error) = axum::serve(Limited::new(listener), router(site)).await {
            error!(%error, "nothing answers by HTTP any more");
        }
    });
    Ok(())
}

fn router(site: Arc<Site>) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/alerts", get(api::alerts))
        .route("/api/v1/alerts/{id}", get(api::alert))
        .route("/api/v1/openapi.json", get(api::description))
        .fallback(async || Failure::Missing("nothing is here"))
        .method_not_allowed_fallback(async || Failure::Method)
        .layer(map_response(with_headers))
        .with_state(site)
}

async fn with_headers(mut response: Response) -> Response {
    response.headers_mut().extend(HEADERS);
    response
}

async fn ready(State(site): State<Arc<Site>>) -> Result<&'static str, Failure> {
    if site.board.is_ready() { Ok("ready\n") } else { Err(Failure::Unready) }
}

async fn metrics(State(site): State<Arc<Site>>) -> Result<Response, Failure> {
    let text = site.read(|board| Ok(metrics::text(board)?)).await?;
    Ok(([(header::CONTENT_TYPE, METRICS)], text).into_response())
}

fn json(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// What every answer is made from.
struct Site {
    board: Arc<Board>,
    reads: Arc<Semaphore>,
}

impl Site {
    /// Reads beside the threads that answer, a few at a time.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Board) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let turn = self.reads.clone().acquire_owned().await.expect("nobody closes it");
        let board = self.board.clone();
        let read = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&board)
        });
        read.await.unwrap_or(Err(Failure::Panic))
    }
}

impl Board {
    fn running(&self) -> Result<Arc<Scene>, Failure> {
        self.scene().ok_or(Failure::Unready)
    }
}

/// Why there is no answer.
enum Failure {
    /// The request is wrong.
    Bad(String),
    /// There is no such thing.
    Missing(&'static str),
    /// It only reads.
    Method,
    /// The daemon stands by, or has not ended a cycle.
    Unready,
    /// The state cannot be read.
    State(StateError),
    /// An answer panicked, which is an error in margay.
    Panic,
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let (status, error) = match self {
            Self::Bad(error) => (StatusCode::BAD_REQUEST, error),
            Self::Missing(what) => (StatusCode::NOT_FOUND, what.to_owned()),
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD".to_owned()),
            Self::Unready => (StatusCode::SERVICE_UNAVAILABLE, "standing by, or no cycle has ended yet".to_owned()),
            Self::State(error) => {
                error!(error = chain(&error), "the state cannot be read for an answer");
                (StatusCode::SERVICE_UNAVAILABLE, "the state cannot be read now; the log says why".to_owned())
            }
            Self::Panic => (StatusCode::INTERNAL_SERVER_ERROR, "the answer failed; the log says why".to_owned()),
        };
        (status, json(json_line(&Trouble { error }))).into_response()
    }
}
