#!/usr/bin/env bash
# Studies in the time that there is: table after table, with several small trainings side by side.
#
# usage: ./scripts/study.sh [--minutes N] [--side-by-side N] [flags of reproduce.sh] TABLE...
#
#   TABLE           as reproduce.sh takes it; several, in this order
#   --minutes       of this call (default: 10). The next one goes on where time ended this one: a training at
#                   its last checkpoint, all else at its last step. The page of the table that was
#                   running comes on top: where a call has a hard limit, leave two minutes for it
#   --side-by-side  jobs at a time (default: 2); where there are GPUs, on each of them (default: 4)
#
# It takes all GPUs of the machine that CUDA_VISIBLE_DEVICES leaves. Each table's page is made as far as it is.
# Exit status: 0 all is done, 75 time was over, 1 some steps failed.
#
# example: ./scripts/study.sh --minutes 10 --from raw multi30k_extra_source multi30k_methods

# shellcheck source=scripts/common.sh
. "$(dirname "$0")/common.sh"
[ "${1:-}" != --help ] || show_help
minutes=10 together="" flags=() tables=()
while [ "$#" -gt 0 ]; do
    case "$1" in
        --minutes) minutes="$(need "$@")" ;;
        --side-by-side) together="$(need "$@")" ;;
        --profile | --cores | --per-gpu) die "$1 is chosen here; give --side-by-side, or use reproduce.sh" ;;
        --dry-run | --download)
            flags+=("$1")
            shift
            continue
            ;;
        --*) flags+=("$1" "$(need "$@")") ;;
        *)
            tables+=("$1")
            shift
            continue
            ;;
    esac
    shift 2
done
[ "${#tables[@]}" -gt 0 ] || die "give TABLE; see --help"
require_minutes "$minutes"
require_some --side-by-side "$together"

if [ -n "${CUDA_VISIBLE_DEVICES-$(nvidia-smi -L 2> /dev/null || true)}" ]; then
    flags+=(--profile gpus --per-gpu "${together:-4}")
else
    flags+=(--cores "${together:-2}")
fi
out_of_time() {
    echo "study.sh: $minutes minutes are over; run the same command again to go on" >&2
    exit 75
}
failed=0
for table in "${tables[@]}"; do
    left="$(awk "BEGIN { printf \"%.3f\", $minutes - $SECONDS / 60 }")"
    [[ "$left" = [0-9]* && "$left" != 0.000 ]] || out_of_time
    status=0
    child "$ROOT/scripts/reproduce.sh" "$table" "${flags[@]}" --minutes "$left" || status="$?"
    [ "$status" != 75 ] || out_of_time
    [ "$status" = 0 ] || failed=1
done
exit "$failed"
