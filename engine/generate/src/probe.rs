//! Flow logs of scans and sweeps: many short attempts that nobody answers.

use std::io::Write;

use crate::GenerateError;
use crate::clock::Interval;
use crate::cluster::Peer;
use crate::flow::{Action, Amounts, DestService, Flow, Origin, Policies, Process, Reporter, Tcp};
use crate::kind::IncidentKind;
use crate::output::Log;
use crate::plan::{self, Incident};
use crate::side::Side;
use crate::world::World;

/// Bytes of a connection attempt.
const SYN_BYTES: u64 = 60;
/// Step between two ports of a scan: coprime to the number of ports, so that none comes twice.
const PORT_STEP: u64 = 7919;
/// Ports that there are.
const PORTS: u64 = 65_535;
/// Process ids of the tool.
const TOOL_PROCESS_ID: &str = "48211";
/// Name of the tool's program.
const TOOL: &str = "/tmp/.cache/nm";
/// The policy that lets the scanner speak to its own cluster.
const ALLOWED_BY: &str = "0|application|application.allow-egress|allow|0";
/// The policy that stops it at the other end.
const DENIED_BY: &str = "0|application|application.default-deny|deny|-1";

/// Writes what the agent of `node` saw of scans and sweeps within `interval`.
pub(crate) fn write<W: Write>(
    world: World<'_>,
    node: usize,
    interval: Interval,
    log: &mut Log<W>,
) -> Result<(), GenerateError> {
    for incident in world.plan.of(IncidentKind::PortScan) {
        let from = Side::new(world.cluster, Peer::Workload(incident.workload), 0, incident.when.start);
        let at = world.cluster.find(plan::SCANNED.0, plan::SCANNED.1);
        let to = Side::new(world.cluster, Peer::Workload(at), 0, incident.when.start);
        for number in attempts(incident, interval, plan::SCAN_PORTS_PER_MINUTE) {
            let to = Side { port: port(number), ..to };
            for (reporter, own) in [(Reporter::Source, from), (Reporter::Destination, to)] {
                if own.node == Some(node) {
                    log.row(&document(world, reporter, interval, &from, &to))?;
                }
            }
        }
    }
    for incident in world.plan.of(IncidentKind::IpSweep) {
        let from = Side::new(world.cluster, Peer::Workload(incident.workload), 0, incident.when.start);
        if from.node != Some(node) {
            continue;
        }
        for number in attempts(incident, interval, plan::SWEEP_ADDRESSES_PER_MINUTE) {
            let address = address(number);
            let to = Side::outside("pvt", &address, plan::SWEEP_PORT);
            log.row(&document(world, Reporter::Source, interval, &from, &to))?;
        }
    }
    Ok(())
}

/// Numbers of the attempts made within `interval`: both ends count alike.
fn attempts(incident: &Incident, interval: Interval, per_minute: f64) -> std::ops::Range<u64> {
    let until = |time: i64| {
        let time = time.clamp(incident.when.start, incident.when.end);
        ((time - incident.when.start) as f64 / 60.0 * per_minute) as u64
    };
    until(interval.start)..until(interval.end)
}

fn port(number: u64) -> u16 {
    (1 + number * PORT_STEP % PORTS) as u16
}

fn address(number: u64) -> String {
    format!("10.{}.{}.{}", 40 + number / 64_000 % 200, number / 250 % 256, 1 + number % 250)
}

fn document<'d>(world: World<'d>, reporter: Reporter, interval: Interval, from: &Side<'d>, to: &Side<'d>) -> Flow<'d> {
    let outgoing = reporter == Reporter::Source;
    let own = if outgoing { from } else { to };
    let (sent, received) = if outgoing { (1, 0) } else { (0, 1) };
    Flow {
        span: interval.into(),
        host: own.node.map_or("-", |node| &world.cluster.nodes[node]),
        reporter,
        action: if outgoing { Action::Allow } else { Action::Deny },
        proto: "tcp",
        source: from.into(),
        dest: to.into(),
        service: DestService::none(),
        amounts: Amounts {
            bytes_in: received * SYN_BYTES,
            bytes_out: sent * SYN_BYTES,
            packets_in: received,
            packets_out: sent,
            num_flows: 1,
            num_flows_started: 1,
            num_flows_completed: 1,
        },
        policies: Policies::enforced(if outgoing { ALLOWED_BY } else { DENIED_BY }),
        process: if outgoing { Process::one(TOOL, TOOL_PROCESS_ID) } else { Process::one("-", "-") },
        origin: Origin::seen_by(reporter, from),
        tcp: Tcp::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_port_and_no_address_comes_twice() {
        assert_eq!((0..PORTS).map(port).collect::<BTreeSet<_>>().len() as u64, PORTS);
        assert_eq!((0..10_000).map(address).collect::<BTreeSet<_>>().len(), 10_000);
    }

    #[test]
    fn attempts_of_adjacent_intervals_neither_overlap_nor_leave_gaps() {
        let incident =
            Incident { kind: IncidentKind::PortScan, workload: 0, when: Interval { start: 1000, end: 1600 } };
        let first = attempts(&incident, Interval { start: 900, end: 1200 }, 180.0);
        let second = attempts(&incident, Interval { start: 1200, end: 1777 }, 180.0);
        assert_eq!((first.start, first.end, second.start, second.end), (0, 600, 600, 1800));
    }
}
