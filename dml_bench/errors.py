"""What can go wrong for a user. Each is one line: what was expected, what was found, what to do."""

import errno

PASSING = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE),
    *(errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH),
)
"""What the system says of a disk that is full, and of a disk or a server that is away."""


class BenchError(Exception):
    """Anything that the user can mend; a command prints it on one line and ends with status 2.

    Args:
        line: what was expected, what was found, what to do.
        passing: whether that may be otherwise in a while, where no error of the system says so.
    """

    def __init__(self, line: str = "", *, passing: bool = False) -> None:
        super().__init__(line)
        self.passing = passing


class UnknownNameError(BenchError):
    """A name that is not registered; the message lists what is."""


class DataError(BenchError):
    """A dataset, an image or an archive that is missing, damaged or not what it says it is."""


class EmbeddingsError(BenchError):
    """Vectors or labels that no metric can be computed from."""


class MetricError(BenchError):
    """A metric that the ranking at hand cannot answer."""


class RecipeError(BenchError):
    """A recipe with a field, an option or a value that means nothing."""


class StoreError(BenchError):
    """A run's folder that is missing, torn or from another recipe."""


class BusyError(StoreError):
    """A run that another process is making; who can wait for it will find it made."""


def may_pass(error: BaseException | None) -> bool:
    """Return whether a fault may be gone in a while: a full disk, a line that broke.

    Args:
        error: what was raised; what lies under it counts too, for a line that a person reads is
            made of what the system said.

    Example:
        >>> [may_pass(OSError(number, "")) for number in (errno.ENOSPC, errno.EACCES)]
        [True, False]
    """
    while error is not None:
        lines = isinstance(error, ConnectionError | TimeoutError)
        disks = isinstance(error, OSError) and error.errno in PASSING
        if lines or disks or (isinstance(error, BenchError) and error.passing):
            return True
        error = error.__cause__ or error.__context__
    return False


class RunError(Exception):
    """A run that broke though its recipe was sound; the command ends with status 1."""


class Stopped(KeyboardInterrupt):
    """A signal asked a training to stop, and its state is saved; no failure, as Ctrl-C is none.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
