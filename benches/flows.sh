#!/usr/bin/env bash
# margay beside DuckDB on a million flow logs: benches/flows.sh [--rows N] [--rounds N] [--scaling]
# Writes logs (1.8 GB for a million; 11 GB with --scaling) and a virtual environment into target/bench.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly VENV=target/bench/venv
[ -x "$VENV/bin/python" ] || python3 -m venv "$VENV"
"$VENV/bin/python" -m pip install --quiet duckdb==2.0.0
cargo build --release
exec "$VENV/bin/python" benches/flows.py "$@"
