"""`python -m dml_bench.train` is `dml-bench train`."""

import sys

from dml_bench.cli import main

if __name__ == "__main__":
    raise SystemExit(main(["train", *sys.argv[1:]]))
