"""`python -m dml_bench.evaluate` is `dml-bench evaluate`, by the name that papers' scripts use."""

import sys

from dml_bench.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["evaluate", *sys.argv[1:]]))
