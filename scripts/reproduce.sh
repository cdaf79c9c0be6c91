#!/usr/bin/env bash
# A paper's table, from raw text to a page: Snakemake runs the steps that fairseq-kd plan writes.
#
# usage: ./scripts/reproduce.sh TABLE [--data NAME] [--from FOLDER | --download] [--scale SCALE]
#                               [--rows NAMES] [--seeds N] [--teacher MODEL] [--student MODEL]
#                               [--checkpoint-rule RULE] [--profile NAME] [--cores N] [--per-gpu N] [--minutes N]
#                               [--output FOLDER] [--dry-run]
#
#   TABLE      a name of configs/tables, or a YAML file of your own (docs/tables.md)
#   --data     another data set than the table's: a name of configs/data, or a YAML file
#   --from     folder of the raw files; --download fetches them where they are public
#   --scale    smoke (minutes on the toy), small (hours on a CPU), paper (default: paper)
#   --rows     these alone: ROW or STUDENT/ROW, with commas between them. The baseline, and what gates and
#              other rows stand on, come with them
#   --seeds    students of each kind (default: what the scale says)
#   --teacher, --student, --checkpoint-rule  other models, another rule for their checkpoints, than the
#              table's: names of configs/models or files; last, average:K or best-bleu
#   --profile  local, gpus or slurm (docs/slurm.md), or a folder of your own (default: local)
#   --cores    jobs side by side, instead of the profile's
#   --per-gpu  jobs that share a GPU, with --profile gpus (default: 1; a small model leaves most of it idle)
#   --minutes  after which it ends what runs, makes the page of what is there, and exits with status 75;
#              the page comes on top: seconds for a few runs, minutes for fifty
#   --output   of all tables, which share their steps there (default: reproduced)
#   --dry-run  tell what is done and what is left
#
# Run again it goes on; what two rows or two tables share is done once, and what OUTPUT/ledger.jsonl has
# is not done again. A row that fails leaves the others running and is shown as failed. Stopped, it takes
# its SLURM jobs back. The page is OUTPUT/TABLE.SCALE.DATA/table.html (and .md, .tex, .csv), what came out
# OUTPUT/ledger.jsonl.
#
# example: ./scripts/reproduce.sh toy --scale smoke

# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] || show_help
[ "$#" -ge 1 ] || die "give TABLE; see --help"
table="$1" output=reproduced profile=local dry="" cores="" per_gpu="" minutes="" over=""
plan_flags=() engine=()
shift
while [ "$#" -gt 0 ]; do
    case "$1" in
        --data | --from | --scale | --rows | --seeds | --teacher | --student | --checkpoint-rule)
            plan_flags+=("$1" "$(need "$@")")
            ;;
        --profile) profile="$(need "$@")" ;;
        --cores) cores="$(need "$@")" ;;
        --per-gpu) per_gpu="$(need "$@")" ;;
        --minutes) minutes="$(need "$@")" ;;
        --output) output="$(need "$@")" ;;
        --download | --dry-run)
            [ "$1" = --dry-run ] && dry=1 || plan_flags+=("$1")
            shift
            continue
            ;;
        *) die "unknown argument $1; see --help" ;;
    esac
    shift 2
done
[ -d "$profile" ] || profile="$ROOT/configs/profiles/$profile"
[ -d "$profile" ] || die "--profile $(basename "$profile") is unknown; give local, gpus, slurm or a folder"
require_minutes "$minutes"
require_some --per-gpu "$per_gpu"
[ -z "$per_gpu" ] || [ "$(basename "$profile")" = gpus ] ||
    die "--per-gpu is of --profile gpus; give that, or --cores"
alone="" # without Snakemake
if ! command -v snakemake > /dev/null; then
    alone=1
    [ "$profile" = "$ROOT/configs/profiles/local" ] && [ -z "$cores" ] ||
        die "snakemake is not installed; type: pip install 'kd-plugin[tables]' (Python 3.11 or later)"
