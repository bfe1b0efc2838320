"""Maps to test poolings and attention on."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays


def random_maps(rng, shape) -> torch.Tensor:
    """Sparse and non-negative like what a ReLU leaves, over several orders of magnitude."""
    values = np.maximum(rng.normal(size=shape), 0) * 10 ** rng.uniform(-2, 2, size=(*shape[:2], 1, 1))
    return torch.tensor(values, dtype=torch.float32)


@st.composite
def any_maps(draw):
    shape = tuple(draw(st.integers(1, 6)) for _ in range(4))
    scale = draw(st.sampled_from([1e-4, 1.0, 1e4]))
    values = st.one_of(st.just(0.0), st.floats(0, 1, width=32))
    return torch.tensor(draw(arrays(np.float32, shape, elements=values)) * np.float32(scale))


def close(actual: torch.Tensor, expected, rtol=2e-6, atol=0.0):
    np.testing.assert_allclose(actual.double().numpy(), expected, rtol=rtol, atol=atol)
