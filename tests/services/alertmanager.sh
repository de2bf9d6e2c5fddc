#!/usr/bin/env bash
# Prometheus Alertmanager, the one of Debian. `install` gets it; `up DIR PORT` starts it on loopback, with its data in
# DIR, and prints its address once it is ready; `down DIR` ends it.
set -euo pipefail

find_program() {
  command -v prometheus-alertmanager || command -v alertmanager
}

install_package() {
  if find_program >/dev/null; then return; fi
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends prometheus-alertmanager
}

up() {
  local dir=$1 port=$2 program url
  program=$(find_program)
  url=http://127.0.0.1:$port
  printf 'route: { receiver: nobody, group_wait: 1s }\nreceivers: [{ name: nobody }]\n' > "$dir/alertmanager.yml"
  "$program" --config.file="$dir/alertmanager.yml" --storage.path="$dir/data" --web.listen-address="127.0.0.1:$port" \
    --cluster.listen-address= > "$dir/alertmanager.log" 2>&1 &
  echo $! > "$dir/alertmanager.pid"
  for _ in $(seq 100); do
    if curl -fsS "$url/-/ready" >/dev/null 2>&1; then
      echo "$url"
      return
    fi
    sleep 0.2
  done
  tail -5 "$dir/alertmanager.log" >&2
  return 1
}

down() {
  kill "$(cat "$1/alertmanager.pid")"
}

case ${1:-} in
install) install_package ;;
up) up "$2" "$3" ;;
down) down "$2" ;;
*)
  echo "usage: $0 install | up DIR PORT | down DIR" >&2
  exit 2
  ;;
esac
