"""Training, end to end: from packed pixels to changed weights."""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import pictures, released
from benchmarks.cases import Case, Done, Work
from dml_bench import assembly, models, recipes
from dml_bench.assembly import build, method_of
from dml_bench.data.batches import Batches
from dml_bench.engine import Training
from dml_bench.packs import Packs
from dml_bench.precision import fast_at_bf16
from dml_bench.types import Batch, Dataset, Recipe

WARM = 3  # steps before the clock starts
STEPS = 6


def _recipe(
    backbone: str, side: int, batch: int, work: Work, **more: Any
) -> tuple[Recipe, Dataset]:
    steps, batch = (2, 8) if work.small else (STEPS, batch)
    data = pictures.dataset(steps * batch, side)
    said = {
        "method": "invaspread",
        "backbone": backbone,
        "weights": "none",
        "batch": batch,
        "epochs": 2,
        "lr": 1e-3,
        "schedule": "constant",
        **more,
    }
    return recipes.resolve(said, data, device=work.device), data


def whole(recipe: Recipe, data: Dataset, work: Work) -> Done:
    """Train two epochs as `bench.run` does, and count the second."""
    with tempfile.TemporaryDirectory() as folder:
        pixels = Packs(data, recipe, Path(folder))[data.train]
        torch.manual_seed(recipe.seed)
        method = method_of(recipe, data).to(work.device)
        batches = Batches(pixels, None, recipe, method.views, torch.device(work.device))
        model = build(recipe, work.device)
        training = Training(model, method, batches, recipe, Path(folder), say=lambda said: None)
        last = training.run(lambda rows: None)[-1]
    return Done(last["seconds"] * last["images_per_second"], last["seconds"])


def _bare(
    recipe: Recipe,
    data: Dataset,
    work: Work,
    layout: torch.memory_format = torch.channels_last,
    compiled: bool = False,
    recycled: bool = True,
) -> Done:
    """Step the same network on one resident batch of floats: no input, no augmentation."""
    device = torch.device(work.device)
    torch.manual_seed(0)
    if not recycled:
        assembly.recycle = lambda: None  # type: ignore[assignment]
    model = build(recipe, work.device).to(memory_format=layout).train()
    see = torch.compile(model) if compiled else model
    method = method_of(recipe, data).to(device)
    images = torch.rand(2, recipe.batch, 3, recipe.crop, recipe.crop, device=device)
    flat = images.flatten(0, 1).contiguous(memory_format=layout)
    ids = torch.arange(recipe.batch, device=device)
    optimiser = torch.optim.SGD(model.parameters(), 1e-3, 0.9, weight_decay=5e-4)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=recipe.precision == "bf16"):
            vectors = see(flat)
        loss = method.loss(vectors.float().view(2, recipe.batch, -1), Batch(images, ids))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    steps = len(data.train) // recipe.batch
    for _ in range(WARM):
        step()
    _wait(device)
    begun = time.perf_counter()
    for _ in range(steps):
        step()
    _wait(device)
    return Done(steps * recipe.batch, time.perf_counter() - begun)


def _released(recipe: Recipe, data: Dataset, work: Work) -> Done:
    """Train as the released code does: float32, contiguous, PIL in DataLoader workers."""
    device = torch.device(work.device)
    torch.manual_seed(0)
    fields = (recipe.backbone, "none", "linear", recipe.dim, recipe.crop, recipe.mean, recipe.std)
    model = models.build(*fields, seed=0)
    network = torch.nn.Sequential(model.backbone, model.head).to(device).train()
    method = method_of(recipe, data).to(device)
    optimiser = torch.optim.SGD(network.parameters(), recipe.lr, 0.9, weight_decay=5e-4)
    loader = released.two_views(data.train, released.seen(recipe), recipe.batch)
    batches = _endless(loader)

    def step() -> None:
        first, second, ids = (part.to(device) for part in next(batches))
        vectors = torch.nn.functional.normalize(network(torch.cat([first, second])), dim=1)
        loss = method.loss(vectors.view(2, recipe.batch, -1), Batch(first, ids))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()

    for _ in range(WARM):
        step()
    _wait(device)
    begun = time.perf_counter()
    steps = len(data.train) // recipe.batch
    for _ in range(steps):
        step()
    _wait(device)
    return Done(steps * recipe.batch, time.perf_counter() - begun)


def _endless(loader: Any) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    while True:
        yield from loader


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def cifar(work: Work, **more: Any) -> tuple[Recipe, Dataset]:
    """Return the paper's recipe for CIFAR-10, and as many images as are trained on here."""
    return _recipe("resnet18_cifar", 32, 128, work, augmentation="R+C+G+F", **more)


def _no_halves(device: str) -> str:
    """Return why a step in bfloat16 is no question here; "" where it is one."""
    return "" if fast_at_bf16(device) else "bfloat16 does not pay on this machine"


def letters(work: Work) -> tuple[Recipe, Dataset]:
    """Return a recipe of a small network: what is not the network's own work weighs most."""
    return _recipe("conv4", 32, 256, work, augmentation="affine")


def _googlenet(work: Work) -> tuple[Recipe, Dataset]:
    shown = {"resize": 256, "crop": 227, "augmentation": "crop+F"}
    return _recipe("googlenet", 256, 64, work, **shown)


CASES = (
    Case(
        "train",
        "ResNet18 at 32 px, 128 images in 2 views, R+C+G+F: an epoch",
        "images",
        "float32, contiguous, PIL in 2 DataLoader workers (the released code's way)",
        2.5,
        lambda work: whole(*cifar(work), work),
        lambda work: _released(*cifar(work), work),
    ),
    Case(
        "train-bare",
        "the same, against the network alone",
        "images",
        "the same steps on one batch of resident floats",
        0.9,
        lambda work: whole(*cifar(work), work),
        lambda work: _bare(*cifar(work), work),
    ),
    Case(
        "step-bf16",
        "a step of ResNet18 at 32 px, as the recipe has it on this machine",
        "images",
        "in float32",
        1,
        lambda work: _bare(*cifar(work), work),
        lambda work: _bare(*cifar(work, precision="fp32"), work),
        unable=_no_halves,
    ),
    Case(
        "step-channels-last",
        "a step of ResNet18 at 32 px, channels last",
        "images",
        "contiguous",
        1,
        lambda work: _bare(*cifar(work), work),
        lambda work: _bare(*cifar(work), work, layout=torch.contiguous_format),
    ),
    Case(
        "step-eager",
        "a step of ResNet18 at 32 px, as it is",
        "images",
        "compiled (torch.compile), after it has compiled",
        1,
        lambda work: _bare(*cifar(work), work),
        lambda work: _bare(*cifar(work), work, compiled=True),
    ),
    Case(
        "step-recycled",
        "a step of conv4 at 32 px, memory kept for the next tensor",
        "images",
        "as the C library comes",
        1,
        lambda work: _bare(*letters(work), work),
        lambda work: _bare(*letters(work), work, recycled=False),
    ),
    Case(
        "train-googlenet-bare",
        "GoogLeNet at 227 px, 64 images in 2 views, crop+F: an epoch",
        "images",
        "the same steps on one batch of resident floats",
        0.9,
        lambda work: whole(*_googlenet(work), work),
        lambda work: _bare(*_googlenet(work), work),
    ),
)
