"""Measures `margay run --once` beside DuckDB's `read_json` on the same logs, in turns; run it by `flows.sh`.

Both count bytes, flows, logs and destinations for every pod and 5 minutes. Before anything is timed the two results
are compared, value by value. CPU is user and system time of the whole process, memory its peak, as the kernel says.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, fields
from pathlib import Path

import flow_logs

THREADS = 2
FEATURES = {
    "bytes_in": "sum(bytes_in)",
    "bytes_out": "sum(bytes_out)",
    "flows": "sum(num_flows)",
    "logs": "count(*)",
    "largest": "max(bytes_out)",
}
DISTINCT = {"ports": "count(DISTINCT dest_port)", "addresses": "count(DISTINCT dest_ip)"}
WHERE = "reporter = 'src' AND action = 'allow'"
TYPES = {"start_time": "BIGINT", "dest_port": "INTEGER", "bytes_in": "BIGINT", "bytes_out": "BIGINT", "num_flows": "BIGINT"}
CONFIGURATION = """\
logs:
  flows: {{ files: "{logs}", preset: calico-flows }}
detectors: [detectors.d]
state: {{ dir: state }}
sinks:
  - file: {{ path: alerts.ndjson }}
"""
DETECTOR = """\
name: bench
description: What DuckDB counts too; its limit is never met.
log: flows
where: {where}
entity: [source_namespace, source_name]
bucket: 5m
features:
{features}
model:
  limit: {{ above: 1000000000000000 }}
threshold:
  score: 60
  direction: above
"""


@dataclass(frozen=True)
class Case:
    """One set of logs and what is asked of it."""

    name: str
    rows: int
    pods: int = 500
    days: int = 1
    projected: bool = False
    distinct: bool = False

    def features(self):
        return FEATURES | DISTINCT if self.distinct else FEATURES


@dataclass(frozen=True)
class Cost:
    """What one process took."""

    cpu_s: float
    wall_s: float
    memory_mb: float

    def less(self, start_up):
        return Cost(self.cpu_s - start_up.cpu_s, self.wall_s - start_up.wall_s, self.memory_mb)


def main():
    arguments = parse()
    if arguments.duckdb:
        duckdb_aggregate(*arguments.duckdb)
    elif arguments.compare:
        compare(*arguments.compare)
    else:
        bench_all(arguments)


def bench_all(arguments):
    work = Path(arguments.work).resolve()
    margay = Path(arguments.margay).resolve()
    work.mkdir(parents=True, exist_ok=True)
    start_up = median([cost([sys.executable, "-c", "import duckdb; duckdb.connect()"], work) for _ in range(5)])
    print(f"Taken off every figure of DuckDB: {start_up.cpu_s:.2f} CPU s in which Python starts and loads it.\n")
    print("| logs | rows | groups | engine | CPU s | wall s | peak MB | rows per CPU s | CPU ratio | memory ratio |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    ours = {case: bench(case, work, margay, arguments.rounds, start_up) for case in cases(arguments.rows)}
    if not arguments.scaling:
        return
    base = ours[cases(arguments.rows)[0]]
    grown = {case: bench(case, work, margay, arguments.rounds, start_up) for case in larger(arguments.rows)}
    print("\n| margay, beside its 57 fields above | CPU | wall | peak memory |")
    print("| --- | --- | --- | --- |")
    for case, one in grown.items():
        ratios = one.cpu_s / base.cpu_s, one.wall_s / base.wall_s, one.memory_mb / base.memory_mb
        print(f"| {case.name} | " + " | ".join(f"{ratio:.2f} x" for ratio in ratios) + " |")


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--margay", default="target/release/margay")
    parser.add_argument("--work", default="target/bench", help="where logs and state go")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scaling", action="store_true", help="also with 4 times the rows, days and pods")
    parser.add_argument("--duckdb", nargs=2, metavar=("LOGS", "FEATURES"), help=argparse.SUPPRESS)
    parser.add_argument("--compare", nargs=3, metavar=("LOGS", "FEATURES", "SCORES"), help=argparse.SUPPRESS)
    return parser.parse_args()


def cases(rows):
    return [
        Case("57 fields", rows),
        Case("57 fields, with distinct counts", rows, distinct=True),
        Case("11 fields", rows, projected=True),
        Case("11 fields, with distinct counts", rows, projected=True, distinct=True),
    ]


def larger(rows):
    return [
        Case("4 x rows", 4 * rows),
        Case("4 x rows, in 4 x days", 4 * rows, days=4),
        Case("4 x pods", rows, pods=2000),
        Case("4 x rows, of 4 x pods", 4 * rows, pods=2000),
    ]


def bench(case, work, margay, rounds, start_up):
    """Prints two lines of the table and returns margay's median cost."""
    logs, home = prepare(case, work)
    features = ",".join(case.features())
    peer = [sys.executable, __file__, "--duckdb", logs, features]
    ours = [margay, "--config", home / "margay.yaml", "run", "--once"]
    scores = home / "scores.parquet"
    forget(home)
    run([*ours, "--scores", scores], home)
    groups = int(run([sys.executable, __file__, "--compare", logs, features, scores], home))
    pairs = []
    for _ in range(rounds):
        forget(home)
        pairs.append((cost(ours, home), cost(peer, home).less(start_up)))
    report(case, groups, pairs)
    return median([ours for ours, _ in pairs])


