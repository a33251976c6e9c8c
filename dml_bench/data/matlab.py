"""Files that MATLAB wrote."""

from pathlib import Path
from typing import Any

from dml_bench.errors import DataError

BROKEN = (OSError, ValueError, TypeError, NotImplementedError)


def read(path: Path, *names: str) -> dict[str, Any]:
    """Return the variables of a file; a struct array becomes records by field name.

    Args:
        path: the file.
        names: variables that it must hold.

    Raises:
        DataError: it is no such file, or a variable is missing.
    """
    from scipy.io import loadmat  # scipy is imported when there is a file to read
    from scipy.io.matlab import MatReadError

    try:
        said: dict[str, Any] = loadmat(path, squeeze_me=True)
    except (*BROKEN, MatReadError) as error:
        raise DataError(f"{path}: expected a MATLAB file, found: {error}; bring it anew") from error
    missing = [name for name in names if name not in said]
    if missing:
        raise DataError(f"{path}: expected '{missing[0]}' in it, found none; bring it anew")
    return said
