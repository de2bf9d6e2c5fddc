//! One file a command.

pub mod alerts;
pub mod check;
pub mod classify;
pub mod dead_letters;
pub mod demo;
pub mod diff;
pub mod doctor;
pub mod elasticsearch;
pub mod explain;
pub mod forecast;
pub mod generate;
pub mod import;
pub mod init;
pub mod label;
pub mod promote;
pub mod replay;
pub mod reproduce;
pub mod run;
pub mod schema;
pub mod silence;
pub mod sink;
pub mod status;
pub mod test;
pub mod train;
pub mod tune;

use std::io::Write;

use anyhow::{Context, bail};
use margay_core::{Alert, Entity, TimeRange};
use margay_render::plain;
use serde::Serialize;

use crate::ingest::Ready;

/// Prints a text; a reader that went away is no error.
pub fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Prints one JSON document.
pub fn print_json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// The one alert whose id begins so.
pub fn find_alert<'a>(alerts: &'a [Alert], id: &str) -> anyhow::Result<&'a Alert> {
    let mut matching = alerts.iter().filter(|alert| !id.is_empty() && alert.id.starts_with(id));
    let alert =
        matching.next().with_context(|| format!("no alert has an id that begins with `{id}`; see `margay alerts`"))?;
    if matching.next().is_some() {
        bail!("several alerts have ids that begin with `{id}`; give more of it");
    }
    Ok(alert)
}

/// The entity whose JSON or whose values joined by `/` were given.
pub fn find_entity(ready: &Ready, text: &str) -> anyhow::Result<Entity> {
    let table = ready.store.read(TimeRange::ALL)?;
    let known = table.entities.iter().find(|entity| entity.to_json() == text || entity.to_string() == text);
    if let Some(entity) = known {
        return Ok(entity.clone());
    }
    let mut near: Vec<(usize, String)> = table
        .entities
        .iter()
        .map(|entity| (strsim::levenshtein(&entity.to_string(), text), entity.to_string()))
        .collect();
    near.sort();
    match near.first() {
        Some((_, nearest)) => {
            bail!("`{text}` never appears in {}; did you mean `{}`?", ready.definition.name, plain(nearest))
        }
        None => bail!("{} has seen nothing yet: no row of its log passed its conditions", ready.definition.name),
    }
}
