//! The official client behind a few functions: one request after another, tried again where that may help.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use elasticsearch::auth::{ClientCertificate, Credentials};
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::Method;
use elasticsearch::http::headers::{AUTHORIZATION, HeaderMap, HeaderValue};
use elasticsearch::http::transport::{SingleNodeConnectionPool, Transport, TransportBuilder};
use margay_core::{Access, Login, Time};
use serde_json::Value;
use tokio::runtime::Runtime;
use tracing::debug;

use super::flavour::Flavour;

/// Longest wait for one answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a request is tried again, and the shortest and longest wait in between, each of which is jittered.
const RETRIES_MOST: usize = 5;
const RETRY_AFTER: Duration = Duration::from_millis(200);
const RETRY_AFTER_MOST: Duration = Duration::from_secs(10);
/// Bytes of one answer at most.
const ANSWER_BYTES_MOST: u64 = 512 * 1024 * 1024;
/// Letters of a server's own words that a message repeats at most.
const REASON_LETTERS_MOST: usize = 300;

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Fault {
    /// What happened.
    pub(crate) message: String,
    /// Whether the same request may succeed later.
    pub(crate) passes: bool,
}

impl Fault {
    /// What stays as it is however often it is tried.
    pub(crate) fn lasting(message: impl Into<String>) -> Self {
        Self { message: message.into(), passes: false }
    }

    /// What may be over in a moment.
    pub(crate) fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), passes: true }
    }
}

/// A request; its body is JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    pub(crate) body: Option<&'a Value>,
}

/// What is done with the bytes of an answer; a fault that passes has the request sent again.
pub(crate) type Look<'a, T> = &'a (dyn Fn(Vec<u8>) -> Result<T, Fault> + Sync);

/// A cluster that is spoken to.
#[derive(Debug)]
pub(crate) struct Client {
    transport: Transport,
    /// Host and port, which no answer may come from another of.
    origin: String,
    /// Given up in the background when the client goes, wherever that is.
    runtime: Option<Runtime>,
}

impl Client {
    /// Ready to speak; nothing is sent yet.
    pub(crate) fn new(cluster: &Access) -> Result<Self, Fault> {
        let lasting = |what: &str| Fault::lasting(what.to_owned());
        let url = cluster.url.parse().map_err(|_| lasting("the address cannot be read"))?;
        let pool = SingleNodeConnectionPool::new(url);
        let origin = pool_origin(&pool);
        let mut builder =
            TransportBuilder::new(pool).timeout(REQUEST_TIMEOUT).disable_proxy().enable_meta_header(false);
        match &cluster.login {
            Login::None => {}
            Login::ApiKey(key) => builder = builder.header(AUTHORIZATION, secret_header("ApiKey", &key.0)?),
            Login::Bearer(token) => builder = builder.header(AUTHORIZATION, secret_header("Bearer", &token.0)?),
            Login::Basic(name, password) => {
                builder = builder.auth(Credentials::Basic(name.clone(), password.0.clone()));
            }
        }
        if let Some(certificate) = &cluster.certificate {
            let pem = ClientCertificate::Pem(certificate.0.clone().into_bytes());
            builder = builder.auth(Credentials::Certificate(pem));
        }
        if let Some(ca) = &cluster.ca {
            let chain = Certificate::from_pem(ca).map_err(|_| lasting("the CA file holds no certificate"))?;
            builder = builder.cert_validation(CertificateValidation::Full(chain));
        }
        let transport = builder.build().map_err(|error| Fault::lasting(format!("no client: {error}")))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("elasticsearch")
            .enable_all()
            .build()
            .map_err(|error| Fault::lasting(format!("no thread to speak on: {error}")))?;
        Ok(Self { transport, origin, runtime: Some(runtime) })
    }

    /// What the cluster says it is.
    pub(crate) fn flavour(&self) -> Result<Flavour, Fault> {
        self.json(Ask { method: Method::Get, path: "/", body: None }).and_then(|greeting| Flavour::of(&greeting))
    }

    /// What time it is there, to a second; `None` where it does not say.
    pub(crate) fn time(&self) -> Option<Time> {
        let ask = Ask { method: Method::Get, path: "/_cat/health?format=json&h=epoch", body: None };
        let answer = self.ask_once(ask, &parsed).ok()?;
        let seconds: i64 = answer[0]["epoch"].as_str()?.parse().ok()?;
        Some(Time(seconds.checked_mul(1000)?))
    }

    /// The answer as JSON. For answers that are small; pages are looked at as bytes.
    pub(crate) fn json(&self, ask: Ask<'_>) -> Result<Value, Fault> {
        self.ask(ask, &parsed)
    }

    /// The answer as JSON of a search that every shard took part in.
    pub(crate) fn search(&self, ask: Ask<'_>) -> Result<Value, Fault> {
        self.ask(ask, &|bytes| {
            let answer = parsed(bytes)?;
            let failed = answer["_shards"]["failed"].as_u64();
            whole(answer["timed_out"].as_bool(), failed).map(|()| answer)
        })
    }

    /// The answer to a request that can be sent any number of times.
    pub(crate) fn ask<T>(&self, ask: Ask<'_>, look: Look<'_, T>) -> Result<T, Fault> {
        let delays = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(RETRY_AFTER)
            .with_max_delay(RETRY_AFTER_MOST)
            .with_max_times(RETRIES_MOST);
        let tried = || async { look(self.send(ask).await?) };
        let notify = |fault: &Fault, after: Duration| {
            debug!(path = ask.path, fault = fault.message, after_ms = after.as_millis(), "asked again");
        };
        self.block_on(tried.retry(delays).when(|fault: &Fault| fault.passes).notify(notify))
    }

