#!/usr/bin/env bash
# npm test: sets up what the tests need on a fresh machine, then runs them all.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
export TSX_DISABLE_CACHE=1 # which it would leave in /tmp
also=(wrk iputils-arping prometheus chromium nftables ethtool iptables systemd dbus man-db lintian)
bash infra/lab/setup.sh "${also[@]/#/--also=}"
npx --no-install tap build >/dev/null 2>&1
exec node --import tsx infra/test/main.ts "$@"
