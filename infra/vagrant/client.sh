#!/usr/bin/env bash
# The client, and the computer of an operator: dsrctl is here. What fetches is sent by the check.
need curl iproute2
network
package
