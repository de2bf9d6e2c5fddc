# Sourced by the scripts of the search servers, which name the flavour, the least version of Java and the launcher, and
# may prepare what was fetched. Everything is written below target/services, or where MARGAY_SERVICES says.
#
#   install   fetches the server from Maven's registry, once
#   up        starts it on 127.0.0.1, waits until it answers and prints its address
#   down      ends it; its data stay
#
# PORT [9200] and DIR [a folder named after the port] say where it runs, HEAP [768m] how much memory it has, and
# WATCH, if set, the process whose end it does not outlive. Further arguments of `up` are settings of the node.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
base=${MARGAY_SERVICES:-$here/../../../target/services}
mkdir -p "$base/$flavour"
cache=$(cd "$base/$flavour" && pwd)
port=${PORT:-9200}
dir=${DIR:-$cache/node-$port}
heap=${HEAP:-768m}
url=http://127.0.0.1:$port

# A JDK that the server runs on.
find_jdk() {
  local home version
  for home in ${JAVA_HOME:+"$JAVA_HOME"} /usr/lib/jvm/*; do
    [ -x "$home/bin/javac" ] || continue
    version=$("$home/bin/javac" -version 2>&1 | sed 's/^javac \([0-9]*\).*/\1/')
    if [ "$version" -ge "$java_least" ] && [ "$version" -le "$java_most" ]; then echo "$home"; return; fi
  done
  return 1
}

missing() {
  echo "$flavour: left out: $*" >&2
  exit 1
}

# Several tests may want it at once: one installs, the others wait.
install_node() {
  jdk=$(find_jdk) || missing "needs a JDK $java_least to $java_most"
  [ -e "$cache/ready" ] && return
  command -v mvn >/dev/null || missing "needs Maven"
  (
    flock 9
    [ -e "$cache/ready" ] && exit
    JAVA_HOME=$jdk mvn -B -q -f "$here/$flavour.xml" dependency:copy-dependencies \
      -DincludeScope=runtime -DoutputDirectory="$cache/lib" >&2
    "$jdk/bin/javac" "${compile[@]}" -d "$cache/classes" "$here/$launcher.java" "$here/Closing.java"
    prepare
    touch "$cache/ready"
  ) 9>"$cache/lock"
  [ -e "$cache/ready" ] || missing "could not be fetched"
}

answers() {
  curl -sf -o /dev/null --max-time 5 \
    "$url/_cluster/health?wait_for_status=yellow&wait_for_no_initializing_shards=true&timeout=1s"
}

up() {
  install_node
  mkdir -p "$dir"
  if curl -s -o /dev/null "$url"; then missing "port $port is taken"; fi
  nohup setsid "$jdk/bin/java" -Xms"$heap" -Xmx"$heap" -XX:+UseSerialGC -Dlog4j2.level=warn "${run[@]}" "$launcher" \
    network.host=127.0.0.1 discovery.type=single-node http.port="$port" transport.port=0 \
    path.home="$home" path.data="$dir/data" path.logs="$dir/logs" \
    cluster.routing.allocation.disk.threshold_enabled=false "$@" >"$dir/log" 2>&1 </dev/null 9>&- &
  local pid=$!
  echo $pid >"$dir/pid"
  for _ in $(seq 600); do
    if answers; then
      watch $pid
      echo "$url"
      return
    fi
    kill -0 $pid 2>/dev/null || break
    sleep 0.2
  done
  tail -20 "$dir/log" >&2
  kill $pid 2>/dev/null || true
  missing "it does not start"
}

# Ends the node when the process that wanted it is gone, and removes its data.
watch() {
  [ -n "${WATCH:-}" ] || return 0
  nohup setsid bash -c "
    while kill -0 $WATCH && kill -0 $1; do sleep 1; done
    kill $1
    while kill -0 $1; do sleep 1; done
    rm -rf \"\$1/data\" \"\$1/logs\"" watch "$dir" >/dev/null 2>&1 </dev/null &
}

down() {
  [ -e "$dir/pid" ] || return 0
  local pid
  pid=$(cat "$dir/pid")
  kill "$pid" 2>/dev/null || true
  for _ in $(seq 150); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.2
  done
  kill -9 "$pid" 2>/dev/null || true
  rm -f "$dir/pid"
}

main() {
  local what=${1:-}
  shift || true
  case $what in
    install) install_node ;;
    up) up "$@" ;;
    down) down ;;
    *) echo "$0 install | up [SETTING=VALUE ...] | down" >&2; exit 2 ;;
  esac
}
