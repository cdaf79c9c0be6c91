#!/usr/bin/env bash
# What the scripts share; source it. Sets ROOT and finds the environment that setup.sh made.
set -euo pipefail
export LC_ALL=C.UTF-8

# Memory that a step on a CPU frees serves the next step, instead of going back to the system: a
# small model trains a sixth faster (glibc; elsewhere without effect).
export MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=1073741824 MALLOC_TOP_PAD_=67108864

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
if [ -z "${VIRTUAL_ENV:-}" ] && [ -f "$ROOT/.venv/bin/activate" ]; then
    # shellcheck disable=SC1091
    . "$ROOT/.venv/bin/activate"
fi

# Print the header of the calling script, which is its help.
show_help() {
    sed -n -e '2,$ {' -e '/^#/!q' -e 's/^# \{0,1\}//p' -e '}' "$0"
    exit 0
}

# Stop with one line.
die() {
    echo "$(basename "$0"): error: $*" >&2
    exit 1
}

# The error of one line at the end of a log file, if there is one.
error_line() {
    tail -n 15 "$1" | grep -E '^[A-Za-z0-9_. -]+: error: ' | tail -n 1
}

# Stop with what a log file says at its end: die_with LOG MESSAGE. An error of one line is all that is told.
die_with() {
    local log="$1" said
    shift
    said="$(error_line "$log")" || true
    [ -z "$said" ] || die "$*: ${said#*: error: }; the whole log: $log"
    echo "--- the end of $log:" >&2
    tail -n 15 "$log" | cut -c 1-300 >&2
    echo "---" >&2
    die "$*; the whole log: $log"
}

# End what a process started, and what that started, and the process itself.
end_tree() {
    local child children
    children="$(pgrep -P "$1")" || true
    kill -TERM "$1" 2> /dev/null || true # before its children, of whose end it would tell
    for child in $children; do end_tree "$child"; done
}

# Children end with this script, however it ends, and before it: who sees it gone finds their locks free.
end_children() {
    local child
    for child in $(pgrep -P $$); do end_tree "$child"; done
    wait 2> /dev/null || true
}

# What is done at every end. A folder that got nothing but its lock is not left behind.
locked=""
leave() {
    end_children
    if [ -n "$locked" ] && [ "$(ls -A "$locked" 2> /dev/null)" = .lock ]; then rm -r "$locked"; fi
}
stop() { # stop STATUS: 128 and the signal's number; a script that another one called is silent
    trap - TERM INT HUP
    [ -n "$CALLED" ] || echo "$(basename "$0"): stopped; run the same command again to go on" >&8
    exit "$1"
}
exec 8>&2 # where a stop is told, whatever is redirected when it comes
CALLED="${CALLED-${KD_CALLED:-}}"
export KD_CALLED=1
trap leave EXIT
trap 'stop 129' HUP
trap 'stop 130' INT
trap 'stop 143' TERM

# Run a command so that a signal to this script reaches it at once.
child() {
    "$@" 8>&- &
    wait "$!"
}

# From here on, children end soon after this script, even where it is killed and can do nothing.
# Those of its last second are found by a variable that they have from it, where a kernel tells; what a
# signal leaves (Snakemake, while it begins, can sleep for ever) is killed.
guard() {
    export KD_GUARD="$$.$RANDOM$RANDOM"
    guarded() { grep -slz "^KD_GUARD=$KD_GUARD\$" /proc/[0-9]*/environ | cut -d / -f 3; }
    watch() {
        local children="" child list="/proc/$$/task/$$/children" # where a kernel has it, cheaper
        while kill -0 $$ 2> /dev/null; do
            if [ -r "$list" ]; then read -r children < "$list"; else children="$(pgrep -P $$)"; fi || true
            sleep 1
        done
        for child in $children; do [ "$child" = "$BASHPID" ] || end_tree "$child"; done
        for _ in 1 2 3; do
            for child in $(guarded); do end_tree "$child"; done
            sleep 0.5
        done
        sleep 5
        for child in $(guarded); do kill -KILL "$child" 2> /dev/null || true; done
    }
    watch 7>&- 8>&- 9>&- > /dev/null 2>&1 &
    disown
}

