#!/usr/bin/env bash
# What the scripts share; source it. Sets ROOT and finds the environment that setup.sh made.
set -euo pipefail
export LC_ALL=C.UTF-8

# Memory that a step on a CPU frees serves the next step, instead of going back to the system: a
# small model trains a sixth faster (glibc; elsewhere without effect).
export MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=1073741824 MALLOC_TOP_PAD_=67108864

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
if [ -z "${VIRTUAL_ENV:-}" ] && [ -f "$ROOT/.venv/bin/activate" ]; then
    # shellcheck disable=SC1091
    . "$ROOT/.venv/bin/activate"
fi

# Print the header of the calling script, which is its help.
show_help() {
    sed -n '2,/^[^#]/p' "$0" | sed -e '/^[^#]/d' -e 's/^# \{0,1\}//'
    exit 0
}

# Stop with one line.
die() {
    echo "$(basename "$0"): error: $*" >&2
    exit 1
}

# The value of a flag that must have one: need "$@" (the flag first).
need() {
    [ "$#" -ge 2 ] || die "$1 needs a value; see --help"
    printf '%s' "$2"
}

# Read flags from a file of configs/models: one or more a line, comments after #.
read_flags() {
    [ -f "$1" ] || die "$1 does not exist; name a file of configs/models"
    sed 's/#.*//' "$1" | xargs -n1 printf '%s\n'
}
