#!/usr/bin/env bash
# The router between the clients and the LAN. The check listens here to who sends the replies.
need tcpdump iproute2
echo 'net.ipv4.ip_forward = 1' | write /etc/sysctl.d/90-dsr-router.conf
sysctl --quiet --load /etc/sysctl.d/90-dsr-router.conf
network
