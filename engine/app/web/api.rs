//! `/api/v1`: the state and the alerts as JSON.

use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use margay_core::{Alert, AlertStatus};
use margay_render::{alert_json, json_line};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::order::Brief;
use crate::overview::Scene;
use crate::web::{Failure, Site, json, openapi};

/// Alerts that one answer holds at most, and where nobody says how many.
const ALERTS_MOST: usize = 1000;
const ALERTS_USUAL: usize = 100;

/// Which alerts are wanted.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    /// Those of this detector.
    #[schemars(with = "String")]
    detector: Option<String>,
    /// Those that stand so.
    #[schemars(with = "AlertStatus")]
    status: Option<AlertStatus>,
    /// Those of shadow detectors, which are kept apart.
    shadow: bool,
    /// How many, the newest first.
    #[schemars(range(min = 1, max = 1000))]
    limit: usize,
    /// Only those that follow the alert with this id: the last one of the list before.
    #[schemars(with = "String")]
    after: Option<String>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { detector: None, status: None, shadow: false, limit: ALERTS_USUAL, after: None }
    }
}

/// Some alerts, the newest first.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(super) struct AlertList {
    /// The alerts.
    pub(super) alerts: Vec<Alert>,
    /// Older ones that match as well.
    left_out: usize,
}

/// Answers `/api/v1/status`.
pub(super) async fn status(State(site): State<Arc<Site>>) -> Result<Response, Failure> {
    Ok(json(site.read(|board| Ok(json_line(&board.running()?.overview()?))).await?))
}

/// Answers `/api/v1/alerts`.
pub(super) async fn alerts(
    State(site): State<Arc<Site>>,
    query: Result<Query<Wanted>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(wanted) = query.map_err(|error| Failure::Bad(error.body_text()))?;
    if !(1..=ALERTS_MOST).contains(&wanted.limit) {
        return Err(Failure::Bad(format!("`limit` is 1 to {ALERTS_MOST}")));
    }
    Ok(json(site.read(move |board| Ok(json_line(&newest(&*board.running()?, &wanted)?))).await?))
}

/// Answers `/api/v1/alerts/{id}`.
pub(super) async fn alert(
    State(site): State<Arc<Site>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(|error| Failure::Bad(error.body_text()))?;
    let found = site.read(move |board| Ok(board.running()?.state.alert(&id)?)).await?;
    found.map(|alert| json(alert_json(&alert))).ok_or(Failure::Missing("no alert has this id"))
}

/// Answers `/api/v1/openapi.json`.
pub(super) async fn description() -> Response {
    json(json_line(&openapi::description()))
}

/// The newest alerts of those that are wanted.
pub(super) fn newest(scene: &Scene, wanted: &Wanted) -> Result<AlertList, Failure> {
    let shadows = scene.shadows();
    let is_wanted = |brief: &Brief| {
        wanted.detector.as_ref().is_none_or(|name| brief.detector == *name)
            && wanted.status.is_none_or(|status| brief.status == status)
            && shadows.contains(&brief.detector[..]) == wanted.shadow
    };
    let after = match &wanted.after {
        Some(id) => Some(scene.state.alert(id)?.ok_or(Failure::Missing("no alert has the id of `after`"))?),
        None => None,
    };
    let (mut ids, mut left_out) = (Vec::new(), 0);
    scene.state.briefs(after.as_ref(), |brief| {
        match is_wanted(&brief) {
            true if ids.len() < wanted.limit => ids.push(brief.id),
            true => left_out += 1,
            false => {}
        }
        true
    })?;
    let mut alerts = Vec::new();
    for id in ids {
        alerts.extend(scene.state.alert(&id)?);
    }
    Ok(AlertList { alerts, left_out })
}

impl Wanted {
    /// So many of all.
    pub(super) fn newest(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }
}
