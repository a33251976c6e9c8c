"""The commands: what is typed -> what is done and the exit status; never a traceback."""

import argparse
import errno
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module

from dml_bench import completion, dist, endings
from dml_bench.arguments import parser
from dml_bench.errors import BenchError, RunError, Stopped
from dml_bench.text import in_short, shown

HOMES = {
    "card": "card",
    "compare": "comparisons.compare",
    "completion": "completion",
    "evaluate": "evaluations",
    "explain": "comparisons.explain",
    "export": "export",
    "list_parts": "listing",
    "rerun": "comparisons.rerun",
    "run": "jobs.running",
}
"""The module of what a command does, where it has one of its own."""
SHARED = ("train", "run", "evaluate")
"""The commands whose work several processes share; the leader does alone what others do not."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; return 0 done, 1 a run failed, 2 the user's input."""
    commands = parser()
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what may come next
        completion.answer(commands)
    try:
        dist.join()
        with _silent_but_for_the_leader():
            return _do(commands.parse_args(argv))
    except BenchError as error:
        return _fail(f"error: {error}", 2)
    except RunError as error:
        return _fail(f"failed: {error}", 1)
    except SystemExit as left:  # the parser has said why
        if left.code:
            endings.together()
            endings.leave(2)
        raise
    except Stopped as stopped:
        name = signal.Signals(stopped.number).name
        return _fail(f"stopped by {name}; the same command goes on where it was", 130)
    except KeyboardInterrupt:
        return _fail("stopped; the same command goes on where it was", 130)
    except BrokenPipeError:  # the reader has seen enough
        sys.stderr.close()
        return 0
    except Exception as error:  # of a library, or a fault of this program
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            return _fail(
                "error: expected the path of a file, found one that is too long; shorten it", 2
            )
        if os.environ.get("DML_BENCH_TRACEBACK"):
            raise
        if endings.lost(error):
            return _fail("failed: another process of this work has ended; start them again", 1)
        return _fail(f"failed: {in_short(error)}; DML_BENCH_TRACEBACK=1 shows where", 1)


def _do(args: argparse.Namespace) -> int:
    home = HOMES.get(args.command, "actions")
    actions = import_module(f"dml_bench.{home}")  # torch, faiss: imported when they are used
    if dist.world() > 1 and not _meets(args):
        return 0
    done: int = getattr(actions, args.command)(args)
    dist.end()
    return done


def _meets(args: argparse.Namespace) -> bool:
    """Connect the processes, or leave all to the leader; return whether this one has work."""
    from dml_bench.environment import device_of

    if _is_shared(args):
        dist.begin(device_of(args.device))
        return True
    leads = dist.leader()
    dist.end()
    return leads


def _is_shared(args: argparse.Namespace) -> bool:
    """Return whether all processes have a part in what is asked; else it is the leader's alone."""
    return args.command in SHARED and vars(args).get("executor", "process") == "process"


@contextmanager
def _silent_but_for_the_leader() -> Iterator[None]:
    """Keep from the screen what the other processes print; why they end is printed outside."""
    if dist.leader():
        yield
        return
    with ExitStack() as held:
        nowhere = held.enter_context(open(os.devnull, "w", encoding="utf-8"))
        held.enter_context(redirect_stdout(nowhere))
        held.enter_context(redirect_stderr(nowhere))
        yield


def _fail(line: str, status: int) -> int:
    endings.farewell(lambda: print(shown(line), file=sys.stderr, flush=True))
    endings.leave(status)
    return status
