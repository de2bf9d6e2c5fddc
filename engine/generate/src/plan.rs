//! Which incidents happen when, to whom and how strongly.

use margay_core::Time;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::clock::Interval;
use crate::cluster::{Cluster, Peer, Workload};
use crate::kind::IncidentKind;
use crate::random;

/// Ports that a scan tries in a minute: `nmap -T4` against a filtered host does a few hundred.
pub(crate) const SCAN_PORTS_PER_MINUTE: f64 = 180.0;
/// Addresses that a sweep tries in a minute.
pub(crate) const SWEEP_ADDRESSES_PER_MINUTE: f64 = 30.0;
/// The workload that scans look at.
pub(crate) const SCANNED: (&str, &str) = ("data", "postgres");
/// Port that a sweep looks for.
pub(crate) const SWEEP_PORT: u16 = 445;
/// Bytes a minute that leave during an exfiltration: 1.6 Mbit/s.
pub(crate) const EXFILTRATION_BYTES_PER_MINUTE: f64 = 12e6;
/// Domain and address to which they go.
pub(crate) const EXFILTRATION_TARGET: (&str, &str) = ("paste-cdn.example.net", "203.0.113.199");
/// Factor on the time to an answer of a slow service.
pub(crate) const SLOW_FACTOR: f64 = 4.0;
/// Share of 5xx of a failing service.
pub(crate) const FAILING_RATIO: f64 = 0.15;
/// Factor on the requests to a flooded service.
pub(crate) const FLOOD_FACTOR: f64 = 8.0;
/// Factor on the time to an answer of slow DNS.
pub(crate) const SLOW_DNS_FACTOR: f64 = 100.0;
/// Seconds between two starts of a process that keeps dying.
const RESTART_EVERY_S: i64 = 60;

/// An incident that was planted: what a detector should find.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Planted {
    /// Unique among the incidents of one run.
    pub id: String,
    /// Name of the [`IncidentKind`].
    pub kind: String,
    /// Name of the shipped detector that should find it.
    pub detector: String,
    /// That detector's entity.
    pub entity: Map<String, Value>,
    /// Common names of all workloads and services whose logs the incident changes: an alert about one
    /// of them at this time is no false one.
    pub involved: Vec<String>,
    /// First instant.
    pub start: Time,
    /// First instant after.
    pub end: Time,
}

/// An incident and the workload it happens to.
pub(crate) struct Incident {
    pub(crate) kind: IncidentKind,
    /// Index into [`Cluster::workloads`].
    pub(crate) workload: usize,
    pub(crate) when: Interval,
}

/// Everything that was planted.
pub(crate) struct Plan {
    incidents: Vec<Incident>,
}

impl Plan {
    /// Spreads `kinds` over the second half of `period`, each for a quarter to three quarters of an hour.
    pub(crate) fn new(seed: u64, kinds: &[IncidentKind], cluster: &Cluster, period: Interval) -> Self {
        let mut random = random::stream(seed, &["plan"]);
        let half = Interval { start: period.middle(), end: period.end };
        let slot = (half.end - half.start) / (kinds.len().max(1) as i64);
        let incidents = kinds
            .iter()
            .enumerate()
            .map(|(at, &kind)| {
                let earlier = kinds[..at].iter().filter(|other| **other == kind).count();
                let candidates = victims(kind);
                let (namespace, name) = candidates[earlier % candidates.len()];
                let slot_start = half.start + slot * at as i64;
                let when = place(&mut random, kind, Interval { start: slot_start, end: slot_start + slot });
                Incident { kind, workload: cluster.find(namespace, name), when }
            })
            .collect();
        Self { incidents }
    }

    /// The incidents as they are listed for people and tests.
    pub(crate) fn planted(&self, cluster: &Cluster) -> Vec<Planted> {
        let list = |(at, incident): (usize, &Incident)| Planted {
            id: format!("incident-{:02}-{}", at + 1, incident.kind),
            kind: incident.kind.to_string(),
            detector: incident.kind.detector().to_owned(),
            entity: entity(incident.kind, &cluster.workloads[incident.workload], incident.when.start),
            involved: involved(incident, cluster),
            start: Time(incident.when.start * 1000),
            end: Time(incident.when.end * 1000),
        };
        self.incidents.iter().enumerate().map(list).collect()
    }

    /// Incidents of a kind.
    pub(crate) fn of(&self, kind: IncidentKind) -> impl Iterator<Item = &Incident> {
        self.incidents.iter().filter(move |incident| incident.kind == kind)
    }

    /// Share of `interval` during which a workload suffers from a kind of incident.
    pub(crate) fn share(&self, kind: IncidentKind, workload: usize, interval: Interval) -> f64 {
        let shared: i64 = self
            .of(kind)
            .filter(|incident| incident.workload == workload)
            .map(|incident| incident.when.overlap_s(interval))
            .sum();
        shared as f64 / (interval.end - interval.start).max(1) as f64
    }

    /// `factor` during incidents of a kind, 1 otherwise, and what lies between for intervals that are partly in.
    pub(crate) fn factor(&self, kind: IncidentKind, workload: usize, interval: Interval, factor: f64) -> f64 {
        1.0 + (factor - 1.0) * self.share(kind, workload, interval)
    }

    /// How often the process of a workload was started again within `interval`.
    pub(crate) fn restarts(&self, workload: usize, interval: Interval) -> u32 {
        let seconds =
            self.share(IncidentKind::RestartLoop, workload, interval) * (interval.end - interval.start) as f64;
        (seconds as i64 / RESTART_EVERY_S) as u32
    }
}

