"""What several processes do together and write down; run under torchrun by `torchruns`.

`torchrun ... ranks.py FOLDER DEED JOBS` does the function DEED with the JSON that JOBS is; each
process leaves what it returned in FOLDER/<rank>.pt.
"""

import json
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from timm.layers import BatchNormAct2d
from torch import nn
from torch.overrides import TorchFunctionMode
from toys import SMALL, toy

from dml_bench import augment, bench, dist, endings, exchange, recipes
from dml_bench.embed import embed
from dml_bench.engine import Training
from dml_bench.errors import BenchError, RecipeError, RunError
from dml_bench.models import Model, build
from dml_bench.norms import GlobalNorm
from dml_bench.store import Run


def trainings(jobs):
    """What `written_down` says of each of the recipes that have names in `jobs`."""
    return {name: written_down(said) for name, said in jobs.items()}


def trainings_in_doubles(jobs):
    """The same, computed with float64."""
    in_doubles()
    return trainings(jobs)


def trainings_in_halves(jobs):
    """The same, batch norm counting with each half of a batch of two views apart."""
    in_doubles()
    with Halves():
        return trainings(jobs)


class Halves(TorchFunctionMode):
    """Batch norm of the halves of each batch of images in two views; the first is remembered."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        known = kwargs or {}
        if function is not F.batch_norm or args[0].dim() < 4 or not known["training"]:
            return function(*args, **known)
        rows = args[0].unflatten(0, (2, 2, -1))  # view, half, image
        first = F.batch_norm(rows[:, 0].flatten(0, 1), *args[1:], **known)
        other = [running.clone() for running in args[1:]]
        second = F.batch_norm(rows[:, 1].flatten(0, 1), *other, **known)
        both = [half.unflatten(0, (2, -1)) for half in (first, second)]
        return torch.stack(both, dim=1).flatten(0, 2)


def written_down(said):
    """What each step of a toy training did, and what it left.

    Returns:
        losses (steps,); slopes and own slopes, one vector a step, of the network's and of the
        method's weights; memories, the method's buffers after each step; weights after each step,
        and all that the network's state is at the end; vectors of the test images.
    """
    dataset = toy()
    recipe = recipes.resolve({"dataset": "toy", **SMALL, **said}, dataset)
    notes = {"losses": [], "slopes": [], "own slopes": [], "memories": [], "weights": []}
    take = Training._take_step

    def taken(self, batch):
        before = self.loss_sum.clone()
        take(self, batch)
        notes["losses"].append(self.loss_sum - before)
        notes["slopes"].append(_flat(p.grad for p in self.model.parameters()))
        notes["own slopes"].append(_flat(p.grad for p in self.method.parameters()))
        buffers = self.method.named_buffers()
        notes["memories"].append({name: memory.clone() for name, memory in buffers})
        notes["weights"].append(_flat(self.model.parameters()))

    Training._take_step = taken
    try:
        with tempfile.TemporaryDirectory() as folder:
            model, vectors = _trained(recipe, dataset, Path(dist.first(lambda: folder)))
    finally:
        Training._take_step = take
    state = {k: v for k, v in model.state_dict().items() if v.is_floating_point()}
    return {**notes, "state": _flat(state.values()), "vectors": vectors}


def _trained(recipe, dataset, folder):
    stored = Run(folder, recipe)
    stored.folder.mkdir(parents=True, exist_ok=True)
    packs = bench.Packs(dataset, recipe, folder / "packs")
    model, _ = bench.train(recipe, dataset, packs, stored, device="cpu", say=lambda _: None)
    query, _ = bench.embeddings(model, recipe, dataset, packs)
    dist.barrier()
    return model, torch.from_numpy(query.vectors)


def in_doubles():
    """Compute with float64 in this process, wherever the package says float32: sums in another
    order then differ by 1e-15, and what still differs is no rounding.
    """
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    built, normalised, draw = bench.build, Model._normalised, augment.draw
    augment.draw = lambda *given: {k: v.astype(np.float64) for k, v in draw(*given).items()}
    bench.build = lambda *given: built(*given).double()
    Model._normalised = lambda self, images: normalised(self, images).double()


def _flat(tensors):
    flat = [tensor.detach().reshape(-1).clone() for tensor in tensors if tensor is not None]
    return torch.cat(flat) if flat else torch.zeros(0)


def exchanges(_jobs):
    """What each way to exchange something gives in this process."""
    own = dist.rank()
    rows = torch.full((2, 3), own + 1.0, requires_grad=True)
    (exchange.gather(rows, dim=1) ** 2).sum().backward()
    summed, led = torch.tensor([[own + 1], [1]]), [torch.full((2,), own + 0.5), torch.tensor([own])]
    exchange.add([summed])
    exchange.follow(led)
    return {
        "part": dist.part(7),
        "gathered": exchange.gather(torch.full((1, 2), own), dim=0),
        "slopes": rows.grad,
        "summed": summed,
        "led": led,
        "joined": [exchange.joined(whole(step)[dist.part(7, step)], 7, step) for step in (1, 4)],
        "exchanged": exchange.collected(wide(own)),
        "completed": [completed(own, step) for step in (1, 4)],
        "first": dist.first(lambda: f"of {own}"),
        "errors": [_error(RecipeError("no such batch")), _error(KeyError("a"))],
        "norms": [normed(kind, dist.part(12)) for kind in range(2)],
        "vectors": embedded(),
        "together": _together(),
    }


def whole(kind):
    """Seven rows; of flags, or of numbers."""
    return np.arange(14).reshape(7, 2) % 3 == 0 if kind == 1 else np.arange(7) / 7


def wide(rank):
    """Seven rows that are wider in each process; the first has no numbers in them."""
    return np.arange(7 * rank).reshape(7, rank) + 100 * rank


def completed(rank, step):
    """Rows of which each process knew its part."""
    rows = np.full((7, 2), -1)
    rows[dist.part(7, step)] = rank
    exchange.complete(rows, step)
    return rows[:, 0].tolist()


def _error(error):
    """The kind and the text of what every process is told that the leader alone met."""

    def fail():
        raise error

    try:
        dist.first(fail)
    except (BenchError, RunError) as met:
        return type(met).__name__, str(met)


def normed(kind, rows):
    """What batch norm makes of some of 12 rows, its slopes, and its state."""
    torch.manual_seed(0)
    images, weights = torch.randn(2, 12, 3, 4, 5, dtype=torch.float64) * 3 + 1
    layer = (nn.BatchNorm2d, BatchNormAct2d)[kind](3).double()
    seen = images[rows].requires_grad_()
    with patch("torch.Tensor.float", torch.Tensor.double), GlobalNorm():
        found = layer(seen)
        (found * weights[rows]).sum().backward()
    slopes = [layer.weight.grad, layer.bias.grad]
    exchange.add(slopes)
    state = [value for value in layer.state_dict().values() if value.is_floating_point()]
    return [exchange.gather(found.detach(), 0), exchange.gather(seen.grad, 0), *slopes, *state]


def embedded():
    """The vectors of more images than are embedded in a step, of a network with batch norm."""
    pixels = np.random.default_rng(0).integers(0, 255, (300, 3, 16, 16), dtype=np.uint8)
    model = build("conv4", "none", "linear", 8, 16, (0, 0, 0), (1, 1, 1), seed=0)
    return embed(model, pixels, crop=16, precision="fp32")


def _together():
    """Whether all meet where all come, and where the leader comes alone."""
    endings.PATIENCE = timedelta(seconds=1)
    return endings.together(), dist.leader() and endings.together()


def main(folder, deed, jobs):
    torch.set_num_threads(1)
    dist.begin("cpu")
    torch.save(globals()[deed](json.loads(jobs)), Path(folder) / f"{dist.rank()}.pt")
    dist.barrier()
    dist.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
