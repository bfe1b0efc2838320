"""Timing: which precision trains a network faster on this machine, measured by one step of each."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from cbirlab.adaptation.network import Moving
from cbirlab.adaptation.training import Training
from cbirlab.adaptation.views import GROUP, shape_for

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone

ROUNDS = 2


def faster_precision(backbone: Backbone, training: Training) -> str:
    """ "float32" or "bfloat16", by processor time of forward and backward passes over a group of noise."""
    side = shape_for(3, 4, int(training.image_size or 224))
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(GROUP, 3, *side, generator=generator).to(backbone.device)
    spent = {}
    for precision in ("float32", "bfloat16"):
        network = Moving(backbone, replace(training, precision=precision))
        entering = network.enter(pictures)
        _step(network, entering)
        spent[precision] = min(_step(network, entering) for _ in range(ROUNDS))
    return min(spent, key=lambda one: spent[one])


def _step(network: Moving, entering: torch.Tensor) -> float:
    started = time.process_time() if entering.device.type == "cpu" else time.perf_counter()
    network(entering).square().sum().backward()
    ended = time.process_time() if entering.device.type == "cpu" else time.perf_counter()
    return ended - started
