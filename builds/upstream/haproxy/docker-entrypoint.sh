#!/bin/sh
# Runs haproxy when given only its options, always in the foreground as master and workers.
set -eu
case ${1-} in
    -*) set -- haproxy "$@" ;;
esac
if [ "${1-}" = haproxy ]; then
    shift
    set -- haproxy -W -db "$@"
fi
exec "$@"
