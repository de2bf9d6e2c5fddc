#!/usr/bin/env python3
"""Measures detection quality on labelled public data and writes the tables of docs/quality.md.

    python3 benches/quality.py --data ../shared/data --judge ../shared/eval [--margay target/release/margay] [--suite ms,smd]

`--judge` is the folder of the scripts that score a release (`quality.py`, `measures.py`; they need numpy). A run of some
suites keeps the figures of the others, which docs/quality.json holds with their dates.
"""

import argparse
import csv
import datetime
import gzip
import importlib.util
import json
import os
import subprocess
import sys
import tempfile

import security

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIGURES = f"{ROOT}/docs/quality.json"
PAGE = f"{ROOT}/docs/quality.md"
BEGIN, END = "<!-- made by benches/quality.py from docs/quality.json -->", "<!-- end -->"
START = 1_790_000_000 // 86_400 * 86_400
FALSE_A_DAY = 0.1
BLAMED = 3
# Faults that show in what a pod uses; the others are errors that code returns or throws.
RESOURCE_FAULTS = ("cpu", "memory", "network")


def judged(name):
    """A suite of the judge, by its own names."""
    def measure(judge, binary, data, work):
        out = {}
        judge.SUITES[name](judge.Margay(binary, work), data, out)
        return out
    return measure


def nezha(judge, binary, data, work):
    out = judged("nezha")(judge, binary, data, work)
    for day in sorted(os.listdir(f"{data}/nezha/rca_data")):
        base = f"{data}/nezha/rca_data/{day}"
        faults = [fault for hour in json.load(open(f"{base}/{day}-fault_list.json")).values() for fault in hour]
        alerts = opened(f"{work}/nezha-{day}/alerts.ndjson")
        kinds = {}
        for fault in faults:
            began = judge.seconds(fault["inject_time"])
            near = {alert["entity"]["series"] for alert in alerts if -60 <= judge.seconds(alert["start"]) - began <= 270}
            found, all_ = kinds.get(fault["inject_type"], (0, 0))
            kinds[fault["inject_type"]] = (found + (fault["inject_pod"] in near), all_ + 1)
        of_resources = [of for kind, of in kinds.items() if kind.startswith(RESOURCE_FAULTS)]
        found, all_ = (sum(column) for column in zip(*of_resources))
        out[f"nezha.{day}.resource"] = f"{found}/{all_}"
        out[f"nezha.{day}.kinds"] = ", ".join(f"{kind} {found}/{all_}" for kind, (found, all_) in sorted(kinds.items()))
    return out


def opened(path):
    alerts = [json.loads(line) for line in open(path)]
    return [alert for alert in alerts if alert["status"] == "open"]


def smd(judge, binary, data, work):
    """Training and test of a machine follow each other, a row a minute, as one entity with 38 features."""
    machines = sorted(name.removesuffix("_test.csv.gz") for name in os.listdir(f"{data}/smd") if name.endswith("_test.csv.gz"))
    names = [f"m{at + 1}" for at in range(38)]
    feed, tests = [], {}
    for machine in machines:
        train = table(f"{data}/smd/{machine}_train.csv.gz")
        test = table(f"{data}/smd/{machine}_test.csv.gz")
        for at, row in enumerate(train + test):
            feed.append((START + 60 * at, machine, dict(zip(names, row))))
        begin = START + 60 * len(train)
        labels = [int(float(row[38]) > 0) for row in test]
        tests[machine] = ([begin + 60 * at for at in range(len(test))], labels, causes(f"{data}/smd/interpretation_label/{machine}.txt"))
    scores, _ = judge.Margay(binary, work).replay("smd", feed, names, 60, model="multivariate")
    alerts, out = opened(f"{work}/smd/alerts.ndjson"), {}
    measures = judge.measures
    at_default = [measures.events(t, y, [judge.seconds(a["start"]) for a in alerts if a["entity"]["series"] == machine], 600, 3 * 3600, t[0])
                  for machine, (t, y, _) in tests.items()]
    out["smd.machines"] = len(tests)
    out["smd.recall"], out["smd.false"] = rates(at_default)
    joint = {machine: [max(judge.at(scores, (machine, name), at, 60) for name in names) for at in t] for machine, (t, _, _) in tests.items()}
    best = 0.0
    for cut in (c / 2 for c in range(10, 201)):
        told = [measures.events(t, y, [at for at, s in zip(t, joint[machine]) if s >= cut], 600, 3 * 3600, t[0]) for machine, (t, y, _) in tests.items()]
        recall, false = rates(told)
        best = max(best, recall if false <= FALSE_A_DAY else 0.0)
    out["smd.recall_at_0.1"] = best
    right, found = 0, 0
    for machine, (t, _, causes_) in tests.items():
        for first, last, dimensions in causes_:
            hits = [a for a in alerts if a["entity"]["series"] == machine and t[first] - 600 <= judge.seconds(a["start"]) <= t[last] + 600]
            if hits:
                worst = sorted(hits[0]["features"].items(), key=lambda item: -item[1]["contribution"])[:BLAMED]
                right += any(int(name[1:]) in dimensions for name, _ in worst)
                found += 1
    out["smd.blamed"] = f"{right}/{found}"
    return out


