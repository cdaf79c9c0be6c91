#!/usr/bin/env bash
# Install the package, the tested fairseq and everything that the tests need.
#
# usage: ./scripts/setup.sh [--compile]
#
#   --compile   also build fairseq's compiled parts (minutes; needs a C++ compiler). Nothing here
#               needs them: batching is replaced by Python with the same result.
#
# Installs into the active virtual environment; without one, into .venv beside this folder, which is
# made first. A second call with nothing changed does nothing.
#
# example: ./scripts/setup.sh && . .venv/bin/activate
set -euo pipefail
export LC_ALL=C

if [ "${1:-}" = --help ]; then
    sed -n '2,/^set /p' "$0" | sed -e '/^set /d' -e 's/^# \{0,1\}//'
    exit 0
fi
compile=0
case "${1:-}" in
    "") ;;
    --compile) compile=1 ;;
    *)
        echo "setup.sh: unknown argument '$1'; see --help" >&2
        exit 2
        ;;
esac

cd "$(dirname "$0")/.."
if [ -z "${VIRTUAL_ENV:-}" ]; then
    [ -d .venv ] || python3 -m venv .venv
    # shellcheck disable=SC1091
    . .venv/bin/activate
fi

mark="$VIRTUAL_ENV/.kd-plugin-setup"
state="$(cat pyproject.toml constraints.txt scripts/setup.sh | cksum) $PWD $compile"
if [ -f "$mark" ] && [ "$(cat "$mark")" = "$state" ]; then
    exit 0
fi

echo "setup.sh: installing into $VIRTUAL_ENV (a few minutes the first time)" >&2
install() { python -m pip install --quiet --disable-pip-version-check -c constraints.txt "$@"; }
install torch numpy setuptools wheel Cython
if [ "$compile" = 1 ]; then
    CFLAGS="-O0 -g0" install --no-build-isolation --no-cache-dir fairseq-fixed
else
    READTHEDOCS=1 install --no-build-isolation --no-cache-dir fairseq-fixed
fi
install --no-build-isolation -e '.[fairseq,neighbours,test,lint]'
echo "$state" > "$mark"
