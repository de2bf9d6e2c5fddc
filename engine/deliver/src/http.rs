//! One HTTP server: guarded, logged in to, without redirects, and tried again after a while.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use backon::{ExponentialBuilder, Retryable};
use margay_core::{Access, Login, Secret};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Identity, Method, Response, StatusCode, Url};
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

/// What is known of a server.
#[derive(Clone)]
pub struct Server {
    /// Its address, which may hold a secret and is in no message, and how to log in.
    pub access: Access,
    /// Whether it may be on this machine, or in its link-local network.
    pub allow_local: bool,
    /// Longest time for one request.
    pub timeout: Duration,
    /// Requests at most for one delivery.
    pub tries: usize,
}

/// A request.
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// Added to the address; what follows a `?` is its query.
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
        let access = &server.access;
        let url = Url::parse(&access.url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = url.ok_or(DeliverError::Address)?;
        let failed = |source: reqwest::Error| DeliverError::Client { source };
        let mut client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(server.timeout)
            // Every request connects anew, so that every request is guarded.
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(Guard { allow_local: server.allow_local }))
            .user_agent(concat!("margay/", env!("CARGO_PKG_VERSION")));
        if let Some(pem) = &access.ca {
            let certificates = Certificate::from_pem_bundle(pem).map_err(failed)?;
            if certificates.is_empty() {
                return Err(DeliverError::Unusable { reason: "the CA file holds no certificate".to_owned() });
            }
            client = certificates.into_iter().fold(client, reqwest::ClientBuilder::add_root_certificate);
        }
        if let Some(pem) = &access.certificate {
            client = client.identity(Identity::from_pem(pem.0.as_bytes()).map_err(failed)?);
        }
        Ok(Self {
            client: client.build().map_err(failed)?,
            runtime: Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|source| DeliverError::Runtime { source })?,
            url,
            server,
        })
    }

    /// Sends a message until it is answered well, as often as may be.
    pub(crate) fn send(&self, request: &Request<'_>) -> Result<(), DeliverError> {
        self.again(|error| error.may_pass() || matches!(error, DeliverError::Refused { .. }), || self.once(request))
            .map(drop)
    }

    /// The answer to a request, which is sent again only where that may help.
    pub(crate) fn ask(&self, request: &Request<'_>) -> Result<String, DeliverError> {
        self.again(DeliverError::may_pass, || self.once(request))
    }

    /// Tries until it goes well, as often as may be, with growing, jittered waits.
    pub(crate) fn again<T, F: Future<Output = Result<T, DeliverError>>>(
        &self,
        helps: impl Fn(&DeliverError) -> bool,
        once: impl FnMut() -> F,
    ) -> Result<T, DeliverError> {
        let waits = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(WAIT_FIRST)
            .with_max_delay(WAIT_MOST)
            .with_max_times(self.server.tries.saturating_sub(1));
        let tries = once
            .retry(waits)
            .when(helps)
            .adjust(|error: &DeliverError, wait| match error.again_after() {
                Some(asked) if asked > WAIT_MOST => None,
                Some(asked) => wait.map(|wait| wait.max(asked)),
                None => wait,
            })
            .notify(|error: &DeliverError, wait| debug!(%error, ?wait, "tried again"));
        self.runtime.block_on(tries.into_future())
    }

    /// The answer to a request that is sent once.
    pub(crate) async fn once(&self, request: &Request<'_>) -> Result<String, DeliverError> {
        let host = self.url.host_str().unwrap_or_default();
        let literal: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        if literal.is_some_and(|address| !Guard { allow_local: self.server.allow_local }.allows(address)) {
            return Err(DeliverError::Local { host: host.to_owned() });
        }
        let failed = |source: reqwest::Error| DeliverError::Request { source: source.without_url() };
        let mut building = self
            .client
            .request(request.method.clone(), self.at(request.path))
            .header(CONTENT_TYPE, request.content_type)
            .body(request.body.clone());
        building = match &self.server.access.login {
            Login::None => building,
            Login::Basic(name, password) => building.basic_auth(name, Some(&password.0)),
            Login::Bearer(token) => building.bearer_auth(&token.0),
            Login::ApiKey(key) => building.header(AUTHORIZATION, secret_header("ApiKey", key)?),
        };
        if let Some(key) = request.key {
            building = building.header("Idempotency-Key", key);
        }
        let response = building.send().await.map_err(failed)?;
        let (status, again_after) = (response.status(), again_after(response.headers(), SystemTime::now()));
        let body = body(response).await.map_err(failed)?;
        judge(status, body, again_after)
    }

    /// The address with a path behind it.
    fn at(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        if !path.is_empty() {
            let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
            url.set_path(&format!("{}{path}", self.url.path().trim_end_matches('/')));
            url.set_query(query);
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

fn secret_header(scheme: &str, secret: &Secret) -> Result<HeaderValue, DeliverError> {
    let unusable = |_| DeliverError::Unusable { reason: format!("the secret of `{scheme}` is no text for a header") };
    let mut header = HeaderValue::from_str(&format!("{scheme} {}", secret.0)).map_err(unusable)?;
    header.set_sensitive(true);
    Ok(header)
}

/// What an answer means: it is good, or the message is refused as such, or the request is to be sent again, or it is not
/// about the message at all.
fn judge(status: StatusCode, body: String, again_after: Option<Duration>) -> Result<String, DeliverError> {
    if status.is_success() {
        return Ok(body);
    }
    let reason = reason(&body);
    let status_code = status.as_u16();
    if status.is_redirection() {
        return Err(DeliverError::Redirect { status: status_code });
    }
    if matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS) || !status.is_client_error() {
        return Err(DeliverError::Busy { status: status_code, reason, again_after });
    }
    Err(refusal(status_code, reason))
}

/// A refusal of a message, or of whoever sends it there.
pub(crate) fn refusal(status: u16, reason: String) -> DeliverError {
    match status {
        401 | 403 | 404 | 405 | 407 | 410 => DeliverError::Barred { status, reason },
        _ => DeliverError::Refused { status, reason },
    }
}

/// The beginning of an answer on one line.
pub(crate) fn reason(body: &str) -> String {
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
