#!/usr/bin/env bash
# Translate a test set with a student: one line of plain text for every sentence.
#
# usage: ./scripts/translate.sh DATA CHECKPOINT SUBSET OUTPUT [fairseq-kd generate flags]
#
#   SUBSET  test, test1, ... of DATA
#   OUTPUT  file of translations; the scored search is kept beside it in OUTPUT.corpus
#
# Run again it goes on; other settings than the first time are refused.
#
# example: ./scripts/translate.sh work/toy/bin work/toy/word_kd/checkpoint_last.pt test out.txt

# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] || show_help
[ "$#" -ge 4 ] || die "give DATA, CHECKPOINT, SUBSET and OUTPUT; see --help"
data="$1" checkpoint="$2" subset="$3" output="$4"
shift 4

child fairseq-kd generate "$data" --path "$checkpoint" --subset "$subset" --output "$output.corpus" "$@"
file=("$output.corpus/$subset".*.jsonl.gz)
pair="$(basename "${file[0]}")" pair="${pair#"$subset".}" pair="${pair%%.*}"
[ ! -f "$output" ] || exit 0
fairseq-kd text "$output.corpus" --subset "$subset" -s "${pair%-*}" -t "${pair#*-}" \
    --output "$output"
