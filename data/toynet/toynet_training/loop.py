"""The training loop: counted in iterations, the same for the same seed, and able to go on where it was stopped."""

from __future__ import annotations

import copy
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from cbirlab.backbones.networks.toynet import CHANNELS, MEAN, STD, ToyNet, save_weights

from .augment import Photographer, turned_crop
from .objective import Losses, Objective
from .pictures import Pictures


@dataclass(frozen=True)
class Schedule:
    """Everything that a training run is decided by, besides its pictures.

    Attributes
    ----------
    iterations, batch, seed : as they say.
    sizes : sides of the square crops in pixels; each batch draws one.
    learning_rate, weight_decay : of AdamW.
    flat_until : share of the run after which the learning rate falls along a half cosine.
    margin : reached at 60 % of the run, after a ramp that starts at 30 %.
    average : decay of the moving average of the weights, which is what is kept.
    precision : "bfloat16" or "float32".
    """

    iterations: int = 8000
    batch: int = 48
    sizes: tuple[int, ...] = (96, 112, 128)
    learning_rate: float = 4e-3
    weight_decay: float = 2e-2
    flat_until: float = 0.4
    margin: float = 0.15
    average: float = 0.998
    precision: str = "float32"
    seed: int = 0

    def rate(self, iteration: int) -> float:
        """Learning rate: 200 iterations of warming up, a plateau, half a cosine down to a fiftieth."""
        done = iteration / self.iterations
        fall = max(0.0, (done - self.flat_until) / (1 - self.flat_until))
        cosine = 0.5 * (1 + float(torch.cos(torch.tensor(torch.pi * fall))))
        return self.learning_rate * min(1.0, (iteration + 10) / 210) * (0.02 + 0.98 * cosine)

    def margin_at(self, iteration: int) -> float:
        """Margin of the cosine softmax."""
        return self.margin * min(1.0, max(0.0, (iteration / self.iterations - 0.3) / 0.3))


