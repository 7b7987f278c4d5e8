#!/bin/sh
# Sends one HTTP request to a published port from a network namespace of its own, as a client from outside would, and
# prints the HTTP status. usage: netns-client.sh PORT [PATH]
# Run it in the host's network namespace, with NET_ADMIN (the veth pair) and SYS_ADMIN (the new namespace):
#   docker run --rm --network host --cap-drop ALL --cap-add NET_ADMIN --cap-add SYS_ADMIN --read-only tools netns-client.sh 80
# The namespace lives as long as its process does, and the kernel takes the veth pair away with it: however this
# script ends, nothing stays behind.
set -eu
port=${1:?usage: netns-client.sh PORT [PATH]} path=${2:-/}

unshare --net sleep 20 & holder=$!
trap 'kill "$holder" 2>/dev/null || :' EXIT
trap 'exit 143' TERM INT HUP

# The process has its new namespace only a moment after it was started.
own=$(readlink /proc/self/ns/net) tries=0
until [ "$(readlink "/proc/$holder/ns/net" 2>/dev/null || echo "$own")" != "$own" ]; do
  tries=$((tries + 1))
  if ! kill -0 "$holder" 2>/dev/null || [ $tries -gt 500 ]; then
    echo "netns-client: no new network namespace: this container needs SYS_ADMIN" >&2; exit 1
  fi
done

# A /30 that no route of the host knows, out of 198.18.0.0/15, which is kept for measuring networks.
for random in $(od -An -N32 -tu2 /dev/urandom); do
  net=198.$((18 + random % 2)).$((random / 256)).$((random % 64 * 4))
  [ -n "$(ip -4 route show table all root "$net/30"; ip -4 route show table all match "$net/30" | grep -v '^default' || :)" ] || break
  net=
done
[ -n "$net" ] || { echo "netns-client: no free subnet in 198.18.0.0/15" >&2; exit 1; }
prefix=${net%.*} last=${net##*.}
host=$prefix.$((last + 1)) client=$prefix.$((last + 2)) veth=sl$(printf %04x "$random")
ip link add "$veth" type veth peer name client netns "$holder"
ip address add "$host/30" dev "$veth"
ip link set "$veth" up
inside() { nsenter --net="/proc/$holder/ns/net" "$@"; }
inside ip address add "$client/30" dev client
inside ip link set client up
inside ip route add default via "$host"

inside curl -sS --noproxy '*' --max-time 5 -o /dev/null -w '%{http_code}\n' "http://$host:$port$path"
