#!/usr/bin/env bash
# Times training: 200 entities x 4 weeks of 5-minute buckets with and without the network, and names classified a second.
# usage: benches/training.sh [path of margay]     needs 200 MB under target/bench
set -euo pipefail
cd "$(dirname "$0")/.."
margay=$(realpath "${1:-target/release/margay}")
home=target/bench/training
mkdir -p "$home/detectors.d"

# One row an entity and bucket: daily swing, log-normal noise.
write_log() {
    awk 'BEGIN {
        srand(1); pi = atan2(0, -1); start = 1788220800
        print "ts,app,bytes"
        for (bucket = 0; bucket < 28 * 288; bucket++) {
            ts = start + bucket * 300; day = 1 + 0.5 * sin(2 * pi * (ts % 86400) / 86400)
            for (app = 0; app < 200; app++) {
                noise = sqrt(-2 * log(1 - rand())) * cos(2 * pi * rand())
                printf "%d,app-%d,%d\n", ts, app, (1000 + 37 * app) * day * exp(0.2 * noise)
            }
        }
    }'
}

cat > "$home/margay.yaml" <<'YAML'
logs:
  web: { files: log.csv, time: { field: ts, format: epoch_s } }
detectors: [detectors.d]
sinks: []
limits: { query_timeout: 10m, query_memory: 4GB }
YAML
for model in seasonal auto count neural; do
    cat > "$home/detectors.d/$model.yaml" <<YAML
name: $model
log: web
entity: [app]
features: { bytes: sum(bytes) }
model: { $model: {} }
YAML
done
cat > "$home/detectors.d/multivariate.yaml" <<'YAML'
name: multivariate
log: web
entity: [app]
features: { bytes: sum(bytes), rows: count(*), most: max(bytes) }
model: { multivariate: {} }
YAML

[ -f "$home/log.csv" ] || write_log > "$home/log.csv"
cd "$home"
rm -rf .margay
echo "from nothing: every day judged and trained on the way"
"$margay" train
echo "again, from what is stored"
"$margay" train

# A list of names, and the time that classifying it takes over that for one name.
[ -f names.txt ] || awk 'BEGIN { srand(2); for (at = 0; at < 1000000; at++) { name = ""
    for (letter = 0; letter < 6 + rand() * 14; letter++) name = name substr("abcdefghijklmnopqrstuvwxyz0123456789", 1 + int(rand() * 36), 1)
    print name ".com" } }' > names.txt
TIMEFORMAT="1,000,000 names classified: %R s wall, %U s user"
time "$margay" classify names.txt > /dev/null
TIMEFORMAT="1 name classified: %R s wall, %U s user"
time "$margay" classify - > /dev/null <<< example.com
