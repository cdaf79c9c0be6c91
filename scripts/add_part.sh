#!/usr/bin/env bash
# A copy of a data folder with a second training set, train1, behind its first.
#
# usage: ./scripts/add_part.sh DATA OTHER SUBSET OUTPUT
#
#   OTHER   a data folder with the same dictionaries, whose SUBSET becomes train1
#
# Under --task distillation each set is read once; fairseq's own tasks need --upsample-primary 1 for that.
#
# example: ./scripts/add_part.sh work/bin work/half2.kd test1 work/gold+kd.bin

# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] || show_help
[ "$#" = 4 ] || die "give DATA, OTHER, SUBSET and OUTPUT; see --help"
data="$1" other="$2" subset="$3" output="$4"
[ ! -e "$output" ] || exit 0
rm -rf "$output.partial"
cp -r "$data" "$output.partial"
for file in "$other/$subset".*; do
    cp "$file" "$output.partial/train1${file##*/"$subset"}"
done
mv "$output.partial" "$output"
