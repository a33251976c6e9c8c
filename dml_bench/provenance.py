"""Where a result comes from: the code of every session that made it, and the images they saw."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

from dml_bench import checkpoint
from dml_bench.atomic import atomic_write, to_json
from dml_bench.environment import checkout
from dml_bench.errors import RecipeError, StoreError
from dml_bench.results import read_result
from dml_bench.store import Run
from dml_bench.types import Dataset, RunResult
from dml_bench.types.data import files_fingerprint, training_fingerprint

SESSIONS = "sessions.json"
UNKNOWN = "unknown"  # the commit of a session from before sessions were noted


def marks(dataset: Dataset, supervision: str) -> dict[str, str]:
    """Return the fingerprints of all that a run of this dataset sees.

    Args:
        dataset: what is trained on, and asked.
        supervision: of the method: without training no training image decides anything, and
            without supervision no training label does.

    Returns:
        {"protocol": 16 hex, "training images": 16 hex, or "" without training, "image files": 16
        hex, or "" where images lie in no files of their own}.
    """
    trained = supervision != "none"
    labels = supervision == "supervised"
    seen = training_fingerprint(dataset.train, labels=labels) if trained else ""
    looked_at = [dataset.query, dataset.gallery, *([dataset.train] if trained else [])]
    files = files_fingerprint(looked_at)
    return {"protocol": dataset.fingerprint, "training images": seen, "image files": files}


def marks_of(result: RunResult) -> dict[str, str]:
    """Return what `marks` returned when a result was made."""
    return {
        "protocol": result.fingerprint,
        "training images": result.training,
        "image files": result.files,
    }


def difference(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Return what is not as it was, in words; empty where all is. What was never noted is alike.

    Example:
        >>> difference({"protocol": "ab", "training images": ""}, {"protocol": "cd"})
        'expected protocol ab, found cd'
    """
    for what, mark in now.items():
        if mark and then.get(what) and then[what] != mark:
            return f"expected {what} {then[what]}, found {mark}"
    return ""


def refuse_others(key: str, then: Mapping[str, str], now: Mapping[str, str]) -> None:
    """Let nobody take the numbers of other images for those of the images at hand.

    Raises:
        StoreError: the images, or what is right about them, changed since the run.
    """
    if changed := difference(then, now):
        raise StoreError(
            f"runs/{key}: {changed}; delete this folder to make the run with the images that are"
            " there now, or bring back those that it was made with"
        )


def kept(stored: Run, seen: Mapping[str, str], *, anew: bool) -> RunResult:
    """Return a finished run's result, if it is of the images at hand.

    Raises:
        StoreError: it is of others.
        RecipeError: it was to be made anew.
    """
    result = read_result(stored.folder / "result.json")
    refuse_others(stored.recipe.key, marks_of(result), seen)
    if anew:
        raise RecipeError(
            f"expected a run that was stopped, found a finished one: runs/{stored.recipe.key};"
            " delete this folder to make it anew"
        )
    return result


def as_asked(
    stored: Run, result: RunResult, alone: AbstractContextManager[None] | None = None
) -> RunResult:
    """Lay over a finished run what is asked beside its key now: `expect`, and its `source`.

    Args:
        stored: the run's folder; its recipe is the one that is asked for. One that expects nothing
            takes nothing away.
        result: as it was read there.
        alone: keeps others out while the record is written; None where they are kept out already.

    Returns:
        the result as it is stored now.

    Raises:
        BusyError: another process is at work on it.
        StoreError: the record cannot be written.
    """
    now, then = stored.recipe, result.recipe
    if not now.expect or (now.expect, now.source) == (then.expect, then.source):
        return result
    with alone or nullcontext():
        return stored.write_beside()


def begin(stored: Run, seen: Mapping[str, str], *, anew: bool) -> dict[str, Any]:
    """Write what stands before a run; return the code of all its sessions (`begin_session`)."""
    if anew:
        checkpoint.drop_state(stored.folder)
    resumes = checkpoint.has_state(stored.folder)
    code = begin_session(stored.folder, seen, resumes=resumes)
    stored.begin()
    return code


def begin_session(folder: Path, seen: Mapping[str, str], *, resumes: bool) -> dict[str, Any]:
    """Note that this process works on a run; return the code of all that did.

    Args:
        folder: the run's.
        seen: the marks of its images.
        resumes: whether it goes on from what an earlier session left.

    Returns:
        commit (the first session's), dirty (whether any was), and, where not all had the same
        commit, commits.

    Raises:
        StoreError: an earlier session trained on other images.
    """
    earlier = _earlier(folder / SESSIONS) if resumes else []
    for session in earlier:
        then = {name: session.get(name, "") for name in ("training images", "image files")}
        refuse_others(folder.name, then, seen)
    sessions = [*earlier, {**checkout(), **seen}]
    atomic_write(folder / SESSIONS, to_json(sessions))
    return _code(sessions)


def _earlier(path: Path) -> list[dict[str, Any]]:
    try:
        sessions: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        if sessions and all("commit" in session and "dirty" in session for session in sessions):
            return [dict(session) for session in sessions]
    except (OSError, ValueError, TypeError, RecursionError):
        pass
    return [{"commit": UNKNOWN, "dirty": None}]


def _code(sessions: list[dict[str, Any]]) -> dict[str, Any]:
    commits = list(dict.fromkeys(session["commit"] for session in sessions))
    states = [session["dirty"] for session in sessions]
    code: dict[str, Any] = {"commit": commits[0], "dirty": any(states)}
    if None in states and not any(states):
        code["dirty"] = None
    return code | ({"commits": commits} if len(commits) > 1 else {})


def end_sessions(folder: Path) -> None:
    """Remove the note of a run that is finished: the result says it all."""
    (folder / SESSIONS).unlink(missing_ok=True)
