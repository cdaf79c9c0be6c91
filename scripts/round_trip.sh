#!/usr/bin/env bash
# Fully synthetic pairs from text of the target language: translated backwards, and forwards again.
#
# usage: ./scripts/round_trip.sh DATA BACKWARD FORWARD TEXT OUTPUT [--gold N] [--tag TAG]
#                                [fairseq-kd generate flags]
#
#   DATA      data folder whose dictionaries and subwords both teachers have
#   BACKWARD  checkpoint(s) from DATA's target language to its source language
#   FORWARD   checkpoint(s) from its source language to its target language
#   TEXT      sentences of the target language, a line each, plain or gzipped
#   OUTPUT    gets backward/, corpus/ (what FORWARD makes of BACKWARD's text), pairs/ (a data folder of
#             the two) and bin/ (the gold of DATA, then the pairs)
#   --gold    how often the gold stands in bin/ (default 1; 0: not at all)
#   --tag     entry of the source dictionary with which the sources of the pairs begin in bin/
#   --subwords, --sentencepiece  how TEXT is cut, see fairseq-kd sources --help (default: by the model
#             beside DATA)
#
# Aji & Heafield (2020): the genuine text is left out, and a student learns from translations alone.
# Both searches get the same flags. Run again it resumes.
#
# example: ./scripts/round_trip.sh work/toy/bin work/toy/en-de/checkpoint_last.pt \
#              work/toy/teacher/checkpoint_last.pt news.en work/toy/round-trip --beam 5

# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] || show_help
[ "$#" -ge 5 ] || die "give DATA, BACKWARD, FORWARD, TEXT and OUTPUT; see --help"
data="$1" backward="$2" forward="$3" text="$4" output="$5" gold=1 tag="" cut=() flags=()
shift 5
while [ "$#" -gt 0 ]; do
    case "$1" in
        --gold) gold="$(need "$@")" ;;
        --tag) tag="@$(need "$@")" ;;
        --subwords | --sentencepiece) cut+=("$1" "$(need "$@")") ;;
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

lock "$output"
child "$ROOT/scripts/forward_translate.sh" "$data" "$backward" "$text" "$output/backward" \
    --of target --pairs-only "${cut[@]}" "${flags[@]}"
translate_to_pairs "$output/backward/pairs" "${pair%-*}" "${pair#*-}" "$forward" "$output" "${flags[@]}"
mix_with_gold "$data" "$pair" "$gold" "$output/pairs$tag" "$output/bin"
