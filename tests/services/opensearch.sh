#!/usr/bin/env bash
# OpenSearch 3.8: a real node from Maven packages. How it is used: search/node.sh.
flavour=opensearch launcher=Opensearch java_least=21 java_most=99
. "$(dirname "${BASH_SOURCE[0]}")/search/node.sh"
home=$dir
compile=(-cp "$cache/lib/*")
run=(--add-modules jdk.incubator.vector --enable-native-access=ALL-UNNAMED -cp "$cache/classes:$cache/lib/*")
prepare() { :; }
main "$@"