def prepare(case, work):
    kind = "projected" if case.projected else "full"
    logs = work / f"flows-{kind}-{case.rows}-{case.pods}-{case.days}.ndjson"
    if not logs.exists():
        unfinished = logs.with_suffix(".part")
        flow_logs.write(unfinished, case.rows, case.pods, case.days, case.projected)
        unfinished.rename(logs)
    home = work / "home"
    shutil.rmtree(home, ignore_errors=True)
    (home / "detectors.d").mkdir(parents=True)
    features = "\n".join(f"  {name}: {expression}" for name, expression in case.features().items())
    (home / "margay.yaml").write_text(CONFIGURATION.format(logs=logs))
    (home / "detectors.d" / "bench.yaml").write_text(DETECTOR.format(where=WHERE, features=features))
    return logs, home


def forget(home):
    shutil.rmtree(home / "state", ignore_errors=True)


def run(command, home):
    done = subprocess.run([str(part) for part in command], cwd=home, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command} failed with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def cost(command, home):
    with (home / "output.txt").open("w") as output:
        begin = time.monotonic()
        process = subprocess.Popen([str(part) for part in command], cwd=home, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{command} failed with {process.returncode}:\n{(home / 'output.txt').read_text()}")
    return Cost(usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss / 1000)


def median(costs):
    return Cost(*(statistics.median(getattr(one, field.name) for one in costs) for field in fields(Cost)))


def report(case, groups, pairs):
    cpu = statistics.median(ours.cpu_s / theirs.cpu_s for ours, theirs in pairs)
    memory = statistics.median(ours.memory_mb / theirs.memory_mb for ours, theirs in pairs)
    ratios = f"**{cpu:.2f}** | **{memory:.2f}**", "1 | 1"
    for engine, costs, ratio in zip(("margay", "DuckDB"), zip(*pairs, strict=True), ratios, strict=True):
        middle = median(costs)
        print(
            f"| {case.name} | {case.rows:,} | {groups:,} | {engine} | {middle.cpu_s:.2f} | {middle.wall_s:.2f} "
            f"| {middle.memory_mb:.0f} | {case.rows / middle.cpu_s:,.0f} | {ratio} |",
            flush=True,
        )


def duckdb_aggregate(logs, features):
    import duckdb

    connection = duckdb.connect(config={"threads": THREADS})
    connection.execute(f"CREATE TABLE theirs AS {aggregate(logs, features.split(','))}")


def aggregate(logs, features):
    known = FEATURES | DISTINCT
    expressions = [known[feature] for feature in features]
    used = [field for field in flow_logs.PROJECTED if any(field in text for text in [*expressions, WHERE])]
    read = ["start_time", "source_namespace", "source_name", *used]
    columns = ", ".join(f"{field}: '{TYPES.get(field, 'VARCHAR')}'" for field in read)
    named = ", ".join(f"{known[feature]} AS {feature}" for feature in features)
    bucket_s = flow_logs.BUCKET_S
    return f"""
        SELECT start_time // {bucket_s} * {bucket_s} AS bucket, source_namespace, source_name, {named}
        FROM read_json('{logs}', format = 'newline_delimited', columns = {{{columns}}})
        WHERE {WHERE} GROUP BY ALL"""


def compare(logs, features, scores):
    """Prints the number of groups, or ends with an error where margay's values are not DuckDB's."""
    import duckdb

    names = features.split(",")
    connection = duckdb.connect(config={"threads": THREADS})
    connection.execute(f"CREATE TABLE theirs AS {aggregate(logs, names)}")
    pivot = ", ".join(f"max(value) FILTER (feature = '{name}') AS {name}" for name in names)
    connection.execute(f"""
        CREATE TABLE ours AS
        SELECT epoch(bucket_start::TIMESTAMPTZ)::BIGINT AS bucket, entity->>'source_namespace' AS source_namespace,
            entity->>'source_name' AS source_name, {pivot}
        FROM '{scores}' GROUP BY ALL HAVING max(value) FILTER (feature = 'logs') > 0""")
    same = " AND ".join(f"ours.{name} = theirs.{name}" for name in names)
    matched, = connection.execute(
        f"SELECT count(*) FROM ours JOIN theirs USING (bucket, source_namespace, source_name) WHERE {same}"
    ).fetchone()
    ours, theirs = (connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("ours", "theirs"))
    if not matched == ours == theirs:
        sys.exit(f"results differ: {ours} groups of margay, {theirs} of DuckDB, {matched} the same")
    print(matched)


if __name__ == "__main__":
    main()
