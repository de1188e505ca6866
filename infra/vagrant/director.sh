#!/usr/bin/env bash
# The director: dsr-controller; PHP, which stays here; and HAProxy over the same real servers, to compare with.
need iproute2 lighttpd php-fpm haproxy
network limited
package

write /srv/www/index.php <<'PHP'
<?php
echo 'Hello from ', gethostname(), ', PHP ', PHP_VERSION, ', to ', $_SERVER['REMOTE_ADDR'], "\n";
PHP
fpm=$(basename "$(ls /usr/sbin/php-fpm*)")
start "php${fpm#php-fpm}-fpm"
lighttpd_on 8080 <<LIGHTTPD
server.modules += ("mod_fastcgi", "mod_rewrite")
url.rewrite-once = ("" => "/index.php")
fastcgi.server = (".php" => (("socket" => "/run/php/php${fpm#php-fpm}-fpm.sock")))
LIGHTTPD

write /etc/haproxy/haproxy.cfg <<HAPROXY
defaults
  mode http
  option splice-response
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend images
  bind $IP:8000
  default_backend real-servers
backend real-servers
  balance leastconn
$(for pair in $REAL_SERVERS; do echo "  server ${pair%%=*} ${pair#*=}:80"; done)
HAPROXY
start haproxy

write /etc/dsr/controller.json <<JSON
{ "interface": "$(card "${CARDS%%=*}")", "listen": "$IP:7100", "speedMbit": $MBIT }
JSON
start dsr-controller
