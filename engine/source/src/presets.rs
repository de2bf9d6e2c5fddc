//! The known logs as tables: every field, what it holds and where it is found.

use crate::column::{Column, Columns, Kind, TimeFields};
use crate::spec::{Preset, TimeFormat};

/// A column of a known log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PresetColumn {
    /// Name of the column, and the first place where its value is looked for.
    pub name: &'static str,
    /// What the values are.
    pub kind: Kind,
    /// Whether the values add up over time.
    pub additive: bool,
    /// Further places of the value, best first; a dot leads into an object.
    pub aliases: &'static [&'static str],
}

/// The columns of a known log, beside those of the span.
#[must_use]
pub fn preset_columns(preset: Preset) -> &'static [PresetColumn] {
    match preset {
        Preset::CalicoFlows => &FLOWS,
        Preset::CalicoDns => &DNS,
        Preset::CalicoL7 => &L7,
    }
}

/// What is known of the rows of a known log.
pub(crate) fn columns(preset: Preset) -> Columns {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let columns = preset_columns(preset).iter().map(|column| Column {
        name: column.name.to_owned(),
        kind: column.kind,
        additive: column.additive,
        paths: std::iter::once(column.name).chain(column.aliases.iter().copied()).map(str::to_owned).collect(),
    });
    Columns {
        columns: columns.collect(),
        time: TimeFields {
            start: owned(&["start_time", "end_time", "@timestamp"]),
            end: owned(&["end_time"]),
            format: TimeFormat::Auto,
        },
        signs_are_null: true,
    }
}

const fn column(name: &'static str, kind: Kind) -> PresetColumn {
    PresetColumn { name, kind, additive: false, aliases: &[] }
}

const fn text(name: &'static str) -> PresetColumn {
    column(name, Kind::Text)
}

const fn int(name: &'static str) -> PresetColumn {
    column(name, Kind::Int)
}

const fn list(name: &'static str) -> PresetColumn {
    column(name, Kind::List)
}

const fn time(name: &'static str) -> PresetColumn {
    column(name, Kind::Time)
}

const fn nanos(name: &'static str) -> PresetColumn {
    column(name, Kind::Nanos)
}

/// An amount that adds up over time.
const fn amount(name: &'static str) -> PresetColumn {
    PresetColumn { additive: true, ..int(name) }
}

impl PresetColumn {
    const fn or(self, aliases: &'static [&'static str]) -> Self {
        Self { aliases, ..self }
    }
}

/// `tigera_secure_ee_flows`.
const FLOWS: [PresetColumn; 61] = [
    time("start_time"),
    time("end_time"),
    time("@timestamp"),
    time("generated_time"),
    text("host"),
    text("cluster"),
    text("reporter"),
    text("action"),
    text("proto"),
    text("source_ip"),
    text("source_name"),
    text("source_name_aggr"),
    text("source_namespace"),
    text("source_type"),
    int("source_port"),
    list("source_labels"),
    text("dest_ip"),
    text("dest_name"),
    text("dest_name_aggr"),
    text("dest_namespace"),
    text("dest_type"),
    int("dest_port"),
    list("dest_labels"),
    text("dest_service_namespace"),
    text("dest_service_name"),
    text("dest_service_port"),
    int("dest_service_port_num"),
    list("dest_domains"),
    amount("bytes_in"),
    amount("bytes_out"),
    amount("packets_in"),
    amount("packets_out"),
    amount("num_flows"),
    amount("num_flows_started"),
    amount("num_flows_completed"),
    list("all_policies").or(&["policies.all_policies"]),
    list("enforced_policies").or(&["policies.enforced_policies"]),
    list("pending_policies").or(&["policies.pending_policies"]),
    list("transit_policies").or(&["policies.transit_policies"]),
    text("process_name"),
    text("process_id"),
    list("process_args"),
    int("num_process_args"),
    int("num_process_names"),
    int("num_process_ids"),
    list("original_source_ips"),
    int("num_original_source_ips"),
    list("nat_outgoing_ports"),
    amount("http_requests_allowed_in"),
    amount("http_requests_denied_in"),
    int("tcp_mean_send_congestion_window"),
    int("tcp_min_send_congestion_window"),
    int("tcp_mean_smooth_rtt"),
    int("tcp_max_smooth_rtt"),
    int("tcp_mean_min_rtt"),
    int("tcp_max_min_rtt"),
    int("tcp_mean_mss"),
    int("tcp_min_mss"),
    amount("tcp_total_retransmissions"),
    amount("tcp_lost_packets"),
    amount("tcp_unrecovered_to"),
];

/// `tigera_secure_ee_dns`.
const DNS: [PresetColumn; 22] = [
    time("start_time"),
    time("end_time"),
    time("@timestamp"),
    time("generated_time"),
    text("host"),
    text("cluster"),
    text("type"),
    amount("count"),
    text("client_name"),
    text("client_name_aggr"),
    text("client_namespace"),
    text("client_ip").or(&["source.ip"]),
    list("client_labels"),
    text("qname").or(&["dns.question.name"]),
    text("qtype").or(&["dns.question.type"]),
    text("qclass").or(&["dns.question.class"]),
    text("rcode").or(&["dns.response_code"]),
    list("rrsets"),
    list("servers"),
    amount("latency_count").or(&["latency.count"]),
    nanos("latency_mean").or(&["latency.mean"]),
    nanos("latency_max").or(&["latency.max"]),
];

/// `tigera_secure_ee_l7`.
const L7: [PresetColumn; 36] = [
    time("start_time"),
    time("end_time"),
    time("@timestamp"),
    time("generated_time"),
    text("host"),
    text("cluster"),
    amount("count"),
    nanos("duration_mean"),
    nanos("duration_max"),
    nanos("latency"),
    amount("bytes_in"),
    amount("bytes_out"),
    text("src_name_aggr").or(&["source_name_aggr"]),
    text("src_namespace").or(&["source_namespace"]),
    text("src_type").or(&["source_type"]),
    int("src_port_num").or(&["source_port_num"]),
    text("dest_name_aggr"),
    text("dest_namespace"),
    text("dest_type"),
    int("dest_port_num"),
    text("dest_service_name"),
    text("dest_service_namespace"),
    int("dest_service_port"),
    text("dest_service_port_name"),
    text("url"),
    text("method"),
    text("user_agent"),
    text("response_code"),
    text("type"),
    text("protocol"),
    text("protocol_version"),
    text("collector_type"),
    text("collector_name"),
    text("tls_sni"),
    text("tls_version"),
    text("tls_cipher_suite"),
];
