"""The loop: precision, schedule, checkpoints. It knows nothing about any method."""

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dml_bench import checkpoint, dist, exchange, optimisation
from dml_bench.data.batches import Batches
from dml_bench.embed import embed
from dml_bench.errors import RunError, Stopped
from dml_bench.look import Look
from dml_bench.methods.base import BaseMethod, Network, refuse_no_number
from dml_bench.models import Model
from dml_bench.norms import parts
from dml_bench.optimisation import by_step, rate
from dml_bench.progress import Bar
from dml_bench.signals import never
from dml_bench.teacher import Teacher
from dml_bench.types import Batch, Recipe

SAVE_SECONDS = 120.0
Say = Callable[[str], None]
Monitor = Callable[[Model], Mapping[str, float]]


def _teacher_of(model: Model, method: BaseMethod) -> Teacher | None:
    if method.teacher_keep is None:
        return None
    return Teacher(model, method.teacher_keep, trains=method.teacher_trains)


def _slopes(part: nn.Module) -> list[Tensor]:
    return [weight.grad for weight in part.parameters() if weight.grad is not None]


def _groups(model: Model, method: BaseMethod, lr: float) -> list[dict[str, Any]]:
    """Return what is trained, the method's own weights at a rate of their own."""
    groups = [(model, lr), (method, lr * method.rate)]
    trained = [([p for p in part.parameters() if p.requires_grad], rate) for part, rate in groups]
    return [{"params": weights, "lr": rate} for weights, rate in trained if weights]


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
        self.teacher = _teacher_of(model, method)
        self.look = Look(model, self.teacher, method, recipe)
        self.optimiser = optimisation.build(recipe, _groups(model, method, recipe.lr), model)
        self.rates = [group["lr"] for group in self.optimiser.param_groups]
        self.epoch = self.step = 0
        self.loss_sum = torch.zeros((), device=batches.device)
        self.seconds = 0.0  # of the epoch that is running, over all sessions
        self.curve: list[dict[str, float]] = []
        self.saved = time.monotonic()
        self.local = bool(parts(recipe.batch_norm))

    def run(
        self, on_epoch: Callable[[list[dict[str, float]]], None], asked: Callable[[], int] = never
    ) -> list[dict[str, float]]:
        """Train to the end; return the curve, one entry an epoch.

        Args:
            on_epoch: is told of the curve after each epoch.
            asked: after each step, for the number of a signal that wants an end, or 0.

        Raises:
            RunError: the loss is no longer finite; the state before it is kept.
            DataError: the method's loss is no number with a gradient.
            Stopped: a signal asked for it; the state is saved.
        """
        self.asked = asked
        self._resume()
        on_epoch(self.curve)
        while self.epoch < self.recipe.epochs:
            self._run_epoch()
            on_epoch(self.curve)
        return self.curve

    def _run_epoch(self) -> None:
        begun = time.monotonic() - self.seconds
        if self.step == 0:
            torch.manual_seed(self.recipe.seed * 100_003 + self.epoch)
            self.method.begin_epoch(self.epoch, self.recipe.seed, Network(self._seen))
            exchange.follow(self.method.state_dict().values())
            for weight in self.method.remade():
                self.optimiser.state.pop(weight, None)
        self.model.train()
        self._run_steps(begun)
        self._close_epoch(self.recipe.lr * self._factor(self.step - 1))

    def _factor(self, step: int) -> float:
        """Return the factor of the learning rate in a step of this epoch."""
        passed = step / len(self.batches) if by_step(self.recipe.schedule) else 0
        return rate(self.recipe.schedule, self.epoch + passed, self.recipe.epochs)

    def _run_steps(self, begun: float) -> None:
        label = f"epoch {self.epoch + 1}/{self.recipe.epochs}"
        batches = self.batches.epoch(
            self.epoch, self.step, self.method.partners(), self.method.order()
        )
        with Bar(label, len(self.batches), self.step) as bar:
            for batch in batches:
                factor = self._factor(self.step)
                for group, lr in zip(self.optimiser.param_groups, self.rates, strict=True):
                    group["lr"] = lr * factor
                self._take_step(batch)
                self.step += 1
                self.seconds = time.monotonic() - begun
                bar.advance(note=self._note() if bar.due() else "")
                late, asked = dist.first(self._due)
                if late or asked:
                    self._save()
                if asked:
                    raise Stopped(asked)
        self._loss()  # waits for the accelerator
        self.seconds = time.monotonic() - begun

    def _due(self) -> tuple[bool, int]:
        """Return whether the state was last saved long ago, and the signal that wants an end."""
        return time.monotonic() - self.saved > SAVE_SECONDS, self.asked()

    def _take_step(self, batch: Batch) -> None:
        vectors, batch = self.look(batch)
        loss = self.method.loss(vectors, batch)
        refuse_no_number(loss, self.recipe.method)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        exchange.add(_slopes(self.model))  # of the own rows
        exchange.follow(_slopes(self.method))  # of all rows, in each process
        self.optimiser.step()
        if self.local:  # one process's running statistics for all
            exchange.follow(self.model.buffers())
        if self.teacher:
            self.teacher.follow(self.model)
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

    def _seen(self, head: bool) -> Tensor:
        found = embed(
            self.model,
            self.batches.pixels,
            crop=self.recipe.crop,
            precision=self.recipe.precision,
            label="vectors" if head else "features",
            head=head,
        )
        return torch.from_numpy(found)

    def _save(self) -> None:
        self._loss()  # a state with a loss that is not finite is never kept
        state: dict[str, Any] = {
            "key": self.recipe.key,
            "model": self.model.state_dict(),
            "method": self.method.state_dict(),
            "teacher": self.teacher.state_dict() if self.teacher else {},
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "loss_sum": self.loss_sum,
            "seconds": self.seconds,
            "curve": self.curve,
            "generator": torch.get_rng_state(),
            "cuda_generators": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }
        dist.first(lambda: checkpoint.save_state(self.folder, state))
        self.saved = time.monotonic()

    def _resume(self) -> None:
        state, note = dist.first(lambda: checkpoint.load_state(self.folder))
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
        if self.teacher:
            self.teacher.load_state_dict(state["teacher"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.epoch, self.step = state["epoch"], state["step"]
        self.loss_sum.copy_(state["loss_sum"])
        self.seconds, self.curve = state["seconds"], state["curve"]
        torch.set_rng_state(state["generator"])
        if state["cuda_generators"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["cuda_generators"])
        self.say(f"going on at epoch {self.epoch + 1}, step {self.step}")
