#!/usr/bin/env bash
# Times `replay` of 30 days x 200 entities and `tune` on 90 days x 300 entities of stored scores, buckets of 5 minutes.
# usage: benches/tuning.sh [path of margay]     needs 2 GB under target/bench
set -euo pipefail
cd "$(dirname "$0")/.."
margay=$(realpath "${1:-target/release/margay}")
home=target/bench/tuning

# A log of so many entities and days, one row a bucket: daily swing, log-normal noise, a spike now and then.
write_log() {
    local entities=$1 days=$2
    awk -v entities="$entities" -v days="$days" 'BEGIN {
        srand(1); pi = atan2(0, -1); start = 1788220800
        print "ts,app,bytes"
        for (bucket = 0; bucket < days * 288; bucket++) {
            ts = start + bucket * 300; day = 1 + 0.5 * sin(2 * pi * (ts % 86400) / 86400)
            for (app = 0; app < entities; app++) {
                noise = sqrt(-2 * log(1 - rand())) * cos(2 * pi * rand())
                spike = rand() > 0.9999 ? 5 : 1
                printf "%d,app-%d,%d\n", ts, app, (1000 + 37 * app) * day * exp(0.2 * noise) * spike
            }
        }
    }'
}

prepare() {
    local name=$1
    mkdir -p "$home/$name/detectors.d"
    cat > "$home/$name/margay.yaml" <<'YAML'
logs:
  web: { files: log.csv, time: { field: ts, format: epoch_s } }
detectors: [detectors.d]
sinks: []
limits: { query_timeout: 10m, query_memory: 4GB }
YAML
    cat > "$home/$name/detectors.d/load.yaml" <<'YAML'
name: load
log: web
entity: [app]
features: { bytes: sum(bytes) }
model: { seasonal: {} }
threshold: { score: 40 }
YAML
}

timed() {
    local what=$1
    shift
    /usr/bin/env bash -c 'TIMEFORMAT="%R s wall, %U s user"; time "$@" > /dev/null' -- "$@" 2>&1 | tail -1 |
        sed "s/^/$what: /"
}

prepare month
[ -f "$home/month/log.csv" ] || write_log 200 30 > "$home/month/log.csv"
prepare quarter
[ -f "$home/quarter/log.csv" ] || write_log 300 90 > "$home/quarter/log.csv"

cd "$home/month"
rm -rf .margay
timed "replay of 30 days x 200 entities, from the log" "$margay" replay
timed "replay of 30 days x 200 entities, from stored features" "$margay" replay
cd ../quarter
[ -f scores.parquet ] || timed "replay of 90 days x 300 entities with scores" "$margay" replay --scores scores.parquet
timed "tune on 90 days x 300 entities of stored scores" "$margay" tune load --scores scores.parquet --budget 1000/1w
