#!/usr/bin/env bash
# Run one step of a table: the commands in FOLDER/run.sh, which `fairseq-kd plan` wrote.
#
# usage: ./scripts/step.sh FOLDER
#
#   FOLDER  of a step, in the folder where its commands run; gets `log`, then `complete` with the
#           seconds that the step took, or `failed`
#
# The Snakefile calls this. With KD_GPUS=N a step that trains takes one of N GPUs that no other has.
# In a SLURM job it waits for an earlier job that still works in FOLDER, and a job that is ended from
# outside leaves `failed`, too.
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
lock "$folder" ${job:+wait} # a job outlives the call that sent it
[ ! -f "$folder/complete" ] || exit 0
export ROOT KD_QUIET=1 OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

take_gpu() {
    local number
    while true; do
        for ((number = 0; number < KD_GPUS; number++)); do
            exec 7>> ".gpu$number"
            if flock -n 7; then
                export CUDA_VISIBLE_DEVICES="$number"
                return
            fi
        done
        sleep 1
    done
}
if [ -n "${KD_GPUS:-}" ] && grep -q '/train\.sh' "$folder/run.sh"; then take_gpu; fi

# A signal to a job: scancel, its time is over, or the node is wanted for others.
cut_off() {
    trap "" TERM
    echo "$job was ended from outside: cancelled, or its time was over" |
        tee "$folder/failed" >> "$folder/log"
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
    { grep 'error: ' "$folder/log" || tail -n 1 "$folder/log"; } | tail -n 1 > "$folder/failed"
    die_with "$folder/log" "$(sed -n '1s/^# //p' "$folder/run.sh") failed"
fi
echo "$SECONDS" > "$folder/complete.partial"
mv "$folder/complete.partial" "$folder/complete"
