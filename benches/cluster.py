"""Fills a cluster with flows, scans it with the official client, and tells how fast something was."""

import gzip
import json
import sys
import threading
import time
from http.client import HTTPConnection
from urllib.request import Request, urlopen

FIELDS = ["start_time", "end_time", "source_namespace", "source_name_aggr", "bytes_out"]
BULK = 2_000
PAGE = 5_000


def ask(method, url, body=b""):
    request = Request(url, body or None, {"content-type": "application/json"}, method=method)
    return json.load(urlopen(request, timeout=300))


def mapping(flow):
    """As Calico maps flows: all fields that are known, and nothing else."""
    second = {"type": "date", "format": "epoch_second"}
    fields = {"start_time": second, "end_time": second, "@timestamp": {"type": "date"}}
    for name, value in flow.items():
        if name in fields:
            continue
        if name in ("source_ip", "dest_ip"):
            kind = "ip"
        elif name in ("source_labels", "dest_labels", "policies"):
            kind = "object"
        elif isinstance(value, int) or name in ("source_port", "dest_port", "dest_service_port_num"):
            kind = "long"
        else:
            kind = "keyword"
        fields[name] = {"type": kind, "enabled": False} if kind == "object" else {"type": kind}
    return {"dynamic": False, "properties": fields}


def fill(url, path):
    """One index a day."""
    settings = {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": -1}
    parts, count, size = {}, 0, 0

    def send(day):
        body = b"".join(b'{"index":{}}\n' + line for line in parts[day])
        answer = ask("POST", f"{url}/flows-{day}/_bulk", body)
        assert not answer["errors"], [item for item in answer["items"] if "error" in item["index"]][0]
        parts[day] = []

    with gzip.open(path) as lines:
        for line in lines:
            start = line[line.index(b'"start_time":') + 13 :].split(b",", 1)[0]
            day = int(start) // 86_400
            if day not in parts:
                parts[day] = []
                index = {"settings": settings, "mappings": mapping(json.loads(line))}
                ask("PUT", f"{url}/flows-{day}", json.dumps(index).encode())
            parts[day].append(line)
            count += 1
            size += len(line)
            if len(parts[day]) == BULK:
                send(day)
    for day in parts:
        if parts[day]:
            send(day)
        ask("POST", f"{url}/flows-{day}/_forcemerge?max_num_segments=1")
        ask("POST", f"{url}/flows-{day}/_refresh")
    print(f"{count} flows of {size / count:.0f} bytes in {len(parts)} indices")


def scan(url, fields=None):
    """As its documentation has it: pages of 1,000 whole records, one after another. With `fields`, pages as large as
    margay's, of the fields that margay asks for."""
    from elasticsearch import Elasticsearch, helpers

    more = {"size": PAGE, "_source": FIELDS} if fields else {}
    began, count = time.time(), 0
    for _ in helpers.scan(Elasticsearch(url), index="flows-*", **more):
        count += 1
    told("helpers.scan" + (" of the same fields" if fields else ""), count, time.time() - began)


def requests(url):
    """The pages of a pull, two at a time, read and thrown away."""
    host = url.removeprefix("http://")
    times = [{"field": field, "format": "epoch_millis"} for field in FIELDS[:2]]
    body = {"size": PAGE, "sort": ["_shard_doc"], "stored_fields": "_none_", "docvalue_fields": times + FIELDS[2:]}
    size, count, began = [0], [0], time.time()

    def pages(point, number):
        connection, search = HTTPConnection(host), body | {"slice": {"id": number, "max": 2}}
        search["pit"] = {"id": point, "keep_alive": "3m"}
        while True:
            connection.request("POST", "/_search", json.dumps(search), {"content-type": "application/json"})
            answer = connection.getresponse().read()
            records = answer.count(b'"sort":[')
            size[0] += len(answer)
            count[0] += records
            if records < PAGE:
                return
            last = answer[answer.rindex(b'"sort":[') + 7 :]
            search["search_after"] = json.loads(last[: last.index(b"]") + 1])

    for index in sorted(ask("GET", f"{url}/flows-*/_mapping")):
        point = ask("POST", f"{url}/{index}/_pit?keep_alive=3m")["id"]
        threads = [threading.Thread(target=pages, args=(point, number)) for number in range(2)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        ask("DELETE", f"{url}/_pit", json.dumps({"id": point}).encode())
    told("the pull's requests alone", count[0], time.time() - began, size[0])


def tell(began, who, path):
    """What a run of margay came to, which began then and has just ended."""
    seconds = time.time() - float(began)
    log = json.load(open(path))["logs"][0]
    who += f" ({log['groups']} groups)" if log["groups"] else ""
    told(who, log["rows"], seconds, log["bytes"])


def told(who, count, seconds, size=None):
    rate = f", {size / 1e6:.1f} MB, {size / seconds / 1e6:.1f} MB/s" if size else ""
    print(f"{who}: {count} flows in {seconds:.2f} s: {count / seconds:,.0f} flows/s{rate}", flush=True)


if __name__ == "__main__":
    {"fill": fill, "scan": scan, "requests": requests, "tell": tell}[sys.argv[1]](*sys.argv[2:])