class Trainer:
    """Network, objective, optimiser and moving average; `step` learns from one batch.

    Parameters
    ----------
    pictures : what is learnt from.
    schedule : how.
    device : where the network lies.
    """

    def __init__(self, pictures: Pictures, schedule: Schedule, device: torch.device) -> None:
        self.pictures, self.schedule, self.device = pictures, schedule, device
        torch.manual_seed(schedule.seed)
        self.network = ToyNet(len(pictures.classes)).to(device, memory_format=torch.channels_last)
        self.objective = Objective(CHANNELS["layer4"], len(pictures.classes)).to(device)
        self.average = copy.deepcopy(self.network).eval()
        self.optimiser = torch.optim.AdamW(self._parameter_groups(), schedule.learning_rate)
        self.generator = torch.Generator().manual_seed(schedule.seed)
        self.photographer = Photographer(schedule.seed, device)
        self.iteration = 0
        self._order: tuple[int, Tensor] | None = None

    def step(self) -> dict[str, float]:
        """Learn from one batch; returns its losses and its accuracy."""
        schedule = self.schedule
        for group in self.optimiser.param_groups:
            group["lr"] = schedule.rate(self.iteration)
        images, labels = self.batch()
        self.network.train()
        half = schedule.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            maps = self.network.features(images)["layer4"]
        margin = schedule.margin_at(self.iteration)
        losses, accuracy = self.objective(maps.float(), labels, self.network.head, margin)
        self.optimiser.zero_grad(set_to_none=True)
        losses.total().backward()
        nn.utils.clip_grad_norm_([*self.network.parameters(), *self.objective.parameters()], 5.0)
        self.optimiser.step()
        self.iteration += 1
        self._follow_average()
        return _numbers(losses, accuracy)

    def batch(self) -> tuple[Tensor, Tensor]:
        """Normalised images (B, 3, S, S) and their labels (B,)."""
        schedule, generator = self.schedule, self.generator
        size = schedule.sizes[int(torch.randint(len(schedule.sizes), (), generator=generator))]
        chosen = self._next_pictures()
        canvases = self.pictures.pixels[chosen].to(self.device)
        extents, subjects = self.pictures.extents[chosen], self.pictures.subjects[chosen]
        images = turned_crop(canvases, extents, subjects, size, generator)
        images = self.photographer.expose(self.photographer.occlude(images, generator), generator)
        mean, std = (torch.tensor(values, device=self.device).view(1, 3, 1, 1) for values in (MEAN, STD))
        images = ((images - mean) / std).contiguous(memory_format=torch.channels_last)
        return images, self.pictures.labels[chosen].to(self.device)

    def state(self) -> dict[str, Any]:
        """Everything needed to go on."""
        return {
            "iteration": self.iteration,
            "schedule": asdict(self.schedule),
            "pictures": self.pictures.digest(),
            "network": self.network.state_dict(),
            "objective": self.objective.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`.

        Raises
        ------
        ValueError : the state is that of a run with another schedule or other pictures.
        """
        if state["schedule"] != asdict(self.schedule):
            raise ValueError(
                f"Trainer: the checkpoint's schedule must be this run's, got {state['schedule']} instead of "
                f"{asdict(self.schedule)}; choose another output folder."
            )
        if state["pictures"] != self.pictures.digest():
            raise ValueError("Trainer: the checkpoint must be of the same pictures; choose another output folder.")
        for name in ("network", "objective", "average", "optimiser"):
            getattr(self, name).load_state_dict(state[name])
        self.generator.set_state(state["generator"])
        self.iteration = state["iteration"]

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """Weights decay; biases, batch normalisations and the head, which is not to be held back, do not."""
        head = {*self.network.head.parameters()}
        everything = [*self.network.parameters(), *self.objective.parameters()]
        decays = [one for one in everything if one.ndim > 1 and one not in head]
        stays = [one for one in everything if one.ndim == 1 or one in head]
        return [{"params": decays, "weight_decay": self.schedule.weight_decay}, {"params": stays, "weight_decay": 0.0}]

    def _next_pictures(self) -> Tensor:
        """Indices of the next batch: every picture once per epoch, in an order that seed and epoch decide."""
        first = self.iteration * self.schedule.batch
        positions = range(first, first + self.schedule.batch)
        return torch.stack([self._epoch_order(at // len(self.pictures))[at % len(self.pictures)] for at in positions])

    def _epoch_order(self, epoch: int) -> Tensor:
        if self._order is None or self._order[0] != epoch:
            generator = torch.Generator().manual_seed(self.schedule.seed * 1_000_003 + epoch)
            self._order = (epoch, torch.randperm(len(self.pictures), generator=generator))
        return self._order[1]

    def _follow_average(self) -> None:
        decay = min(self.schedule.average, self.iteration / (self.iteration + 20))
        with torch.no_grad():
            for kept, new in zip(self.average.state_dict().values(), self.network.state_dict().values(), strict=True):
                if kept.is_floating_point():
                    kept.lerp_(new, 1 - decay)
                else:
                    kept.copy_(new)


def train(trainer: Trainer, folder: Path, save_every: int = 500, progress: bool = True) -> Path:
    """Run `trainer` to the end of its schedule and return the path of the weights.

    In `folder`: ``checkpoint.pt`` (from which a stopped run goes on), ``toynet.safetensors`` (the averaged weights so
    far) and ``log.jsonl`` (means over 100 iterations).
    """
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / "checkpoint.pt"
    if checkpoint.exists():
        trainer.restore(torch.load(checkpoint, map_location=trainer.device, weights_only=True))
    total, started, recent = trainer.schedule.iterations, time.perf_counter(), []
    bar = tqdm(total=total, initial=trainer.iteration, desc="train", disable=not progress, mininterval=2)
    while trainer.iteration < total:
        recent.append(trainer.step())
        bar.update()
        if trainer.iteration % 100 == 0 or trainer.iteration == total:
            row = {name: round(sum(one[name] for one in recent) / len(recent), 4) for name in recent[0]}
            row = {"iteration": trainer.iteration, "elapsed_seconds": round(time.perf_counter() - started, 1), **row}
            recent = []
            bar.set_postfix(loss=row["labels"], accuracy=row["accuracy"])
            with (folder / "log.jsonl").open("a") as log:
                log.write(json.dumps(row) + "\n")
        if trainer.iteration % save_every == 0 or trainer.iteration == total:
            save(trainer, folder)
    bar.close()
    return folder / "toynet.safetensors"


def save(trainer: Trainer, folder: Path) -> None:
    """Write checkpoint and weights; a crash in between leaves the older ones whole."""
    unfinished = folder / "checkpoint.unfinished"
    torch.save(trainer.state(), unfinished)
    unfinished.replace(folder / "checkpoint.pt")
    unfinished = folder / "toynet.unfinished"
    save_weights(trainer.average, unfinished, iteration=str(trainer.iteration))
    unfinished.replace(folder / "toynet.safetensors")


def native_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 convolutions are native to the device: only then are they quicker than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    probe = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return device.type == "cpu" and probe()


def _numbers(losses: Losses, accuracy: Tensor) -> dict[str, float]:
    return {**{name: float(value.detach()) for name, value in vars(losses).items()}, "accuracy": float(accuracy)}
