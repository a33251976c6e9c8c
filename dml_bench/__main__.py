"""`python -m dml_bench` is the `dml-bench` command."""

from dml_bench.cli import main

raise SystemExit(main())
