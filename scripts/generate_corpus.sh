#!/usr/bin/env bash
# Translate the training set with a teacher and make the folder for --distilled-data.
#
# usage: ./scripts/generate_corpus.sh DATA TEACHER OUTPUT [fairseq-kd generate flags]
#
#   OUTPUT  gets corpus/ (K best with scores) and bin/ (fairseq's data with the teacher's targets)
#
# Run again it resumes. Pairs that the teacher cannot translate keep their reference.
#
# example: ./scripts/generate_corpus.sh work/toy/bin work/toy/teacher/checkpoint_last.pt \
#              work/toy/distilled --beam 5

# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] || show_help
[ "$#" -ge 3 ] || die "give DATA, TEACHER and OUTPUT; see --help"
data="$1" teacher="$2" output="$3"
shift 3

lock "$output"
child fairseq-kd generate "$data" --path "$teacher" --output "$output/corpus" "$@"
[ -e "$output/bin" ] ||
    child fairseq-kd binarise "$output/corpus" "$data" --output "$output/bin" --undecoded reference