/// A random stretch within `slot`, on whole minutes, that leaves air at both ends.
fn place(random: &mut ChaCha8Rng, kind: IncidentKind, slot: Interval) -> Interval {
    let minutes = match kind {
        IncidentKind::PortScan | IncidentKind::IpSweep => random.random_range(15..=25),
        IncidentKind::ConnectionFlood | IncidentKind::Http5xx | IncidentKind::RestartLoop => {
            random.random_range(25..=40)
        }
        IncidentKind::Exfiltration | IncidentKind::Latency | IncidentKind::DnsLatency => random.random_range(35..=55),
    };
    let length = (minutes * 60).min((slot.end - slot.start) / 2).max(60);
    let room = slot.end - slot.start - length;
    let start = slot.start + room / 4 + random.random_range(0..=(room / 2).max(0));
    let start = start - start.rem_euclid(60);
    Interval { start, end: start + length - length.rem_euclid(60) }
}

/// Workloads that a kind can happen to; the first is taken first.
fn victims(kind: IncidentKind) -> &'static [(&'static str, &'static str)] {
    match kind {
        IncidentKind::PortScan => &[("shop", "recommend"), ("payments", "fraud")],
        IncidentKind::IpSweep => &[("payments", "notify"), ("monitoring", "grafana")],
        IncidentKind::Exfiltration => &[("payments", "ledger"), ("shop", "cart")],
        IncidentKind::Latency => &[("shop", "search"), ("payments", "fraud")],
        IncidentKind::Http5xx => &[("payments", "api"), ("shop", "recommend")],
        IncidentKind::ConnectionFlood => &[("shop", "gateway"), ("shop", "catalog")],
        IncidentKind::RestartLoop => &[("data", "etl"), ("shop", "checkout")],
        IncidentKind::DnsLatency => &[("payments", "fraud"), ("shop", "web")],
    }
}

/// The entity under which the detector of a kind knows a workload.
fn entity(kind: IncidentKind, workload: &Workload, time: i64) -> Map<String, Value> {
    let namespace = workload.namespace.as_str();
    let name_aggr = workload.at(time).name_aggr.as_str();
    let columns: &[(&str, &str)] = match kind {
        IncidentKind::PortScan | IncidentKind::IpSweep | IncidentKind::Exfiltration => {
            &[("source_namespace", namespace), ("source_name_aggr", name_aggr)]
        }
        IncidentKind::Latency | IncidentKind::Http5xx | IncidentKind::ConnectionFlood => {
            &[("dest_namespace", namespace), ("dest_service_name", workload.service)]
        }
        IncidentKind::RestartLoop => {
            &[("source_namespace", namespace), ("source_name_aggr", name_aggr), ("process_name", workload.process)]
        }
        IncidentKind::DnsLatency => &[("client_namespace", namespace), ("client_name_aggr", name_aggr)],
    };
    columns.iter().map(|(column, value)| ((*column).to_owned(), Value::from(*value))).collect()
}

/// Names of the workload, of its service, and of those at the other end of the traffic that changes.
fn involved(incident: &Incident, cluster: &Cluster) -> Vec<String> {
    let mut workloads = vec![incident.workload];
    match incident.kind {
        IncidentKind::PortScan => workloads.push(cluster.find(SCANNED.0, SCANNED.1)),
        IncidentKind::ConnectionFlood => {
            let clients = cluster.links.iter().filter(|link| link.to == Peer::Workload(incident.workload));
            workloads.extend(clients.filter_map(|link| match (link.from, link.spec.http) {
                (Peer::Workload(client), Some(_)) => Some(client),
                _ => None,
            }));
        }
        _ => {}
    }
    let names = workloads.into_iter().flat_map(|at| {
        let workload = &cluster.workloads[at];
        [workload.at(incident.when.start).name_aggr.clone(), workload.service.to_owned()]
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Interval = Interval { start: 1_795_392_000, end: 1_795_392_000 + 14 * 86_400 };

    #[test]
    fn incidents_lie_in_the_second_half_apart_and_for_15_to_60_minutes() {
        let cluster = Cluster::new(3, 60, PERIOD);
        let plan = Plan::new(3, &IncidentKind::ALL, &cluster, PERIOD);
        let planted = plan.planted(&cluster);
        assert_eq!(planted.len(), 8);
        for pair in planted.windows(2) {
            assert!(pair[1].start.since(pair[0].end).seconds() > 4.0 * 3600.0);
        }
        for incident in &planted {
            assert!(incident.start.0 / 1000 > PERIOD.middle() && incident.end.0 / 1000 < PERIOD.end);
            assert!((15.0..=60.0).contains(&(incident.end.since(incident.start).seconds() / 60.0)), "{incident:?}");
        }
    }

    #[test]
    fn an_interval_half_inside_feels_half_the_effect() {
        let cluster = Cluster::new(3, 60, PERIOD);
        let plan = Plan::new(3, &[IncidentKind::Latency], &cluster, PERIOD);
        let incident = &plan.incidents[0];
        let across = Interval { start: incident.when.start - 60, end: incident.when.start + 60 };
        assert_eq!(plan.factor(IncidentKind::Latency, incident.workload, across, 4.0), 2.5);
        assert_eq!(plan.factor(IncidentKind::Latency, incident.workload + 1, across, 4.0), 1.0);
        assert_eq!(plan.factor(IncidentKind::Http5xx, incident.workload, across, 4.0), 1.0);
    }

    #[test]
    fn two_incidents_of_one_kind_happen_to_different_workloads() {
        let cluster = Cluster::new(3, 60, PERIOD);
        let plan = Plan::new(3, &[IncidentKind::PortScan; 2], &cluster, PERIOD);
        assert_ne!(plan.incidents[0].workload, plan.incidents[1].workload);
    }
}
