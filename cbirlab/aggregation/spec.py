"""An aggregation with all its parameters: attention before it, a pooling or an encoding, and what it has to learn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from cbirlab.aggregation.base import AGGREGATIONS, check_maps
from cbirlab.attention import Attention
from cbirlab.backbones.trained import POOLED, TRAINED, resolve
from cbirlab.base.methods import Method, parse_method
from cbirlab.base.registry import Registry
from cbirlab.encoding import ENCODINGS

if TYPE_CHECKING:
    from torch import Tensor

    from cbirlab.aggregation.fused import Fused

ARROW = ">"


class Aggregation(Method):
    """The method that turns a map into one vector: attention weights, then a pooling or an encoding of its columns.

    Tables print its text, and the store keys descriptors by it.

    >>> Aggregation.parse("gem")
    'gem(p=3)'
    >>> Aggregation.parse("crow_channel > gem(p=4)").parameters
    {'p': 4.0}

    Parameters
    ----------
    name : in `AGGREGATIONS` or `ENCODINGS`.
    attentions : weights by which the map is multiplied first, in this order; an encoding weights its columns by the
        spatial ones.
    """

    registry: ClassVar[Registry[Any]] = AGGREGATIONS
    attentions: tuple[Attention, ...]

    def __new__(
        cls,
        name: str,
        params: Iterable[tuple[str, Any]] | Mapping[str, Any] = (),
        attentions: Iterable[Attention] = (),
    ) -> Self:
        if name.startswith(TRAINED):  # the text holds the training's hash, whatever name it was given
            name = TRAINED + resolve(POOLED, name.removeprefix(TRAINED))
        last, before = super().__new__(cls, name, params), tuple(attentions)
        self = str.__new__(cls, f" {ARROW} ".join([*before, last]))
        self.name, self.params, self.attentions = last.name, last.params, before
        return self

    @classmethod
    def registry_of(cls, name: str) -> Registry[Any]:
        """The registry that holds `name`.

        Raises
        ------
        UnknownName : neither holds it.
        """
        return registry_of(name)

    def __getnewargs__(self) -> tuple[Any, ...]:
        return self.name, self.params, self.attentions

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``"gem"``, ``"gem(p=4)"`` or ``"crow_spatial > gem(p=4)"``.

        Raises
        ------
        ValueError, UnknownName, TypeError : as for `Method.parse`.
        """
        if isinstance(text, cls):
            return text
        *before, last = str(text).split(ARROW)
        name, params = parse_method("aggregation", last)
        return cls(name, params, [Attention.parse(one) for one in before])

    @property
    def encoding(self) -> bool:
        """Whether it encodes local descriptors with a codebook, rather than pooling a map."""
        return self.name in ENCODINGS and self.name not in AGGREGATIONS

    @property
    def learns(self) -> bool:
        """Whether it needs the train split first."""
        return self.encoding or bool(self.parameters.get("learned", False))

    def width(self, channels: int) -> int:
        """Dimensions of the vector for a map with `channels` channels."""
        if self.encoding:
            return self.target()(**self.parameters).width(channels)
        width = self.fact("width")
        return width(channels, **self.parameters) if width else channels

    def apply(self, maps: Tensor, state: Any = None) -> Tensor:
        """The vectors (B, D) of `maps` (B, C, H, W).

        Parameters
        ----------
        state : from `prepare`, for a method that learns or needs the network's classifier.

        Raises
        ------
        ValueError : the method learns, and `state` is missing.
        """
        if self.learns and state is None:
            raise ValueError(f"{self.key}: this learns from a train split; give `state`, from `learn` and `prepare`.")
        maps, weights = self._attended(check_maps(self.name, maps))
        if self.encoding:
            return state.encode(columns(maps), None if weights is None else weights.flatten(1))
        return self.target()(maps, **self.parameters, **({} if state is None else {"state": state}))

    def fused(self) -> Fused | None:
        """How it joins a walk over maps with other poolings; None if only `apply` can compute it."""
        make = self.fact("fused")
        return None if make is None or self.attentions or self.learns else make(**self.parameters)

    def samples(self, maps: Tensor, state: Any = None) -> Tensor:
        """Local vectors (B, T, D) that it learns from; zero rows do not count."""
        maps, _ = self._attended(check_maps(self.name, maps))
        if self.encoding:
            return columns(maps)
        return self.fact("samples")(maps, **self.parameters, **({} if state is None else {"state": state}))

    def learn(self, samples: np.ndarray, groups: np.ndarray) -> dict[str, np.ndarray]:
        """Learn from local vectors; the result as arrays.

        Parameters
        ----------
        samples : (n, D) local vectors of the train split.
        groups : (n,), the image from which each vector comes.
        """
        if not self.encoding:
            return self.fact("learn")(samples, **self.parameters)
        estimator = self.target()(**self.parameters)
        known = {"groups": groups} if "groups" in signature(estimator.fit).parameters else {}
        estimator.fit(samples, **known)
        return {name: np.asarray(value) for name, value in vars(estimator).items() if name.endswith("_")}

    def prepare(self, arrays: Mapping[str, np.ndarray], device: Any = "cpu", *, queries: bool = False) -> Any:
        """The `state` for `apply`, from the arrays that `learn` gave; some methods encode queries differently."""
        if not self.encoding:
            import torch

            return {name: torch.as_tensor(np.array(value), device=device) for name, value in arrays.items()}
        estimator = self.target()(**self.parameters)
        for name, value in arrays.items():
            setattr(estimator, name, value.item() if value.ndim == 0 else value)
        return estimator.for_queries() if queries and hasattr(estimator, "for_queries") else estimator

    def _attended(self, maps: Tensor) -> tuple[Tensor, Tensor | None]:
        """Maps after attention, and the spatial weights (B, H, W) by which an encoding weights its columns."""
        weights = None
        for one in self.attentions:
            if self.encoding and one.fact("kind") == "spatial":
                now = one.weights(maps)
                weights = now if weights is None else weights * now
            else:
                maps = one.weigh(maps)
        return maps, weights


def registry_of(name: str) -> Registry[Any]:
    """The registry that holds `name`.

    Raises
    ------
    UnknownName : neither holds it.
    """
    if name.startswith(TRAINED):
        return AGGREGATIONS
    for registry in (AGGREGATIONS, ENCODINGS):
        if name in registry:
            return registry
    both: Registry[Any] = Registry("aggregation or encoding")
    for known in (*AGGREGATIONS, *ENCODINGS):
        both.add(known, known, title=known)
    both.info(name)
    return AGGREGATIONS


def columns(maps: Tensor) -> Tensor:
    """The columns (B, H * W, C) of maps (B, C, H, W): one local descriptor per position."""
    return maps.flatten(2).transpose(1, 2)
