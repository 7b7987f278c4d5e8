# What the scripts of Redis and Sentinel share; sourced, not run.
conf=/data/conf
umask 077

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

password() {
    [ -r /secrets/redis-password ] || die "/secrets/redis-password is missing: mount the stack's secrets volume at /secrets"
    tr -d '\r\n' < /secrets/redis-password
}

# The password as a quoted word of a Redis configuration file.
quoted_password() {
    secret=$(password)
    [ -n "$secret" ] || die "/secrets/redis-password is empty"
    printf '"%s"' "$(printf %s "$secret" | sed 's/[\\"]/\\&/g')"
}

private_directory() {
    { mkdir -p -m 700 "$conf" && [ -w "$conf" ]; } 2> /dev/null || die "$conf can't be written by user $(id -u): it needs a volume of its own at /data"
}

# Standard input becomes the file $1, whole or not at all, whenever we are killed.
write_file() {
    cat > "$1.new" && sync "$1.new" && mv "$1.new" "$1"
}

# The first address of the name $1, awaited: a container has no name before it runs.
address_of() {
    until_time=$(($(date +%s) + ${RESOLVE_DEADLINE:-30}))
    while :; do
        found=$(timeout 2 getent ahostsv4 "$1" | awk '{ print $1; exit }') || found=
        [ -z "$found" ] || break
        [ "$(date +%s)" -lt "$until_time" ] || die "the name $1 has no address after ${RESOLVE_DEADLINE:-30} s: does that container run on this network?"
        sleep 0.2
    done
    echo "$found"
}

# "ADDRESS PORT" of the master, by the Sentinels of this network that answer: the newest decision counts. Nothing if none does.
master_by_sentinels() {
    echo "${SENTINELS-sentinel:26379}" | tr ',' '\n' | while IFS=: read -r name port; do
        [ -n "$name" ] || continue
        timeout 1 getent ahostsv4 "$name" | awk '{ print $1 }' | sort -u | while read -r peer; do
            timeout 0.5 redis-cli -h "$peer" -p "${port:-26379}" sentinel master master < /dev/null 2> /dev/null \
                | awk 'NR % 2 { key = $0; next } { value[key] = $0 } END { if (value["ip"] != "") print value["config-epoch"], value["ip"], value["port"] }'
        done
    done | sort -rn | awk '{ print $2, $3; exit }'
}
