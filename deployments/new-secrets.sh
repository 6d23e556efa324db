#!/bin/sh
# Write the secrets that compose.yaml reads into deployments/.env: passwords of the two databases, and the token of the
# pages. Secrets that the file has already are kept, since the databases have them too.
set -eu
umask 077
file=$(dirname "$0")/.env
touch "$file"
for name in TRAP_DATABASE_PASSWORD PREFECT_DATABASE_PASSWORD TRANSIENTS_TOKEN; do
    grep -q "^$name=" "$file" || echo "$name=$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" >> "$file"
done
