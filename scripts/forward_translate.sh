#!/usr/bin/env bash
# Plain text that a teacher has not seen becomes training pairs, and a training set with the gold.
#
# usage: ./scripts/forward_translate.sh DATA TEACHER TEXT OUTPUT [--of SIDE] [--gold N] [--tag TAG]
#                                       [--pairs-only] [fairseq-kd generate flags]
#
#   DATA     data folder whose dictionaries and subwords the teacher has
#   TEACHER  checkpoint(s) that translate TEXT's language into the other one
#   TEXT     sentences, a line each, plain or gzipped
#   OUTPUT   gets sources/, corpus/ (K best with scores), pairs/ (a data folder of text and translation)
#            and bin/ (the gold of DATA, then the pairs)
#   --of     source (default): TEXT is of DATA's source language, and the translations are targets;
#            target: TEXT is of its target language, TEACHER translates backwards, and the translations
#            are the sources of the genuine text (back-translation)
#   --gold   how often the gold stands in bin/ (default 1; 0: not at all)
#   --tag    entry of the source dictionary with which the sources of the pairs begin in bin/
#   --pairs-only  do not make bin/
#   --subwords, --sentencepiece  how TEXT is cut, see fairseq-kd sources --help (default: by the model
#            beside DATA)
#
# Run again it resumes. Lines that cannot be translated are left out of pairs/.
#
# example: ./scripts/forward_translate.sh work/toy/bin work/toy/teacher/checkpoint_last.pt news.de \
#              work/toy/unseen --beam 5

# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] || show_help
[ "$#" -ge 4 ] || die "give DATA, TEACHER, TEXT and OUTPUT; see --help"
data="$1" teacher="$2" text="$3" output="$4" side="source" gold=1 tag="" mixed=1 cut=() flags=()
shift 4
while [ "$#" -gt 0 ]; do
    case "$1" in
        --of) side="$(need "$@")" ;;
        --gold) gold="$(need "$@")" ;;
        --tag) tag="@$(need "$@")" ;;
        --subwords | --sentencepiece) cut+=("$1" "$(need "$@")") ;;
        --pairs-only)
            mixed=0
            shift
            continue
            ;;
        *)
            flags+=("$1")
            shift
            continue
            ;;
    esac
    shift 2
done
require_count --gold "$gold"
pair="$(languages "$data")"
case "$side" in
    source) from="${pair%-*}" to="${pair#*-}" ;;
    target) from="${pair#*-}" to="${pair%-*}" ;;
    *) die "--of $side is no side; give source or target" ;;
esac

lock "$output"
child fairseq-kd sources "$data" --source-lang "$from" --target-lang "$to" --text "$text" "${cut[@]}" \
    --output "$output/sources"
translate_to_pairs "$output/sources" "$from" "$to" "$teacher" "$output" "${flags[@]}"
[ "$mixed" = 1 ] || exit 0
mix_with_gold "$data" "$pair" "$gold" "$output/pairs$tag" "$output/bin"
