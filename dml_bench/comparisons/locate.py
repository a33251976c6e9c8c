"""Which stored result a word means: a path, a key, the beginning of one, or a pattern."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from dml_bench.errors import StoreError

RESULT = "result.json"


def locate(word: str, folders: Sequence[Path]) -> Path:
    """Return the `result.json` that a word means.

    Args:
        word: a `result.json`, or the folder that holds it; else the key of a run, the beginning of
            one, or a pattern ("glyphs-nce-*-s0-*") that fits one run only.
        folders: of folders of runs; the first that knows the word has it.

    Raises:
        StoreError: no run is meant, or several are.
    """
    path = Path(word)
    for file in (path, path / RESULT):
        if file.name == RESULT and file.is_file():
            return file.resolve()
    known: set[str] = set()
    for folder in folders:
        keys = sorted(found.parent.name for found in folder.glob(f"*/{RESULT}"))
        known.update(keys)
        meant = _meant(word, keys)
        if len(meant) == 1:
            return folder / meant[0] / RESULT
        if meant:
            raise StoreError(
                f"expected one run, found {len(meant)} that '{word}' may mean:"
                f" {_some(meant)}; say more of its key"
            )
    raise StoreError(
        f"expected a finished run '{word}', found none among {len(known)}"
        f"{': ' + _some(sorted(known)) if known else ''}; see dml-bench list runs"
    )


def _meant(word: str, keys: Sequence[str]) -> list[str]:
    """Return the key itself, else those that begin so, else those that fit the pattern."""
    if word in keys:
        return [word]
    begun = [key for key in keys if word and key.startswith(word)]
    return begun or [key for key in keys if fnmatchcase(key, word)]


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
    return ", ".join(keys[:5]) + more
