#!/usr/bin/env bash
# Train a teacher or a student: fairseq-train with the plugin and the flags of a model file.
#
# usage: ./scripts/train.sh DATA SAVE MODEL [--ranks N] [fairseq-train flags]
#
#   DATA     binarised corpus
#   SAVE     folder of the checkpoints; holds train.log, and `done` when training is complete
#   MODEL    file of configs/models with the flags of architecture and optimisation
#   --ranks  processes that train together (on a CPU, too)
#
# Run again it resumes; what is done is not done again; a second process in the same folder is
# refused. The criterion is cross-entropy unless the flags say otherwise. How far it is stands on
# standard error every ten seconds.
#
# example: ./scripts/train.sh work/toy/bin work/toy/teacher configs/models/toy-teacher.args --seed 1
# example: ./scripts/train.sh work/toy/bin work/toy/word_kd configs/models/toy-student.args \
#              --criterion word_kd --teacher-path work/toy/teacher/checkpoint_last.pt --seed 1

# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] || show_help
[ "$#" -ge 3 ] || die "give DATA, SAVE and MODEL; see --help"
data="$1" save="$2" model="$3" ranks=1
shift 3
if [ "${1:-}" = --ranks ]; then
    ranks="$(need "$@")"
    shift 2
fi

read_flags "$model"
command=("$data" --user-dir "$ROOT/kd_plugin" --task distillation --save-dir "$save"
    --criterion label_smoothed_cross_entropy "${flags[@]}" "$@")
signature="$ranks ${command[*]}"
differing() { # differing FILE: the words of a command that stand in only one of the two
    local changes
    changes="$(diff <(tr ' ' '\n' < "$1"; echo) <(tr ' ' '\n' <<< "$signature"))" || true
    echo "there: $(sed -n 's/^< //p' <<< "$changes" | xargs)," \
        "here: $(sed -n 's/^> //p' <<< "$changes" | xargs)"
}
if [ -f "$save/done" ]; then
    [ "$(cat "$save/done")" = "$signature" ] ||
        die "$save was trained by another command ($(differing "$save/done")); give another folder, or remove it"
    exit 0
fi
lock "$save"
guard
log="$save/train.log"

finish() {
    printf '%s' "$signature" > "$save/done.partial"
    mv "$save/done.partial" "$save/done"
    exit 0
}
# Stopped between the last checkpoint and `done`: fairseq would train one update more.
if [ -f "$save/command" ] && [ "$(cat "$save/command")" = "$signature" ] &&
    tail -n 3 "$log" | grep -q 'done training in'; then
    finish
fi
printf '%s' "$signature" > "$save/command"

tell_progress() {
    local total update first="" spent left
    total="$(last_value --max-update "${command[@]}")"
    while sleep 10 && kill -0 $$ 2> /dev/null; do
        update="$(update_of "$log")" || continue
        spent="$SECONDS" left=""
        [ -n "$first" ] || first="$update" SECONDS=0
        if [ -n "$total" ] && [ "$update" -gt "$first" ] && [ "$update" -lt "$total" ]; then
            left=", about $((spent * (total - update) / (update - first) / 60 + 1)) min left"
        fi
        tell "$(basename "$save"): update $update${total:+ of $total}$left"
    done
}
if [ -z "${KD_QUIET:-}" ]; then
    tell_progress 8>&- 9>&- &
    disown
fi

fail() { die_with "$log" "training failed"; }
if python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    child fairseq-train "${command[@]}" --distributed-world-size "$ranks" >> "$log" 2>&1 || fail
elif [ "$ranks" = 1 ]; then
    child fairseq-train "${command[@]}" --cpu >> "$log" 2>&1 || fail
else
    port=$((20000 + RANDOM % 20000)) children=()
    for ((rank = 0; rank < ranks; rank++)); do
        fairseq-train "${command[@]}" --cpu --distributed-world-size "$ranks" \
            --distributed-rank "$rank" --distributed-init-method "tcp://localhost:$port" \
            --distributed-no-spawn --distributed-backend gloo --ddp-backend legacy_ddp \
            >> "$log" 2>&1 8>&- &
        children+=("$!")
    done
    for _ in "${children[@]}"; do
        if ! wait -n; then
            kill "${children[@]}" 2> /dev/null || true # the others would wait for it for ever
            fail
        fi
    done
fi
finish
