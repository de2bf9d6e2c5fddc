#!/usr/bin/env bash
# Writes certificates for the tests of TLS into the folder that is named: an authority (ca), a server at `localhost` and a
# client, each NAME.pem with its key NAME.key, for two days. Needs openssl.
set -euo pipefail
cd "$1"

new_key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)

issue() {
  openssl req "${new_key[@]}" -subj "/CN=$1" -keyout "$1.key" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile <(echo "$2") -out "$1.pem"
}

openssl req -x509 "${new_key[@]}" -days 2 -subj /CN=ca -addext basicConstraints=critical,CA:TRUE -keyout ca.key -out ca.pem
issue server subjectAltName=DNS:localhost
issue client extendedKeyUsage=clientAuth
