//! Events → alerts: what happened, told in full.

use std::collections::BTreeMap;
use std::sync::Mutex;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use margay_core::{Alert, AlertStatus, JOINT, Reading, SuspiciousRecords, Time, TimeRange, log};
use margay_decide::{Episode, Event, Incidents, Silence, alert_id, expected_false_per_week, severity, silenced};
use margay_features::{Feed, Want, sample, sample_columns};
use margay_render::Templates;
use margay_source::{Flow, Log, Scan};
use tracing::warn;

use crate::detect::Told;
use crate::ingest::{Ready, chain, threads};
use crate::state::{State, StateError};

/// Alerts of one log and one cycle that get sample records at most; later ones say that they have none.
const SAMPLED_ALERTS_MOST: usize = 2_000;
/// Rows of a log kept while samples are taken, at most.
const EXCERPT_ROWS_MOST: usize = 2_000_000;

/// An event and the detector that it comes from.
pub struct Happening<'a> {
    /// The detector.
    pub ready: &'a Ready,
    /// The event.
    pub told: Told,
}

/// Turns events into alerts, in order of time, detector and entity.
pub struct Composer<'a> {
    /// For the summaries.
    pub templates: &'a Templates,
    /// Logs by name, for sample records.
    pub logs: &'a BTreeMap<String, Log>,
    /// Earlier revisions.
    pub state: &'a State,
    /// Alerts that are kept and not delivered.
    pub silences: &'a [Silence],
    /// Rows shown of each alert at most.
    pub records_per_alert: usize,
}

impl Composer<'_> {
    /// Alerts for `happenings`, one for each event; `incidents` remembers what belongs together.
    ///
    /// # Errors
    /// The state cannot be read.
    pub fn compose(&self, mut happenings: Vec<Happening>, incidents: &mut Incidents) -> Result<Vec<Alert>, StateError> {
        happenings.sort_by(|a, b| {
            let (one, other) = (&a.ready.definition.name, &b.ready.definition.name);
            (a.told.time, one, &a.told.entity).cmp(&(b.told.time, other, &b.told.entity))
        });
        let mut records = self.records(&happenings);
        let mut latest: BTreeMap<String, Alert> = BTreeMap::new();
        let mut alerts = Vec::with_capacity(happenings.len());
        for happening in &happenings {
            let id = happening.id();
            let before = match latest.remove(&id) {
                Some(alert) => Some(alert),
                None => self.state.alert(&id)?,
            };
            let mut alert = draft(happening, &id, before.as_ref());
            let before_evidence = before.as_ref().map(|alert| alert.evidence.clone()).unwrap_or_default();
            if !happening.ready.definition.meta.shadow {
                alert.incident = incidents.assign(&id, &alert.entity.identity(), alert.start, alert.end);
            }
            alert.silenced = silenced(self.silences, &alert, before.as_ref(), &happening.ready.definition.query.log);
            alert.suspicious_records =
                records.remove(&id).or_else(|| before.map(|alert| alert.suspicious_records)).unwrap_or_default();
            if matches!(happening.told.event, Event::Closed(_)) {
                alert.evidence = before_evidence;
            }
            alert.summary = self.summary(happening, &alert);
            latest.insert(id, alert.clone());
            alerts.push(alert);
        }
        Ok(alerts)
    }

    fn summary(&self, happening: &Happening, alert: &Alert) -> String {
        let definition = &happening.ready.definition;
        self.templates.summary(&definition.meta.summary, alert).unwrap_or_else(|error| {
            warn!(detector = definition.name, error = chain(&error), "summary could not be rendered");
            format!("{} is anomalous", margay_render::plain(&alert.entity.to_string()))
        })
    }

    /// Sample rows of every episode that opened, by alert id.
    fn records(&self, happenings: &[Happening]) -> BTreeMap<String, SuspiciousRecords> {
        let mut by_log: BTreeMap<&str, Vec<&Happening>> = BTreeMap::new();
        for happening in happenings.iter().filter(|one| matches!(one.told.event, Event::Opened(_))) {
            by_log.entry(&happening.ready.definition.query.log).or_default().push(happening);
        }
        let mut records = BTreeMap::new();
        for (name, mut opened) in by_log {
            let Some(log) = self.logs.get(name) else { continue };
            if opened.len() > SAMPLED_ALERTS_MOST {
                warn!(log = name, left_out = opened.len() - SAMPLED_ALERTS_MOST, "alerts without sample records");
                opened.truncate(SAMPLED_ALERTS_MOST);
            }
            let excerpt = excerpt(log, &opened);
            let mut by_detector: BTreeMap<&str, Vec<&Happening>> = BTreeMap::new();
            for happening in opened {
                by_detector.entry(&happening.ready.definition.name).or_default().push(happening);
            }
            for opened in by_detector.values() {
                self.take_samples(name, opened, &excerpt, &mut records);
            }
        }
        records
    }

    fn take_samples(
        &self,
        log: &str,
        opened: &[&Happening],
        excerpt: &[RecordBatch],
        records: &mut BTreeMap<String, SuspiciousRecords>,
    ) {
        let plan = &opened[0].ready.plan;
        let wants: Vec<Want> =
            opened.iter().map(|one| Want { entity: one.told.entity.clone(), range: one.span() }).collect();
        let produce = |feed: &Feed| {
            let _ = excerpt.iter().all(|batch| feed.push(batch.clone()));
        };
        match sample(plan, &wants, self.records_per_alert, &sample_columns(plan), &produce) {
            Ok(samples) => {
                for (one, sample) in opened.iter().zip(samples) {
                    records.insert(one.id(), SuspiciousRecords::from([(log.to_owned(), sample)]));
                }
            }
            Err(error) => {
                let detector = &opened[0].ready.definition.name;
                warn!(detector, error = chain(&error), "sample records could not be taken");
            }
        }
    }
}

