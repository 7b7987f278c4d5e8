#!/bin/sh
# Makes /venv with the packages of requirements.txt, in the builder stage. Everything is pinned, transitive packages too,
# so pip resolves nothing: meinheld asks for a greenlet that no longer builds, and works with a current one.
set -eu
if [ -s /host/ca.crt ]; then
    cat /etc/ssl/certs/ca-certificates.crt /host/ca.crt > /tmp/ca.pem
    export PIP_CERT=/tmp/ca.pem
fi
[ ! -s /host/pip.conf ] || export PIP_CONFIG_FILE=/host/pip.conf
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore

python3 -m venv /venv
/venv/bin/pip install --target /tmp/tools --require-hashes -r /build-requirements.txt
install() { PYTHONPATH=/tmp/tools /venv/bin/pip install --no-deps --no-build-isolation --require-hashes -r "$1"; }
sed '/^meinheld/,$d' /requirements.txt > /tmp/first.txt
install /tmp/first.txt
# meinheld brings the header of an old greenlet, whose structures are no longer so: whatever waits in it, a slow client's
# response too, then crashes. Both headers have the same guard, so the one that comes first counts.
export CFLAGS="-O2 -DNDEBUG -include $(find /venv/include -name greenlet.h)"
install /requirements.txt
# pip is for the one who builds.
/venv/bin/pip uninstall --yes pip setuptools
