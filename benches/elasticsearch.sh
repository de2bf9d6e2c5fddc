#!/usr/bin/env bash
# How fast flows come out of a real Elasticsearch 8.17, in one run and in turn:
#   margay that has the server aggregate them, and margay that pulls them; both also make features, judge and store,
#   helpers.scan of the official Python client, which only hands them on: as it is, and asked for the same fields,
#   the requests of the pull alone, whose answers nobody reads: what the server gives at most.
# The features must be those of the same flows in a file, to the bit.
#   DAYS [15] and PODS [140] say how many flows there are (about 1,000,000), BUCKET [1h] how long the detector's buckets
#   are, ROUNDS [3] how often each is timed.
# Needs what `tests/services/elasticsearch.sh install` fetches, python3 and pip.
set -euo pipefail
cd "$(dirname "$0")/.."
margay=$PWD/target/release/margay
work=$(mktemp -d)
export PORT=${PORT:-9280} DIR=$work/node HEAP=${HEAP:-1g}
trap 'tests/services/elasticsearch.sh down; rm -rf "$work"' EXIT
python3 -m pip install --quiet --target "$work/python" 'elasticsearch==8.17.*'
url=$(tests/services/elasticsearch.sh up)
"$margay" generate --out "$work/logs" --days "${DAYS:-15}" --pods "${PODS:-140}" >/dev/null
cluster() { PYTHONPATH=$work/python python3 benches/cluster.py "$@"; }
cluster fill "$url" "$work/logs/flows.ndjson.gz"

# A folder with a configuration whose flows are there.
home() {
  mkdir -p "$work/$1/detectors.d"
  cat >"$work/$1/margay.yaml" <<END
logs:
  flows: { $2, preset: calico-flows }
detectors: [detectors.d]
sinks: [{ file: { path: alerts.ndjson } }]
END
  cat >"$work/$1/detectors.d/sent.yaml" <<END
name: sent
log: flows
entity: [source_namespace, source_name_aggr]
bucket: ${BUCKET:-1h}
features: { sent: sum(bytes_out) }
model: { limit: { above: 1TB } }
END
}
home files "files: \"$work/logs/flows.ndjson.gz\""
home aggregated "elasticsearch: { url: \"$url\", index: \"flows-*\" }"
home pulled "elasticsearch: { url: \"$url\", index: \"flows-*\" }, push_down: false"

run() {
  local began
  rm -rf "$work/$1/.margay"
  began=$(date +%s.%N)
  (cd "$work/$1" && "$margay" run --once --until 2026-11-16 --output json) >"$work/ran.json" 2>/dev/null
  cluster tell "$began" "margay, $1" "$work/ran.json"
  diff -r "$work/files/.margay/features" "$work/$1/.margay/features"
}

echo "load: $(cut -d' ' -f1-3 /proc/loadavg), processors: $(nproc)"
run files
for _ in $(seq "${ROUNDS:-3}"); do
  run aggregated
  run pulled
  cluster requests "$url"
  cluster scan "$url"
  cluster scan "$url" fields
done
echo "features: those of the file, to the bit"
