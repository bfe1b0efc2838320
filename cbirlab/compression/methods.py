"""Codes by name, and how they are learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cbirlab.base.methods import Method
from cbirlab.base.registry import Registry
from cbirlab.whitening import normalise

if TYPE_CHECKING:
    from cbirlab.compression.base import Code

COMPRESSIONS: Registry[Any] = Registry("compression")
"""Codes with these facts: `learned`, fit learns from a learning set; `pairs`, it needs the instance label of each row;
`binary`, it keeps bits; `needs`, a package without which it cannot be used; `named`, the names of parameters that are
written even at their defaults."""

NONE = "none"


def _add(
    name: str,
    target: str,
    title: str,
    reference: str = "",
    *,
    learned: bool = True,
    pairs: bool = False,
    binary: bool = False,
    **facts: Any,
) -> None:
    place = f"cbirlab.compression.{target}"
    known = {"learned": learned, "pairs": pairs, "binary": binary, **facts}
    COMPRESSIONS.add(name, place, title=title, reference=reference, **known)


HEAD: dict[str, Any] = {"binary": True, "named": ("bits",)}
LEARNED_FROM_PAIRS = {**HEAD, "pairs": True}

_add(NONE, "scalar:FullRows", "None", learned=False)
_add("float16", "scalar:Float16", "Half precision", "IEEE 754", learned=False)
_add(
    "sq",
    "scalar:ScalarQuantiser",
    "SQ: a few bits for each dimension",
    "Jégou et al., TPAMI 2011, section 2.1",
    named=("bits",),
)
_add(
    "truncate",
    "scalar:Truncated",
    "The leading dimensions",
    "Jégou and Chum, ECCV 2012; trained for it: Kusupati et al., NeurIPS 2022",
    learned=False,
    named=("dimensions",),
)
_add("lsh", "binary:LSH", "LSH: signs of random projections", "Charikar, STOC 2002", binary=True, named=("bits",))
_add(
    "pcah", "binary:PCAH", "PCAH: signs of principal components", "Wang et al., CVPR 2010", binary=True, named=("bits",)
)
_add(
    "pca_rr",
    "binary:PCARandomRotation",
    "PCA-RR: PCA and a random rotation",
    "Gong et al., TPAMI 2013",
    binary=True,
    named=("bits",),
)
_add("itq", "binary:ITQ", "ITQ: iterative quantisation", "Gong and Lazebnik, CVPR 2011", binary=True, named=("bits",))
_add("sh", "binary:SpectralHashing", "SH: spectral hashing", "Weiss et al., NIPS 2008", binary=True, named=("bits",))
_add("binary", "binary:OneBit", "One bit for each dimension", binary=True)
_add("dsh", "heads:DSH", "DSH: matches near, others apart", "Liu et al., CVPR 2016", **LEARNED_FROM_PAIRS)
_add("hashnet", "heads:HashNet", "HashNet: soft codes turn into signs", "Cao et al., ICCV 2017", **LEARNED_FROM_PAIRS)
_add(
    "triplet",
    "heads:TripletHash",
    "Triplets: a match nearer than the rest",
    "Hermans et al., 2017",
    **LEARNED_FROM_PAIRS,
)
_add(
    "orthohash", "heads:OrthoHash", "OrthoHash: a corner per instance", "Hoe et al., NeurIPS 2021", **LEARNED_FROM_PAIRS
)
_add("bae", "heads:BAE", "BAE: binary autoencoder", "Carreira-Perpiñán and Raziperchikolaei, CVPR 2015", **HEAD)
_add("knn_hash", "heads:KNNHash", "Self-taught: neighbours share bits", "Zhang et al., SIGIR 2010", **HEAD)
_add("rabitq", "rabitq:RaBitQ", "RaBitQ: a bit for each dimension, and two numbers", "Gao and Long, SIGMOD 2024")
_add("pq", "quantisers:PQ", "PQ: product quantisation", "Jégou et al., TPAMI 2011", needs="faiss-cpu")
_add("opq", "quantisers:OPQ", "OPQ: a rotation, then product quantisation", "Ge et al., CVPR 2013", needs="faiss-cpu")


class Compression(Method):
    """A code with its parameters, as recipes name it.

    >>> Compression.parse("itq(bits=64, distance=asymmetric)").key
    "itq(bits=64, distance='asymmetric')"
    """

    registry: ClassVar[Registry[Any]] = COMPRESSIONS
    terse: ClassVar[bool] = True

    @property
    def used(self) -> bool:
        """Whether rows are encoded at all."""
        return self.name != NONE

    def make(self) -> Code:
        """The code, before it has learned."""
        return self.target()(**self.parameters)


def learn_code(compression: str | Compression, X: np.ndarray, y: Any = None) -> Code:
    """Fit a code on descriptors: rows are L2-normalised, zero rows left out.

    Parameters
    ----------
    compression : a name in `COMPRESSIONS`, or with parameters: ``"itq(bits=64)"``.
    X : (n, D), of a set that is not evaluated.
    y : (n,), instance label of each row, "" for none; only for codes that learn from pairs.

    Raises
    ------
    UnknownName : no such compression.
    TypeError, ValueError : as `Code.fit`; no labels where they are needed.
    """
    method = Compression.parse(compression)
    unit = normalise(X)
    kept = np.asarray(unit.any(axis=1))
    if not kept.any():
        raise ValueError(f"compression {method}: rows to learn on must not all be zero, got {len(unit)} zero rows.")
    if not method.fact("pairs"):
        return method.make().fit(unit[kept])
    labels: np.ndarray = np.asarray([] if y is None else y).astype(str)
    if labels.shape != kept.shape:
        raise ValueError(
            f"compression {method}: needs one instance label per row of the learning set, {kept.shape}, got "
            f"{labels.shape}; choose a learning set with instances, or compression 'itq'."
        )
    return method.make().fit(unit[kept], labels[kept])
