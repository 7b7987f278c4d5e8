#!/bin/sh
# Prints what the host's network looks like, in sections for silverlining/model/netfacts.py. Reads only.
# Run it in the host's network namespace, with NET_ADMIN and NET_RAW:
#   docker run --rm --network host --cap-drop ALL --cap-add NET_ADMIN --cap-add NET_RAW --read-only tools host-net.sh
set -eu
section() { printf '== %s\n' "$1"; shift; "$@" 2>/dev/null || :; printf '\n'; }

section address ip -d -j address
section route ip -j -4 route
section listen ss -H -t -l -n
section nft nft -j list table ip docker-bridges
section iptables-nft iptables-nft-save -c -t nat
# The legacy tool would create the table that it is asked for: only look where there is one.
if grep -qx nat /proc/net/ip_tables_names 2>/dev/null; then section iptables-legacy iptables-legacy-save -c -t nat; fi
