"""What a recipe says of the order in which an epoch visits the images."""

import re

from dml_bench.data.members import members
from dml_bench.errors import RecipeError
from dml_bench.types import Dataset

SPAN = 4
FORM = re.compile(r"shards(?::([1-9][0-9]{0,8}))?")


def order_of(said: str) -> str:
    """Return an order as a recipe keeps it.

    Args:
        said: "shuffle", "shards:K", or "shards", which is K = 4.

    Raises:
        RecipeError: another word.

    Example:
        >>> order_of("shards"), order_of("shards:12"), order_of("shuffle")
        ('shards:4', 'shards:12', 'shuffle')
    """
    found = FORM.fullmatch(said)
    if said != "shuffle" and not found:
        raise RecipeError(
            f"order: expected shuffle, or shards:K with K shards a block, found '{said}'; write"
            f" shards:{SPAN}, say"
        )
    return f"shards:{found[1] or SPAN}" if found else said


def span(order: str) -> int:
    """Return how many shards make a block; 0 where all images are shuffled.

    Example:
        >>> span("shards:12"), span("shuffle")
        (12, 0)
    """
    return 0 if order == "shuffle" else int(order.partition(":")[2])


def refuse_order(order: str, dataset: Dataset) -> None:
    """Refuse an order in shards of images that lie in none.

    Raises:
        RecipeError: the training images are no shards.
    """
    if span(order) and members(dataset.train.images) is None:
        raise RecipeError(
            f"order {order}: expected training images in shards, found none in {dataset.name}; say"
            " shards = ... in its dataset.toml, or leave order out"
        )