def table(path):
    return list(csv.reader(gzip.open(path, "rt")))


def causes(path):
    """First and last row of an event, and the dimensions, from 1, that it shows in."""
    for line in open(path).read().split():
        span, dimensions = line.split(":")
        first, last = (int(row) for row in span.split("-"))
        yield first, last, {int(one) for one in dimensions.split(",")}


def rates(told):
    total = {key: sum(one[key] for one in told) for key in ("found", "events", "false", "days")}
    return round(total["found"] / total["events"], 3), round(total["false"] / total["days"], 3)


def secured(name):
    """A suite of benches/security.py."""
    def measure(_, binary, data, __):
        out = {}
        security.SUITES[name](security.Margay(binary), data, out)
        return {f"{name}.{key}": (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value) for key, value in out.items()}
    return measure


def demo(_, binary, __, work):
    done = subprocess.run([binary, "demo", "--output", "json", "--out", f"{work}/demo"], capture_output=True, text=True)
    told = json.loads(done.stdout)
    found = sum(incident["found"] for incident in told["incidents"])
    return {"demo.found": f"{found} of {len(told['incidents'])}", "demo.false": str(len(told["false_alerts"]))}


SUITES = {
    "ms": judged("ms"), "nab": judged("nab"), "tsb": judged("tsb"), "m4": judged("m4"), "dga": judged("dga"), "nezha": nezha, "smd": smd,
    "scan": secured("scan"), "tunnel": secured("tunnel"), "names": secured("dga"), "demo": demo,
}