    /// The answer to a request that must not be sent twice.
    pub(crate) fn ask_once<T>(&self, ask: Ask<'_>, look: Look<'_, T>) -> Result<T, Fault> {
        self.block_on(async { look(self.send(ask).await?) })
    }

    fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.as_ref().expect("it is taken on drop").block_on(work)
    }

    async fn send(&self, ask: Ask<'_>) -> Result<Vec<u8>, Fault> {
        let body = ask.body.map(Value::to_string);
        let sent =
            self.transport.send(ask.method, ask.path, HeaderMap::new(), None::<&()>, body, Some(REQUEST_TIMEOUT));
        let answer = sent.await.map_err(|error| unreachable(&error))?;
        let (status, length) = (answer.status_code().as_u16(), answer.content_length());
        if origin(answer.url().as_str()) != self.origin {
            return Err(Fault::lasting("it answers with another address, which is not followed"));
        }
        if length.is_some_and(|length| length > ANSWER_BYTES_MOST) {
            return Err(Fault::lasting(format!("an answer is longer than {ANSWER_BYTES_MOST} bytes")));
        }
        let bytes = answer.bytes().await.map_err(|error| unreachable(&error))?;
        match status {
            200..300 => Ok(bytes.into()),
            408 | 429 | 500.. => Err(Fault::passing(refusal(status, &bytes))),
            _ => Err(Fault::lasting(refusal(status, &bytes))),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn parsed(bytes: Vec<u8>) -> Result<Value, Fault> {
    serde_json::from_slice(&bytes).map_err(|error| Fault::passing(format!("the answer is no JSON: {error}")))
}

/// # Errors
/// A shard failed or did not end in time: what was found is not all there is.
pub(crate) fn whole(timed_out: Option<bool>, failed: Option<u64>) -> Result<(), Fault> {
    match (timed_out, failed) {
        (Some(false), Some(0)) => Ok(()),
        (Some(true), _) => Err(Fault::passing("the search timed out")),
        (_, Some(failed)) if failed > 0 => Err(Fault::passing(format!("{failed} shards failed"))),
        _ => Err(Fault::passing("the answer does not say whether it is whole")),
    }
}

fn secret_header(scheme: &str, secret: &str) -> Result<HeaderValue, Fault> {
    let mut header = HeaderValue::from_str(&format!("{scheme} {secret}"))
        .map_err(|_| Fault::lasting(format!("the secret of `{scheme}` has letters that no header may hold")))?;
    header.set_sensitive(true);
    Ok(header)
}

fn pool_origin(pool: &SingleNodeConnectionPool) -> String {
    use elasticsearch::http::transport::ConnectionPool;
    origin(pool.next().url().as_str())
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> String {
    let end = url.find("://").and_then(|at| url[at + 3..].find('/').map(|slash| at + 3 + slash));
    url[..end.unwrap_or(url.len())].to_owned()
}

/// An error and its causes; the address is the configuration's.
fn unreachable(error: &elasticsearch::Error) -> Fault {
    let mut text = if error.is_timeout() { "no answer in time".to_owned() } else { "no answer".to_owned() };
    let mut cause = std::error::Error::source(error);
    let mut last = error.to_string();
    while let Some(next) = cause {
        last = next.to_string();
        cause = next.source();
    }
    text.push_str(": ");
    text.push_str(&last);
    Fault::passing(text)
}

/// What the server gives as its reason.
fn refusal(status: u16, bytes: &[u8]) -> String {
    let answer: Value = serde_json::from_slice(bytes).unwrap_or_default();
    let error = &answer["error"];
    let cause = &error["root_cause"][0]["reason"];
    let reason = [cause, &error["reason"], error, &answer["message"]].into_iter().find_map(Value::as_str);
    let reason: String = reason.unwrap_or_default().chars().filter(|letter| !letter.is_control()).collect();
    let reason: String = reason.chars().take(REASON_LETTERS_MOST).collect();
    if reason.is_empty() { format!("it answers {status}") } else { format!("it answers {status}: {reason}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_of_all_shards_is_whole() {
        assert_eq!(whole(Some(false), Some(0)), Ok(()));
        for (timed_out, failed) in [(Some(true), Some(0)), (Some(false), Some(1)), (None, Some(0)), (Some(false), None)]
        {
            assert!(whole(timed_out, failed).is_err_and(|fault| fault.passes), "{timed_out:?} {failed:?}");
        }
    }

    #[test]
    fn a_refusal_repeats_the_servers_reason_without_what_moves_a_cursor() {
        let body =
            br#"{"error":{"root_cause":[{"reason":"no such \u001b[2J index [x]"}],"reason":"all"},"status":404}"#;
        assert_eq!(refusal(404, body), "it answers 404: no such [2J index [x]");
        assert_eq!(refusal(502, b"<html>"), "it answers 502");
        assert_eq!(refusal(401, br#"{"error":"who?"}"#), "it answers 401: who?");
    }

    #[test]
    fn the_origin_of_an_address_is_what_stands_before_its_path() {
        assert_eq!(origin("https://es:9200/a/b"), "https://es:9200");
        assert_eq!(origin("https://es:9200"), "https://es:9200");
    }
}
