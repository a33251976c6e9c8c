"""A signal that asks a training to stop: its state is saved first, at the next step."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from dml_bench import dist
from dml_bench.errors import Stopped

NAMES = ("SIGTERM", "SIGUSR1", "SIGUSR2")
KNOWN = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))
"""Of a person or a scheduler that ends the work, and of schedulers that want the machine back."""


class Asked:
    """Notes a signal while its block runs; called, it returns the signal's number, or 0.

    Outside of a block these signals do what they did before. They are noted where a handler can be
    set: in the main thread, and of several processes in the leader, which tells the others.

    Example:
        >>> with Asked() as asked:
        ...     before = asked()
        ...     signal.raise_signal(signal.SIGTERM)
        ...     signal.Signals(asked()).name
        'SIGTERM'
    """

    def __init__(self) -> None:
        self.number = 0
        self.before: dict[signal.Signals, Any] = {}

    def __call__(self) -> int:
        """Return the number of the last signal that came, or 0."""
        return self.number

    def __enter__(self) -> "Asked":
        if dist.leader() and threading.current_thread() is threading.main_thread():
            self.before = {each: signal.signal(each, self._note) for each in KNOWN}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for each, handler in self.before.items():
            signal.signal(each, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.number = number


@contextmanager
def as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does.

    Raises:
        Stopped: it came.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Stopped(number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def never() -> int:
    """Return 0: nobody asks.

    Example:
        >>> never()
        0
    """
    return 0
