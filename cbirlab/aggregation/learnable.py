"""Learnable poolings by name: what `cbirlab.adaptation` trains over the maps of a network that stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from cbirlab.base.methods import Method
from cbirlab.base.registry import Registry

if TYPE_CHECKING:
    from cbirlab.aggregation.layers import PoolingLayer

POOLINGS: Registry[Any] = Registry("learnable pooling")
"""Classes of `PoolingLayer` with two facts: `rate`, at which it learns by default; and `positive`, as of poolings."""


def _add(name: str, entry: str, title: str, reference: str, rate: float, *, positive: bool = True) -> None:
    POOLINGS.add(
        name, f"cbirlab.aggregation.layers:{entry}", title=title, reference=reference, rate=rate, positive=positive
    )


_add("gem", "GeM", "GeM, its exponent", "Radenović, Tolias and Chum, TPAMI 2019", 1e-3)
_add("gem_per_channel", "GeMPerChannel", "GeM, an exponent per channel", "Radenović et al., TPAMI 2019", 1e-2)
_add("netvlad", "NetVLADPooling", "NetVLAD", "Arandjelović et al., CVPR 2016", 1e-3, positive=False)
_add(
    "region_weights", "RegionWeights", "R-MAC, weights of its regions", "Gordo et al., ECCV 2016", 1e-2, positive=False
)
_add("second_order", "SecondOrder", "Second-order attention, then GeM", "Ng et al., ECCV 2020", 1e-3)
_add("squeeze_excitation", "Squeeze", "Squeeze-and-excitation, then GeM", "Hu, Shen and Sun, CVPR 2018", 1e-3)
_add("delf", "Delf", "DELF's attention, then GeM", "Noh et al., ICCV 2017", 1e-3)


class LearnablePooling(Method):
    """A pooling that can be trained, with its parameters.

    >>> LearnablePooling.parse("netvlad(k=8)").key
    'netvlad(k=8)'
    """

    registry: ClassVar[Registry[Any]] = POOLINGS
    terse: ClassVar[bool] = True

    def make(self, channels: int, *, seed: int = 0) -> PoolingLayer:
        """The layer for maps of that many channels, before it has seen any; torch's own generator is left alone."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.target()(channels, **self.parameters)
