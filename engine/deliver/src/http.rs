//! One HTTP server: guarded, without redirects, and tried again after a while.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, StatusCode, Url};
use tokio::runtime::{Builder, Runtime};
use tracing::debug;

use crate::DeliverError;
use crate::guard::Guard;

/// The first wait between two tries; each further one is twice as long, and all are jittered.
const WAIT_FIRST: Duration = Duration::from_millis(250);
/// The longest wait between two tries of one delivery. Who asks for more is called again later.
const WAIT_MOST: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MOST: usize = 8 << 20;
/// Characters of an answer that messages repeat.
const REASON_CHARS_MOST: usize = 300;

/// How to log in.
#[derive(Clone, Default)]
pub enum Login {
    /// Not at all, or by the address itself.
    #[default]
    None,
    /// By name and password.
    Basic {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
}

/// What is known of a server.
#[derive(Clone)]
pub struct Server {
    /// Its address, which may hold a secret and is in no message.
    pub url: String,
    /// How to log in.
    pub login: Login,
    /// Certificate authorities (PEM) to trust besides the public ones.
    pub ca_pem: Option<Vec<u8>>,
    /// Whether it may be on this machine, or in its link-local network.
    pub allow_local: bool,
    /// Longest time for one request.
    pub timeout: Duration,
    /// Requests at most for one delivery.
    pub tries: usize,
}

/// A POST.
pub(crate) struct Request<'a> {
    /// Added to the address.
    pub(crate) path: &'a str,
    pub(crate) content_type: &'static str,
    /// Tells the server a repeated request from a new one.
    pub(crate) key: Option<&'a str>,
    pub(crate) body: String,
}

/// A client of one server.
pub(crate) struct Http {
    client: Client,
    runtime: Runtime,
    url: Url,
    server: Server,
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Http")
    }
}

impl Http {
    pub(crate) fn new(server: Server) -> Result<Self, DeliverError> {
        let url = Url::parse(&server.url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = url.ok_or(DeliverError::Address)?;
        let mut client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(server.timeout)
            // Every request connects anew, so that every request is guarded.
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(Guard { allow_local: server.allow_local }))
            .user_agent(concat!("margay/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &server.ca_pem {
            let certificates = Certificate::from_pem_bundle(pem).map_err(|source| DeliverError::Client { source })?;
            client = certificates.into_iter().fold(client, reqwest::ClientBuilder::add_root_certificate);
        }
        Ok(Self {
            client: client.build().map_err(|source| DeliverError::Client { source })?,
            runtime: Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|source| DeliverError::Runtime { source })?,
            url,
            server,
        })
    }

    /// Sends a request until it is answered well, as often as may be.
    pub(crate) fn send(&self, request: &Request<'_>) -> Result<(), DeliverError> {
        let waits = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(WAIT_FIRST)
            .with_max_delay(WAIT_MOST)
            .with_max_times(self.server.tries.saturating_sub(1));
        let tries = (|| self.once(request))
            .retry(waits)
            .when(|error: &DeliverError| !matches!(error, DeliverError::Local { .. } | DeliverError::Redirect { .. }))
            .adjust(|error: &DeliverError, wait| match error.again_after() {
                Some(asked) if asked > WAIT_MOST => None,
                Some(asked) => wait.map(|wait| wait.max(asked)),
                None => wait,
            })
            .notify(|error: &DeliverError, wait| debug!(%error, ?wait, "tried again"));
        self.runtime.block_on(tries.into_future())
    }

    async fn once(&self, request: &Request<'_>) -> Result<(), DeliverError> {
        let host = self.url.host_str().unwrap_or_default();
        let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        if literal.is_some_and(|address| !Guard { allow_local: self.server.allow_local }.allows(address)) {
            return Err(DeliverError::Local { host: host.to_owned() });
        }
        let failed = |source: reqwest::Error| DeliverError::Request { source: source.without_url() };
        let mut building = self
            .client
            .post(self.at(request.path))
            .header(CONTENT_TYPE, request.content_type)
            .body(request.body.clone());
        building = match &self.server.login {
            Login::None => building,
            Login::Basic { username, password } => building.basic_auth(username, Some(password)),
        };
        if let Some(key) = request.key {
            building = building.header("Idempotency-Key", key);
        }
        let response = building.send().await.map_err(failed)?;
        let (status, again_after) = (response.status(), again_after(response.headers(), SystemTime::now()));
        let body = body(response).await.map_err(failed)?;
        judge(status, &body, again_after)
    }

    /// The address with a path behind it.
    fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        if !path.is_empty() {
            url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
            url.set_query(None);
        }
        url
    }
}

/// The first bytes of an answer.
async fn body(mut response: Response) -> Result<String, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        bytes.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES_MOST - bytes.len())]);
        if bytes.len() == ANSWER_BYTES_MOST {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What an answer means: a message is taken, refused as such, or to be sent again.
fn judge(status: StatusCode, body: &str, again_after: Option<Duration>) -> Result<(), DeliverError> {
    if status.is_success() {
        return Ok(());
    }
    let reason = reason(body);
    let status_code = status.as_u16();
    if status.is_redirection() {
        return Err(DeliverError::Redirect { status: status_code });
    }
    if matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) || !status.is_client_error() {
        return Err(DeliverError::Busy { status: status_code, reason, again_after });
    }
    Err(DeliverError::Refused { status: status_code, reason })
}

/// The beginning of an answer on one line.
fn reason(body: &str) -> String {
    let safe = |char: char| if char.is_control() { ' ' } else { char };
    body.trim().chars().take(REASON_CHARS_MOST).map(safe).collect()
}

/// How long the server asks to be left alone: seconds, or a date.
fn again_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_server_asks_for_patience_in_seconds_or_by_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let asked = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            again_after(&headers, now)
        };
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(asked("Thu, 01 Jan 1970 00:17:40 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(asked("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
    }

    #[test]
    fn what_an_answer_repeats_is_one_short_line() {
        assert_eq!(reason(&format!("a\nb\u{1b}{}", "x".repeat(1000))).len(), REASON_CHARS_MOST);
        assert!(!reason("a\nb\u{1b}").contains(['\n', '\u{1b}']));
    }
}
