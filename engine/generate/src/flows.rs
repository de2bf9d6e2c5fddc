//! The flow log: links carry traffic minute by minute, and each end writes what it saw when its node flushes.

use std::io::Write;

use rand::RngExt;

use crate::GenerateError;
use crate::catalogue::{self, End, LinkSpec};
use crate::clock::{FlushClock, Interval};
use crate::cluster::{Cluster, Link, Peer};
use crate::flow::{Action, Amounts, DestService, Flow, Origin, Policies, Process, Reporter, Tcp};
use crate::kind::IncidentKind;
use crate::output::{Log, Progress};
use crate::plan::{self, Plan};
use crate::probe;
use crate::random::{self, Drift};
use crate::rhythm::Rhythm;
use crate::side::Side;
use crate::world::World;

/// Requests that share a connection.
const REQUESTS_PER_CONNECTION: f64 = 12.0;
/// Connections of a link that stay open from one flush to the next.
const OPEN_CONNECTIONS: u64 = 2;
/// Bytes of a full packet.
const PACKET_BYTES: u64 = 1200;
/// Spread of the counts within a minute, see [`random::count`].
const COUNT_SHAPE: f64 = 60.0;
/// Spread of the mean size of a request, in natural logarithms.
const SIZE_SIGMA: f64 = 0.08;
/// Spread of the slow wandering of a link's rate, in natural logarithms.
const DRIFT_SIGMA: f64 = 0.1;
/// Minutes between two steps of that wandering.
const DRIFT_MINUTES: i64 = 5;
/// Chance that a process is replaced within a flush interval on a normal day.
const REPLACED_RATIO: f64 = 0.0004;
/// Process ids on a Linux node are below this.
const PROCESS_IDS: u32 = 4_194_304;
/// The policy that lets declared links through.
const ALLOWED_BY: &str = "0|application|application.allow-declared|allow|0";

/// DNS queries that every workload sends, seen as traffic.
static DNS_LINK: LinkSpec = LinkSpec {
    from: End::Out("", ""),
    to: End::Out("", ""),
    rhythm: Rhythm::Flat,
    rate: 24.0,
    bytes: (75.0, 160.0),
    http: None,
};

/// Bytes of one piece that an exfiltration sends.
const PIECE_BYTES: f64 = 64e3;

/// The link of an exfiltration, silent but for the incident.
static EXFILTRATION_LINK: LinkSpec = LinkSpec {
    from: End::Out("", ""),
    to: End::Out("", ""),
    rhythm: Rhythm::Flat,
    rate: plan::EXFILTRATION_BYTES_PER_MINUTE / PIECE_BYTES,
    bytes: (PIECE_BYTES, 600.0),
    http: None,
};

/// Writes the flow log.
pub(crate) fn write<W: Write>(world: World<'_>, log: &mut Log<W>, progress: &Progress) -> Result<(), GenerateError> {
    let mut clocks = FlushClock::all(world.seed, "flows", &world.cluster.nodes, world.period.start);
    let extra = extra_links(&world);
    let mut lanes: Vec<Lane<'_>> =
        world.cluster.links.iter().chain(&extra).map(|link| Lane::new(world.seed, link)).collect();
    for minute in (world.period.start..world.period.end).step_by(60) {
        for lane in &mut lanes {
            lane.pass(world, &clocks, minute, log)?;
        }
        for (node, clock) in clocks.iter_mut().enumerate() {
            if let Some(interval) = clock.due(minute + 60) {
                probe::write(world, node, interval, log)?;
            }
            clock.advance(minute + 60);
        }
        progress.at(world.period, minute);
    }
    Ok(())
}

