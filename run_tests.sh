#!/usr/bin/env bash
# The same set-up as run_all.sh, then what has to pass before a change is done:
#
#     ./run_tests.sh                         lint, format, types and every test
#     ./run_tests.sh tests/test_metrics.py   pytest alone, with what you give it; so -m 'not slow'
#
# Ends with pytest's closing line; the exit status is 0 if all passed. Paths start at the repository.

set -euo pipefail
case ${1:-} in
-h | --help)
    sed -n '2,/^$/s/^#\( \|$\)//p' "$0"
    exit
    ;;
esac

# shellcheck source=.ci/environment.sh
. "$(dirname -- "$0")/.ci/environment.sh"
set_up dev
cd -- "$ROOT"
[ $# = 0 ] || exec "$PYTHON" -m pytest "$@"

status=0
check() { # NAME ARGUMENT ...
    say "== $*"
    "$PYTHON" -m "$@" || {
        status=1
        say "== $* FAILED"
    }
}
check ruff check .
check ruff format --check .
check mypy

# A file of tests for each core at a time, four at most, and for each its share of the threads; the files
# that take longest first (`tests/conftest.py`).
cores=$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)
workers=$((cores < 4 ? cores : 4))
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$((cores / workers))}
"$PYTHON" -m pytest -n "$workers" --dist loadfile --no-loadscope-reorder || status=1
exit "$status"
