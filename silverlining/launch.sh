# Read by ./invoke and ./fab: sees to it that .venv is what requirements.txt says (venv.py makes it), then becomes $program.
# The way of a run with nothing to do is short: one comparison, no Python before the one that counts.
root=$(CDPATH='' cd -- "$(dirname -- "$self")" && pwd -P)
venv=$root/.venv
if ! [ -x "$venv/bin/python" ] || ! cmp -s -- "$root/requirements.txt" "$venv/requirements.txt"; then
    found=
    for python in python3 python3.13 python3.12 python3.11 python3.10; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            found=$python
            break
        fi
    done
    if [ -z "$found" ]; then
        echo "silverlining: Python 3.10 or later is needed; the python3 here is $(python3 --version 2>/dev/null || echo missing)." >&2
        echo "  → install one (Debian and Ubuntu: apt install python3 python3-venv) and run the same command again" >&2
        exit 1
    fi
    "$found" -I "$root/silverlining/venv.py" "$root"
fi
# By its own interpreter: a path with spaces, or a checkout that was moved, would break the script's first line.
LAUNCHED_AS=$0
export LAUNCHED_AS # so that what is said can be typed: somebody who writes ./invoke has no invoke on the path
exec "$venv/bin/python" "$venv/bin/$program" --search-root "$root" "$@"
