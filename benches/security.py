#!/usr/bin/env python3
"""Measures the shipped security detectors on labelled public data, as Calico logs, with the release binary.

    python3 benches/security.py --data ../shared/data [--margay target/release/margay] [--suite scan,tunnel,dga]

Every suite maps a data set to Calico's log fields, replays the shipped detectors over it with everything at its
default, and compares alerts and scores with the labels. Data that is not there is left out and said so.
"""

import argparse
import collections
import csv
import datetime
import glob
import gzip
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RCODE = {"0": "NoError", "2": "SERVFAIL", "3": "NXDomain"}
START = 1_790_000_000 // 86_400 * 86_400


def iso(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Margay:
    def __init__(self, binary):
        self.binary = os.path.abspath(binary)

    def replay(self, log, rows, detectors):
        """Alerts that opened, and all scores, as {(detector, entity text): [(bucket, score)]}."""
        with tempfile.TemporaryDirectory() as home:
            os.mkdir(f"{home}/detectors.d")
            for name in detectors:
                shutil.copy(f"{ROOT}/detectors.d/{name}.yaml", f"{home}/detectors.d/")
            with open(f"{home}/log.ndjson", "w") as f:
                f.writelines(json.dumps(row) + "\n" for row in rows)
            with open(f"{home}/margay.yaml", "w") as f:
                f.write(f"logs: {{ {log}: {{ files: log.ndjson, preset: calico-{log} }} }}\ndetectors: [detectors.d]\nsinks: []\n")
            ran = [self.binary, "replay", "--output", "json", "--scores", "scores.csv"]
            done = subprocess.run(ran, cwd=home, capture_output=True, text=True)
            if done.returncode not in (0, 1):
                sys.exit(f"margay replay exited {done.returncode}\n{done.stderr[-4000:]}")
            scores = collections.defaultdict(list)
            with open(f"{home}/scores.csv", newline="") as f:
                for r in csv.DictReader(f):
                    scores[(r["detector"], r["entity"])].append((seconds(r["bucket_start"]), float(r["score"] or 0)))
            return [a for a in json.loads(done.stdout) if a["status"] == "open"], scores

    def classify(self, names):
        done = subprocess.run([self.binary, "classify", "-"], input="\n".join(names) + "\n", capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        return [float(r["probability"]) for r in csv.DictReader(io.StringIO(done.stdout))]


def flow(start, end, source, dest, port, proto, out, back, packets):
    private = dest.startswith(("10.", "192.168.", "172.", "198.18."))
    return {
        "start_time": int(start), "end_time": max(int(end), int(start) + 1), "reporter": "src", "action": "allow", "proto": proto,
        "source_namespace": "lab", "source_name_aggr": source, "source_name": source, "source_type": "wep",
        "dest_ip": dest, "dest_port": port, "dest_type": "wep" if private else "net", "dest_namespace": "lab" if private else "-",
        "dest_name_aggr": dest if private else "pub", "bytes_out": out, "bytes_in": back,
        "packets_out": packets[0], "packets_in": packets[1], "num_flows": 1, "num_flows_started": 1, "num_flows_completed": 1,
    }


def zeek(path):
    for line in open(path):
        if not line.startswith("{"):
            continue
        r = json.loads(line)
        t = START + r["ts"] % (10 * 86_400)
        yield flow(t, t + r.get("duration", 0), r["id.orig_h"], r["id.resp_h"], r["id.resp_p"], r["proto"],
                   r.get("orig_ip_bytes", 0), r.get("resp_ip_bytes", 0), (r.get("orig_pkts", 0), r.get("resp_pkts", 0)))


SCANS = ["port-scan", "ip-sweep"]


def scan(m, data, out):
    base = f"{data}/slips_zeek/dataset"
    if os.path.isdir(base):
        rows = list(zeek(f"{base}/port-scans/vertical/conn.log"))
        alerts, _ = m.replay("flows", rows, SCANS)
        first = min(r["start_time"] for r in rows)
        hit = [a for a in alerts if a["detector"] == "port-scan" and a["entity"]["source_name_aggr"] == "192.168.1.9"]
        out["zeek vertical scan"] = f"found after {(seconds(hit[0]['time']) - first) / 300:.1f} buckets" if hit else "MISSED"
        rows = list(zeek(f"{base}/test9-mixed-zeek-dir/conn.log"))
        alerts, _ = m.replay("flows", rows, SCANS)
        out["zeek mixed capture: alerts"] = sorted({(a["detector"], a["entity"]["source_name_aggr"]) for a in alerts})
    if os.path.isdir(f"{data}/k8s_misuse_flows"):
        rows = list(cicflow(f"{data}/k8s_misuse_flows/background_first_half.csv.gz"))
        alerts, _ = m.replay("flows", rows, SCANS)
        out["k8s background: false alerts"] = f"{len(alerts)} in {len(rows)} flows"
    slow(m, out)


def cicflow(path):
    for r in csv.DictReader(gzip.open(path, "rt")):
        r = {k.strip(): v for k, v in r.items()}
        source, dest = r.get("Src IP") or r.get("src_ip"), r.get("Dst IP") or r.get("dst_ip")
        port = int(float(r.get("Dst Port") or r.get("dst_port") or 0))
        stamp = r.get("Timestamp") or r.get("timestamp")
        t = stamp_seconds(stamp)
        length = float(r.get("Flow Duration") or r.get("flow_duration") or 0) / 1e6
        ahead = int(float(r.get("Total Fwd Packet") or r.get("Tot Fwd Pkts") or r.get("tot_fwd_pkts") or 1))
        back = int(float(r.get("Total Bwd packets") or r.get("Tot Bwd Pkts") or r.get("tot_bwd_pkts") or 0))
        proto = {"6": "tcp", "17": "udp"}.get(str(r.get("Protocol") or r.get("protocol")), "tcp")
        yield flow(t, t + length, source, dest, port, proto, 60 * ahead, 60 * back, (ahead, back))


def stamp_seconds(text):
    for form in ("%d/%m/%Y %I:%M:%S %p", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f", "%d/%m/%Y %H:%M:%S"):
        try:
            return datetime.datetime.strptime(text, form).replace(tzinfo=datetime.timezone.utc).timestamp()
        except ValueError:
            continue
    sys.exit(f"unknown time {text}")


def slow(m, out):
    """A week of one pod's usual traffic, then one closed port, or one silent address, a minute."""
    draw = random.Random(1)
    for name, target in (("slow port scan", lambda i: ("10.244.1.9", 7000 + i)), ("slow sweep", lambda i: (f"10.244.7.{i}", 445))):
        delays = []
        for offset in (0, 60, 150, 240):
            rows = []
            for at in range(0, 3 * 86_400, 300):
                rows += [flow(START + at, START + at + 299, "web", f"10.244.1.{h}", 8080, "tcp", 5000, 90_000, (40, 60)) for h in range(6)]
                if draw.random() < 0.02:
                    rows.append(flow(START + at, START + at + 9, "web", f"10.244.2.{draw.randrange(200)}", 8080, "tcp", 5000, 90_000, (40, 60)))
            begin = START + 2 * 86_400 + offset
            for i in range(60):
                rows.append(flow(begin + 60 * i, begin + 60 * i + 1, "web", *target(i), "tcp", 60, 40, (1, 1)))
            alerts, _ = m.replay("flows", rows, ["ip-sweep" if "sweep" in name else "port-scan"])
            hit = [seconds(a["time"]) for a in alerts if seconds(a["time"]) > begin]
            delays.append(f"{(min(hit) - begin) / 300:.1f}" if hit else "MISSED")
        out[f"{name}, one a minute: delay in buckets by start within the bucket"] = ", ".join(delays)


TUNNEL_CLIENTS = 20


def tunnel(m, data, out):
    files = sorted(glob.glob(f"{data}/dns_tunnel/benign_*.csv.gz"))
    benign, clients = [], TUNNEL_CLIENTS
    for number, path in enumerate(files):
        reader = csv.DictReader(gzip.open(path, "rt"))
        queries = [r for r in reader if r["qr"] == "R"]
        first = float(queries[0]["ts"])
        for at, r in enumerate(queries):
            t = START + 1800 * number + float(r["ts"]) - first
            benign.append(dns(t, f"client-{at % clients}", r["qname"], r["qtype"], RCODE.get(r["rcode"], "NoError")))
    alerts, _ = m.replay("dns", benign, ["dns-tunnel", "dga"])
    span = (max(seconds(r["start_time"]) for r in benign) - START) / 3600
    for name in ("dns-tunnel", "dga"):
        false = [a for a in alerts if a["detector"] == name]
        out[f"{name}: false alerts"] = f"{len(false)} in {len(benign)} benign queries ({span:.1f} h); {[a['evidence'][:2] for a in false][:5]}"
    for path in sorted(glob.glob(f"{data}/dns_tunnel/tunnel_*.csv.gz")):
        queries = [r for r in csv.DictReader(gzip.open(path, "rt")) if r["qr"] == "Q"]
        first = float(queries[0]["ts"])
        for keep in (1, 10):
            rows, begin = list(benign), START + 3600 + 97
            for r in queries[::keep] if keep > 1 else queries:
                t = begin + (float(r["ts"]) - first)
                rows.append(dns(t, "client-3", r["qname"].replace("ggy666.tk", "example-telemetry.net"), r["qtype"], "NoError"))
            alerts, _ = m.replay("dns", rows, ["dns-tunnel"])
            hit = [seconds(a["time"]) - begin for a in alerts if "example-telemetry.net" in a["evidence"][:1]]
            label = os.path.basename(path).removeprefix("tunnel_").removesuffix(".csv.gz")
            out[f"tunnel {label}{'' if keep == 1 else ' at a tenth'}"] = f"found after {min(hit):.0f} s" if hit else "MISSED"


def dns(t, client, name, kind, rcode):
    return {"start_time": iso(t), "end_time": iso(t + 1), "type": "LOG", "count": 1, "client_namespace": "lab", "client_name_aggr": client,
            "qname": name, "qtype": kind, "qclass": "IN", "rcode": rcode}


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def dga(m, data, out):
    alexa = [line.split(",")[-1].strip() for line in gzip.open(f"{data}/dga/benign/alexa_100k_2013.csv.gz", "rt")][-30_000:]
    families, tranco = collections.defaultdict(list), []
    for path in ("openset/val.csv.gz", "wordlist/train.csv.gz", "wordlist/val.csv.gz"):
        for r in csv.DictReader(gzip.open(f"{data}/dga/{path}", "rt")):
            if r["family"] == "benign":
                tranco += [r["domain"]] if path.startswith("openset") else []
            else:
                families[path.split("/")[0] + ":" + r["family"]].append(r["domain"])
    began = time.time()
    reference = m.classify(alexa)
    took = time.time() - began
    again = time.time()
    m.classify(alexa * 10)
    out["names a second, all cores"] = f"{len(alexa) * 9 / max(1e-9, time.time() - again - took):,.0f}"
    scored = {family: m.classify(names[:3000]) for family, names in sorted(families.items())}
    benign = m.classify(tranco[:20_000])
    for rate in (0.01, 0.001):
        cut = quantile(reference, 1 - rate)
        recall = {family: sum(p > cut for p in ps) / len(ps) for family, ps in scored.items()}
        out[f"macro recall at {rate:.1%} false on Alexa's last 30,000"] = f"{sum(recall.values()) / len(recall):.3f}, of Tranco's benign names {sum(p > cut for p in benign) / len(benign):.2%}"
        if rate == 0.01:
            out["by family"] = ", ".join(f"{f} {v:.2f}" for f, v in recall.items())
    host(reference, scored, out)


def host(reference, scored, out):
    """Ten names a client: mean surprise among benign names, threshold where one benign client in 10,000 lies above."""
    import bisect
    import statistics
    ranked, normal, draw = sorted(reference), statistics.NormalDist(), random.Random(3)

    def surprise(p):
        above = (len(ranked) - bisect.bisect_left(ranked, p) + 0.5) / (len(ranked) + 1)
        return min(3.2, max(-3.2, normal.inv_cdf(1 - min(above, 1 - 1e-9))))
    zs = [surprise(p) for p in reference]
    for count in (5, 10, 20):
        cut = quantile([sum(draw.choices(zs, k=count)) for _ in range(100_000)], 1 - 1e-4)
        recall = {}
        for family, ps in scored.items():
            own = [surprise(p) for p in ps]
            recall[family] = sum(sum(draw.choices(own, k=count)) > cut for _ in range(500)) / 500
        out[f"{count} names a client, one false client in 10,000: macro recall"] = f"{sum(recall.values()) / len(recall):.3f}"
        if count == 10:
            out["missed at ten names"] = ", ".join(f"{f} {v:.2f}" for f, v in recall.items() if v < 0.9)


SUITES = {"scan": scan, "tunnel": tunnel, "dga": dga}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--margay", default=f"{ROOT}/target/release/margay")
    p.add_argument("--data", required=True)
    p.add_argument("--suite", default=",".join(SUITES))
    a = p.parse_args()
    for name in a.suite.split(","):
        out = {}
        SUITES[name](Margay(a.margay), a.data, out)
        for k, v in out.items():
            print(f"{k}: {v}", flush=True)


if __name__ == "__main__":
    main()
