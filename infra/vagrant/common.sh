#!/usr/bin/env bash
# What all machines need; the script of the role follows. As root; a second run changes nothing.
#   NAME   of the machine             IP     its address, the first one
#   CARDS  MAC=ADDRESS of each card   MBIT   speed of the cards on the LAN
#   REAL_SERVERS  NAME=ADDRESS of each    EMULATED  yes without KVM
set -euo pipefail
: "${NAME:?}" "${IP:?}" "${CARDS:?}" "${MBIT:?}" "${REAL_SERVERS:?}"
export DEBIAN_FRONTEND=noninteractive

# need PACKAGE...: installs those that are missing.
need() {
  local package missing=()
  for package; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  apt-get update -qq
  install "${missing[@]}"
}

# install PACKAGE...: without a line for every percent of it.
install() { apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends "$@"; }

# write FILE: its new contents are the standard input.
write() {
  mkdir -p "$(dirname "$1")"
  cat >"$1"
}

# card MAC: the name of that card.
card() {
  local file
  for file in /sys/class/net/*/address; do
    [ "$(cat "$file")" != "$1" ] || { basename "$(dirname "$file")" && return; }
  done
  echo "there is no card with the address $1" >&2
  return 1
}

# network WORDS: systemd-networkd gives the cards their addresses, now and at boot. The way to the other network is over the
# router; the default route stays with the card that Vagrant reaches the machine by. A card on the LAN sends MBIT and no more.
network() {
  local pair mac ip
  for pair in $CARDS; do
    mac=${pair%%=*} ip=${pair#*=}
    {
      printf '[Match]\nMACAddress=%s\n\n[Network]\nAddress=%s/24\n' "$mac" "$ip"
      [ "$NAME" = router ] || case $ip in
      192.0.2.*) printf '\n[Route]\nDestination=198.51.100.0/24\nGateway=192.0.2.1\n' ;;
      *) printf '\n[Route]\nDestination=192.0.2.0/24\nGateway=198.51.100.1\n' ;;
      esac
      [ "${1-}" != limited ] ||
        printf '\n[TokenBucketFilter]\nParent=root\nRate=%sM\nBurstBytes=256K\nLatencySec=100ms\n' "$MBIT"
    } | write "/etc/systemd/network/05-dsr-${mac//:/}.network"
  done
  # The round trips of emulated machines are so long that TCP sends pieces of two frames, each with an ACK that passes the
  # director; on a short way like this it gathers up to 64 kB. Ten frames, so that no queue overflows.
  if [ "${EMULATED-}" ]; then
    echo 'net.ipv4.tcp_min_tso_segs = 10' | write /etc/sysctl.d/90-dsr-emulated.conf
    sysctl --quiet --load /etc/sysctl.d/90-dsr-emulated.conf
  fi
  systemctl enable --quiet --now systemd-networkd
  networkctl reload
  for pair in $CARDS; do
    for _ in $(seq 60); do
      [[ $(ip -4 -oneline address show dev "$(card "${pair%%=*}")") != *" ${pair#*=}/24"* ]] || continue 2
      sleep 1
    done
    echo "${pair%%=*} did not get its address ${pair#*=}" >&2
    return 1
  done
}

# start UNIT: runs with its present settings, now and at boot.
start() {
  systemctl unmask --quiet "$1"
  systemctl enable --quiet "$1"
  systemctl restart "$1"
}

# package: this project's own.
package() {
  need nodejs nftables ipvsadm
  install --reinstall /tmp/dsr-controller.deb
}

# lighttpd PORT: serves /srv/www there, and says on every answer who served it; further settings are the standard input.
lighttpd_on() {
  write /etc/lighttpd/lighttpd.conf <<LIGHTTPD
server.document-root = "/srv/www"
server.port = $1
server.username = "www-data"
server.groupname = "www-data"
server.modules = ("mod_setenv")
setenv.add-response-header = ("X-Served-By" => "$NAME")
server.max-keep-alive-requests = 65535
mimetype.assign = (".jpg" => "image/jpeg", "" => "text/plain")
$(cat)
LIGHTTPD
  start lighttpd
}

echo "$NAME" >/etc/hostname
hostname "$NAME"
sed -i '/^127\.0\.1\.1/d' /etc/hosts
echo "127.0.1.1 $NAME" >>/etc/hosts
