#!/usr/bin/env bash
# Does a teacher's text help where there are more sources than references? One condition, several seeds.
#
# usage: ./scripts/study_extra_source.sh FROM OUTPUT [--data NAME] [--seeds N] [--updates N]
#                                        [--teacher FILE] [--student FILE]
#
#   FROM       folder with the raw train, valid and test files of --data's languages
#   OUTPUT     gets everything: data, teacher, corpora, store, students, translations, table
#   --data     a data set of configs/data whose training set is half1 and whose last test set is half2
#              (default: tatoeba-halves); the test sets before it are scored as one
#   --seeds    students of each kind (default: 3)
#   --updates  of each student (default: what the student's file says)
#   --teacher, --student  model files (default: configs/models/DATA-teacher.args and DATA-student.args)
#
# The training set is cut in halves by source. The teacher learns half 1 and translates both. Students:
#   none       the references of half 1
#   gold+kd    these, and the teacher's text of half 2
#   kd         the teacher's text of both halves
#   word_kd    as gold+kd, with the teacher's distributions from a store
# all with the same updates, batches and seeds. First the gates are printed: how far the teacher is above
# `none`, and what `none` gains when its updates are doubled (one seed). Run again it resumes.
#
# example: ./scripts/study_extra_source.sh tatoeba work/tatoeba
# example: ./scripts/study_extra_source.sh multi30k work/multi30k --data multi30k-halves

# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] || show_help
[ "$#" -ge 2 ] || die "give FROM and OUTPUT; see --help"
from="$1" output="$2" data=tatoeba-halves seeds=3 updates="" teacher="" student=""
shift 2
while [ "$#" -gt 0 ]; do
    case "$1" in
        --data) data="$(need "$@")" ;;
        --seeds) seeds="$(need "$@")" ;;
        --updates) updates="$(need "$@")" ;;
        --teacher) teacher="$(need "$@")" ;;
        --student) student="$(need "$@")" ;;
        *) die "unknown argument $1; see --help" ;;
    esac
    shift 2
done
teacher="${teacher:-$ROOT/configs/models/$data-teacher.args}"
student="${student:-$ROOT/configs/models/$data-student.args}"
read_flags "$student"
updates="${updates:-$(last_value --max-update "${flags[@]}")}"
export OMP_NUM_THREADS=1
lock "$output"

read -r source target count < <(python -c '
import sys, yaml
data = yaml.safe_load(open(sys.argv[1]))
print(*data["languages"], len(data["tests"]))' "$ROOT/configs/data/$data.yaml")
python "$ROOT/scripts/halves.py" "$from" "$output/raw" train "$source" "$target"
child "$ROOT/scripts/prepare_data.sh" "$data" "$output/data" --from "$output/raw"
bin="$output/data/bin"
search=(--max-len-a 2 --max-len-b 10)

# fairseq numbers the test sets: test, test1, test2, ...; the last one is half 2.
tests=(test) half2="test$((count - 1))" references="$output/references.$target"
for ((number = 1; number < count - 1; number++)); do tests+=("test$number"); done
mapfile -t files < <(printf "$output/data/text/raw/%s.$target\n" "${tests[@]}")
"$ROOT/scripts/pool.sh" "$references" "${files[@]}"

translate() { # translate NAME: the test sets, by beam 5 and greedily
    local beam subset parts
    mkdir -p "$output/translations"
    for beam in 5 1; do
        parts=()
        for subset in "${tests[@]}"; do
            parts+=("$output/translations/$1.$subset.beam$beam")
            child "$ROOT/scripts/translate.sh" "$bin" "$output/$1/checkpoint_last.pt" "$subset" \
                "${parts[-1]}" --beam "$beam" "${search[@]}"
        done
        "$ROOT/scripts/pool.sh" "$output/$1.beam$beam" "${parts[@]}"
    done
}
train() { # train NAME DATA SEED FLAGS...
    local name="$1" folder="$2" seed="$3"
    shift 3
    child "$ROOT/scripts/train.sh" "$folder" "$output/$name" "$student" --seed "$seed" \
        --max-update "$updates" --upsample-primary 1 "$@"
    translate "$name"
}
score() { # score BEAM NAME=SYSTEM...: BLEU and chrF of the runs of each kind
    local beam="$1" systems=() kind
    shift
    for kind in "$@"; do systems+=(--system "$kind=$(runs "$kind" "$beam")"); done
    fairseq-kd score --references "$references" --baseline none \
        "${systems[@]}" --checkpoint-rule last --paired --json "$output/scores.beam$beam.json"
}
runs() {
    local file list=""
    for file in "$output/$1".*.beam"$2" "$output/$1.beam$2"; do
        [ ! -f "$file" ] || list="$list,$file"
    done
    echo "${list#,}"
}

child "$ROOT/scripts/train.sh" "$bin" "$output/teacher" "$teacher" --seed 1
translate teacher
train none.1 "$bin" 1
train doubled "$bin" 1 --max-update $((2 * updates))
echo "gates: the teacher above none, and none with its updates doubled" >&2
score 5 none doubled teacher

for subset in train "$half2"; do
    child fairseq-kd generate "$bin" --path "$output/teacher/checkpoint_last.pt" \
        --subset "$subset" --beam 5 "${search[@]}" --output "$output/corpus"
    [ -e "$output/$subset.kd" ] ||
        child fairseq-kd binarise "$output/corpus" "$bin" --subset "$subset" --output "$output/$subset.kd"
done
add_half2() { # add_half2 FIRST NAME: FIRST's training set, and the teacher's text of half 2 behind it
    child "$ROOT/scripts/add_part.sh" "$1" "$output/$half2.kd" "$half2" "$output/$2"
}
add_half2 "$bin" gold+kd.bin
add_half2 "$output/train.kd" kd.bin
child fairseq-kd cache "$output/gold+kd.bin" --path "$output/teacher/checkpoint_last.pt" \
    --subset train,train1,valid --top-k 8 --output "$output/store"

for ((seed = 1; seed <= seeds; seed++)); do
    train "none.$seed" "$bin" "$seed"
    train "gold+kd.$seed" "$output/gold+kd.bin" "$seed"
    train "kd.$seed" "$output/kd.bin" "$seed"
    train "word_kd.$seed" "$output/gold+kd.bin" "$seed" \
        --criterion word_kd --teacher-store "$output/store"
done
for beam in 5 1; do
    score "$beam" none gold+kd kd word_kd teacher > "$output/scores.beam$beam.md"
    cat "$output/scores.beam$beam.md"
done
