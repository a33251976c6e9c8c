"""The loop: precision, schedule, checkpoints. It knows nothing about any method."""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dml_bench import checkpoint
from dml_bench.data.batches import Batches
from dml_bench.embed import embed
from dml_bench.errors import RecipeError, RunError
from dml_bench.methods.base import BaseMethod
from dml_bench.models import Model
from dml_bench.progress import Bar
from dml_bench.registry import unknown
from dml_bench.types import Batch, Recipe

SAVE_SECONDS = 120.0
Say = Callable[[str], None]
Monitor = Callable[[Model], Mapping[str, float]]

SCHEDULES: Mapping[str, Mapping[int, float]] = {  # epoch -> factor of the learning rate
    "constant": {},
    "paper-seen": {120: 0.1, 160: 0.01},
    "code-seen": {120: 0.1, 160: 0.05, 200: 0.01},
    "code-unseen": {20: 0.1, 40: 0.01},
}


def rate(schedule: str, epoch: int, epochs: int) -> float:
    """Return the factor of the learning rate in an epoch.

    Args:
        schedule: a name of `SCHEDULES`, "cosine", or steps such as "steps:120=0.1,160=0.01".
        epoch: from 0.
        epochs: of the whole training.

    Raises:
        UnknownNameError: a schedule that is none of these.

    Example:
        >>> rate("steps:2=0.1,4=0.01", epoch=3, epochs=5)
        0.1

    Source:
        Ye et al. (CVPR 2019), section 4.1 ("paper-seen"), and the released code's two scripts.
    """
    if schedule == "cosine":
        return (1 + math.cos(math.pi * epoch / max(epochs, 1))) / 2
    passed = [factor for start, factor in sorted(steps(schedule).items()) if start <= epoch]
    return passed[-1] if passed else 1.0


def steps(schedule: str) -> Mapping[int, float]:
    """Return epoch -> factor of a schedule with steps.

    Raises:
        UnknownNameError: no such schedule.
        RecipeError: steps that cannot be read.
    """
    if schedule in SCHEDULES:
        return SCHEDULES[schedule]
    if not schedule.startswith("steps:"):
        raise unknown("schedule", schedule, [*SCHEDULES, "cosine", "steps:EPOCH=FACTOR,..."])
    try:
        pairs = [step.split("=") for step in schedule.removeprefix("steps:").split(",")]
        return {int(start): float(factor) for start, factor in pairs}
    except ValueError:
        raise RecipeError(
            f"expected a schedule like 'steps:120=0.1,160=0.01', found '{schedule}'"
        ) from None


