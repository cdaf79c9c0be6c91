#!/usr/bin/env bash
# From nothing to a table: set up, then the toy's table by scripts/reproduce.sh, and a verdict.
#
# usage: ./scripts/quickstart.sh [--output FOLDER] [--seeds N] [--smoke]
#                                [--checkpoint-rule RULE] [--data NAME [--from FOLDER | --download]]
#                                [--teacher FILE] [--student FILE]
#
#   --output   where everything goes (default: quickstart, with --smoke quickstart-smoke)
#   --seeds    students of each kind (default: 3, the fewest that allow a statement)
#   --smoke    few pairs, few updates, one seed: checks that everything runs and claims nothing
#   --checkpoint-rule  of every model: last (default), average:K of K in the second half of training,
#              or best-bleu on the valid set
#   --data     a data set of configs/data (default: toy); --from is the folder of its raw files,
#              --download fetches them where they are public
#   --teacher, --student  model files (default: configs/models/NAME-teacher.args, NAME-student.args)
#
# Five kinds of students of one teacher: without distillation, with word-level and with sequence-level
# distillation, and without a teacher in memory: word-level from its store, and from neighbours
# (configs/tables/toy.yaml). Two jobs run side by side, each on one thread. Run again it resumes and
# repeats nothing. On two CPU cores the toy takes about a quarter of an hour after installing.
#
# example: ./scripts/quickstart.sh
# example: ./scripts/quickstart.sh --data multi30k --from multi30k/data/task1/raw --output m30k

# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] || show_help

output="" data=toy scale=paper seeds="" teacher="" student="" more=()
while [ "$#" -gt 0 ]; do
    case "$1" in
        --output) output="$(need "$@")" ;;
        --seeds) seeds="$(need "$@")" ;;
        --data) data="$(need "$@")" ;;
        --teacher) teacher="$(need "$@")" ;;
        --student) student="$(need "$@")" ;;
        --from | --checkpoint-rule) more+=("$1" "$(need "$@")") ;;
        --smoke | --download)
            [ "$1" = --smoke ] && scale=smoke || more+=("$1")
            shift
            continue
            ;;
        *) die "unknown argument $1; see --help" ;;
    esac
    shift 2
done
[ -n "$output" ] || output="quickstart$([ "$scale" = paper ] || echo -smoke)"
[ -z "$seeds" ] || more+=(--seeds "$seeds")
name="$(basename "$data" .yaml)"
if [ "$scale" = paper ] && [ "$data" != toy ]; then
    teacher="${teacher:-$name-teacher}" student="${student:-$name-student}"
fi
more+=(${teacher:+--teacher "$teacher"} ${student:+--student "$student"})

child "$ROOT/scripts/setup.sh"
# shellcheck source=scripts/common.sh
. "$ROOT/scripts/common.sh"
guard
child "$ROOT/scripts/reproduce.sh" toy --scale "$scale" --data "$data" "${more[@]}" \
    --output "$output" > /dev/null

page="$output/toy.$scale.$name/table"
sed '/^## /Q' "$page.md"
echo "table $page.md, page with pictures $page.html" >&2
if [ "$scale" = smoke ]; then
    echo "smoke: everything ran; these numbers say nothing about any method"
elif [ "$data" = toy ]; then
    python "$ROOT/scripts/verdict.py" "$page.csv"
fi
