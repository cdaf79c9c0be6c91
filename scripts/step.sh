#!/usr/bin/env bash
# Run one step of a table: the commands in FOLDER/run.sh, which `fairseq-kd plan` wrote.
#
# usage: ./scripts/step.sh FOLDER
#
#   FOLDER  of a step, in the folder where its commands run; gets `log`, then `complete` with the
#           seconds that the step took, or `failed`
#
# The Snakefile calls this. With KD_GPU=1 and KD_GPUS="0 2", the names of GPUs, it takes one of these that
# no other step on this machine has; one that is named three times three steps share.
# It waits for an earlier call that still works in FOLDER. A SLURM job that is ended from outside
# leaves `failed`, too.
#
# example: ./scripts/step.sh steps/train-0123456789ab

# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] || show_help
[ "$#" = 1 ] || die "give FOLDER; see --help"
folder="$1"
[ -f "$folder/run.sh" ] || die "$folder has no run.sh; write it with fairseq-kd plan"
[ ! -f "$folder/complete" ] || exit 0
job="${SLURM_JOB_ID:+SLURM job $SLURM_JOB_ID}"
lock "$folder" wait # a job of SLURM outlives the call that sent it, any step a Snakemake that was killed
SECONDS=0
[ ! -f "$folder/complete" ] || exit 0
export ROOT KD_QUIET=1 OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

take_gpu() {
    local name locks="${TMPDIR:-/tmp}/kd-plugin-gpus-$UID"
    local -A share
    mkdir -p "$locks"
    while true; do
        share=()
        for name in $KD_GPUS; do
            share[$name]=$((${share[$name]:-0} + 1))
            exec 7>> "$locks/$name.${share[$name]}" # open as long as this step or a child of it lives
            if flock -n 7; then
                export CUDA_VISIBLE_DEVICES="$name"
                return
            fi
        done
        sleep 1
    done
}
if [ "${KD_GPU:-0}" = 1 ] && [ -n "${KD_GPUS:-}" ]; then take_gpu; fi

fail() { # fail WHY
    echo "$1" > "$folder/failed.partial"
    mv "$folder/failed.partial" "$folder/failed"
}

# A signal to a job: scancel, its time is over, or the node is wanted for others.
cut_off() {
    trap "" TERM
    fail "$job was ended from outside: cancelled, or its time was over"
    cat "$folder/failed" >> "$folder/log"
    exit 143
}

rm -f "$folder/failed"
: > "$folder/began"
: > "$folder/log"
if [ -n "$job" ]; then
    trap cut_off TERM
    echo "$job" | tee "$folder/began" > "$folder/log"
fi
if ! child bash "$folder/run.sh" >> "$folder/log" 2>&1; then
    [ -z "$job" ] || sleep 1 # for a signal that reached the child first
    fail "$(error_line "$folder/log" || tail -n 1 "$folder/log")"
    die_with "$folder/log" "$(sed -n '1s/^# //p' "$folder/run.sh") failed"
fi
echo "$SECONDS" > "$folder/complete.partial"
mv "$folder/complete.partial" "$folder/complete"
