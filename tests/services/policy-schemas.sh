#!/usr/bin/env bash
# Fetches the schemas that API servers check policies with into target/policy-schemas, from package
# registries only: Calico's from a pinned Go module whose checksum is compared, Kubernetes' from
# PyPI's kubernetes-validate. What cannot be had is named and left out; the tests do the same.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=$PWD/target/policy-schemas
mkdir -p "$out"

calico=github.com/projectcalico/calico@v1.11.0-cni-plugin.0.20250813170300-a0db560f0520
calico_sum=h1:TXnPEzx4pLWgwzCetIO/VJuz4iBZZrOdNSv16a50YqE=
kubernetes=kubernetes-validate==1.37.0
kubernetes_release=v1.37.0

fetch_calico() {
  local json dir
  json=$(cd / && GOFLAGS= GOWORK=off go mod download -json "$calico") || return 1
  [[ $json == *"\"Sum\": \"$calico_sum\""* ]] || { echo "policy-schemas: $calico: wrong checksum" >&2; return 1; }
  dir=$(sed -n 's/^\t"Dir": "\(.*\)",\?$/\1/p' <<< "$json")
  install -m 644 "$dir/libcalico-go/config/crd/crd.projectcalico.org_globalnetworkpolicies.yaml" "$out/"
}

fetch_kubernetes() {
  local tmp
  tmp=$(mktemp -d)
  # shellcheck disable=SC2064 # the directory of now is meant
  trap "rm -rf '$tmp'" RETURN
  python3 -m pip download --quiet --no-deps --only-binary :all: --dest "$tmp" "$kubernetes" || return 1
  python3 - "$tmp" "$out/kubernetes-definitions.json" "$kubernetes_release" <<'PY' || return 1
import glob, sys, zipfile
directory, out, release = sys.argv[1:]
[wheel] = glob.glob(directory + "/*.whl")
name = f"kubernetes_validate/kubernetes-json-schema/{release}-local-strict/_definitions.json"
with zipfile.ZipFile(wheel) as archive, open(out, "wb") as file:
    file.write(archive.read(name))
PY
}

fetch_calico || echo "policy-schemas: left out: Calico (needs go and its module proxy)" >&2
fetch_kubernetes || echo "policy-schemas: left out: Kubernetes (needs python3, pip and PyPI)" >&2
ls "$out"
