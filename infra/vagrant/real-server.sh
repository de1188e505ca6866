#!/usr/bin/env bash
# A real server: lighttpd with images, and dsr-agent, which waits for its invitation.
need iproute2 lighttpd
network limited
package

echo ok | write /srv/www/healthz
mkdir -p /srv/www/images
for i in 1 2 3 4; do truncate --size=200000 "/srv/www/images/$i.jpg"; done
lighttpd_on 80 </dev/null

# An invitation adds to it what else an agent must know.
[ -e /etc/dsr/agent.json ] || write /etc/dsr/agent.json <<JSON
{ "allowedVips": ["192.0.2.0/24"], "speedMbit": $MBIT }
JSON
