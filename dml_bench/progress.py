"""Progress: a bar when a person watches, a plain line now and then in a log."""

import sys
import time
from types import TracebackType
from typing import Any

from dml_bench.text import shown

PLAIN_SECONDS = 20.0


class Bar:
    """Counts work that takes a while; used as a context.

    Args:
        label: what is being done.
        total: how many pieces of work there are.
        done: how many of them were done before.
        delay: seconds before a bar appears, for work that is fast as a rule.

    Example:
        >>> with Bar("squares", total=3) as bar:
        ...     for n in range(3):
        ...         bar.advance(note=f"{n * n}")
    """

    def __init__(self, label: str, total: int, done: int = 0, delay: float = 0.0) -> None:
        self.label, self.total, self.done, self.delay = shown(label), total, done, delay
        self.first = done
        self.started = self.shown = time.monotonic()
        self.watched = sys.stderr.isatty()
        self.bar = None if delay else self._appeared()

    def _appeared(self) -> Any:
        """Return the bar that a person sees, once the delay is over; None before, or in a log."""
        late = time.monotonic() - self.started >= self.delay
        return _rich_bar(self.label, self.total, self.done) if self.watched and late else None

    def __enter__(self) -> "Bar":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar:
            self.bar.stop()

    def due(self) -> bool:
        """Return whether a note would be shown now: worth computing one."""
        return time.monotonic() - self.shown > (0.5 if self.bar else PLAIN_SECONDS)

    def advance(self, n: int = 1, note: str = "") -> None:
        """Count `n` more pieces as done."""
        if not self.bar:
            self.bar = self._appeared()
        self.done += n
        if self.bar:
            fields = {"note": note} if note else {}
            self.bar.update(self.bar.task_ids[0], advance=n, **fields)
            self.shown = time.monotonic() if note else self.shown
        elif not self.watched and self.due():
            self.shown = time.monotonic()
            print(
                f"{self.label}: {self.done}/{self.total} {note} {self._left()}",
                file=sys.stderr,
                flush=True,
            )

    def _left(self) -> str:
        pace = (time.monotonic() - self.started) / max(self.done - self.first, 1)
        return f"({pace * (self.total - self.done) / 60:.1f} min left)"


def _rich_bar(label: str, total: int, done: int):  # type: ignore[no-untyped-def]
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    bar.add_task(escape(label), total=total, completed=done, note="")
    bar.start()
    return bar
