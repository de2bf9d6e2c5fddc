//! The page at `/`: detectors and the newest alerts, as HTML without a script.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Html;
use margay_core::{Alert, Time};
use margay_render::{VALUE_CHARS_MOST, html};

use crate::overview::Row;
use crate::web::api::{Wanted, newest};
use crate::web::{Failure, Site};

const ALERTS_MOST: usize = 50;
/// Characters of a summary or a reason that are shown at most.
const SENTENCE_CHARS_MOST: usize = 2048;
const HEAD: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>margay</title>\n\
    <style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}\
    th,td{text-align:left;padding:.2em .8em;border-bottom:1px solid #ccc}</style>\n";

/// Answers `/`.
pub(super) async fn page(State(site): State<Arc<Site>>) -> Result<Html<String>, Failure> {
    let Some(scene) = site.board.scene() else {
        return Ok(Html(format!("{HEAD}<h1>margay</h1>\n<p>Standing by: another margay has the state.</p>\n")));
    };
    let text = site.read(move |_| {
        let list = newest(&scene, &Wanted::newest(ALERTS_MOST))?;
        Ok(format!("{HEAD}<h1>margay</h1>\n{}{}", detectors(&scene.rows()?), alerts(&list.alerts)))
    });
    Ok(Html(text.await?))
}

fn detectors(rows: &[Row]) -> String {
    let mut text = "<h2>Detectors</h2>\n<table>\n".to_owned();
    cells(&mut text, "th", ["name", "mode", "state", "judged until", "rows", "reason"].map(str::to_owned));
    for row in rows {
        let status = &row.status;
        let reason = sentence(status.reason.as_deref().unwrap_or(""));
        let judged = status.watermark.map_or_else(|| "-".to_owned(), |time: Time| time.to_string());
        let shown = [value(&row.name), value(&row.mode), value(&status.state), judged, status.rows.to_string(), reason];
        cells(&mut text, "td", shown);
    }
    text + "</table>\n"
}

fn alerts(alerts: &[Alert]) -> String {
    let mut text = format!("<h2>The newest {ALERTS_MOST} alerts</h2>\n<table>\n");
    cells(&mut text, "th", ["start", "status", "severity", "detector", "entity", "summary"].map(str::to_owned));
    for alert in alerts {
        let entity = value(&alert.entity.to_string());
        let id = value(&alert.id);
        let start = format!("<a href=\"/api/v1/alerts/{id}\">{}</a>", alert.start);
        let (status, severity) = (alert.status.to_string(), alert.severity.to_string());
        cells(&mut text, "td", [start, status, severity, value(&alert.detector), entity, sentence(&alert.summary)]);
    }
    text + "</table>\n"
}

/// A row of cells that are HTML already.
fn cells<const N: usize>(text: &mut String, tag: &str, cells: [String; N]) {
    text.push_str("<tr>");
    for cell in cells {
        write!(text, "<{tag}>{cell}</{tag}>").expect("a string takes what is written");
    }
    text.push_str("</tr>\n");
}

fn value(value: &str) -> String {
    html(value, VALUE_CHARS_MOST)
}

fn sentence(value: &str) -> String {
    html(value, SENTENCE_CHARS_MOST)
}
