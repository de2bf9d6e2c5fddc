#!/usr/bin/env bash
# Schemathesis, from PyPI: asks a running margay whatever its OpenAPI description allows and does not, and fails where an
# answer is an error of the server or is not as described. `install` fetches it into target/services, once; `run URL` asks
# the margay at URL. Without a URL, `run` starts the one of target/release on a small log of its own, and ends it.
set -euo pipefail
cd "$(dirname "$0")/../.."
version=4.32.5
out=${MARGAY_SERVICES:-$PWD/target/services}/schemathesis
examples=${EXAMPLES:-100}

install_package() {
  if [ -e "$out/ready" ]; then return; fi
  python3 -m pip install --quiet --target "$out" "schemathesis==$version"
  touch "$out/ready"
}

# It leaves notes of its own in the folder that it runs in.
ask() {
  (cd "$out" && PYTHONPATH=$out PYTHONDONTWRITEBYTECODE=1 python3 -m schemathesis.cli run "$1/api/v1/openapi.json" \
    --max-examples "$examples" --seed 1 --generation-database none --no-color)
}

serve_and_ask() {
  local address=
  home=$(mktemp -d)
  mkdir "$home/detectors.d"
  printf '%s\n' 'logs: { web: { files: "*.csv", time: { field: ts } } }' 'web: { listen: "127.0.0.1:0" }' 'sinks: []' \
    >"$home/margay.yaml"
  printf '%s\n' 'name: loud' 'log: web' 'entity: [app]' 'bucket: 1m' 'features: { hits: sum(hits) }' \
    'model: { limit: { above: 25 } }' >"$home/detectors.d/loud.yaml"
  { echo ts,app,hits; for minute in 10 20 30 40 50; do echo "2026-11-02T00:$minute:00Z,web,$minute"; done; } >"$home/0.csv"
  target/release/margay --config "$home/margay.yaml" --log info run >"$home/log" 2>&1 &
  daemon=$!
  trap 'kill "$daemon" && wait "$daemon"; rm -rf "$home"' EXIT
  for _ in $(seq 100); do
    address=$(sed -n 's/.*answering by HTTP address=//p' "$home/log")
    if [ -n "$address" ] && curl -sf "http://$address/readyz" >/dev/null; then break; fi
    sleep 0.1
  done
  ask "http://$address"
}

case ${1:-} in
install) install_package ;;
run) if [ -n "${2:-}" ]; then ask "$2"; else serve_and_ask; fi ;;
*)
  echo "usage: $0 install | run [URL]" >&2
  exit 2
  ;;
esac
