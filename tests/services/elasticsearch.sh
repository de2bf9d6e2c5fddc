#!/usr/bin/env bash
# Elasticsearch 8.17: a real node from Maven packages. How it is used: search/node.sh.
flavour=elasticsearch launcher=Elasticsearch java_least=17 java_most=20
. "$(dirname "${BASH_SOURCE[0]}")/search/node.sh"
home=$cache
compile=(--module-path "$cache/lib" --add-modules ALL-MODULE-PATH)
run=(--module-path "$cache/lib" --add-modules "ALL-MODULE-PATH,jdk.net" -cp "$cache/classes")

# Its HTTP, and what it answers at its root, are modules in folders of their own.
prepare() {
  local modules=$cache/modules
  describe transport-netty4 org.elasticsearch.transport.netty4.Netty4Plugin
  describe greeting Greeting
  "$jdk/bin/javac" "${compile[@]}" -d "$cache/greeting" "$here/Greeting.java"
  "$jdk/bin/jar" cf "$modules/greeting/greeting.jar" -C "$cache/greeting" .
  mv "$cache"/lib/netty-*.jar "$cache"/lib/transport-netty4-*.jar "$cache"/lib/elasticsearch-ssl-config-*.jar \
    "$modules/transport-netty4/"
}

describe() {
  mkdir -p "$cache/modules/$1"
  printf '%s\n' "name=$1" "classname=$2" description=test version=8.17.0 elasticsearch.version=8.17.0 java.version=17 \
    >"$cache/modules/$1/plugin-descriptor.properties"
}
main "$@"