/// Rows of the log that touch any of the episodes, all columns that samples may show.
fn excerpt(log: &Log, opened: &[&Happening]) -> Vec<RecordBatch> {
    let mut spans: Vec<TimeRange> = opened.iter().map(|one| one.span()).collect();
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    spans.dedup();
    let Some(range) = spans.iter().copied().reduce(TimeRange::hull) else { return Vec::new() };
    let mut columns: Vec<String> = opened.iter().flat_map(|one| sample_columns(&one.ready.plan)).collect();
    columns.sort_unstable();
    columns.dedup();
    let kept = Mutex::new((0usize, Vec::new()));
    let sink = |batch: RecordBatch| {
        let touching = touching(&batch, &spans);
        if touching.true_count() == 0 {
            return Flow::Continue;
        }
        let batch = filter_record_batch(&batch, &touching).expect("the mask is as long as the batch");
        let mut kept = kept.lock().expect("no panic while held");
        kept.0 += batch.num_rows();
        kept.1.push(batch);
        if kept.0 > EXCERPT_ROWS_MOST { Flow::Stop } else { Flow::Continue }
    };
    let report = log.scan(&Scan { columns, range, files: None, grouping: None, threads: threads() }, &sink, &|_| {});
    if let Some(reason) = report.failed {
        warn!(log = log.name(), reason, "samples could not be read");
        return Vec::new();
    }
    let (rows, kept) = kept.into_inner().expect("no panic while held");
    if rows > EXCERPT_ROWS_MOST {
        warn!(
            log = log.name(),
            rows, "samples were taken from as many rows only: what they left out is not all counted"
        );
    }
    kept
}

fn touching(batch: &RecordBatch, spans: &[TimeRange]) -> BooleanArray {
    let column = |name: &str| batch.column_by_name(name).map(|column| column.as_primitive::<Int64Type>());
    let (Some(starts), Some(ends)) = (column(log::START), column(log::END)) else {
        return BooleanArray::from(vec![false; batch.num_rows()]);
    };
    let touches = |start: i64, end: i64| {
        let row = TimeRange { start: Time(start), end: Time(end.max(start + 1)) };
        spans.iter().any(|span| span.overlaps(&row))
    };
    starts.values().iter().zip(ends.values()).map(|(&start, &end)| Some(touches(start, end))).collect()
}

impl Happening<'_> {
    fn episode(&self) -> &Episode {
        match &self.told.event {
            Event::Opened(episode) | Event::Worsened(episode) | Event::Closed(episode) => episode,
        }
    }

    fn id(&self) -> String {
        alert_id(&self.ready.definition.name, &self.told.entity, self.episode().start)
    }

    fn span(&self) -> TimeRange {
        TimeRange { start: self.episode().start, end: self.episode().end }
    }
}

fn draft(happening: &Happening, id: &str, before: Option<&Alert>) -> Alert {
    let (definition, told) = (&happening.ready.definition, &happening.told);
    let episode = happening.episode();
    let score = episode.peak.score;
    let status = match told.event {
        Event::Opened(_) => AlertStatus::Open,
        Event::Worsened(_) => AlertStatus::Updated,
        Event::Closed(_) => AlertStatus::Closed,
    };
    Alert {
        id: id.to_owned(),
        revision: before.map_or(0, |alert| alert.revision) + 1,
        status,
        incident: id.to_owned(),
        time: told.time,
        start: episode.start,
        end: episode.end,
        detector: definition.name.clone(),
        tags: definition.meta.tags.clone(),
        severity: severity(definition.meta.severity, score),
        score,
        expected_false_per_week: expected_false_per_week(score, told.tests_per_week, told.episode_buckets),
        entity: told.entity.clone(),
        description: definition.meta.description.clone(),
        summary: String::new(),
        features: readings(&definition.judgement.rule.features, episode),
        evidence: told.evidence.clone(),
        suspicious_records: SuspiciousRecords::new(),
        model: told.model.clone(),
        config_digest: definition.digest.clone(),
        data_digest: told.data_digest.clone(),
        engine_version: env!("CARGO_PKG_VERSION").to_owned(),
        mitre: definition.meta.mitre.clone(),
        runbook: definition.meta.runbook.clone(),
        mitigations: definition.meta.mitigations.clone(),
        gates: episode.gates.clone(),
        silenced: None,
    }
}

/// Readings of the worst bucket; features without a value are left out, and so is what stands for all of them, whose score
/// is the alert's. Open ends of an interval
/// are given as the expected value.
fn readings(features: &[String], episode: &Episode) -> BTreeMap<String, Reading> {
    let or = |value: f64, other: f64| if value.is_finite() { value } else { other };
    let pairs = episode.peak.readings.iter().zip(features);
    let known = pairs.filter(|(reading, name)| reading.value.is_finite() && *name != JOINT);
    known
        .map(|(reading, name)| {
            let expected = or(reading.expected, reading.value);
            let (lower, upper) = (or(reading.lower, expected), or(reading.upper, expected));
            let contribution = or(reading.contribution, 0.0);
            (name.clone(), Reading { expected, lower, upper, contribution, ..reading.clone() })
        })
        .collect()
}