/// Links that the catalogue does not list: DNS of every workload, and the ways out of exfiltrations.
fn extra_links(world: &World<'_>) -> Vec<Link> {
    let server = world.cluster.find(catalogue::DNS_SERVER.0, catalogue::DNS_SERVER.1);
    let dns = (0..world.cluster.workloads.len()).filter(|at| *at != server).map(|at| Link {
        name: format!("dns/{at}"),
        from: Peer::Workload(at),
        to: Peer::Workload(server),
        spec: &DNS_LINK,
        lane: at,
    });
    let mut thieves: Vec<usize> = world.plan.of(IncidentKind::Exfiltration).map(|incident| incident.workload).collect();
    thieves.sort_unstable();
    thieves.dedup();
    let out = thieves.into_iter().map(|at| Link {
        name: format!("exfiltration/{at}"),
        from: Peer::Workload(at),
        to: Peer::Outside(plan::EXFILTRATION_TARGET.0, plan::EXFILTRATION_TARGET.1),
        spec: &EXFILTRATION_LINK,
        lane: 0,
    });
    dns.chain(out).collect()
}

/// What went over a link; `up` is from source to destination.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    connections: f64,
    bytes_up: f64,
    bytes_down: f64,
}

impl Tally {
    fn add(&mut self, other: Self, share: f64) {
        self.connections += other.connections * share;
        self.bytes_up += other.bytes_up * share;
        self.bytes_down += other.bytes_down * share;
    }

    /// Takes the whole part out and leaves the fractions for the next document.
    fn take(&mut self) -> Self {
        let whole = Self {
            connections: self.connections.floor(),
            bytes_up: self.bytes_up.floor(),
            bytes_down: self.bytes_down.floor(),
        };
        self.add(whole, -1.0);
        whole
    }
}

/// A link in motion.
struct Lane<'a> {
    link: &'a Link,
    drift: Drift,
    level: f64,
    /// The ends that write, each with what it has seen since its last flush.
    ends: Vec<(Reporter, Tally)>,
}

impl<'a> Lane<'a> {
    fn new(seed: u64, link: &'a Link) -> Self {
        let ends = [(Reporter::Source, link.from), (Reporter::Destination, link.to)]
            .into_iter()
            .filter(|(_, peer)| matches!(peer, Peer::Workload(_)))
            .map(|(reporter, _)| (reporter, Tally::default()))
            .collect();
        let drift = Drift::new(random::stream(seed, &["flows", &link.name]), DRIFT_SIGMA);
        Self { link, drift, level: 1.0, ends }
    }

    /// One minute: traffic, and documents of each end whose node flushes in it.
    fn pass<W: Write>(
        &mut self,
        world: World<'_>,
        clocks: &[FlushClock],
        minute: i64,
        log: &mut Log<W>,
    ) -> Result<(), GenerateError> {
        let seen = self.traffic(world.plan, minute);
        for end in 0..self.ends.len() {
            let (reporter, mut tally) = self.ends[end];
            let node = self.own_side(world.cluster, reporter, minute).node;
            match node.and_then(|node| clocks[node].due(minute + 60)) {
                Some(interval) => {
                    let before = (interval.end - minute) as f64 / 60.0;
                    tally.add(seen, before);
                    self.flush(world, reporter, interval, tally.take(), log)?;
                    tally.add(seen, 1.0 - before);
                }
                None => tally.add(seen, 1.0),
            }
            self.ends[end].1 = tally;
        }
        Ok(())
    }

    fn traffic(&mut self, plan: &Plan, minute: i64) -> Tally {
        let spec = self.link.spec;
        if minute.rem_euclid(60 * DRIFT_MINUTES) == 0 {
            self.level = self.drift.step();
        }
        let during = Interval { start: minute, end: minute + 60 };
        let incident = match (self.link.from, self.link.to) {
            (Peer::Workload(from), _) if std::ptr::eq(spec, &EXFILTRATION_LINK) => {
                plan.share(IncidentKind::Exfiltration, from, during)
            }
            (_, Peer::Workload(to)) if spec.http.is_some() => {
                plan.factor(IncidentKind::ConnectionFlood, to, during, plan::FLOOD_FACTOR)
            }
            _ => 1.0,
        };
        let mean = spec.rate * spec.rhythm.level(minute) * self.level * incident;
        let requests = random::count(self.drift.random(), mean, COUNT_SHAPE);
        let size = random::log_normal(self.drift.random(), SIZE_SIGMA);
        Tally {
            connections: requests / REQUESTS_PER_CONNECTION,
            bytes_up: requests * spec.bytes.0 * size,
            bytes_down: requests * spec.bytes.1 * size,
        }
    }

