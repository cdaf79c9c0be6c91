#!/usr/bin/env bash
# From nothing to a table: set up, toy data, a teacher, its corpus, students, scores, a picture.
#
# usage: ./scripts/quickstart.sh [--output FOLDER] [--seeds N] [--smoke]
#                                [--checkpoint-rule RULE] [--data NAME [--from FOLDER | --download]]
#                                [--teacher FILE] [--student FILE]
#
#   --output   where everything goes (default: quickstart, with --smoke quickstart-smoke)
#   --seeds    students of each kind (default: 3, the fewest that allow a statement)
#   --smoke    4,000 pairs, few updates, one seed, beam 2: checks that everything runs and claims nothing
#   --checkpoint-rule  of every model: last (default), average:K of the last K at intervals of 50
#              updates, or best-bleu on the valid set
#   --data     a data set of configs/data (default: toy); --from is the folder of its raw files,
#              --download fetches them where they are public
#   --teacher, --student  model files (default: configs/models/NAME-teacher.args, NAME-student.args)
#
# Five kinds of students of one teacher: without distillation, with word-level and with sequence-level
# distillation, and without a teacher in memory: word-level from its store, and from neighbours. Two
# jobs run side by side, each on one thread. Run again it resumes and repeats nothing. On two CPU cores
# the toy takes about a quarter of an hour after installing.
#
# example: ./scripts/quickstart.sh
# example: ./scripts/quickstart.sh --data multi30k --from multi30k/data/task1/raw --output m30k

# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] || show_help

output="" seeds=3 data=toy smoke=0 from=() rule=last teacher="" student=""
while [ "$#" -gt 0 ]; do
    case "$1" in
        --output) output="$(need "$@")" ;;
        --seeds) seeds="$(need "$@")" ;;
        --data) data="$(need "$@")" ;;
        --from) from=(--from "$(need "$@")") ;;
        --checkpoint-rule) rule="$(need "$@")" ;;
        --teacher) teacher="$(need "$@")" ;;
        --student) student="$(need "$@")" ;;
        --smoke | --download)
            [ "$1" = --smoke ] && smoke=1 || from=(--download)
            shift
            continue
            ;;
        *) die "unknown argument $1; see --help" ;;
    esac
    shift 2
done
[ -n "$output" ] || output="quickstart$([ "$smoke" = 0 ] || echo -smoke)"
teacher="${teacher:-$ROOT/configs/models/$data-teacher.args}"
student="${student:-$ROOT/configs/models/$data-student.args}"
rule_flags=()
case "$rule" in
    last) ;;
    average:[1-9]*) rule_flags=(--save-interval-updates 50 --keep-interval-updates "${rule#average:}") ;;
    best-bleu)
        rule_flags=(--eval-bleu --eval-bleu-remove-bpe sentencepiece --eval-bleu-args '{"beam":5}'
            --best-checkpoint-metric bleu --maximize-best-checkpoint-metric)
        ;;
    *) die "--checkpoint-rule $rule is unknown; give last, average:K or best-bleu" ;;
esac

child "$ROOT/scripts/setup.sh"
# shellcheck source=scripts/common.sh
. "$ROOT/scripts/common.sh"
export OMP_NUM_THREADS=1 KD_QUIET=1
lock "$output"

pairs=() teacher_flags=() student_flags=()
beam=5
if [ "$smoke" = 1 ]; then
    seeds=1 beam=2
    pairs=(--train-pairs 4000) teacher_flags=(--max-update 150) student_flags=(--max-update 60)
fi

# Progress: nominal shares of the whole work, and the time that is left by what the done ones took.
total=$((28 + 12 + 12 + seeds * 5 * 7)) finished=0 fresh=0 began="$SECONDS"
say() { # say SHARE TEXT: SHARE of the work was done before this step
    finished=$((finished + $1))
    local left="" spent=$((SECONDS - began))
    if [ "$fresh" = 1 ] && [ "$finished" -gt 0 ] && [ "$spent" -gt 20 ]; then
        left=", about $((spent * (total - finished) / finished / 60 + 1)) min left"
    fi
    [ ! -t 2 ] || printf '\r\033[K' >&2
    echo "[$((SECONDS / 60)) min] $2$left" >&2
}

# What moves, every ten seconds: the update of each training, the share that each command has done.
tell_progress() {
    local log line now
    while sleep 10 && kill -0 $$ 2> /dev/null; do
        line=""
        while read -r log; do
            if [[ "$log" = */train.log ]]; then
                now="update $(update_of "$log" || echo 0)"
            else
                now="$(tail -c 300 "$log" | grep -ao '[0-9]*%|' | tail -n 1 | tr '|' ' ' || true)"
                [ -n "$now" ] || continue
            fi
            line="$line$(basename "$(dirname "$log")")/$(basename "$log" .log): $now; "
        done < <(find "$output" -name '*.log' -mmin -0.25 | sort)
        [ -z "$line" ] || tell "[$((SECONDS / 60)) min] ${line%; }"
    done
}
tell_progress 8>&- 9>&- &
disown

