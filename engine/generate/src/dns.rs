//! The DNS log: what each workload asked for in a flush interval, by name and answer.

use std::io::Write;

use margay_core::Time;
use serde::Serialize;

use crate::GenerateError;
use crate::catalogue;
use crate::clock::{FlushClock, Interval};
use crate::cluster::{Cluster, Peer};
use crate::kind::IncidentKind;
use crate::output::{Log, Progress};
use crate::plan::SLOW_DNS_FACTOR;
use crate::random::{self, Drift};
use crate::rhythm::Rhythm;
use crate::side::Side;
use crate::world::World;

/// Names that a workload asks for: the first of its links.
const NAMES_MAX: usize = 2;
/// Queries a minute for each name at the peak.
const QUERIES_PER_MINUTE: f64 = 12.0;
/// Queries a minute of workloads that speak to nobody, for the API server.
const QUERIES_PER_MINUTE_IDLE: f64 = 0.6;
/// Queries a minute for names that do not exist because of the search path.
const SEARCH_PATH_PER_MINUTE: f64 = 1.5;
/// Usual time to an answer in milliseconds: from the cluster, and from outside.
const LATENCY_MS: (f64, f64) = (0.45, 6.0);
/// Spread of counts and of latencies.
const COUNT_SHAPE: f64 = 40.0;
const LATENCY_SIGMA: f64 = 0.06;
const DRIFT_SIGMA: f64 = 0.08;

/// One document of `tigera_secure_ee_dns`.
#[derive(Debug, Serialize)]
struct Lookup<'a> {
    start_time: Time,
    end_time: Time,
    #[serde(rename = "type")]
    kind: &'static str,
    count: u64,
    client_name: &'static str,
    client_name_aggr: &'a str,
    client_namespace: &'a str,
    client_ip: Option<&'a str>,
    client_labels: &'a [String],
    qname: &'a str,
    qtype: &'static str,
    qclass: &'static str,
    rcode: &'static str,
    rrsets: Vec<RecordSet<'a>>,
    servers: [Server<'a>; 1],
    latency_count: u64,
    latency_mean: u64,
    latency_max: u64,
    host: &'a str,
}

#[derive(Debug, Serialize)]
struct RecordSet<'a> {
    name: &'a str,
    class: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
    rdata: [&'a str; 1],
}

#[derive(Debug, Serialize)]
struct Server<'a> {
    ip: &'a str,
    name: &'a str,
    name_aggr: &'a str,
    namespace: &'a str,
}

/// Writes the DNS log.
pub(crate) fn write<W: Write>(world: World<'_>, log: &mut Log<W>, progress: &Progress) -> Result<(), GenerateError> {
    let mut clocks = FlushClock::all(world.seed, "dns", &world.cluster.nodes, world.period.start);
    let mut questions = questions(world.seed, world.cluster);
    for minute in (world.period.start..world.period.end).step_by(60) {
        for question in &mut questions {
            let client = Side::new(world.cluster, Peer::Workload(question.client), 0, minute);
            if let Some(interval) = client.node.and_then(|node| clocks[node].due(minute + 60)) {
                question.write(world, interval, log)?;
            }
        }
        clocks.iter_mut().for_each(|clock| clock.advance(minute + 60));
        progress.at(world.period, minute);
    }
    Ok(())
}

/// A name that a workload asks for again and again.
struct Question {
    client: usize,
    server: usize,
    name: String,
    address: String,
    rhythm: Rhythm,
    rate: f64,
    latency_ms: f64,
    exists: bool,
    drift: Drift,
}

fn questions(seed: u64, cluster: &Cluster) -> Vec<Question> {
    let server = cluster.find(catalogue::DNS_SERVER.0, catalogue::DNS_SERVER.1);
    (0..cluster.workloads.len())
        .filter(|client| *client != server)
        .flat_map(|client| of_client(seed, cluster, client, server))
        .collect()
}

