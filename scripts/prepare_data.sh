#!/usr/bin/env bash
# From raw text to a folder that fairseq reads: clean, cut into subwords, binarise.
#
# usage: ./scripts/prepare_data.sh NAME OUTPUT [--from FOLDER | --download] [--train-pairs N]
#                                 [--limit N] [--halves]
#
#   NAME    a data set of configs/data (toy, multi30k, tatoeba), or the path of such a YAML file
#   OUTPUT  gets text/ (raw/, subwords/, manifest.json) and bin/ (fairseq's data)
#   --from  folder with the raw files; toy needs none. --download fetches them where they are public
#   --train-pairs  how many pairs the toy's training set has
#   --halves  the training set in two by source; the second half becomes the last test set
#   --limit  the first N pairs of every set, for a quick trial
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
lock "$output"
child fairseq-kd prepare "$config" --output "$output/text" "$@"

[ ! -e "$output/bin" ] || exit 0
read -r source target joint < <(python -c '
import json, sys
cfg = json.load(open(sys.argv[1]))["settings"]["config"]
print(*cfg["languages"], cfg["subwords"]["joint"])' "$output/text/manifest.json")
tests="" joined=()
[ "$joint" = False ] || joined=(--joined-dictionary)
for ((n = 0; ; n++)); do
    file="$output/text/subwords/test${n#0}"
    [ -f "$file.$source" ] || break
    tests="$tests,$file"
done
rm -rf "$output/bin.partial"
child fairseq-preprocess -s "$source" -t "$target" "${joined[@]}" --workers 1 \
    --trainpref "$output/text/subwords/train" --validpref "$output/text/subwords/valid" \
    --testpref "${tests#,}" --destdir "$output/bin.partial" > "$output/preprocess.log" 2>&1 ||
    die_with "$output/preprocess.log" "fairseq-preprocess failed"
mv "$output/bin.partial" "$output/bin"
