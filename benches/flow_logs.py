"""Writes Calico flow logs as NDJSON: the same arguments give the same bytes.

Every log starts and ends within one 5-minute bucket, so that engines which spread a log over the buckets that it
touches and engines which do not come to the same sums.
"""

import json
import random

BUCKET_S = 300
BUCKETS_A_DAY = 86_400 // BUCKET_S
FIRST_BUCKET = 1_790_812_800  # 2026-10-01T00:00:00Z
DESTINATIONS = 200
PROJECTED = (
    "start_time", "end_time", "reporter", "action", "source_namespace", "source_name",
    "dest_ip", "dest_port", "bytes_in", "bytes_out", "num_flows",
)


def write(path, rows, pods, days, projected, seed=1):
    """Spreads `rows` logs of `pods` pods evenly over `days`; `projected` keeps only the fields that are asked for."""
    number = random.Random(seed).random
    template = document_template(projected)
    sources = [template_values(source(pod)) for pod in range(pods)]
    destinations = [template_values(destination(index)) for index in range(DESTINATIONS)]
    buckets = days * BUCKETS_A_DAY
    with open(path, "wb") as file:
        for bucket in range(buckets):
            first, last = rows * bucket // buckets, rows * (bucket + 1) // buckets
            start = FIRST_BUCKET + bucket * BUCKET_S
            lines = []
            for row in range(first, last):
                begin = start + int(number() * 149)
                end = begin + 1 + int(number() * 149)
                flows = 1 + int(number() * 20)
                lines.append(template % {
                    **sources[row % pods], **destinations[int(number() * DESTINATIONS)],
                    "start_time": begin, "end_time": end, "@timestamp": end * 1000, "generated_time": end * 1000 + 1500,
                    "reporter": '"src"' if number() < 0.6 else '"dst"',
                    "bytes_in": int(400 * 2 ** (number() * 12)), "bytes_out": int(300 * 2 ** (number() * 11)),
                    "packets_in": flows * 7, "packets_out": flows * 6,
                    "num_flows": flows, "num_flows_started": flows, "num_flows_completed": flows - 1,
                })
            file.write("".join(lines).encode())


def document_template(projected):
    keys = PROJECTED if projected else fields().keys()
    return "{" + ",".join(f'"{key}":%({key})s' for key in keys) + "}\n"


def template_values(values):
    return {key: json.dumps(value, separators=(",", ":")) for key, value in values.items()}


def source(pod):
    workload = f"workload-{pod // 3}"
    return {
        **constants(),
        "host": f"node-{pod % 12}.example.internal",
        "source_ip": f"10.{pod // 62_500}.{pod // 250 % 250}.{pod % 250 + 1}",
        "source_name": f"{workload}-6b687c8dcb-{pod:05}",
        "source_name_aggr": f"{workload}-6b687c8dcb-*",
        "source_namespace": f"team-{pod % 20}",
        "source_port": None,
        "source_type": "wep",
        "source_labels": {"labels": [f"app={workload}", "pod-template-hash=6b687c8dcb", f"tier={pod % 4}"]},
        "process_name": f"/usr/local/bin/{workload}",
        "process_id": str(1000 + pod),
    }


def destination(index):
    return {
        "action": "deny" if index % 50 == 0 else "allow",
        "dest_ip": f"10.200.{index // 100}.{index % 100 + 1}",
        "dest_name": f"service-{index}-7d9c5b8f6d-{index:05}",
        "dest_name_aggr": f"service-{index}-7d9c5b8f6d-*",
        "dest_namespace": f"team-{index % 20}",
        "dest_port": 1024 + index * 7,
        "dest_type": "wep",
        "dest_labels": {"labels": [f"app=service-{index}", "pod-template-hash=7d9c5b8f6d"]},
        "dest_service_namespace": f"team-{index % 20}",
        "dest_service_name": f"service-{index}",
        "dest_service_port": "http",
        "dest_service_port_num": 80,
    }


def constants():
    policy = "0|platform|platform.allow-within-the-cluster|allow|1"
    return {
        "proto": "tcp",
        "dest_domains": None,
        "policies": {
            "all_policies": [policy, "1|default|default.allow-all|allow|0"],
            "enforced_policies": [policy],
            "pending_policies": [],
            "transit_policies": [],
        },
        "process_args": ["-"],
        "num_process_args": 0,
        "num_process_names": 1,
        "num_process_ids": 1,
        "original_source_ips": None,
        "num_original_source_ips": 0,
        "nat_outgoing_ports": None,
        "http_requests_allowed_in": 0,
        "http_requests_denied_in": 0,
        "tcp_mean_send_congestion_window": 10,
        "tcp_min_send_congestion_window": 10,
        "tcp_mean_smooth_rtt": 940,
        "tcp_max_smooth_rtt": 2820,
        "tcp_mean_min_rtt": 470,
        "tcp_max_min_rtt": 940,
        "tcp_mean_mss": 1398,
        "tcp_min_mss": 1398,
        "tcp_total_retransmissions": 0,
        "tcp_lost_packets": 0,
        "tcp_unrecovered_to": 0,
    }


def fields():
    """The 57 fields of a document of `tigera_secure_ee_flows`, in the order in which Felix writes them."""
    spans = ("start_time", "end_time", "@timestamp", "generated_time")
    amounts = (
        "bytes_in", "bytes_out", "packets_in", "packets_out", "num_flows", "num_flows_started", "num_flows_completed",
    )
    names = dict.fromkeys(spans) | dict.fromkeys(["host", "reporter", "action", "proto"])
    names |= dict.fromkeys(key for key in source(0) if key.startswith("source_"))
    return names | destination(0) | dict.fromkeys(amounts) | source(0)
