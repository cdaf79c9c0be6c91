#!/usr/bin/env bash
# Link chosen.pt in a training's folder to the checkpoint that a rule names.
#
# usage: ./scripts/choose.sh SAVE RULE
#
#   RULE  of fairseq-kd checkpoint: last, average:K or best-bleu
#
# example: ./scripts/choose.sh work/toy/none average:5

# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] || show_help
[ "$#" = 2 ] || die "give SAVE and RULE; see --help"
path="$(fairseq-kd checkpoint "$1" --rule "$2")"
ln -sfn "$(basename "$path")" "$1/chosen.pt"
