#!/usr/bin/env bash
# npm test: sets up what the tests need on a fresh machine, then runs them all.
set -euo pipefail
cd "$(dirname "$0")/../.."
bash infra/lab/setup.sh
npx --no-install tap build > /dev/null 2>&1
exec node --import tsx infra/test/main.ts "$@"
