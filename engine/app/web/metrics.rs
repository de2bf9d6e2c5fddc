//! Metrics in Prometheus' text format. Labels are names of the configuration and fixed words, never values of logs.

use std::sync::atomic::AtomicU64;

use margay_core::{Alert, Time};
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::overview::Scene;
use crate::resident;
use crate::state::StateError;
use crate::web::board::Board;

/// States that a detector can have: one of them is 1.
const STATES: [&str; 5] = ["ok", "no_data", "running", "error", "never_ran"];
const PREFIX: &str = "margay";

type Labels = Vec<(&'static str, String)>;
type Counters = Family<Labels, Counter>;
type Gauges = Family<Labels, Gauge>;
type Seconds = Family<Labels, Gauge<f64, AtomicU64>>;

/// What is counted from the start of the process on.
pub(super) struct Meters {
    cycles: Counters,
    alerts: Counters,
    reloads: Counters,
    is_last_reload_in_use: Gauge,
}

impl Default for Meters {
    fn default() -> Self {
        let meters = Self {
            cycles: Counters::default(),
            alerts: Counters::default(),
            reloads: Counters::default(),
            is_last_reload_in_use: Gauge::default(),
        };
        for result in [true, false] {
            drop(meters.cycles.get_or_create(&result_label(result)));
            drop(meters.reloads.get_or_create(&result_label(result)));
        }
        meters.is_last_reload_in_use.set(1);
        meters
    }
}

impl Meters {
    pub(super) fn cycle_ended(&self, alerts: &[Alert]) {
        self.cycles.get_or_create(&result_label(true)).inc();
        for alert in alerts {
            let labels = vec![("detector", alert.detector.clone()), ("status", alert.status.to_string())];
            self.alerts.get_or_create(&labels).inc();
        }
    }

    pub(super) fn cycle_failed(&self) {
        self.cycles.get_or_create(&result_label(false)).inc();
    }

    pub(super) fn reloaded(&self, is_in_use: bool) {
        self.reloads.get_or_create(&result_label(is_in_use)).inc();
        self.is_last_reload_in_use.set(i64::from(is_in_use));
    }
}

/// All metrics as text. While the daemon stands by, those of the state are missing.
///
/// # Errors
/// The state cannot be read.
pub(super) fn text(board: &Board) -> Result<String, StateError> {
    let (mut counters, mut gauges) = (Registry::with_prefix(PREFIX), Registry::with_prefix(PREFIX));
    let meters = &board.meters;
    counters.register("cycles", "Cycles by how they ended", meters.cycles.clone());
    counters.register("alerts", "Revisions of alerts since the start", meters.alerts.clone());
    counters.register("config_reloads", "Configurations taken over or refused", meters.reloads.clone());
    let in_use = meters.is_last_reload_in_use.clone();
    gauges.register("config_last_reload_successful", "Whether the newest configuration is in use", in_use);
    let build = Gauges::default();
    build.get_or_create(&vec![("version", env!("CARGO_PKG_VERSION").to_owned())]).set(1);
    gauges.register("build_info", "Version of margay", build);
    let ready = Gauge::<i64>::default();
    ready.set(i64::from(board.is_ready()));
    gauges.register("ready", "Whether a cycle has ended well", ready);
    if let Some(bytes) = resident::bytes() {
        let resident = Gauge::<i64>::default();
        resident.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        gauges.register("resident_memory_bytes", "Memory of the process", resident);
    }
    if let Some(scene) = board.scene() {
        detectors(&scene, &mut counters, &mut gauges)?;
        alerts(&scene, &mut gauges)?;
        sinks(&scene, &mut gauges)?;
    }
    let (mut counted, mut text) = (String::new(), String::new());
    encode_registry(&mut counted, &counters).expect("a string takes what is written");
    encode_registry(&mut text, &gauges).expect("a string takes what is written");
    Ok(as_counters(&counted) + &text)
}

fn detectors(scene: &Scene, counters: &mut Registry, gauges: &mut Registry) -> Result<(), StateError> {
    let (rows, states, entities) = (Counters::default(), Gauges::default(), Gauges::default());
    let (left_out, late) = (Counters::default(), Counters::default());
    let (watermarks, runs) = (Seconds::default(), Seconds::default());
    for row in scene.rows()? {
        let own = vec![("detector", row.name.clone())];
        let with = |state: &str| vec![("detector", row.name.clone()), ("state", state.to_owned())];
        for state in STATES {
            states.get_or_create(&with(state)).set(i64::from(row.status.state == state));
        }
        for (state, count) in &row.status.entities {
            entities.get_or_create(&with(state)).set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        rows.get_or_create(&own).inc_by(row.status.rows);
        left_out.get_or_create(&own).inc_by(row.status.left_out);
        late.get_or_create(&own).inc_by(row.status.late);
        for (times, time) in [(&watermarks, row.status.watermark), (&runs, row.status.last_run)] {
            if let Some(time) = time {
                times.get_or_create(&own).set(seconds(time));
            }
        }
    }
    counters.register("detector_rows", "Log rows read", rows);
    counters.register("detector_left_out_entities", "Entities left out because they were too many, about", left_out);
    counters.register("detector_late_values", "Values that changed after they had been judged", late);
    gauges.register("detector_state", "1 for the state of the detector, 0 for the others", states);
    gauges.register("detector_entities", "Entities by their latest state", entities);
    gauges.register("detector_watermark_timestamp_seconds", "Buckets before this time were judged", watermarks);
    gauges.register("detector_last_run_timestamp_seconds", "When the last cycle ended", runs);
    Ok(())
}

fn alerts(scene: &Scene, gauges: &mut Registry) -> Result<(), StateError> {
    let kept = Gauges::default();
    for (status, count) in scene.state.alert_counts()? {
        kept.get_or_create(&vec![("status", status.to_string())]).set(i64::try_from(count).unwrap_or(i64::MAX));
    }
    gauges.register("alerts_kept", "Alerts in the state by their latest status", kept);
    Ok(())
}

fn sinks(scene: &Scene, gauges: &mut Registry) -> Result<(), StateError> {
    let (waiting, failing, dead) = (Gauges::default(), Gauges::default(), Gauges::default());
    for sink in scene.sink_rows()? {
        let own = vec![("sink", sink.name)];
        waiting.get_or_create(&own).set(i64::try_from(sink.waiting).unwrap_or(i64::MAX));
        failing.get_or_create(&own).set(i64::from(sink.error.is_some()));
        dead.get_or_create(&own).set(i64::try_from(sink.dead_letters).unwrap_or(i64::MAX));
    }
    gauges.register("outbox_waiting", "Alerts that the sink has not taken", waiting);
    gauges.register("sink_failing", "Whether the newest delivery to the sink failed", failing);
    gauges.register("dead_letters", "Alerts that the sink refused for good", dead);
    Ok(())
}

fn result_label(is_good: bool) -> Labels {
    vec![("result", if is_good { "success" } else { "failure" }.to_owned())]
}

fn seconds(time: Time) -> f64 {
    time.0 as f64 / 1000.0
}

/// OpenMetrics names a counter without its `_total`, Prometheus' older text format, which everything reads, with it.
fn as_counters(text: &str) -> String {
    let named = |line: &str| {
        let (kind, rest) = line.strip_prefix("# ")?.split_once(' ')?;
        let (name, rest) = rest.split_once(' ')?;
        Some(format!("# {kind} {name}_total {rest}\n"))
    };
    text.lines().map(|line| named(line).unwrap_or_else(|| format!("{line}\n"))).collect()
}
