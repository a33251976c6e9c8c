# shellcheck shell=bash
# The set-up that run_all.sh, run_tests.sh and .ci/run share. Source it, then call
#
#     set_up all     # to use the package, its extras too
#     set_up dev     # to test it: ruff, mypy and pytest as well
#
# and go on with "$PYTHON". An active virtual or conda environment that has the package is used
# as it is. Otherwise .venv is made beside this repository's pyproject.toml, once, with the
# versions of constraints.txt:
#
#     .venv/.dml_bench-dev-<digest>  written last; the digest is of pyproject.toml and
#                                    constraints.txt, so a change of either installs anew
#     .venv/.unfinished              there while pip works; found later, all is made again
#     .venv/install.log              what pip complained of
#     .venv/lock                     held by the one set-up that may work
#
# A failure is one line on stderr, and exit status 2.

ROOT=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.venv
LOG=$VENV/install.log
PYTHON=

set_up() { # all|dev
    if use_active "$1" || use_finished "$1"; then return; fi
    find_python
    mkdir -p -- "$VENV" 2>/dev/null || refuse_folder
    [ -w "$VENV" ] || refuse_folder
    wait_for_turn
    use_finished "$1" || install "$1" # another set-up may have done it meanwhile
    exec 9>&-
}

fail() { # MESSAGE
    printf 'error: %s\n' "$1" >&2
    exit 2
}

say() { # MESSAGE
    printf '%s\n' "$1" >&2
}

refuse_folder() {
    fail "expected to write .venv, found a folder that cannot be written; copy the repository to one that can"
}

# --- an environment that is there ----------------------------------------------------------

# Use the active environment if it has the package; our own .venv is for use_finished to judge.
use_active() { # all|dev
    local active=${VIRTUAL_ENV:-${CONDA_PREFIX:-}} python
    [ -n "$active" ] || return 1
    if [ "$active" -ef "$VENV" ] && compgen -G "$VENV/.dml_bench-*" >/dev/null; then return 1; fi
    python=$(command -v python || command -v python3) || return 1
    # -P: the package must be installed, not just lie in the current folder
    "$python" -P -c 'import dml_bench' 2>/dev/null || return 1
    if [ "$1" = dev ] && ! "$python" -P -c 'import mypy, pytest, pytest_timeout, ruff, xdist' 2>/dev/null; then
        fail "expected ruff, mypy and pytest in the active environment, found not all of them; pip install '.[dev]' there, or deactivate it and call this again"
    fi
    PYTHON=$python
}

# Use .venv if its stamp says that it is whole, up to date, and was not moved since.
use_finished() { # all|dev
    local digest kind
    [ -x "$VENV/bin/python" ] || return 1
    digest=$(digest)
    for kind in dev "$1"; do # dev holds all that `all` holds
        if [ "$(cat -- "$VENV/.dml_bench-$kind-$digest" 2>/dev/null)" = "$ROOT" ]; then
            PYTHON=$VENV/bin/python
            return
        fi
    done
    return 1
}

digest() {
    local sum
    sum=$(cd -- "$ROOT" && cat pyproject.toml constraints.txt | { sha256sum 2>/dev/null || shasum -a 256; })
    printf '%.12s' "$sum"
}

# --- a new one -----------------------------------------------------------------------------

# Set PYTHON to the first Python that is new enough and can make a virtual environment.
find_python() {
    local name version major minor found='' able=''
    for name in python3.13 python3.12 python3.11 python3; do
        version=$("$name" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || continue
        IFS=. read -r major minor _ <<<"$version"
        found=$version
        ((major > 3 || (major == 3 && minor >= 11))) || continue
        able=$major.$minor
        if "$name" -c 'import ensurepip, venv' 2>/dev/null; then
            PYTHON=$name
            return
        fi
    done
    [ -z "$able" ] ||
        fail "expected Python's venv module, found Python $able without it; apt install python$able-venv, or what your system calls it"
    fail "expected Python 3.11 or newer, found ${found:-none}; install one (apt install python3.11 python3.11-venv, or what your system calls it)"
}

# Hold .venv/lock until this shell ends or closes it. Python takes it, for macOS has no flock(1).
wait_for_turn() {
    exec 9>"$VENV/lock"
    "$PYTHON" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)' 2>/dev/null && return
    say "another set-up is at work in .venv; waiting for it"
    "$PYTHON" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)' ||
        fail "expected to lock .venv/lock, found a file system without locks; clone to a local disk"
}

install() { # all|dev
    local status=0 stamp
    stamp=$VENV/.dml_bench-$1-$(digest)
    say "setting up .venv with $("$PYTHON" --version 2>&1), once: several minutes, the last ones silent; on Linux about 6 GB to download"
    trap 'exit 130' INT # pip ends by itself then; leave .unfinished behind
    [ ! -e "$VENV/.unfinished" ] || rm -rf -- "${VENV:?}"/{bin,include,lib,lib64,share,pyvenv.cfg}
    rm -f -- "$VENV"/.dml_bench-*
    { : >"$VENV/.unfinished" && : >"$LOG"; } 2>/dev/null || explain
    { "$PYTHON" -m venv "$VENV" >>"$LOG" 2>&1 && run_pip "$1"; } || status=$?
    trap - INT
    rm -f -- "$VENV/.unfinished" # pip undoes what it could not do
    [ "$status" = 0 ] || explain
    printf '%s\n' "$ROOT" >"$stamp" || explain
    PYTHON=$VENV/bin/python
}

run_pip() { # all|dev
    (cd -- "$ROOT" && "$VENV/bin/python" -m pip --no-input --disable-pip-version-check \
        install --root-user-action=ignore -c constraints.txt -e ".[$1]" 1>&2 2>>"$LOG")
}

# Say in one line why the installation failed.
explain() {
    local free why
    free=$(df -Pk -- "$VENV" | awk 'NR == 2 { print int($4 / 1024) }')
    if [ "$free" -lt 100 ] || logged 'No space left on device|Errno 28|Disk quota exceeded'; then
        fail "expected room for the packages, found a full disk ($free MB free here); free some, or point TMPDIR and PIP_CACHE_DIR to a larger one; all that pip complained of is in .venv/install.log"
    fi
    if logged 'NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|Max retries exceeded|name resolution|Name or service not known|Network is unreachable|Connection refused|ProxyError|connection broken|SSLError'; then
        fail "expected to reach the package registry, found no way there; connect to the network (or set pip's proxy) and call this again; all that pip complained of is in .venv/install.log"
    fi
    why=$(grep -oE '(ERROR|Error): .*' "$LOG" 2>/dev/null | tail -n 1 | cut -c 1-300) || true
    fail "expected pip to install dml_bench, found '${why:-no reason given}'; mend that and call this again; all that pip complained of is in .venv/install.log"
}

logged() { # PATTERN
    grep -qE "$1" "$LOG" 2>/dev/null
}
