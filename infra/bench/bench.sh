#!/usr/bin/env bash
# npm run bench -- NAME [--json FILE] [--rounds N]: sets up what a benchmark needs, then runs it in a guest.
set -euo pipefail
cd "$(dirname "$0")/../.."
bash infra/lab/setup.sh
exec node --import tsx infra/bench/main.ts "$@"
