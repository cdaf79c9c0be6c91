#!/usr/bin/env bash
# Install the package, the tested fairseq and everything that the tests need.
#
# usage: ./scripts/setup.sh [--compile]
#
#   --compile   also compile fairseq's batching (half a minute; needs a C++ compiler). Nothing here
#               needs it: batching in Python gives the same batches. And eflomal, which aligns words for
#               fairseq-kd describe --align
#
# Installs into the active virtual environment; without one, into .venv beside this folder, which is
# made first. A second call with nothing changed does nothing. Without a GPU the small build of torch
# is taken where the package index in use has it; a torch of the right version that is there is kept.
#
# example: ./scripts/setup.sh && . .venv/bin/activate
set -euo pipefail
export LC_ALL=C

if [ "${1:-}" = --help ]; then
    sed -n '2,/^set /p' "$0" | sed -e '/^set /d' -e 's/^# \{0,1\}//'
    exit 0
fi
compile=0
case "${1:-}" in
    "") ;;
    --compile) compile=1 ;;
    *)
        echo "setup.sh: error: unknown argument '$1'; see --help" >&2
        exit 2
        ;;
esac

cd "$(dirname "$0")/.."
if [ -z "${VIRTUAL_ENV:-}" ]; then
    [ -d .venv ] || python3 -m venv .venv
    # shellcheck disable=SC1091
    . .venv/bin/activate
fi

say() { echo "setup.sh: $*" >&2; }
install() { python -m pip install --quiet --disable-pip-version-check -c constraints.txt "$@"; }
torch="$(grep '^torch==' constraints.txt)"

has_torch() { python -c 'import torch' 2> /dev/null; }
has_gpu() { nvidia-smi -L > /dev/null 2>&1; }
install_torch() {
    if has_torch || has_gpu; then
        install "$torch"
        return
    fi
    install "$torch+cpu" > /dev/null 2>&1 && return
    if python -m pip install --quiet --disable-pip-version-check --dry-run --report - "$torch" \
        2> /dev/null | grep -q '"nvidia-'; then
        say "no GPU was found, and the package index in use has only the torch that brings GPU" \
            "libraries (about 4 GB more). To save them, stop here (Ctrl-C), activate the environment" \
            "$VIRTUAL_ENV, install the CPU build of $torch as PyTorch's installation page says," \
            "and run this again"
    fi
    install "$torch"
}

# The one compiled part of fairseq that translation knows, from the release's source.
compile_batching() {
    local work target include
    work="$(mktemp -d)"
    target="$(python -c 'import importlib.util as u; print(u.find_spec("fairseq").submodule_search_locations[0])')"
    READTHEDOCS=1 python -m pip download --quiet --disable-pip-version-check --no-deps \
        --no-build-isolation --no-binary fairseq-fixed -c constraints.txt -d "$work" fairseq-fixed
    tar -xzf "$work"/*.tar.gz -C "$work" --strip-components=3 --wildcards '*/data/data_utils_fast.pyx'
    sed -i '1i # distutils: language=c++' "$work/data_utils_fast.pyx"
    include="$(python -c 'import numpy; print(numpy.get_include())')"
    (cd "$work" && CFLAGS="-I$include" CXXFLAGS="-I$include" CPPFLAGS="-I$include" \
        cythonize -3 -i data_utils_fast.pyx > cythonize.log 2>&1) || {
        tail -n 20 "$work/cythonize.log" >&2
        say "error: compiling failed; a C++ compiler is needed. Leave --compile out: nothing needs it"
        exit 1
    }
    mv "$work"/data_utils_fast.*.so "$target/data/"
    rm -rf "$work"
}

mark="$VIRTUAL_ENV/.kd-plugin-setup"
state="$(cat pyproject.toml constraints.txt scripts/setup.sh | cksum) $PWD"
if [ ! -f "$mark" ] || [ "$(cat "$mark")" != "$state" ]; then
    say "installing into $VIRTUAL_ENV: one to ten minutes; under 2 GB with the small build of torch," \
        "5.3 GB with GPU libraries"
    install numpy setuptools wheel Cython
    install_torch
    READTHEDOCS=1 install --no-build-isolation --no-cache-dir fairseq-fixed
    install --no-build-isolation -e '.[fairseq,neighbours,ctranslate2,tables,test,lint]'
    echo "$state" > "$mark"
    say "installed; to use it in a shell: . $VIRTUAL_ENV/bin/activate"
fi
if [ "$compile" = 1 ] && ! python -c 'import fairseq.data.data_utils_fast' 2> /dev/null; then
    say "compiling fairseq's batching"
    compile_batching
fi
if [ "$compile" = 1 ] && ! command -v eflomal-align > /dev/null; then
    say "compiling eflomal"
    install eflomal
fi
