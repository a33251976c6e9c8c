"""`run`: the missing runs of suites, made here or handed over; where they stand; an end of them."""

import argparse
import os
import signal
from collections.abc import Iterable, Sequence
from contextlib import suppress

from rich.console import Console

from dml_bench import dist, entries, runner, suites, typeset
from dml_bench.actions import write_all
from dml_bench.environment import device_of
from dml_bench.errors import BenchError, RecipeError
from dml_bench.jobs import allocation, slurm
from dml_bench.jobs.executors import EXECUTORS, Executor, Local, Slurm
from dml_bench.jobs.handover import Place, Work, queue_for
from dml_bench.jobs.notes import all_notes
from dml_bench.jobs.standing import Standing
from dml_bench.loggers import logger_of
from dml_bench.registry import unknown
from dml_bench.runner import Failure
from dml_bench.signals import as_ctrl_c
from dml_bench.terminal import said, say, show_runs
from dml_bench.types import RunResult

RETRIES = 3


def run(args: argparse.Namespace) -> int:
    """Make the missing runs of suites and print their tables; or say where they stand."""
    _refuse_contradictions(args)
    if args.status:
        return _show(args)
    if args.cancel:
        return _cancel(args)
    if args.executor == "process":
        device = device_of(args.device)
        over = said(args, {})
        asked = entries.load(args.suite, over)
        return _tables(args, asked, (_here(args, suite, over, device) for suite in asked))
    return _elsewhere(args)


def _refuse_contradictions(args: argparse.Namespace) -> None:
    if args.executor not in EXECUTORS:
        raise unknown("executor", args.executor, EXECUTORS)
    if args.status and args.cancel:
        raise RecipeError("run: expected --status or --cancel, found both; leave one out")
    if not args.suite and not args.status:
        raise RecipeError("run: expected suite, found none; see dml-bench list suites")
    for option, given in {"--slurm": args.slurm, "--detach": args.detach}.items():
        if given and args.executor != "slurm":
            raise RecipeError(f"{option}: expected it with --executor slurm, found {args.executor}")
    if args.retries is not None and args.executor == "process":
        raise RecipeError("--retries: expected it with --executor local or slurm, found process")
    if args.retries is not None and args.retries < 0:
        raise RecipeError(f"--retries: expected 0 or more, found {args.retries}")


Made = tuple[list[RunResult], list[Failure]]


def _here(
    args: argparse.Namespace, suite: suites.Suite, over: dict[str, object], device: str
) -> Made:
    return runner.run_suite(
        suite,
        over,
        data_root=args.data_root,
        results=args.results,
        device=device,
        say=say,
        logger=logger_of(args.logger, args.results),
    )


def _tables(
    args: argparse.Namespace, asked: Sequence[suites.Suite], outcomes: Iterable[Made]
) -> int:
    """Print the table of each suite as it is made, then write those of all runs."""
    failures: list[Failure] = []
    for suite, (made, failed) in zip(asked, outcomes, strict=True):
        failures += failed
        say(f"\n{suite.title}")
        show_runs(made, ["table"], published=suite.name.startswith("paper"))
    dist.first(lambda: write_all(args))
    if failures:
        n_runs = sum(len(suite.runs) for suite in asked)
        say(f"{len(failures)} of {n_runs} runs were not made; the lines 'not run:' above say why")
    return max((failure.status for failure in failures), default=0)


def _elsewhere(args: argparse.Namespace) -> int:
    """Hand the runs over, wait for them, and print their tables; do not wait if told so."""
    executor = _executor(args)
    logger_of(args.logger, args.results)  # an unknown one shows here
    asked = _suites(args)
    work = [Work(suite, said(args, {}), _place(args), say) for suite in asked]
    try:
        with as_ctrl_c():
            _hand_over(work, executor)
            if not args.detach:
                return _tables(args, asked, (_waited(each, executor) for each in work))
            for each in work:
                each.results()  # what is expected of those that are there is written beside them
    except BaseException as error:
        line = executor.leave()
        if isinstance(error, KeyboardInterrupt):
            say(line)
        raise
    say(f"not waited for; {executor.leave()}")
    return _refused(work)