say 0 "data: $data"
child "$ROOT/scripts/prepare_data.sh" "$data" "$output/data" "${from[@]}" "${pairs[@]}" \
    > "$output/prepare.log" 2>&1 || die_with "$output/prepare.log" "no data"
bin="$output/data/bin"
[ -f "$output/teacher/done" ] || fresh=1

say 0 "teacher: training (log: $output/teacher/train.log), and students without distillation"
search=(--beam "$beam" --max-len-a 2 --max-len-b 10) # the limit spares time on models that do not stop yet
train() { # train NAME MODEL FLAGS...
    local name="$1" model="$2"
    shift 2
    "$ROOT/scripts/train.sh" "$bin" "$output/$name" "$model" "${rule_flags[@]}" "$@"
}
chosen() { # chosen NAME: the checkpoint by the rule
    if [ "$rule" = last ]; then
        echo "$output/$1/checkpoint_last.pt"
    else
        fairseq-kd checkpoint "$output/$1" --rule "$rule"
    fi
}
run_students() { # run_students KIND FLAGS...: one for each seed, then its translations
    local kind="$1" seed
    shift
    for ((seed = 1; seed <= seeds; seed++)); do
        train "$kind.$seed" "$student" "${student_flags[@]}" --seed "$seed" "$@"
        "$ROOT/scripts/translate.sh" "$bin" "$(chosen "$kind.$seed")" test \
                "$output/$kind.$seed.hyp" "${search[@]}" >> "$output/$kind.$seed/translate.log" 2>&1 ||
            die_with "$output/$kind.$seed/translate.log" "no translation"
    done
}
both() { # wait for two jobs; where one fails, the other is ended
    local _
    for _ in "$@"; do
        wait -n || die "a job failed; its message stands above, and the other job is ended"
    done
}

train teacher "$teacher" "${teacher_flags[@]}" --seed 1 &
first="$!"
run_students none &
second="$!"
both "$first" "$second"
path="$(chosen teacher)"

say $((28 + seeds * 7)) "corpus, store and neighbours of the teacher, and students that learn from them"
(
    run_students word_kd --criterion word_kd --teacher-path "$path"
    "$ROOT/scripts/translate.sh" "$bin" "$path" test "$output/teacher.hyp" "${search[@]}" \
        > "$output/teacher/translate.log" 2>&1 ||
        die_with "$output/teacher/translate.log" "no translation"
    fairseq-kd cache "$bin" --path "$path" --output "$output/store" > "$output/cache.log" 2>&1 ||
        die_with "$output/cache.log" "no store"
    run_students word_kd_store --criterion word_kd --teacher-store "$output/store"
) &
first="$!"
(
    "$ROOT/scripts/generate_corpus.sh" "$bin" "$path" "$output/distilled" "${search[@]}" \
        > "$output/generate.log" 2>&1 || die_with "$output/generate.log" "no corpus"
    run_students seq_kd --criterion seq_kd --distilled-data "$output/distilled/bin"
    {
        fairseq-kd datastore "$bin" --path "$path" --output "$output/datastore" &&
            fairseq-kd neighbours "$output/datastore" --k 8 --probes 8 \
                --refine 4 --output "$output/neighbours"
    } > "$output/neighbours.log" 2>&1 || die_with "$output/neighbours.log" "no neighbours"
    run_students knn_kd --criterion knn_kd --teacher-store "$output/neighbours"
) &
second="$!"
both "$first" "$second"

say $((24 + 4 * seeds * 7)) "scores"
runs() { # the translations of a kind, separated by commas
    local list="" seed
    for ((seed = 1; seed <= seeds; seed++)); do list="$list,$output/$1.$seed.hyp"; done
    echo "${list#,}"
}
target="$(python -c '
import json, sys
print(json.load(open(sys.argv[1]))["settings"]["config"]["languages"][1])' "$output/data/text/manifest.json")"
fairseq-kd score --references "$output/data/text/raw/test.$target" --baseline none \
    --system "none=$(runs none)" --system "word_kd=$(runs word_kd)" \
    --system "word_kd_store=$(runs word_kd_store)" --system "knn_kd=$(runs knn_kd)" \
    --system "seq_kd=$(runs seq_kd)" --system "teacher=$output/teacher.hyp" \
    --checkpoint-rule "$rule" --paired --json "$output/scores.json" --plot "$output/scores.png" \
    > "$output/scores.md.partial"
mv "$output/scores.md.partial" "$output/scores.md"
cat "$output/scores.md"
if [ "$smoke" = 1 ]; then
    echo "smoke: everything ran; these numbers say nothing about any method"
elif [ "$data" = toy ]; then
    python "$ROOT/scripts/verdict.py" "$output/scores.json"
fi
echo "table $output/scores.md, picture $output/scores.png" >&2
