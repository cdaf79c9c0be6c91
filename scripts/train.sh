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
# Run again it resumes; what is done is not done again. The criterion is cross-entropy unless the
# flags say otherwise.
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

mapfile -t flags < <(read_flags "$model")
[ "${#flags[@]}" -gt 0 ] || die "$model holds no flags"
command=("$data" --user-dir "$ROOT/kd_plugin" --task distillation --save-dir "$save"
    --criterion label_smoothed_cross_entropy "${flags[@]}" "$@")
signature="$ranks ${command[*]}"
if [ -f "$save/done" ]; then
    [ "$(cat "$save/done")" = "$signature" ] ||
        die "$save was trained by another command; give another folder, or remove it"
    exit 0
fi
mkdir -p "$save"

if python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    fairseq-train "${command[@]}" --distributed-world-size "$ranks" >> "$save/train.log" 2>&1 ||
        die "training failed; see the end of $save/train.log"
elif [ "$ranks" = 1 ]; then
    fairseq-train "${command[@]}" --cpu >> "$save/train.log" 2>&1 ||
        die "training failed; see the end of $save/train.log"
else
    port=$((20000 + RANDOM % 20000)) children=()
    for ((rank = 0; rank < ranks; rank++)); do
        fairseq-train "${command[@]}" --cpu --distributed-world-size "$ranks" \
            --distributed-rank "$rank" --distributed-init-method "tcp://localhost:$port" \
            --distributed-no-spawn --distributed-backend gloo --ddp-backend legacy_ddp \
            >> "$save/train.log" 2>&1 &
        children+=("$!")
    done
    for _ in "${children[@]}"; do
        if ! wait -n; then
            kill "${children[@]}" 2> /dev/null || true # the others would wait for it for ever
            die "training failed; see the end of $save/train.log"
        fi
    done
fi
printf '%s' "$signature" > "$save/done.partial"
mv "$save/done.partial" "$save/done"
