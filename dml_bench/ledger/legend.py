"""The datasets and the words of the ledger, for who meets them there first."""

from collections.abc import Iterator, Mapping, Sequence

from dml_bench.ledger.budgets import Group
from dml_bench.ledger.verdicts import ABSENT
from dml_bench.rows import place

ABOUT = {
    "glyphs": "letters, a class each, in many typefaces; Latin in training, Greek and Cyrillic"
    " in the test",
    "cub100_crops": "birds: half of the classes of CUB-200-2011, cut out by their boxes",
    "cars196_crops": "cars: all classes of Cars196, cut out by their boxes",
    "cifar10_jpeg": "CIFAR-10 as JPEG files",
}
WORDS = (
    "**R+C+G+F**: RandomResizedCrop, ColorJitter, RandomGrayscale, RandomHorizontalFlip, the"
    " paper's augmentation of CIFAR-10; **crop+F**: a plain crop and a flip, what its code does on"
    " birds and cars; **affine**: turned, scaled, sheared and shifted.",
    "**Code form, paper form**: the loss of the authors' code, a mean over the batch in which the"
    " compared images get no gradient and none is compared with itself; the loss as the equations"
    " print it, a sum.",
    "**Hard, easy negatives**: the half of the other images most, or least, like an image.",
    "**The neighbour**: every other second view shows not the image itself but its nearest"
    " neighbour, found anew each epoch.",
    "**Head**: the linear layer behind the network; *thrown away*: trained with it, asked without.",
    "**Frozen batch norm**: its running statistics stay those of the weights and count in training,"
    " too.",
    "**code-seen, code-unseen**: the steps by which the authors' code lowers the rate; in fewer"
    " epochs than its first step the rate is constant. **warmup:0.1**: a tenth of the steps up,"
    " then down to nothing as a cosine.",
    "**Sprint**: the project's own recipe, for a few epochs: the released loss with a gradient"
    " through those asked, too, over each pair of views; by Muon from random weights, by SGD at"
    " three tenths of the paper's rate from pretrained ones. **Muon**: an optimiser that makes the"
    " steps of matrices orthogonal.",
    "**A share of the images**: the same ones for everybody; on CIFAR-10 it is also all that is"
    " searched.",
)


def section(groups: Sequence[Group]) -> list[str]:
    """Return what each dataset is and how it is asked, and what words stand for, as Markdown.

    Args:
        groups: the runs of each recipe, one a seed.
    """
    return [*_datasets(groups), "", *(f"- {text}" for text in WORDS)]


def _datasets(groups: Sequence[Group]) -> Iterator[str]:
    """Yield a line for each way in which a dataset was asked, from the run that says most of it."""
    yield "| dataset | training images (classes) | test images (classes) | searched | protocol |"
    yield "| :-- | --: | --: | --: | :-- |"
    for at in sorted({place(group[0]) for group in groups}):
        some = [result for group in groups for result in group if place(result) == at]
        counts = max(some, key=lambda one: one.counts.get("train_images", 0)).counts
        about = ABOUT.get(at[0])
        name = f"{at[0]} ({about})" if about else at[0]
        cells = [_of(counts, split) for split in ("train", "query")]
        searched = f"{counts['gallery_images']:,}" if "gallery_images" in counts else ""
        yield f"| {name} | {' | '.join(cells)} | {searched} | {at[1]} |"
    if not groups:
        yield f"| {ABSENT} |  |  |  |  |"


def _of(counts: Mapping[str, int], split: str) -> str:
    images, classes = (counts.get(f"{split}_{what}") for what in ("images", "classes"))
    return f"{images:,} ({classes})" if images else ""
