//! A flow log as Felix writes it, with every key.

use serde::Serialize;

use crate::clock::Interval;
use crate::side::Side;

/// Milliseconds between the end of an interval and the moment at which its document is made.
const DELAY_MS: i64 = 1500;

/// Which end of a flow writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Reporter {
    #[serde(rename = "src")]
    Source,
    #[serde(rename = "dst")]
    Destination,
}

/// What the policies said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    Allow,
    Deny,
}

/// One document of `tigera_secure_ee_flows`.
#[derive(Debug, Serialize)]
pub(crate) struct Flow<'a> {
    #[serde(flatten)]
    pub(crate) span: Span,
    pub(crate) host: &'a str,
    pub(crate) reporter: Reporter,
    pub(crate) action: Action,
    pub(crate) proto: &'static str,
    #[serde(flatten)]
    pub(crate) source: Source<'a>,
    #[serde(flatten)]
    pub(crate) dest: Dest<'a>,
    #[serde(flatten)]
    pub(crate) service: DestService<'a>,
    #[serde(flatten)]
    pub(crate) amounts: Amounts,
    pub(crate) policies: Policies<'a>,
    #[serde(flatten)]
    pub(crate) process: Process<'a>,
    #[serde(flatten)]
    pub(crate) origin: Origin<'a>,
    #[serde(flatten)]
    pub(crate) tcp: Tcp,
}

/// The interval of a document: seconds since the epoch, but for the two that Elasticsearch adds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Span {
    start_time: i64,
    end_time: i64,
    #[serde(rename = "@timestamp")]
    timestamp_ms: i64,
    #[serde(rename = "generated_time")]
    generated_ms: i64,
}

impl From<Interval> for Span {
    fn from(interval: Interval) -> Self {
        Self {
            start_time: interval.start,
            end_time: interval.end,
            timestamp_ms: interval.end * 1000,
            generated_ms: interval.end * 1000 + DELAY_MS,
        }
    }
}

/// Labels as Calico nests them.
#[derive(Clone, Copy, Debug, Serialize)]
struct Labels<'a> {
    labels: &'a [String],
}

/// Where a flow came from. The port is aggregated away.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Source<'a> {
    source_ip: &'a str,
    source_name: &'a str,
    source_name_aggr: &'a str,
    source_namespace: &'a str,
    source_port: Option<u16>,
    source_type: &'static str,
    source_labels: Option<Labels<'a>>,
}

impl<'a> From<&Side<'a>> for Source<'a> {
    fn from(side: &Side<'a>) -> Self {
        Self {
            source_ip: side.address,
            source_name: side.name,
            source_name_aggr: side.name_aggr,
            source_namespace: side.namespace,
            source_port: None,
            source_type: side.kind,
            source_labels: side.labels.map(|labels| Labels { labels }),
        }
    }
}

/// Where a flow went.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Dest<'a> {
    dest_ip: &'a str,
    dest_name: &'a str,
    dest_name_aggr: &'a str,
    dest_namespace: &'a str,
    pub(crate) dest_port: u16,
    dest_type: &'static str,
    dest_labels: Option<Labels<'a>>,
}

impl<'a> From<&Side<'a>> for Dest<'a> {
    fn from(side: &Side<'a>) -> Self {
        Self {
            dest_ip: side.address,
            dest_name: side.name,
            dest_name_aggr: side.name_aggr,
            dest_namespace: side.namespace,
            dest_port: side.port,
            dest_type: side.kind,
            dest_labels: side.labels.map(|labels| Labels { labels }),
        }
    }
}

/// The service that was asked for, and the names by which an outside address is known.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct DestService<'a> {
    dest_service_namespace: &'a str,
    dest_service_name: &'a str,
    dest_service_port: &'a str,
    dest_service_port_num: Option<u16>,
    dest_domains: Option<[&'a str; 1]>,
}

