//! Logs in Elasticsearch as the source stage takes them: settings, secrets and bounds.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use margay_config as config;
use margay_config::Loaded;
use margay_source::{Cluster, IndexSpec, Login, PullLimits, Secret};

use crate::secret::secret;
use crate::specs;

/// What a log in an index is connected with.
///
/// # Errors
/// A secret or a certificate is not to be had.
pub fn spec(name: &str, log: &config::Log, loaded: &Loaded) -> anyhow::Result<IndexSpec> {
    let index = log.elasticsearch.as_ref().context("the log is not in an index")?;
    let limits = &loaded.engine.limits;
    Ok(IndexSpec {
        name: name.to_owned(),
        cluster: cluster(index, &loaded.root)?,
        index: index.index.clone(),
        shape: specs::shape(log).context("the log has neither `preset` nor `time`")?,
        limits: PullLimits {
            rows: limits.pull_rows,
            bytes: limits.pull_bytes.0 as u64,
            time: Duration::from_millis(limits.pull_time.0.unsigned_abs()),
        },
    })
}

fn cluster(index: &config::Elasticsearch, root: &Path) -> anyhow::Result<Cluster> {
    let file = |path: &Path| {
        let path = root.join(path);
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let certificate = match (&index.client_certificate_file, &index.client_key_file) {
        (Some(certificate), Some(key)) => {
            let pem = [file(key)?, b"\n".to_vec(), file(certificate)?].concat();
            Some(Secret(String::from_utf8(pem).context("the client's certificate is no PEM")?))
        }
        _ => None,
    };
    Ok(Cluster {
        url: index.url.clone(),
        login: login(index, root)?,
        ca: index.ca_file.as_deref().map(file).transpose()?,
        certificate,
    })
}

fn login(index: &config::Elasticsearch, root: &Path) -> anyhow::Result<Login> {
    let key = secret("API key", root, index.api_key_file.as_deref(), index.api_key_env.as_deref())?;
    let token = secret("token", root, index.bearer_token_file.as_deref(), index.bearer_token_env.as_deref())?;
    let password = secret("password", root, index.password_file.as_deref(), index.password_env.as_deref())?;
    Ok(match (key, token, password, &index.username) {
        (Some(key), ..) => Login::ApiKey(Secret(key)),
        (_, Some(token), ..) => Login::Bearer(Secret(token)),
        (_, _, Some(password), Some(name)) => Login::Basic(name.clone(), Secret(password)),
        _ => Login::None,
    })
}
