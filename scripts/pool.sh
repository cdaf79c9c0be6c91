#!/usr/bin/env bash
# Put the lines of several files behind one another: several test sets that are scored as one.
#
# usage: ./scripts/pool.sh OUTPUT FILE...
#
# example: ./scripts/pool.sh references.en raw/test.en raw/test1.en

# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] || show_help
[ "$#" -ge 2 ] || die "give OUTPUT and FILE...; see --help"
cat "${@:2}" > "$1.partial"
mv "$1.partial" "$1"
