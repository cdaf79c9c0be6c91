#!/usr/bin/env bash
# From raw text to a folder that fairseq reads: clean, cut into subwords, binarise.
#
# usage: ./scripts/prepare_data.sh NAME OUTPUT [--from FOLDER] [--train-pairs N]
#
#   NAME    a data set of configs/data (toy, multi30k, tatoeba), or the path of such a YAML file
#   OUTPUT  gets text/ (raw/, subwords/, manifest.json) and bin/ (fairseq's data)
#   --from  folder with the raw files; toy needs none
#
# Run again it resumes; a finished folder is left alone.
#
# example: ./scripts/prepare_data.sh multi30k work/multi30k --from multi30k/data/task1/raw

# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] || show_help
[ "$#" -ge 2 ] || die "give NAME and OUTPUT; see --help"
name="$1" output="$2"
shift 2

config="$name"
[ -f "$config" ] || config="$ROOT/configs/data/$name.yaml"
[ -f "$config" ] || die "there is no data set $name; see configs/data"
fairseq-kd prepare "$config" --output "$output/text" "$@"

[ ! -e "$output/bin" ] || exit 0
languages() { sed -n 's/^languages: *\[\(.*\), *\(.*\)\].*/\1 \2/p' "$config"; }
read -r source target < <(languages)
tests="" joined=()
for file in "$output"/text/subwords/test*."$source"; do
    tests="$tests,${file%."$source"}"
done
! grep -q 'joint: true' "$config" || joined=(--joined-dictionary)
rm -rf "$output/bin.partial"
fairseq-preprocess -s "$source" -t "$target" "${joined[@]}" --workers 1 \
    --trainpref "$output/text/subwords/train" --validpref "$output/text/subwords/valid" \
    --testpref "${tests#,}" --destdir "$output/bin.partial" > "$output/preprocess.log"
mv "$output/bin.partial" "$output/bin"
