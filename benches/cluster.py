"""Fills a cluster with flows, scans it with the official client, and tells how fast something was."""

import gzip
import json
import sys
import time
from urllib.request import Request, urlopen

FIELDS = ["start_time", "end_time", "source_namespace", "source_name_aggr", "bytes_out", "@timestamp"]
BULK = 5_000


def ask(method, url, body=b""):
    request = Request(url, body or None, {"content-type": "application/json"}, method=method)
    return json.load(urlopen(request, timeout=300))


def fill(url, path):
    """One index a day, as Calico maps them."""
    date = {"type": "date", "format": "epoch_second"}
    mapping = {"dynamic": False, "properties": {"start_time": date, "end_time": date}}
    settings = {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": -1}
    parts, count = {}, 0

    def send(day):
        body = b"".join(b'{"index":{}}\n' + line for line in parts[day])
        answer = ask("POST", f"{url}/flows-{day}/_bulk", body)
        assert not answer["errors"], answer["items"][0]
        parts[day] = []

    with gzip.open(path) as lines:
        for line in lines:
            start = line[line.index(b'"start_time":') + 13 :].split(b",", 1)[0]
            day = int(start) // 86_400
            if day not in parts:
                parts[day] = []
                ask("PUT", f"{url}/flows-{day}", json.dumps({"settings": settings, "mappings": mapping}).encode())
            parts[day].append(line)
            count += 1
            if len(parts[day]) == BULK:
                send(day)
    for day in parts:
        if parts[day]:
            send(day)
        ask("POST", f"{url}/flows-{day}/_forcemerge?max_num_segments=1")
        ask("POST", f"{url}/flows-{day}/_refresh")
    print(f"{count} flows in {len(parts)} indices")


def scan(url):
    from elasticsearch import Elasticsearch, helpers

    began, count = time.time(), 0
    for _ in helpers.scan(Elasticsearch(url), index="flows-*", size=BULK, _source=FIELDS):
        count += 1
    told("helpers.scan", count, time.time() - began)


def tell(began, path):
    """What a run of margay came to, which began then and has just ended."""
    seconds = time.time() - float(began)
    log = json.load(open(path))["logs"][0]
    told("margay", log["rows"], seconds, log["bytes"])


def told(who, count, seconds, size=None):
    rate = f", {size / seconds / 1e6:.1f} MB/s of answers" if size else ""
    print(f"{who}: {count} flows in {seconds:.1f} s: {count / seconds:,.0f} flows/s{rate}")


if __name__ == "__main__":
    {"fill": fill, "scan": scan, "tell": tell}[sys.argv[1]](*sys.argv[2:])