# Suite, measure, figure, at least, excellent, what others reach.
TABLE = [
    ("Microsoft cloud monitoring, {ms.series} series", "events found by alerts", "{ms.event_recall} at {ms.false_per_series_day} false a series-day", "0.75 at 0.10", "0.85", ""),
    ("", "recall, one threshold for all, at most 0.03, 0.1, 0.3 false a series-day", "{ms.recall_at_0.03_false}, {ms.recall_at_0.1_false}, {ms.recall_at_0.3_false}", "0.75 at 0.1", "0.85", ""),
    ("", "VUS-PR", "{ms.vus_pr}", "0.60", "0.68", "smoothed mean 0.54, seasonal median 0.46"),
    ("NAB, 44 of 58 files, strictly causal", "standard, low FP, low FN", "{nab.standard}, {nab.reward_low_FP_rate}, {nab.reward_low_FN_rate}", "66", "72", "not comparable: published figures are of all files, most with the range of the whole file"),
    ("TSB-AD, 8 series", "VUS-PR", "{tsb.vus_pr}, rank {tsb.rank}", "0.36", "0.52", "{tsb.published}"),
    ("M4 hourly, {m4.points} points", "coverage of the one-step 95 % interval", "{m4.one_step_coverage_95}", "0.93 to 0.97", "", "MSTL of statsforecast 0.86"),
    ("", "error beside seasonal naive", "{m4.one_step_error_vs_seasonal_naive}", "below 0.75", "", "seasonal naive 1"),
    ("Nezha, Online Boutique", "resource faults found on the right pod", "{nezha.2022-08-22.resource}", "0.80", "0.90", "rolling robust z of all faults: 12 of 24 at 31 false"),
    ("", "all faults; false episodes a pod-day", "{nezha.2022-08-22}", "3 false", "1 false", ""),
    ("Nezha, Train Ticket", "resource faults found on the right pod", "{nezha.2023-01-29.resource}", "0.80", "0.90", "rolling robust z of all faults: 19 of 28 at 39 false"),
    ("", "all faults; false episodes a pod-day", "{nezha.2023-01-29}", "3 false", "1 false", ""),
    ("SMD, {smd.machines} machines, 38 features", "events found by alerts", "{smd.recall} at {smd.false} false a machine-day", "0.6 at 0.1", "0.8", ""),
    ("", "recall, one threshold for all, at most 0.1 false a machine-day", "{smd.recall_at_0.1}", "0.6", "0.8", ""),
    ("", "events found whose cause is among the three features blamed most", "{smd.blamed}", "0.7", "0.85", ""),
    ("DGA, single names, 28 families", "macro recall at 1 % false", "{dga.macro_tpr_at_0.01}", "0.92", "0.96", "n-gram logit 0.85 on families it was trained on, 0.41 on others"),
    ("`margay demo`", "planted incidents found; false alerts in two weeks", "{demo.found}; {demo.false}", "all; at most 2", "0 false", ""),
]


def page(figures):
    flat = {key: value for suite in figures.values() for key, value in suite["figures"].items()}
    lines = ["| suite | measure | margay | at least | excellent | others |", "| --- | --- | --- | --- | --- | --- |"]
    for row in TABLE:
        lines.append("| " + " | ".join(filled(cell, flat) for cell in row) + " |")
    lines += ["", "| security suites | margay |", "| --- | --- |"]
    lines += [f"| {key.split('.', 1)[1]} | {value} |" for key, value in flat.items() if key.split(".")[0] in ("scan", "tunnel")]
    lines += [f"| {key.split('.', 1)[1]} | {value} |" for key, value in flat.items() if key.startswith("names.") and "family" not in key]
    lines += ["", "Taken " + ", ".join(f"{name} {suite['taken']}" for name, suite in figures.items()) + ", from "
              + ", ".join(sorted({suite["margay"] for suite in figures.values()})) + "."]
    return "\n".join(lines)


def filled(cell, flat):
    """Figures have dots in their names, which str.format reads otherwise."""
    for key, value in flat.items():
        text = ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        cell = cell.replace("{" + key + "}", text)
    return "not measured" if "{" in cell else cell


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--margay", default=f"{ROOT}/target/release/margay")
    p.add_argument("--data", required=True)
    p.add_argument("--judge", required=True)
    p.add_argument("--suite", default=",".join(SUITES))
    a = p.parse_args()
    sys.path.insert(0, a.judge)
    judge, binary = load(a.judge), os.path.abspath(a.margay)
    figures = json.load(open(FIGURES)) if os.path.exists(FIGURES) else {}
    version = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    for name in a.suite.split(","):
        with tempfile.TemporaryDirectory() as work:
            out = SUITES[name](judge, binary, os.path.abspath(a.data), work)
        print("\n".join(f"{key}: {value}" for key, value in out.items()), flush=True)
        figures[name] = {"taken": datetime.date.today().isoformat(), "margay": version, "figures": out}
        with open(FIGURES, "w") as f:
            json.dump(figures, f, indent=1, sort_keys=True)
            f.write("\n")
    before, rest = open(PAGE).read().split(BEGIN)
    with open(PAGE, "w") as f:
        f.write(f"{before}{BEGIN}\n\n{page(figures)}\n\n{END}{rest.split(END)[1]}")


def load(folder):
    """The judge's script, which has this one's name."""
    spec = importlib.util.spec_from_file_location("judge", f"{folder}/quality.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