    fn own_side<'c>(&self, cluster: &'c Cluster, reporter: Reporter, time: i64) -> Side<'c> {
        let peer = if reporter == Reporter::Source { self.link.from } else { self.link.to };
        Side::new(cluster, peer, self.link.lane, time)
    }

    /// Writes one document for each process that spoke: several where it was started again.
    fn flush<W: Write>(
        &mut self,
        world: World<'_>,
        reporter: Reporter,
        interval: Interval,
        tally: Tally,
        log: &mut Log<W>,
    ) -> Result<(), GenerateError> {
        if tally.bytes_up + tally.bytes_down == 0.0 {
            return Ok(());
        }
        let replaced = u32::from(self.drift.random().random_bool(REPLACED_RATIO));
        let restarts = match (reporter, self.link.from) {
            (Reporter::Source, Peer::Workload(from)) => world.plan.restarts(from, interval).max(replaced),
            _ => replaced,
        };
        let first = self.own_side(world.cluster, reporter, interval.end).process_id;
        let mut left = Tally::default();
        for number in 0..=restarts {
            let id = match number {
                0 => first,
                _ => self.drift.random().random_range(1..PROCESS_IDS),
            };
            left.add(tally, 1.0 / f64::from(restarts + 1));
            log.row(&self.document(world.cluster, reporter, interval, left.take(), &id.to_string()))?;
        }
        Ok(())
    }

    fn document<'d>(
        &self,
        cluster: &'d Cluster,
        reporter: Reporter,
        interval: Interval,
        sent: Tally,
        process_id: &'d str,
    ) -> Flow<'d> {
        let source = Side::new(cluster, self.link.from, self.link.lane, interval.end);
        let dest = Side::new(cluster, self.link.to, self.link.lane, interval.end);
        let own = if reporter == Reporter::Source { &source } else { &dest };
        let dns = std::ptr::eq(self.link.spec, &DNS_LINK);
        let amounts = amounts(reporter, sent);
        let rtt_us = if source.node.and(dest.node).is_some() { 420 } else { 18_000 };
        Flow {
            span: interval.into(),
            host: own.node.map_or("-", |node| &cluster.nodes[node]),
            reporter,
            action: Action::Allow,
            proto: if dns { "udp" } else { "tcp" },
            source: (&source).into(),
            dest: (&dest).into(),
            service: DestService::seen_by(reporter, &source, &dest),
            amounts,
            policies: Policies::enforced(ALLOWED_BY),
            process: Process::one(own.process, process_id),
            origin: Origin::seen_by(reporter, &source),
            tcp: if dns { Tcp::default() } else { Tcp::usual(rtt_us, amounts.packets_in + amounts.packets_out) },
        }
    }
}

/// A tally from the point of view of an end.
fn amounts(reporter: Reporter, sent: Tally) -> Amounts {
    let (up, down, started) = (sent.bytes_up as u64, sent.bytes_down as u64, sent.connections as u64);
    let (bytes_in, bytes_out) = if reporter == Reporter::Source { (down, up) } else { (up, down) };
    let packets = |bytes: u64| bytes / PACKET_BYTES + 2 * started + 1;
    Amounts {
        bytes_in,
        bytes_out,
        packets_in: packets(bytes_in),
        packets_out: packets(bytes_out),
        num_flows: started + OPEN_CONNECTIONS,
        num_flows_started: started,
        num_flows_completed: started,
    }
}