impl<'a> DestService<'a> {
    /// What `reporter` knows: the node of the destination sees addresses after translation, so for
    /// clients within the cluster only the source knows the service.
    pub(crate) fn seen_by(reporter: Reporter, source: &Side<'_>, dest: &Side<'a>) -> Self {
        let outgoing = reporter == Reporter::Source;
        let service = dest.service.filter(|_| outgoing || source.node.is_none());
        Self {
            dest_service_namespace: service.map_or("-", |_| dest.namespace),
            dest_service_name: service.map_or("-", |service| service.name),
            dest_service_port: service.map_or("-", |service| service.port_name),
            dest_service_port_num: service.map(|service| service.port),
            dest_domains: (outgoing && !dest.domain.is_empty()).then_some([dest.domain]),
        }
    }

    /// No service: the address was used as it is.
    pub(crate) fn none() -> Self {
        Self {
            dest_service_namespace: "-",
            dest_service_name: "-",
            dest_service_port: "-",
            dest_service_port_num: None,
            dest_domains: None,
        }
    }
}

/// How much went over, as the reporter sees it.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Amounts {
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) packets_in: u64,
    pub(crate) packets_out: u64,
    pub(crate) num_flows: u64,
    pub(crate) num_flows_started: u64,
    pub(crate) num_flows_completed: u64,
}

/// Policies that a flow met, `index|tier|policy|action|rule`.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Policies<'a> {
    all_policies: [&'a str; 1],
    enforced_policies: [&'a str; 1],
    pending_policies: [&'a str; 0],
    transit_policies: [&'a str; 0],
}

impl<'a> Policies<'a> {
    /// One enforced policy.
    pub(crate) fn enforced(policy: &'a str) -> Self {
        Self { all_policies: [policy], enforced_policies: [policy], pending_policies: [], transit_policies: [] }
    }
}

/// The program at the reporter's end.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Process<'a> {
    process_name: &'a str,
    process_id: &'a str,
    process_args: [&'a str; 1],
    num_process_args: u32,
    num_process_names: u32,
    num_process_ids: u32,
}

impl<'a> Process<'a> {
    /// One process.
    pub(crate) fn one(name: &'a str, id: &'a str) -> Self {
        Self {
            process_name: name,
            process_id: id,
            process_args: ["-"],
            num_process_args: 0,
            num_process_names: 1,
            num_process_ids: 1,
        }
    }
}

/// Clients behind an ingress, outgoing NAT, and what application policies counted.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Origin<'a> {
    original_source_ips: Option<[&'a str; 1]>,
    num_original_source_ips: u32,
    nat_outgoing_ports: Option<[u16; 1]>,
    http_requests_allowed_in: u64,
    http_requests_denied_in: u64,
}

impl<'a> Origin<'a> {
    /// Known where the destination reports a client from outside.
    pub(crate) fn seen_by(reporter: Reporter, source: &Side<'a>) -> Self {
        let client = (reporter == Reporter::Destination && source.node.is_none()).then_some([source.address]);
        Self {
            num_original_source_ips: u32::from(client.is_some()),
            original_source_ips: client,
            nat_outgoing_ports: None,
            http_requests_allowed_in: 0,
            http_requests_denied_in: 0,
        }
    }
}

/// Statistics of the TCP connections of a flow, times in microseconds; zero for other protocols.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Tcp {
    tcp_mean_send_congestion_window: u64,
    tcp_min_send_congestion_window: u64,
    tcp_mean_smooth_rtt: u64,
    tcp_max_smooth_rtt: u64,
    tcp_mean_min_rtt: u64,
    tcp_max_min_rtt: u64,
    tcp_mean_mss: u64,
    tcp_min_mss: u64,
    tcp_total_retransmissions: u64,
    tcp_lost_packets: u64,
    tcp_unrecovered_to: u64,
}

impl Tcp {
    /// Usual figures of a link with `rtt_us` microseconds of round trip over which `packets` went.
    pub(crate) fn usual(rtt_us: u64, packets: u64) -> Self {
        Self {
            tcp_mean_send_congestion_window: 10,
            tcp_min_send_congestion_window: 10,
            tcp_mean_smooth_rtt: rtt_us,
            tcp_max_smooth_rtt: rtt_us * 3,
            tcp_mean_min_rtt: rtt_us / 2,
            tcp_max_min_rtt: rtt_us,
            tcp_mean_mss: 1398,
            tcp_min_mss: 1398,
            tcp_total_retransmissions: packets / 20_000,
            tcp_lost_packets: packets / 40_000,
            tcp_unrecovered_to: 0,
        }
    }
}
