"""A suite's runs handed to an executor: what is missing is submitted, once, and waited for."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dml_bench import provenance
from dml_bench.engine import Say
from dml_bench.entries import Entry, entries
from dml_bench.environment import device_of
from dml_bench.errors import BenchError
from dml_bench.jobs import slurm
from dml_bench.jobs.executors import Executor
from dml_bench.jobs.job import Job
from dml_bench.jobs.notes import Note, name_of
from dml_bench.jobs.standing import Known, Standing
from dml_bench.locks import alone
from dml_bench.progress import Bar
from dml_bench.results import read_result
from dml_bench.runner import Failure, Resolver, failure_of
from dml_bench.store import Run
from dml_bench.suites import Suite
from dml_bench.types import RunResult

FIRST_LOOK, LAST_LOOK = 0.5, 30.0
"""Seconds between two looks at the queue, at first and later."""
GRACE = 10.0
"""Seconds that a job may be gone without a last word: a shared folder shows it late."""


@dataclass(frozen=True)
class Place:
    """What all runs of a call have in common.

    Args:
        data_root: where the datasets are.
        results: the root of all results.
        device: "auto", "cpu" or "cuda", where a run is made.
        logger: who else is told of the epochs.
        retries: how often a run may fail, be killed, or its time be up.
    """

    data_root: Path
    results: Path
    device: str = "auto"
    logger: str = "none"
    retries: int = 3


class Work:
    """The runs of a suite, and where each stands.

    Args:
        suite: as `suites.load` read it.
        over: recipe fields laid over every run's.
        place: where.
        say: tells a person what happens.
    """

    def __init__(self, suite: Suite, over: Mapping[str, Any], place: Place, say: Say) -> None:
        self.suite, self.place, self.say = suite, place, say
        self.failed: list[Failure] = []
        self.keys: dict[int, str] = {}  # by the number of an entry, of what is finished
        self.entries = list(self._sound(entries(suite, over)))

    def _sound(self, entries: list[Entry]) -> list[Entry]:
        """Return the entries that make a recipe here, each recipe once; note which are finished.

        Where a run is made on another machine the recipe may be another ("auto" is what that
        machine has): then a job finds at once that it is finished.
        """
        resolve = Resolver(self.place.data_root, _device_here(self.place.device))
        sound = []
        for entry in entries:
            try:
                recipe, _ = resolve(entry)
            except BenchError as error:
                self.failed.append(replace(failure_of(entry, error), run=entry.seeded))
                continue
            if resolve.is_first(entry, recipe):
                sound.append(entry)
                if (self.place.results / "runs" / recipe.key / "result.json").is_file():
                    self.keys[entry.number] = recipe.key
        return sound

    def note(self, entry: Entry) -> Note:
        """Return what is known of an entry that was handed over."""
        name = name_of(entry.wanted, self.place.device)
        return Note(self.place.results.absolute(), name)

    def notes(self) -> list[Note]:
        """Return the notes of each entry."""
        return [self.note(entry) for entry in self.entries]

    def submit(self, executor: Executor) -> int:
        """Hand over what is neither finished nor handed over already; return how much that was.

        Raises:
            BenchError: the executor refuses, or does not say what it is at; or another one makes
                some of the runs.
        """
        folder = self.place.results.absolute() / "jobs"
        with alone(folder / ".lock"):  # two calls at a time would hand over everything twice
            queue = executor.queue()
            if queue is None:
                raise slurm.silent(f"--executor {executor.name}")
            missing = [each for each in self.entries if self._is_missing(each, queue)]
            self._refuse_if_made(missing, executor)
            if missing:
                for each in missing:
                    self.note(each).forget()
                taken = executor.submit([self._job(each, executor) for each in missing])
                for entry, (job, log) in zip(missing, taken, strict=True):
                    self.note(entry).hand_over(entry.seeded, executor.name, job, log)
        return len(missing)

    def _is_missing(self, entry: Entry, queue: Mapping[str, tuple[str, str]]) -> bool:
        """Return whether an entry is neither finished nor the executor's already."""
        return not self.key_of(entry) and self.note(entry).submitted.get("job") not in queue

    def _refuse_if_made(self, missing: Sequence[Entry], executor: Executor) -> None:
        """Leave runs to whom they were handed before: another executor, or another call's."""
        known = [self.note(entry).known() for entry in missing]
        queue = {} if executor.name == "slurm" else queue_for(known)  # it does not hold these
        if queue is None:
            raise slurm.silent(f"--executor {executor.name}")
        made = [each for each in known if each.standing("", queue).state in ("waiting", "running")]
        if made:
            raise BenchError(
                f"--executor {executor.name}: expected runs that nobody makes, found"
                f" {len(made)} with {made[0].maker}; wait for them there, or end them (--cancel)"
            )

    def _job(self, entry: Entry, executor: Executor) -> Job:
        return Job(
            entry=entry,
            note=self.note(entry).name,
            data_root=self.place.data_root.absolute(),
            results=self.place.results.absolute(),
            device=self.place.device,
            logger=self.place.logger,
            retries=self.place.retries,
            waits=executor.name == "slurm",
        )

    def key_of(self, entry: Entry) -> str:
        """Return the key of an entry's result, if it is there."""
        if entry.number not in self.keys:
            state = self.note(entry).state
            path = self.place.results / "runs" / str(state.get("key", "")) / "result.json"
            if state.get("state") == "done" and path.is_file():
                self.keys[entry.number] = path.parent.name
        return self.keys.get(entry.number, "")

    def standings(self, queue: Mapping[str, tuple[str, str]] | None) -> list[Standing]:
        """Return where each run stands; `queue` was asked before this is called."""
        return [self._standing(entry, queue) for entry in self.entries]

    def _standing(self, entry: Entry, queue: Mapping[str, tuple[str, str]] | None) -> Standing:
        if key := self.key_of(entry):
            job = str(self.note(entry).submitted.get("job", ""))
            return Standing(entry.seeded, "done", job=job, key=key)
        found = self.note(entry).known().standing(entry.seeded, queue)
        if found.state == "done":  # and its result was deleted since
            return Standing(entry.seeded, "missing")
        return found

    def results(self) -> list[RunResult]:
        """Return the results that are there, in the suite's order, with what it expects of them."""
        found: dict[str, Entry] = {}
        for entry in self.entries:
            found.setdefault(self.key_of(entry), entry)
        return [self._result(entry, key) for key, entry in found.items() if key]

    def _result(self, entry: Entry, key: str) -> RunResult:
        result = read_result(self.place.results / "runs" / key / "result.json")
        said = {"expect": entry.wanted.get("expect", {}), "source": entry.wanted.get("source", "")}
        stored = Run(self.place.results, replace(result.recipe, **said))
        return provenance.as_asked(stored, result, stored.lock(wait=-1.0))

    def wait(self, executor: Executor) -> list[Failure]:
        """Wait until every run is done or has failed; return the failures, said once each."""
        seen = _Seen(self.say)
        look = FIRST_LOOK
        with Bar("runs", len(self.entries)) as bar:
            while True:
                now = self.standings(executor.queue())
                if seen.all_ended(now):
                    break
                bar.advance(seen.n_ended - bar.done, note=_counts(now))
                time.sleep(look)
                look = min(look * 1.3, LAST_LOOK)
        failed = [each for each in now if each.state == "failed"]
        return [Failure(each.run, each.why, each.status) for each in failed]


