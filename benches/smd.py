#!/usr/bin/env python3
"""Measures the model `multivariate` on the Server Machine Dataset, with the release binary and all defaults.

    python3 benches/smd.py --data ../shared/data [--margay target/release/margay]

Training and test part of each machine are one series; events, false alerts and blame are counted in the test part. An
event is found when an alert opens, or a score exceeds the threshold, in it or within 5 minutes of it. Exceedances within
an hour of each other are one alarm; it is false when it touches no event within 10 minutes.
"""

import argparse
import collections
import csv
import glob
import gzip
import json
import os
import subprocess
import sys
import tempfile

import security

START = security.START
FEATURES = [f"f{at}" for at in range(1, 39)]
TOLERANCE, TOUCHES, APART = 5, 10, 60


def read(path):
    with gzip.open(path, "rt") as f:
        return list(csv.reader(f))


def replay(binary, home, machines):
    os.mkdir(f"{home}/detectors.d")
    with open(f"{home}/log.csv", "w") as f:
        f.write("ts,machine," + ",".join(FEATURES) + "\n")
        for name, (train, test, _) in machines.items():
            for at, row in enumerate(train + [r[:38] for r in test]):
                f.write(f"{security.iso(START + 60 * at)},{name},{','.join(row)}\n")
    with open(f"{home}/margay.yaml", "w") as f:
        f.write("logs: { smd: { files: log.csv, time: { field: ts } } }\ndetectors: [detectors.d]\nsinks: []\n")
    with open(f"{home}/detectors.d/smd.yaml", "w") as f:
        f.write("name: smd\ndescription: a machine\nlog: smd\nentity: [machine]\nbucket: 1m\nfeatures:\n")
        f.writelines(f"  {name}: avg({name})\n" for name in FEATURES)
        f.write("model: { multivariate: {} }\nthreshold: { direction: both }\n")
    done = subprocess.run([binary, "replay", "--output", "json", "--scores", "scores.csv"], cwd=home, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        sys.exit(f"margay replay exited {done.returncode}\n{done.stderr[-4000:]}")
    scores = {name: collections.defaultdict(dict) for name in machines}
    with open(f"{home}/scores.csv", newline="") as f:
        for r in csv.DictReader(f):
            at = int(security.seconds(r["bucket_start"]) - START) // 60
            scores[json.loads(r["entity"])["machine"]][at][r["feature"]] = float(r["score"] or 0)
    return [a for a in json.loads(done.stdout) if a["status"] == "open"], scores


def count(machines, alarms):
    """Events found, events, false alarms, by the minutes of the test part in which there is an alarm."""
    found = events = false = 0
    for name, (_, _, labels) in machines.items():
        events += len(labels)
        found += sum(any(a - TOLERANCE <= t <= b + TOLERANCE for t in alarms[name]) for a, b, _ in labels)
        last, real = None, True
        for t in sorted(alarms[name]):
            touches = any(a - TOUCHES <= t <= b + TOUCHES for a, b, _ in labels)
            if last is not None and t - last <= APART:
                real |= touches
            else:
                false += not real
                real = touches
            last = t
        false += not real
    return found, events, false


def blame(machines, scores, cut, top=3):
    """Share of found events of which a true dimension is among those blamed most in the worst minute."""
    right = found = 0
    for name, (train, _, labels) in machines.items():
        for a, b, true in labels:
            worst = max(range(a, b + 1), key=lambda t: scores[name][len(train) + t].get("*", 0))
            here = scores[name][len(train) + worst]
            if here.get("*", 0) >= cut:
                found += 1
                right += bool({f"f{d}" for d in true} & set(sorted(FEATURES, key=lambda f: -here.get(f, 0))[:top]))
    return right, found


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--margay", default=f"{security.ROOT}/target/release/margay")
    p.add_argument("--data", required=True)
    a = p.parse_args()
    base, machines = f"{a.data}/smd", {}
    for path in sorted(glob.glob(f"{base}/*_train.csv.gz")):
        name = os.path.basename(path).removesuffix("_train.csv.gz")
        labels = []
        for line in open(f"{base}/interpretation_label/{name}.txt"):
            span, dims = line.strip().split(":")
            first, last = map(int, span.split("-"))
            labels.append((first, last, [int(d) for d in dims.split(",")]))
        machines[name] = (read(path), read(path.replace("_train", "_test")), labels)
    if not machines:
        sys.exit("smd: no data")
    with tempfile.TemporaryDirectory() as home:
        alerts, scores = replay(os.path.abspath(a.margay), home, machines)
    days = sum(len(test) for _, test, _ in machines.values()) / 1440
    raised = collections.defaultdict(list)
    for alert in alerts:
        name = alert["entity"]["machine"]
        at = int(security.seconds(alert["start"]) - START) // 60 - len(machines[name][0])
        if at >= 0:
            raised[name].append(at)
    found, events, false = count(machines, raised)
    print(f"alerts with all defaults: {found} of {events} events, {false / days:.2f} false a machine-day")
    for limit in (0.1, 0.3, 1.0):
        best = (0, 0, 100.0)
        for cut in [x / 2 for x in range(30, 201)]:
            alarms = {
                name: [t for t in range(len(test)) if scores[name][len(train) + t].get("*", 0) >= cut]
                for name, (train, test, _) in machines.items()
            }
            found, events, false = count(machines, alarms)
            if false / days <= limit and found > best[0]:
                best = (found, false, cut)
        right, judged = blame(machines, scores, best[2])
        print(f"at most {limit} false a machine-day: {best[0]} of {events} events at score {best[2]}, {best[1] / days:.2f} false; "
              f"a true dimension among three blamed: {right} of {judged}")


if __name__ == "__main__":
    main()
