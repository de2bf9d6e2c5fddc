#!/usr/bin/env bash
# Elasticsearch 7.10, the last open one: a real node from Maven packages. How it is used: search/node.sh.
flavour=elasticsearch-oss launcher=ElasticsearchOss java_least=17 java_most=17
. "$(dirname "${BASH_SOURCE[0]}")/search/node.sh"
home=$dir
compile=(-cp "$cache/lib/*")
run=(-cp "$cache/classes:$cache/lib/*")
prepare() { :; }
main "$@"
