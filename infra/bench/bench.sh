#!/usr/bin/env bash
# npm run bench -- ...: Node and the Node packages first, since all the rest is TypeScript; main.ts sets up the rest.
set -euo pipefail
cd "$(dirname "$0")/../.."
bash infra/lab/setup.sh node
export TSX_DISABLE_CACHE=1 # which it would leave in /tmp
exec node --import tsx infra/bench/main.ts "$@"