fn of_client(seed: u64, cluster: &Cluster, client: usize, server: usize) -> Vec<Question> {
    let namespace = &cluster.workloads[client].namespace;
    let ask = |name: String, address: &str, rhythm, rate, outside: bool| Question {
        client,
        server,
        drift: Drift::new(
            random::stream(seed, &["dns", namespace, cluster.workloads[client].name, &name]),
            DRIFT_SIGMA,
        ),
        name,
        address: address.to_owned(),
        rhythm,
        rate,
        latency_ms: if outside { LATENCY_MS.1 } else { LATENCY_MS.0 },
        exists: true,
    };
    let mut questions: Vec<Question> = Vec::new();
    for link in cluster.links.iter().filter(|link| link.from == Peer::Workload(client)).take(NAMES_MAX) {
        match link.to {
            Peer::Outside(domain, address) => {
                questions.push(ask(domain.to_owned(), address, link.spec.rhythm, QUERIES_PER_MINUTE, true));
                let expanded = format!("{domain}.{namespace}.svc.cluster.local");
                let missing = ask(expanded, "", link.spec.rhythm, SEARCH_PATH_PER_MINUTE, false);
                questions.push(Question { exists: false, ..missing });
            }
            Peer::Workload(at) => {
                let dest = &cluster.workloads[at];
                let name = format!("{}.{}.svc.cluster.local", dest.service, dest.namespace);
                let address = format!("10.96.{}.{}", at / 200, 10 + at % 200);
                questions.push(ask(name, &address, link.spec.rhythm, QUERIES_PER_MINUTE, false));
            }
        }
    }
    if questions.is_empty() {
        let name = "kubernetes.default.svc.cluster.local".to_owned();
        questions.push(ask(name, "10.96.0.1", Rhythm::Flat, QUERIES_PER_MINUTE_IDLE, false));
    }
    // Every image has one name that its configuration gets wrong.
    let stale =
        ask(format!("telemetry.{namespace}.svc.cluster.local"), "", Rhythm::Flat, QUERIES_PER_MINUTE_IDLE / 2.0, false);
    questions.push(Question { exists: false, ..stale });
    questions
}

impl Question {
    fn write<W: Write>(&mut self, world: World<'_>, interval: Interval, log: &mut Log<W>) -> Result<(), GenerateError> {
        let level = self.drift.step();
        let mean = self.rate * self.rhythm.level(interval.middle()) * interval.minutes();
        let count = random::count(self.drift.random(), mean, COUNT_SHAPE) as u64;
        let noise = random::log_normal(self.drift.random(), LATENCY_SIGMA);
        let worst = 1.5 + random::log_normal(self.drift.random(), 0.5);
        if count == 0 {
            return Ok(());
        }
        let slow = world.plan.factor(IncidentKind::DnsLatency, self.client, interval, SLOW_DNS_FACTOR);
        let latency_ns = self.latency_ms * 1e6 * level * noise * slow;
        let client = Side::new(world.cluster, Peer::Workload(self.client), 0, interval.end);
        let server = Side::new(world.cluster, Peer::Workload(self.server), 0, interval.end);
        let answer = RecordSet { name: &self.name, class: "IN", kind: "A", rdata: [&self.address] };
        log.row(&Lookup {
            start_time: Time(interval.start * 1000),
            end_time: Time(interval.end * 1000),
            kind: "LOG",
            count,
            client_name: "-",
            client_name_aggr: client.name_aggr,
            client_namespace: client.namespace,
            client_ip: None,
            client_labels: client.labels.unwrap_or_default(),
            qname: &self.name,
            qtype: "A",
            qclass: "IN",
            rcode: if self.exists { "NoError" } else { "NXDomain" },
            rrsets: if self.exists { vec![answer] } else { Vec::new() },
            servers: [Server {
                ip: server.address,
                name: server.name,
                name_aggr: server.name_aggr,
                namespace: server.namespace,
            }],
            latency_count: count,
            latency_mean: latency_ns as u64,
            latency_max: (latency_ns * worst) as u64,
            host: client.node.map_or("-", |node| &world.cluster.nodes[node]),
        })
    }
}
