//! The L7 log: HTTP requests of each link in a flush interval, by answer.

use std::io::Write;

use serde::Serialize;

use crate::GenerateError;
use crate::catalogue::Http;
use crate::clock::{FlushClock, Interval};
use crate::cluster::{Link, Peer};
use crate::kind::IncidentKind;
use crate::output::{Log, Progress};
use crate::plan::{FAILING_RATIO, FLOOD_FACTOR, SLOW_FACTOR};
use crate::random::{self, Drift};
use crate::side::Side;
use crate::world::World;

/// Share of requests that fail on a normal day.
const ERROR_RATIO: f64 = 0.0006;
/// Spread of counts, of sizes and of latencies.
const COUNT_SHAPE: f64 = 60.0;
const SIZE_SIGMA: f64 = 0.05;
const LATENCY_SIGMA: f64 = 0.04;
const DRIFT_SIGMA: f64 = 0.08;
/// How much slower a service is at its peak than when idle.
const LOAD_EFFECT: f64 = 0.25;

/// One document of `tigera_secure_ee_l7`.
#[derive(Debug, Serialize)]
struct Requests<'a> {
    host: &'a str,
    start_time: i64,
    end_time: i64,
    count: u64,
    duration_mean: u64,
    duration_max: u64,
    latency: u64,
    bytes_in: u64,
    bytes_out: u64,
    src_name_aggr: &'a str,
    src_namespace: &'a str,
    src_type: &'static str,
    source_port_num: Option<u16>,
    dest_name_aggr: &'a str,
    dest_namespace: &'a str,
    dest_type: &'static str,
    dest_port_num: u16,
    dest_service_name: &'a str,
    dest_service_namespace: &'a str,
    dest_service_port: u16,
    dest_service_port_name: &'static str,
    url: String,
    method: &'static str,
    user_agent: &'static str,
    response_code: &'static str,
    #[serde(rename = "type")]
    kind: &'static str,
}

/// Writes the L7 log.
pub(crate) fn write<W: Write>(world: World<'_>, log: &mut Log<W>, progress: &Progress) -> Result<(), GenerateError> {
    let mut clocks = FlushClock::all(world.seed, "l7", &world.cluster.nodes, world.period.start);
    let mut routes: Vec<Route<'_>> =
        world.cluster.links.iter().filter_map(|link| Route::new(world.seed, link)).collect();
    for minute in (world.period.start..world.period.end).step_by(60) {
        for route in &mut routes {
            let dest = Side::new(world.cluster, route.link.to, route.link.lane, minute);
            if let Some(interval) = dest.node.and_then(|node| clocks[node].due(minute + 60)) {
                route.write(world, interval, log)?;
            }
        }
        clocks.iter_mut().for_each(|clock| clock.advance(minute + 60));
        progress.at(world.period, minute);
    }
    Ok(())
}

/// An HTTP link in motion.
struct Route<'a> {
    link: &'a Link,
    http: Http,
    dest: usize,
    drift: Drift,
}

/// Requests with one answer.
#[derive(Clone, Copy)]
struct Answer {
    code: &'static str,
    count: f64,
    /// Bytes of an answer.
    bytes: f64,
}

impl<'a> Route<'a> {
    fn new(seed: u64, link: &'a Link) -> Option<Self> {
        let (Some(http), Peer::Workload(dest)) = (link.spec.http, link.to) else { return None };
        Some(Self { link, http, dest, drift: Drift::new(random::stream(seed, &["l7", &link.name]), DRIFT_SIGMA) })
    }

    fn write<W: Write>(&mut self, world: World<'_>, interval: Interval, log: &mut Log<W>) -> Result<(), GenerateError> {
        let level = self.link.spec.rhythm.level(interval.middle());
        let drift = self.drift.step();
        let during = |kind, factor| world.plan.factor(kind, self.dest, interval, factor);
        let (flood, slow) =
            (during(IncidentKind::ConnectionFlood, FLOOD_FACTOR), during(IncidentKind::Latency, SLOW_FACTOR));
        let failing = world.plan.share(IncidentKind::Http5xx, self.dest, interval) * FAILING_RATIO;
        let random = self.drift.random();
        let all = random::count(random, self.link.spec.rate * level * interval.minutes() * flood, COUNT_SHAPE);
        let failed = random::share(random, all, ERROR_RATIO.max(failing));
        let missing = random::share(random, all - failed, self.http.not_found_ratio);
        let down = self.link.spec.bytes.1;
        let answers = [
            Answer { code: "200", count: all - failed - missing, bytes: down },
            Answer { code: "404", count: missing, bytes: 160.0 },
            Answer { code: if failing > 0.0 { "503" } else { "500" }, count: failed, bytes: 220.0 },
        ];
        let latency_ns = self.http.latency_ms * 1e6 * drift * (1.0 + LOAD_EFFECT * level) * slow;
        for answer in answers.into_iter().filter(|answer| answer.count > 0.0) {
            self.row(world, interval, answer, latency_ns, log)?;
        }
        Ok(())
    }

    fn row<W: Write>(
        &mut self,
        world: World<'_>,
        interval: Interval,
        answer: Answer,
        latency_ns: f64,
        log: &mut Log<W>,
    ) -> Result<(), GenerateError> {
        let random = self.drift.random();
        let mean_ns = latency_ns * random::log_normal(random, LATENCY_SIGMA);
        let worst = 2.5 + random::log_normal(random, 0.6);
        let size = random::log_normal(random, SIZE_SIGMA);
        let source = Side::new(world.cluster, self.link.from, self.link.lane, interval.end);
        let dest = Side::new(world.cluster, self.link.to, self.link.lane, interval.end);
        let Some(service) = dest.service else { return Ok(()) };
        log.row(&Requests {
            host: dest.node.map_or("-", |node| &world.cluster.nodes[node]),
            start_time: interval.start,
            end_time: interval.end,
            count: answer.count as u64,
            duration_mean: mean_ns as u64,
            duration_max: (mean_ns * worst) as u64,
            latency: (mean_ns / 10.0) as u64,
            bytes_in: (answer.count * self.link.spec.bytes.0 * size) as u64,
            bytes_out: (answer.count * answer.bytes * size) as u64,
            src_name_aggr: source.name_aggr,
            src_namespace: source.namespace,
            src_type: source.kind,
            source_port_num: None,
            dest_name_aggr: dest.name_aggr,
            dest_namespace: dest.namespace,
            dest_type: dest.kind,
            dest_port_num: dest.port,
            dest_service_name: service.name,
            dest_service_namespace: dest.namespace,
            dest_service_port: service.port,
            dest_service_port_name: service.port_name,
            url: format!("{}.{}{}", service.name, dest.namespace, self.http.url),
            method: self.http.method,
            user_agent: "-",
            response_code: answer.code,
            kind: "html/1.1",
        })
    }
}
