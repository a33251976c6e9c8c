"""The command `rerun`: make a result again, and say whether its numbers are the same."""

import argparse
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dml_bench import bench, data, models, outcomes, provenance
from dml_bench.again import again
from dml_bench.comparisons.explain import stored
from dml_bench.comparisons.explanation import CODE, MACHINE, Line, apart, explain, numbers
from dml_bench.data.share import as_trained
from dml_bench.environment import device_of
from dml_bench.errors import DataError, RecipeError, StoreError
from dml_bench.parts import Part, show_parts
from dml_bench.terminal import formats, say
from dml_bench.types import Dataset, Recipe, RunResult


def rerun(args: argparse.Namespace) -> int:
    """Make a result again, and say whether it is the same to the last bit.

    Returns:
        0 if all numbers are the same, 1 if any differs.
    """
    forms = formats(args, "table")
    then = stored(args.result, args.results)
    be_our_code(then.recipe, args)
    recipe = with_weights(then.recipe, args.weights)
    dataset = data.load(recipe.dataset, args.data_root)
    be_the_same_images(then, dataset)
    device = device_of(args.device)
    with _threads(args.threads, then.environment.get("threads")), _folder(args.into) as into:
        _be_new(into, recipe)
        say(f"made {then.finished}, again now in {args.into or 'a folder that is removed after'}")
        now = bench.run(recipe, dataset, into, device=device, say=say)
    lines = [line for line in explain(then, now) if line.topic in (CODE, MACHINE)]
    show_parts(parts(then, now, lines), as_dict(then, now, lines), forms)
    changed = apart(numbers(then), numbers(now))
    say(said(then, now, changed))
    return int(bool(changed))


def said(then: RunResult, now: RunResult, changed: Sequence[str]) -> str:
    """Return in one line whether two results are the same."""
    both = numbers(then).keys() & numbers(now).keys()
    if not changed:
        epochs = f", {len(then.curve)} epochs of the curve" if then.curve else ""
        weights = ", the weights" if "weights" in both else ""
        return f"the same to the last bit: {len(then.metrics)} metrics{epochs}{weights}"
    return f"not the same: {len(changed)} of {len(both)} numbers differ, first {changed[0]}"


def be_our_code(recipe: Recipe, args: argparse.Namespace) -> None:
    """Refuse to run a file of somebody's own: a stored result may not start it.

    Args:
        recipe: of the stored result.
        args: what the user said; it is in the commands that the error shows.

    Raises:
        RecipeError: the backbone or the method is such a file.
    """
    own = [name for name in ("backbone", "method") if getattr(recipe, f"{name}_digest")]
    if not own:
        return
    into = args.into or Path("NEW")
    train = shlex.join(["--data-root", str(args.data_root), "--results", str(into)])
    made = into / "runs" / recipe.key
    look = shlex.join([args.result, str(made), "--results", str(args.results)])
    raise RecipeError(
        f"rerun: expected a run of this package's code, found {own[0]}"
        f" {getattr(recipe, own[0])}, which a stored result may not start; run it yourself:"
        f" {again(recipe)} {train}; then dml-bench explain {look}"
    )


def with_weights(recipe: Recipe, file: Path | None) -> Recipe:
    """Return a recipe whose weights file is where it says, or at `file`, with the same content.

    Raises:
        RecipeError: a file is named, and the recipe has none.
        DataError: there is no such file, or another.
    """
    if not recipe.weights_digest:
        if file is not None:
            raise RecipeError(
                f"--weights: expected a recipe with a weights file, found one with"
                f" '{recipe.weights}'; leave it out"
            )
        return recipe
    at = file or Path(recipe.weights)
    if not at.is_file():
        raise DataError(f"{at}: expected the weights file, found none; name it with --weights")
    if models.digest(at) != recipe.weights_digest:
        raise DataError(
            f"{at}: expected weights of SHA-256 {recipe.weights_digest[:16]}..., found"
            f" {models.digest(at)[:16]}...; name the file that the run was made with"
        )
    return replace(recipe, weights=str(at))


def be_the_same_images(then: RunResult, dataset: Dataset) -> None:
    """Refuse to make a run again with other images than it was made with.

    Raises:
        StoreError: the images at hand are others, or others are right.
    """
    recipe = then.recipe
    trained, _ = as_trained(dataset, recipe)
    changed = provenance.difference(provenance.marks_of(then), outcomes.marks(recipe, trained))
    if changed:
        raise StoreError(
            f"{recipe.key}: {changed}; bring back the images of {dataset.name} that it was made"
            " with (--data-root)"
        )


def _be_new(into: Path, recipe: Recipe) -> None:
    if (into / "runs" / recipe.key / "result.json").exists():
        raise StoreError(
            f"--into {into}: expected a folder without this run, found it finished there;"
            " name another, or leave --into out"
        )


@contextmanager
def _folder(into: Path | None) -> Iterator[Path]:
    if into is not None:
        yield into
        return
    with tempfile.TemporaryDirectory(prefix="dml-bench-", ignore_cleanup_errors=True) as made:
        yield Path(made)


@contextmanager
def _threads(said: int | None, had: Any) -> Iterator[None]:
    """Work with as many threads as the run had: sums in another order end in other bits."""
    import torch

    before = torch.get_num_threads()
    wanted = had if said is None else said
    if isinstance(wanted, int) and wanted != before:
        if not 1 <= wanted <= 1024:
            raise RecipeError(f"threads: expected 1 to 1024, found {wanted}; set --threads 1")
        if said is None:
            say(f"threads: {wanted}, as the run had (--threads sets another number)")
        torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def as_dict(then: RunResult, now: RunResult, lines: Sequence[Line]) -> dict[str, Any]:
    """Return what came of it as plain values."""
    changed = apart(numbers(then), numbers(now))
    both = [numbers(one) for one in (then, now)]
    return {
        "key": then.recipe.key,
        "same": not changed,
        "numbers": {n: {"then": both[0].get(n), "now": both[1].get(n)} for n in both[0]},
        "differ": changed,
        "environment": [{"what": line.what, "then": line.a, "now": line.b} for line in lines],
    }


def parts(then: RunResult, now: RunResult, lines: Sequence[Line]) -> list[Part]:
    """Return the tables: the numbers then and now, and what else is not as it was."""
    before, after = numbers(then), numbers(now)
    values = [(n, before.get(n, ""), after.get(n, ""), _gap(before, after, n)) for n in before]
    cells = [[n, *(_shown(v) for v in row)] for n, *row in values]
    header = ("number", "then", "now", "now - then")
    note = "Fractions, in full precision. An empty difference is none, to the last bit."
    found = [Part(then.recipe.key, header, values, cells, note, (1, 2, 3))]
    rows = [(line.what, str(line.a), str(line.b)) for line in lines]
    if rows:
        found.append(Part("What is not as it was", ("what", "then", "now"), rows, rows))
    return found


def _gap(before: dict[str, Any], after: dict[str, Any], name: str) -> Any:
    one, other = before.get(name), after.get(name)
    if one == other:
        return ""
    if isinstance(one, float | int) and isinstance(other, float | int):
        return other - one
    return "other"


def _shown(value: Any) -> str:
    return value[:16] if isinstance(value, str) else repr(value)
