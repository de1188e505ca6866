#!/usr/bin/env bash
# npm run bench -- NAME [--json FILE] [--rounds N] [--readme]: sets up what a benchmark needs, then runs it in a guest.
set -euo pipefail
cd "$(dirname "$0")/../.."
export TSX_DISABLE_CACHE=1 # which it would leave in /tmp
also=()
if [ "${1-}" = failover ]; then also=(--also keepalived --also ldirectord); fi
bash infra/lab/setup.sh "${also[@]}"
exec node --import tsx infra/bench/main.ts "$@"
