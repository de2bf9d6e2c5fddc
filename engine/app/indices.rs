//! Logs in Elasticsearch as the source stage takes them: settings, secrets and bounds.

use std::time::Duration;

use anyhow::Context;
use margay_config as config;
use margay_config::Loaded;
use margay_source::{IndexSpec, PullLimits};

use crate::access::access;
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
        cluster: access(index, &loaded.root)?,
        index: index.index.clone(),
        shape: specs::shape(log).context("the log has neither `preset` nor `time`")?,
        limits: PullLimits {
            rows: limits.pull_rows,
            bytes: limits.pull_bytes.0 as u64,
            time: Duration::from_millis(limits.pull_time.0.unsigned_abs()),
        },
    })
}
