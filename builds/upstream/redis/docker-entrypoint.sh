#!/bin/sh
# Runs redis-server when given only its options or a configuration file, as user redis when started as root.
set -eu
case ${1-} in
    -* | *.conf) set -- redis-server "$@" ;;
esac
umask 0077
if [ "${1-}" = redis-server ] && [ "$(id -u)" = 0 ]; then
    chown redis:redis /data
    exec setpriv --reuid=redis --regid=redis --clear-groups -- "$@"
fi
exec "$@"