def _refused(work: Sequence[Work]) -> int:
    """Return the exit status of the runs that were refused before anybody was asked for them."""
    return max((failure.status for each in work for failure in each.failed), default=0)


def _hand_over(work: Sequence[Work], executor: Executor) -> None:
    for each in work:
        for failure in each.failed:
            say(f"not run: {failure.line}")
        n = each.submit(executor)
        say(f"{each.suite.name}: {n} of {len(each.suite.runs)} runs handed to {executor.name}")


def _waited(work: Work, executor: Executor) -> Made:
    failed = [*work.failed, *work.wait(executor)]
    return work.results(), failed


def _executor(args: argparse.Namespace) -> Executor:
    folder = args.results.absolute() / "jobs"
    if args.executor == "local":
        return Local(folder)
    return Slurm(folder / "logs", allocation.read(args.slurm), _retries(args))


def _retries(args: argparse.Namespace) -> int:
    return RETRIES if args.retries is None else args.retries


def _place(args: argparse.Namespace) -> Place:
    elsewhere = args.executor == "slurm" or args.status or args.cancel
    if args.device != "cuda" or not elsewhere:
        device_of(args.device)  # a word that means nothing shows here
    return Place(args.data_root, args.results, args.device, args.logger, _retries(args))


def _suites(args: argparse.Namespace) -> list[suites.Suite]:
    return entries.load(args.suite, said(args, {}))


def _show(args: argparse.Namespace) -> int:
    """Print where each run of the suites stands; of all that were handed over, if none is named.

    The exit status is that of the runs which nobody can be asked to make, as `run` has it.
    """
    asked = [Work(suite, said(args, {}), _place(args), say) for suite in _suites(args)]
    if asked:
        queue = queue_for([note.known() for work in asked for note in work.notes()])
        found = [each for work in asked for each in work.standings(queue)]
        found += [
            Standing(failure.run, "failed", failure.why, status=failure.status)
            for work in asked
            for failure in work.failed
        ]
    else:
        notes = [*all_notes(args.results)]
        queue = queue_for([note.known() for note in notes])
        known = [(note.name, note.known()) for note in notes]  # after the queue was asked
        found = [each.standing(each.handed.get("run", name), queue) for name, each in known]
    rows = [[each.run, each.state, each.job, each.why] for each in found]
    typeset.show(typeset.Grid(["run", "state", "job", "why"], rows), Console(), "runs")
    return _refused(asked)


def _cancel(args: argparse.Namespace) -> int:
    """End the jobs of the suites that wait or run: Slurm's, and the processes of this machine."""
    work = [Work(suite, said(args, {}), _place(args), say) for suite in _suites(args)]
    notes = {str(note.submitted.get("job", "")): note for each in work for note in each.notes()}
    known = {job: note.known() for job, note in notes.items()}
    queue = queue_for(known.values())
    if queue is None:
        slurm.require("--cancel")
        raise slurm.silent("--cancel")
    if jobs := [job for job in notes if job in queue]:
        slurm.cancel(jobs)
    makers = {job: pids for job, each in known.items() if (pids := each.processes)}
    _end(set().union(*makers.values()))
    ended = [*jobs, *makers]
    for job in ended:
        notes[job].withdraw()
    say(f"{len(ended)} jobs cancelled" + (f": {', '.join(ended)}" if ended else ""))
    if beyond := [each.maker for each in known.values() if each.out_of_sight]:
        raise BenchError(
            f"--cancel: expected jobs of Slurm or of this machine, found {len(beyond)} with"
            f" {beyond[0]}; call this there"
        )
    return 0


def _end(pids: set[int]) -> None:
    """Ask processes to end; each saves its state, or ends who does."""
    for pid in pids:
        try:
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(pid, signal.SIGTERM)
        except OSError as error:
            raise BenchError(
                f"--cancel: expected to end process {pid}, found: {error.strerror}; whoever began"
                " it can"
            ) from error