class _Seen:
    """What a person was told of the runs that are waited for, by their place among them."""

    def __init__(self, say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        self.say, self.clock = say, clock
        self.told: dict[int, str] = {}
        self.gone: dict[int, float] = {}  # since when
        self.n_ended = 0

    def all_ended(self, now: list[Standing]) -> bool:
        """Tell what is new; return whether every run is done or has failed, for good."""
        self.n_ended = sum([self._ended(at, each) for at, each in enumerate(now)])
        return self.n_ended == len(now)

    def _ended(self, at: int, each: Standing) -> bool:
        if not each.silent:
            self.gone.pop(at, None)
        elif self.clock() - self.gone.setdefault(at, self.clock()) < GRACE:
            return False
        line = _line(each)
        news = line.partition(slurm.REASON)[0]  # its reasons change all the time
        if self.told.get(at) != news:
            self.told[at] = news
            self.say(line)
        return each.state in ("done", "failed", "missing")


def _line(each: Standing) -> str:
    if each.state == "failed":
        return f"not run: {each.run}: {each.why}"
    return f"{each.run}: {each.state}" + (f" ({each.why})" if each.why else "")


def _counts(now: list[Standing]) -> str:
    states = [each.state for each in now]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))


def queue_for(runs: Iterable[Known]) -> slurm.Queue | None:
    """Return Slurm's queue, asked if one of the runs may be in it; None: it does not answer."""
    return slurm.queued() if any(known.in_slurm for known in runs) else {}


def _device_here(device: str) -> str:
    """Return what to take a device for that another machine has; no accelerator need be here."""
    return device if device == "cuda" else device_of(device)
