//! The configuration's sinks → outlets.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use margay_config::{
    AlertmanagerSink, ElasticsearchSink, Format, Loaded, Problem, Severity, SlackSink, WebhookSink, sink_names,
};
use margay_core::{Access, Login, Secret};
use margay_deliver::{Batch, Elasticsearch, Post, Server, Sink};

use crate::access::{access, pem};
use crate::digest::Ration;
use crate::ingest::chain;
use crate::outlet::{Form, Outlet, Way};
use crate::quarantine::Response;
use crate::secret::secret;

/// The outlet of quarantines: no sink can have this name.
const QUARANTINE: &str = "(quarantine)";
const JSON: &str = "application/json";

/// The configuration, where nothing is wrong with margay.yaml itself, whatever detectors say; `None` where something is. The
/// problems were printed.
#[must_use]
pub fn of_engine(config: &Path) -> Option<Loaded> {
    let loaded = margay_config::load(config);
    let is_of_engine = |problem: &&Problem| problem.severity == Severity::Error && problem.file == config;
    let errors: Vec<String> = loaded.problems.iter().filter(is_of_engine).map(|one| one.render(false)).collect();
    errors.iter().for_each(|error| eprintln!("{error}"));
    errors.is_empty().then_some(loaded)
}

/// Every sink of the configuration, in its order, and the quarantine folder.
#[must_use]
pub fn outlets(loaded: &Loaded) -> Vec<Outlet> {
    let mut outlets = sinks(loaded);
    let quarantine = loaded.engine.response.quarantine.as_ref();
    let response = quarantine.map_or_else(Response::default, |settings| Response {
        output: Some(loaded.root.join(&settings.output)),
        enforced: settings.mode == margay_config::QuarantineMode::Enforced,
        protect: settings.protect.clone(),
        active_most: settings.max_active as usize,
    });
    let way = Way::Quarantine(response);
    outlets.push(Outlet { name: QUARANTINE.to_owned(), way, ration: None, told: BTreeSet::new() });
    outlets
}

/// Every sink of the configuration, in its order. One that cannot be used says why when it is.
#[must_use]
pub fn sinks(loaded: &Loaded) -> Vec<Outlet> {
    let names = sink_names(&loaded.engine.sinks);
    let outlet = |(name, sink): (String, &margay_config::Sink)| {
        let way = open(loaded, sink)
            .map_or_else(|error| Way::Broken(format!("{error:#}")), |(sink, form)| Way::Sink(sink, form));
        let is_read = matches!(sink, margay_config::Sink::Slack(_) | margay_config::Sink::Webhook(_));
        let ration = is_read.then(|| Ration::new(loaded.engine.delivery.messages_per_minute as usize));
        Outlet { name, way, ration, told: BTreeSet::new() }
    };
    names.into_iter().zip(&loaded.engine.sinks).map(outlet).collect()
}

fn open(loaded: &Loaded, sink: &margay_config::Sink) -> anyhow::Result<(Sink, Form)> {
    use margay_config::Sink as Kind;
    Ok(match sink {
        Kind::Stdout(stdout) => (Sink::Stdout, form(stdout.format)),
        Kind::File(file) => (Sink::File { path: loaded.root.join(&file.path) }, form(file.format)),
        Kind::Webhook(sink) => webhook(loaded, sink)?,
        Kind::Slack(sink) => (slack(loaded, sink)?, Form::Slack),
        Kind::Alertmanager(sink) => (alertmanager(loaded, sink)?, Form::Alertmanager(sink.fires_for)),
        Kind::Elasticsearch(sink) => (Sink::Elasticsearch(Box::new(elasticsearch(loaded, sink)?)), Form::Event),
    })
}

/// The index or data stream of a sink.
///
/// # Errors
/// A secret or a certificate is not to be had, or the address is none.
pub fn elasticsearch(loaded: &Loaded, sink: &ElasticsearchSink) -> anyhow::Result<Elasticsearch> {
    let server = server(loaded, access(&sink.place, &loaded.root)?, sink.allow_local);
    Ok(Elasticsearch::new(server, sink.place.index.clone())?)
}

fn webhook(loaded: &Loaded, sink: &WebhookSink) -> anyhow::Result<(Sink, Form)> {
    let url = match &sink.url {
        Some(url) => url.clone(),
        None => address(loaded, sink.url_file.as_deref(), sink.url_env.as_deref())?,
    };
    let content_type = match &sink.template {
        Some(file) if file.trim_end_matches(".hbs").ends_with(".text") => "text/plain; charset=utf-8",
        _ => JSON,
    };
    let ca = pem("CA certificate", &loaded.root, sink.ca_file.as_deref())?.map(String::into_bytes);
    let server = server(loaded, Access { url, login: Login::None, ca, certificate: None }, sink.allow_local);
    let form = sink.template.clone().map_or(Form::Json, Form::Template);
    Ok((Sink::Post(Box::new(Post::new(server, "", content_type, Batch::One)?)), form))
}

fn slack(loaded: &Loaded, sink: &SlackSink) -> anyhow::Result<Sink> {
    let url = address(loaded, sink.url_file.as_deref(), sink.url_env.as_deref())?;
    let access = Access { url, login: Login::None, ca: None, certificate: None };
    let server = server(loaded, access, sink.allow_local);
    Ok(Sink::Post(Box::new(Post::new(server, "", JSON, Batch::One)?)))
}

fn alertmanager(loaded: &Loaded, sink: &AlertmanagerSink) -> anyhow::Result<Sink> {
    let ca = pem("CA certificate", &loaded.root, sink.ca_file.as_deref())?.map(String::into_bytes);
    let password = secret("password", &loaded.root, sink.password_file.as_deref(), sink.password_env.as_deref())?;
    let login = match (&sink.username, password) {
        (Some(username), Some(password)) => Login::Basic(username.clone(), Secret(password)),
        _ => Login::None,
    };
    let server = server(loaded, Access { url: sink.url.clone(), login, ca, certificate: None }, sink.allow_local);
    Ok(Sink::Post(Box::new(Post::new(server, "/api/v2/alerts", JSON, Batch::List)?)))
}

/// An address that is a secret.
fn address(loaded: &Loaded, file: Option<&Path>, variable: Option<&str>) -> anyhow::Result<String> {
    let url = secret("address", &loaded.root, file, variable).map_err(|error| anyhow::anyhow!(chain(&error)))?;
    url.ok_or_else(|| anyhow::anyhow!("there is no address"))
}

fn server(loaded: &Loaded, access: Access, allow_local: bool) -> Server {
    let delivery = &loaded.engine.delivery;
    Server {
        access,
        allow_local,
        timeout: Duration::from_millis(delivery.timeout.0.unsigned_abs()),
        tries: delivery.tries as usize,
    }
}

fn form(format: Format) -> Form {
    match format {
        Format::Text => Form::Text,
        Format::Json => Form::Json,
        Format::Event => Form::Event,
    }
}
