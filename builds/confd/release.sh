#!/bin/sh
# Fetches confd's release archive with the downloader that every Debian has (apt's own), checks it, and leaves /confd.
# CONFD_URL names the archive ("" takes the release on GitHub), CONFD_SHA256 its hash ("" takes it from the release's checksums.txt).
set -eu
: "${CONFD_URL:=https://github.com/abtreece/confd/releases/download/$CONFD_VERSION/confd-$CONFD_VERSION-linux-$(dpkg --print-architecture).tar.gz}"

refuse() {
    echo "confd's release: $*"
    exit 1
}

fetch() {
    /usr/lib/apt/apt-helper -q -o APT::Sandbox::User=root -o Acquire::Retries=1 -o Acquire::http::Timeout=10 -o Acquire::https::Timeout=10 \
        download-file "$@"
}

[ ! -s /host/env ] || . /host/env
# apt knows these by their small names only.
export http_proxy="${http_proxy:-${HTTP_PROXY:-}}" https_proxy="${https_proxy:-${HTTPS_PROXY:-}}" no_proxy="${no_proxy:-${NO_PROXY:-}}"
APT_CONFIG=$(mktemp)
export APT_CONFIG
if [ -s /host/ca.crt ]; then
    echo 'Acquire::https::CAInfo "/host/ca.crt";' > "$APT_CONFIG"
fi

fetch "$CONFD_URL" /confd.tar.gz || refuse "no download from $CONFD_URL"
if [ -z "$CONFD_SHA256" ]; then
    fetch "${CONFD_URL%/*}/checksums.txt" /checksums.txt || refuse "no checksums.txt beside $CONFD_URL"
    CONFD_SHA256=$(awk -v name="${CONFD_URL##*/}" '$2 == name || $2 == "*" name { print $1 }' /checksums.txt)
fi
echo "$CONFD_SHA256  /confd.tar.gz" | sha256sum -c - || refuse "the archive has another SHA-256 than ${CONFD_SHA256:-none}"
tar -xzf /confd.tar.gz -C / confd
chmod 755 /confd
/confd --version
