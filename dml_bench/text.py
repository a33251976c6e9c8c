"""Text that others wrote (names, paths, messages of libraries), made safe to show."""

import traceback
from pathlib import Path


def shown(text: object) -> str:
    r"""Return text on one line, its spaces drawn together, with nothing that a screen would obey.

    Args:
        text: anything; what it prints as is taken.

    Example:
        >>> shown("two\n  lines")
        'two lines'
    """
    return visible(" ".join(str(text).split()))


def visible(line: str) -> str:
    r"""Return a line with an escape for each mark that a screen would obey.

    Example:
        >>> print(visible("red\x1b[31m and \u202eback"))
        red\x1b[31m and \u202eback
    """
    return "".join(mark if mark.isprintable() else ascii(mark)[1:-1] for mark in line)


def in_short(error: BaseException) -> str:
    """Return what a library raised on one line: kind, text, and where in the code.

    Example:
        >>> try:
        ...     {}["key"]
        ... except KeyError as error:
        ...     in_short(error).partition(" (")[0]
        "KeyError: 'key'"
    """
    frames = traceback.extract_tb(error.__traceback__)
    at = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {shown(error)}{at}"


FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""How a formula begins; the last four are as wide as a Chinese character, and mean the same."""


def formula_free(cell: object) -> object:
    r"""Return a cell of a CSV file that no spreadsheet computes, and no screen obeys.

    Text that begins as a formula does is quoted by an apostrophe, as spreadsheets do it.

    Example:
        >>> formula_free("=1+1"), formula_free("invaspread"), formula_free(-0.5)
        ("'=1+1", 'invaspread', -0.5)
    """
    if not isinstance(cell, str):
        return cell
    line = visible(cell)
    return f"'{line}" if line.lstrip().startswith(FORMULA) else line
