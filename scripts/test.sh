#!/usr/bin/env bash
# Set up and run everything that must hold: linters, types, shell checks and tests.
#
# usage: ./scripts/test.sh [pytest arguments]
#
# With arguments only pytest runs, on those. Slow studies are left out; ask for them with -m slow.
#
# example: ./scripts/test.sh
# example: ./scripts/test.sh tests/criterions -k temperature
set -euo pipefail
export LC_ALL=C

if [ "${1:-}" = --help ]; then
    sed -n '2,/^set /p' "$0" | sed -e '/^set /d' -e 's/^# \{0,1\}//'
    exit 0
fi

cd "$(dirname "$0")/.."
./scripts/setup.sh
if command -v c++ > /dev/null; then
    ./scripts/setup.sh --compile # tests run with fairseq's batching compiled and in Python
fi
if [ -z "${VIRTUAL_ENV:-}" ]; then
    # shellcheck disable=SC1091
    . .venv/bin/activate
fi

export OMP_NUM_THREADS=1 # two threads stall on models this small
if [ "$#" -gt 0 ]; then
    exec python -m pytest -q "$@"
fi
pre-commit run --all-files
exec python -m pytest -q --durations=10 -n auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder # one process a core