# How far something is, in a line that replaces itself at a prompt; not twice the same.
told=""
tell() {
    [ "$*" != "$told" ] || return 0
    told="$*"
    if [ -t 2 ]; then printf '\r\033[K%s' "$*" >&2; else echo "$*" >&2; fi
}

# The value of a flag in a command; of several the last: last_value --flag COMMAND...
last_value() {
    local flag="$1" before="" value="" word
    shift
    for word in "$@"; do
        [ "$before" != "$flag" ] || value="$word"
        before="$word"
    done
    echo "$value"
}

# The update that a training has reached by its log.
update_of() {
    tail -n 5 "$1" 2> /dev/null | grep -o 'num_updates[=: ]*[0-9]*' | grep -o '[0-9]*$' | tail -n 1
}

# One process works in a folder: lock FOLDER [wait]. Held until this script and its children have ended.
lock() {
    { mkdir -p "$1" && [ -w "$1" ]; } 2> /dev/null ||
        die "$1 is no folder that can be written, and none can be made there; give another one"
    exec 9>> "$1/.lock"
    if [ "${2:-}" = wait ]; then flock 9; fi
    flock -n 9 || die "process $(tail -n 1 "$1/.lock") works in $1; wait for it, or end it"
    echo "$$" > "$1/.lock"
    locked="$1"
}

# The value of a flag that must have one: need "$@" (the flag first).
need() {
    [ "$#" -ge 2 ] || die "$1 needs a value; see --help"
    printf '%s' "$2"
}

# Read the array `flags` from a file of configs/models: one or more a line, comments after #.
read_flags() {
    [ -f "$1" ] || die "$1 does not exist; name a file of configs/models"
    mapfile -t flags < <(sed 's/#.*//' "$1" | xargs -r -n1 printf '%s\n')
    [ "${#flags[@]}" -gt 0 ] || die "$1 holds no flags; name a file of configs/models"
}

# The languages of a data folder, source first: languages DATA.
languages() {
    local file
    file="$(find "$1/" -maxdepth 1 -name 'train.*-*.*.idx' 2> /dev/null | sort | head -n 1)" || true
    file="$(basename "$file")" file="${file#train.}"
    [ -n "$file" ] || die "$1 holds no binarised training set; name a data folder"
    echo "${file%%.*}"
}

# What a teacher makes of a data folder's sources, as OUTPUT/corpus and OUTPUT/pairs:
# translate_to_pairs SOURCES SOURCE TARGET TEACHER OUTPUT [fairseq-kd generate flags].
translate_to_pairs() {
    local sources="$1" direction=(--source-lang "$2" --target-lang "$3") teacher="$4" output="$5"
    child fairseq-kd generate "$sources" "${direction[@]}" --path "$teacher" \
        --output "$output/corpus" "${@:6}"
    [ -e "$output/pairs" ] ||
        child fairseq-kd binarise "$output/corpus" "$sources" "${direction[@]}" \
            --undecoded drop --output "$output/pairs"
}

# Add the pairs of a folder to the gold: mix_with_gold DATA SOURCE-TARGET TIMES PAIRS[@TAG] OUTPUT.
mix_with_gold() {
    local parts=()
    [ -e "$5" ] && return
    [ "$3" = 0 ] || parts=(--part "gold:$3")
    child fairseq-kd mix "$1" --source-lang "${2%-*}" --target-lang "${2#*-}" "${parts[@]}" \
        --part "$4" --output "$5"
}

# A time of --minutes, if there is one.
require_minutes() {
    [[ "${1:-1}" =~ ^[0-9]{1,5}(\.[0-9]{1,3})?$ ]] && [[ "${1:-1}" = *[1-9]* ]] ||
        die "--minutes $1 is no time; give 10 or 0.5"
}

# A count of at least 1, if it is given: require_some FLAG VALUE.
require_some() {
    [[ "${2:-1}" =~ ^[1-9][0-9]{0,2}$ ]] || die "$1 $2 is no count; give 1, 2, ..."
}

# A count of a flag: require_count FLAG VALUE.
require_count() {
    [[ "$2" =~ ^[0-9]{1,4}$ ]] || die "$1 $2 is no count; give 0, 1, 2, ..."
}
