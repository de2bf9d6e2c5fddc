#!/usr/bin/env bash
# How fast flows come out of a real Elasticsearch 8.17: margay, which also aggregates them, beside the official Python
# client's helpers.scan, which only hands them on. Both ask for the same fields of the same indices in turn.
#   DAYS [15] and PODS [130] say how many flows there are (about 1,000,000), ROUNDS [3] how often each is timed.
# Needs what `tests/services/elasticsearch.sh install` fetches, python3 and pip.
set -euo pipefail
cd "$(dirname "$0")/.."
margay=$PWD/target/release/margay
work=$(mktemp -d)
export PORT=${PORT:-9280} DIR=$work/node HEAP=${HEAP:-1g}
trap 'tests/services/elasticsearch.sh down; rm -rf "$work"' EXIT
python3 -m pip install --quiet --target "$work/python" 'elasticsearch==8.17.*'
url=$(tests/services/elasticsearch.sh up)
"$margay" generate --out "$work/logs" --days "${DAYS:-15}" --pods "${PODS:-130}" >/dev/null
PYTHONPATH=$work/python python3 benches/cluster.py fill "$url" "$work/logs/flows.ndjson.gz"

cat >"$work/margay.yaml" <<END
logs:
  flows: { elasticsearch: { url: "$url", index: "flows-*" }, preset: calico-flows }
detectors: [detectors.d]
sinks: [{ file: { path: alerts.ndjson } }]
END
mkdir "$work/detectors.d"
cat >"$work/detectors.d/sent.yaml" <<END
name: sent
log: flows
entity: [source_namespace, source_name_aggr]
bucket: 5m
features: { sent: sum(bytes_out) }
model: { limit: { above: 1TB } }
END

echo "load: $(cut -d' ' -f1-3 /proc/loadavg), processors: $(nproc)"
for _ in $(seq "${ROUNDS:-3}"); do
  PYTHONPATH=$work/python python3 benches/cluster.py scan "$url"
  rm -rf "$work/.margay"
  began=$(date +%s.%N)
  (cd "$work" && "$margay" run --once --until 2026-11-16 --output json) >"$work/ran.json"
  python3 benches/cluster.py tell "$began" "$work/ran.json"
done
