#!/usr/bin/env bash
# What a student says of its own training text: replication, extractive memorisation, hallucination.
#
# usage: ./scripts/memorisation.sh DATA STUDENT OUTPUT [fairseq-kd generate flags]
#
#   DATA     the data folder whose training targets count: the references, or what binarise made of a
#            teacher's text
#   STUDENT  checkpoint
#   OUTPUT   gets output/ (the greedy translations), prefixes/ and prefixed/ (of what was replicated),
#            and memorisation.md and .json
#
# Run again it resumes. Cost: every replicated sentence of 4 words or more is translated again for each
# prefix of at most three quarters of it. docs/corpora.md says what is counted.
#
# example: ./scripts/memorisation.sh work/toy/bin work/toy/seq_kd/checkpoint_last.pt work/toy/memorised

# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] || show_help
[ "$#" -ge 3 ] || die "give DATA, STUDENT and OUTPUT; see --help"
data="$1" student="$2" output="$3"
shift 3

lock "$output"
asked=()
child fairseq-kd generate "$data" --path "$student" --output "$output/output" --beam 1 "$@"
[ -e "$output/prefixes" ] ||
    child fairseq-kd describe "$data" "$output/output" --write-prefixes "$output/prefixes"
if [ -e "$output/prefixes" ]; then # something is replicated
    child fairseq-kd generate "$output/prefixes" --path "$student" --output "$output/prefixed" \
        --beam 1 "$@"
    asked=(--prefixes "$output/prefixes" "$output/prefixed")
fi
child fairseq-kd describe "$data" "$output/output" --memorisation "${asked[@]}" \
    --json "$output/memorisation.json" > "$output/memorisation.md.partial"
mv "$output/memorisation.md.partial" "$output/memorisation.md"
cat "$output/memorisation.md"
