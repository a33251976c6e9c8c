"""Who else is told of each epoch: TensorBoard, if asked for. A logger decides no number."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dml_bench.atomic import unwritable
from dml_bench.errors import BenchError
from dml_bench.registry import unknown
from dml_bench.types import RunResult

LOGGERS = ("none", "tensorboard")
LoggerOf = Callable[[str], "Logger"]
Curve = Sequence[Mapping[str, float]]


class Logger:
    """Told of the curve after each epoch, and of the result; this one keeps silent."""

    def __call__(self, curve: Curve) -> None:
        """Take note of a curve, the epochs that were noted before among it."""

    def finish(self, result: RunResult) -> None:
        """Take note of a result."""


class TensorBoard(Logger):
    """Writes events that TensorBoard shows.

    Args:
        folder: of this run; what an earlier session wrote is written anew, for the curve holds it.

    Raises:
        BenchError: tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as absent:
            raise BenchError(
                "--logger tensorboard: expected the package tensorboard, found none;"
                " pip install 'dml_bench[tensorboard]'"
            ) from absent
        try:
            for old in folder.glob("events.out.tfevents.*"):
                old.unlink()
            self.writer = SummaryWriter(folder)
        except OSError as error:
            raise unwritable(folder, error) from error
        self.noted = 0

    def __call__(self, curve: Curve) -> None:
        """Write the epochs that were not written in this session."""
        for row in curve[self.noted :]:
            self._write("epoch", row, int(row["epoch"]))
        self.noted = len(curve)

    def finish(self, result: RunResult) -> None:
        """Write the epochs that are left, and the metrics at the last of them."""
        self(result.curve)
        self._write("result", result.metrics, result.recipe.epochs)
        self.writer.close()

    def _write(self, part: str, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            if name != "epoch":
                self.writer.add_scalar(f"{part}/{name}", value, step)
        self.writer.flush()


def silent(_key: str) -> Logger:
    """Return a logger that writes nothing."""
    return Logger()


def logger_of(name: str, results: Path) -> LoggerOf:
    """Return who makes the logger of a run, given its key.

    Args:
        name: one of `LOGGERS`.
        results: the root of all results; events are kept under `results`/tensorboard/<key>/.

    Raises:
        UnknownNameError: no such logger.
    """
    if name not in LOGGERS:
        raise unknown("logger", name, LOGGERS)
    if name == "none":
        return silent
    return lambda key: TensorBoard(results / "tensorboard" / key)
