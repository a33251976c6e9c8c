"""What can go wrong for a user. Each is one line: what was expected, what was found, what to do."""


class BenchError(Exception):
    """Anything that the user can mend; a command prints it on one line and ends with status 2."""


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