class Training:
    """One training, from its first step or from where it was stopped.

    Args:
        model, method: on the device where they are trained.
        batches: of the training split.
        recipe: what to do.
        folder: where the state is kept.
        monitor: metrics to show after each epoch; draws nothing from torch's generator.
        say: tells a person what happens.
    """

    def __init__(
        self,
        model: Model,
        method: BaseMethod,
        batches: Batches,
        recipe: Recipe,
        folder: Path,
        *,
        monitor: Monitor | None = None,
        say: Say = print,
    ) -> None:
        self.model, self.method, self.batches = model, method, batches
        self.recipe, self.folder, self.monitor, self.say = recipe, folder, monitor, say
        weights = [p for part in (model, method) for p in part.parameters() if p.requires_grad]
        self.optimiser = torch.optim.SGD(
            weights, recipe.lr, recipe.momentum, weight_decay=recipe.weight_decay
        )
        self.epoch = self.step = 0
        self.loss_sum = torch.zeros((), device=batches.device)
        self.seconds = 0.0  # of the epoch that is running
        self.curve: list[dict[str, float]] = []
        self.saved = time.monotonic()

    def run(self, on_epoch: Callable[[list[dict[str, float]]], None]) -> list[dict[str, float]]:
        """Train to the end; return the curve, one entry an epoch.

        Raises:
            RunError: the loss is no longer finite; the state before it is kept.
        """
        self._resume()
        on_epoch(self.curve)
        while self.epoch < self.recipe.epochs:
            self._run_epoch()
            on_epoch(self.curve)
        return self.curve

    def _run_epoch(self) -> None:
        if self.step == 0:
            torch.manual_seed(self.recipe.seed * 100_003 + self.epoch)
            self.method.begin_epoch(self.epoch, self.recipe.seed, self._features)
        factor = rate(self.recipe.schedule, self.epoch, self.recipe.epochs)
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.lr * factor
        self.model.train()
        self._run_steps()
        self._close_epoch(self.recipe.lr * factor)

    def _run_steps(self) -> None:
        label = f"epoch {self.epoch + 1}/{self.recipe.epochs}"
        batches = self.batches.epoch(self.epoch, self.step, self.method.partners())
        begun = time.monotonic() - self.seconds
        with Bar(label, len(self.batches), self.step) as bar:
            for batch in batches:
                self._take_step(batch)
                self.step += 1
                self.seconds = time.monotonic() - begun
                bar.advance(note=self._note() if bar.due() else "")
                if time.monotonic() - self.saved > SAVE_SECONDS:
                    self._save()

    def _take_step(self, batch: Batch) -> None:
        device = batch.images.device.type
        views, size = batch.images.shape[:2]
        images = batch.images.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        with torch.autocast(device, torch.bfloat16, enabled=self.recipe.precision == "bf16"):
            vectors = self.model(images)
        vectors = vectors.float().view(views, size, -1)
        loss = self.method.loss(vectors, batch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        self.method.after_step(vectors.detach(), batch)
        self.loss_sum += loss.detach()

    def _note(self) -> str:
        seen = self.step * self.recipe.batch
        return f"loss {self._loss():.4f}, {seen / self.seconds:.0f} images/s"

    def _loss(self) -> float:
        loss = float(self.loss_sum) / max(self.step, 1)
        if not math.isfinite(loss):
            raise RunError(
                f"{self.recipe.key}: the loss became {loss} in epoch {self.epoch + 1}, at or before"
                f" step {self.step}; the state before it is kept: try a lower lr"
            )
        return loss

    def _close_epoch(self, lr: float) -> None:
        row = {
            "epoch": self.epoch + 1,
            "loss": self._loss(),
            "lr": lr,
            "seconds": self.seconds,
            "images_per_second": self.step * self.recipe.batch / self.seconds,
        }
        row.update(self.monitor(self.model) if self.monitor else {})
        self.curve.append(row)
        self.say(", ".join(f"{k} {v:.4g}" for k, v in row.items()))
        self.epoch, self.step, self.seconds = self.epoch + 1, 0, 0.0
        self.loss_sum.zero_()
        self._save()

    def _features(self) -> Tensor:
        found = embed(
            self.model,
            self.batches.pixels,
            crop=self.recipe.crop,
            precision=self.recipe.precision,
            label="features",
            head=False,
        )
        return torch.from_numpy(found)

    def _save(self) -> None:
        self._loss()  # a state with a loss that is not finite is never kept
        state: dict[str, Any] = {
            "key": self.recipe.key,
            "model": self.model.state_dict(),
            "method": self.method.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "loss_sum": self.loss_sum,
            "seconds": self.seconds,
            "curve": self.curve,
            "generator": torch.get_rng_state(),
            "cuda_generators": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        checkpoint.save_state(self.folder, state)
        self.saved = time.monotonic()

    def _resume(self) -> None:
        state, note = checkpoint.load_state(self.folder)
        if note:
            self.say(note)
        if state is None:
            return
        if state["key"] != self.recipe.key:
            raise RunError(
                f"{self.folder}: its state belongs to {state['key']}; delete this folder"
            )
        self.model.load_state_dict(state["model"])
        self.method.load_state_dict(state["method"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.loss_sum.copy_(state["loss_sum"])
        self.seconds, self.curve = state["seconds"], state["curve"]
        torch.set_rng_state(state["generator"])
        if state["cuda_generators"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["cuda_generators"])
        self.say(f"going on at epoch {self.epoch + 1}, step {self.step}")
