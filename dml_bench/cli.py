"""The commands: what is typed -> what is done and the exit status; never a traceback."""

import argparse
import os
import sys
from collections.abc import Sequence

from dml_bench import completion
from dml_bench.arguments import parser
from dml_bench.errors import BenchError, RunError
from dml_bench.text import in_short, shown


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return 0 done, 1 a run failed, 2 the user's input."""
    commands = parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what may come next
        completion.answer(commands)
    args = commands.parse_args(argv)
    try:
        return _do(args)
    except BenchError as error:
        return _fail(f"error: {error}", 2)
    except RunError as error:
        return _fail(f"failed: {error}", 1)
    except KeyboardInterrupt:
        return _fail("stopped; the same command goes on where it was", 130)
    except BrokenPipeError:  # the reader has seen enough
        sys.stderr.close()
        return 0
    except Exception as error:  # of a library, or a fault of this program
        if os.environ.get("DML_BENCH_TRACEBACK"):
            raise
        return _fail(f"failed: {in_short(error)}; DML_BENCH_TRACEBACK=1 shows where", 1)


def _do(args: argparse.Namespace) -> int:
    from dml_bench import actions  # torch and faiss are imported when they are used

    done: int = getattr(actions, args.command)(args)
    return done


def _fail(line: str, status: int) -> int:
    print(shown(line), file=sys.stderr)
    return status