fi
gpu=none
if [ "$(basename "$profile")" = gpus ]; then
    gpu=models
    KD_GPUS="${CUDA_VISIBLE_DEVICES-$(nvidia-smi -L 2> /dev/null | sed -n 's/^GPU \([0-9]*\):.*/\1/p' || true)}"
    read -r -d '' -a gpus <<< "${KD_GPUS//,/ }" || true
    for ((share = 1, found = ${#gpus[@]}; share < ${per_gpu:-1}; share++)); do
        gpus+=("${gpus[@]:0:found}") # as often as steps share it
    done
    export KD_GPUS="${gpus[*]}"
    [ -n "$KD_GPUS" ] ||
        die "--profile gpus: nvidia-smi lists no GPU, or CUDA_VISIBLE_DEVICES hides them; give local"
    engine+=(--resources "gpu=${#gpus[@]}")
fi

# To SLURM: a step that runs a model asks for a GPU where the partition has any.
slurm=""
! grep -q '^executor: *slurm' "$profile/config.yaml" 2> /dev/null || slurm=1
if [ -n "$slurm" ]; then
    command -v sbatch > /dev/null ||
        die "--profile $(basename "$profile"): there is no sbatch here; go where SLURM takes jobs, or give local"
    python -c 'import snakemake_executor_plugin_slurm' 2> /dev/null ||
        die "Snakemake cannot talk to SLURM; type: pip install 'kd-plugin[slurm]' (Python 3.11 or later)"
    partition="$(sed -n 's/^ *slurm_partition: *//p' "$profile/config.yaml" | sed 's/ *#.*//' | tr -d "\"'")"
    nodes="$(sinfo --noheader --format '%P %G' ${partition:+--partition "$partition"} 2>&1)" ||
        die "SLURM does not answer: $nodes"
    [ -n "$nodes" ] || die "SLURM has no partition $partition; sinfo lists them"
    if [ -z "$partition" ]; then nodes="$(grep '^[^ ]*\* ' <<< "$nodes")" || true; fi # the default one
    if grep -q ' .*gpu' <<< "$nodes"; then gpu=models; fi
fi
side_by_side=--cores
[ -z "$slurm" ] || side_by_side=--jobs
[ -z "$cores" ] || engine+=("$side_by_side" "$cores")
run() { # run FOLDER PLAN FLAGS...
    child snakemake --snakefile "$ROOT/scripts/Snakefile" --directory "$1" --profile "$profile" \
        "${engine[@]}" --config "plan=$2" "scripts=$ROOT/scripts" "gpu=$gpu" --nolock "${@:3}"
}

# Without Snakemake: one step at a time in the plan's order, those that a failed one leaves possible.
run_alone() { # run_alone FOLDER PLAN
    local step after one failed=0
    cd "$1"
    while [ -z "$over" ] && read -r step after; do
        for one in $after; do [ -f "$one/complete" ] || continue 2; done
        child "$ROOT/scripts/step.sh" "$step" || failed=1
    done < <(python -c 'if True:
        import json, sys
        for step in json.load(open(sys.argv[1]))["steps"]:
            print(step["folder"], *step["after"])' "$2")
    return "$failed"
}
[ -z "$alone" ] || run() { [[ " ${*:3} " = *" --dry-run "* ]] || run_alone "$@"; }

# SLURM's jobs go on when Snakemake is stopped: end both.
take_back() {
    local name child
    name="$(sed -n 's/^SLURM run ID: //p' "$folder/snakemake.log" 2> /dev/null)" || true
    for child in $(pgrep -P $$ -x snakemake); do
        { kill -KILL "$child" && wait "$child"; } 2> /dev/null || true # it would wait for its jobs
    done
    [ -z "$name" ] || scancel --name "$name" || true
}

# Steps that left no word, as their job never began or was killed outright: Snakemake's word.
tell_killed() {
    local name said step
    while IFS=$'\t' read -r name said; do
        step="$output/steps/$name"
        if [ -f "$step/complete" ] || [ -f "$step/failed" ]; then continue; fi
        touch "$step/began"
        echo "${said:-its job ended without a word}" > "$step/failed"
    done < <(awk '/^ *Error in rule / { name = $4; sub(/:$/, "", name); said[name] = "" }
        name != "" && /^ *message: / && said[name] == "" {
            sub(/^ *message: /, ""); sub(/ *(Detailed failure|For further).*/, "")
            said[name] = $0 == "None" ? "" : $0 }
        END { for (name in said) print name "\t" said[name] }' "$folder/snakemake.log")
}

[ ! -f "$output" ] || die "--output $output is a file; name a folder"

if [ -n "$dry" ]; then
    scratch="$(mktemp -d)"
    plan="$(fairseq-kd plan "$table" "${plan_flags[@]}" --output "$scratch" --done "$output")"
    run "$scratch" "$plan" --dry-run --quiet all > "$scratch/log" 2>&1 || die_with "$scratch/log" "no plan"
    fairseq-kd progress "$plan" --output "$output"
    rm -r "$scratch"
    exit 0
fi
lock "$output"
output="$(cd "$output" && pwd)"
plan="$(fairseq-kd plan "$table" "${plan_flags[@]}" --output "$output")"
folder="$(dirname "$plan")"
fairseq-kd progress "$plan" --follow 8>&- 9>&- &
told="$!"
: > "$folder/snakemake.log"
if [ -n "$slurm" ]; then
    engine+=(--slurm-logdir "$output/slurm")
    trap 'take_back; leave' EXIT
    while sleep 10; do tell_killed; done 8>&- 9>&- &
else
    guard
fi
failed=""
if [ -n "$minutes" ]; then
    trap 'over=1; [ -z "$slurm" ] || take_back; end_children' USR1
    { sleep "${minutes}m" && kill -USR1 "$$"; } 8>&- 9>&- &
fi
run "$output" "$plan" --quiet host progress reason >> "$folder/snakemake.log" 2>&1 || failed=1
trap "" USR1
if [ -z "$failed" ]; then
    wait "$told" || true # it ends when all is done
elif [ -z "$over" ]; then
    tell_killed
    sleep 3 # until the last events are told
    kill "$told" 2> /dev/null || true
    wait "$told" 2> /dev/null || true
fi
[ ! -t 2 ] || printf '\r\033[K' >&2
fairseq-kd report "$plan"
if [ -n "$failed" ] && [ -n "$over" ]; then
    [ -n "$CALLED" ] || echo "reproduce.sh: $minutes minutes are over; run the same command again to go on" >&2
    exit 75
elif [ -n "$failed" ]; then
    steps="$(fairseq-kd progress "$plan" | grep '^failed')" || die_with "$folder/snakemake.log" "snakemake failed"
    echo "$steps" >&2
    if grep -qv ': gate closed: ' <<< "$steps"; then
        die "some steps failed, and the rows that need them; the others are done. Mend what failed and run again to go on"
    fi
    die "gates are closed, and the rows behind them are not run; docs/tables.md#gates says how to go on"
fi
