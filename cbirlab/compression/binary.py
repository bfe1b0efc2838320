"""Binary codes: signs of projections. They differ in the projection, and in what the queries keep."""

from __future__ import annotations

from typing import Annotated, ClassVar

import numpy as np

from cbirlab.base.params import Choice, Range
from cbirlab.compression.base import Code
from cbirlab.whitening.base import principal_axes, rank

BITS = Range(1, 4096, step=8, integer=True)
DISTANCE = Choice(("symmetric", "asymmetric"))
SEED = Range(0, 2**32 - 1, integer=True)


class BinaryCode(Code):
    """Keeps K bits of a row, ``outputs(x) >= 0``, packed into bytes, first bit lowest, as faiss does.

    Two codes are compared by the bits in which they differ: the score is ``1 - 2 h / K``, with h their Hamming
    distance. With distance "asymmetric" queries keep their real outputs u, and the score is ``<u, b> / (|u| sqrt(K))``
    with b the bits as -1 and +1: it costs no memory, and tells apart images at equal Hamming distance.

    By default the outputs are ``(x - mean_) @ projection_``, which a subclass learns.

    Parameters
    ----------
    bits : bits that are kept of a row: more tell more images apart, and take more memory.
    distance : "symmetric" codes queries too; "asymmetric" keeps their real outputs, which ranks better for the same
        memory.
    seed : of what is drawn at random; the same one gives the same code.

    Attributes
    ----------
    mean_ : (D,).
    projection_ : (D, K).
    """

    distance: str
    mean_: np.ndarray
    projection_: np.ndarray
    shifted: ClassVar[bool] = False

    @property
    def bits_(self) -> int:
        """K, the number of bits."""
        return self.projection_.shape[1]

    @property
    def symmetric(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether queries are coded too."""
        return self.distance == "symmetric"

    def outputs(self, X: np.ndarray) -> np.ndarray:
        """Real numbers (N, K) whose signs are the bits."""
        return (X - self.mean_) @ self.projection_

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Packed bits (N, ceil(K / 8)) of rows (N, D); the last byte is filled up with zeros."""
        return np.packbits(self.outputs(X) >= 0, axis=1, bitorder="little")

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Bits as -1 and +1, divided by sqrt(K): (N, K) of length one."""
        bits = np.unpackbits(codes, axis=1, count=self.bits_, bitorder="little")
        return (bits.astype(np.float32) * 2 - 1) / np.float32(np.sqrt(self.bits_))

    def prepare(self, Q: np.ndarray) -> np.ndarray:
        """Codes of the queries; with distance "asymmetric" their outputs, L2-normalised."""
        if self.symmetric:
            return self.encode(Q)
        found = self.outputs(Q)
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.finfo(np.float32).tiny)

    def scores(self, prepared: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Scores (Q, N) of codes; equal Hamming distances have equal scores."""
        if not self.symmetric:
            return super().scores(prepared, codes)
        return hamming_scores(hamming(prepared, codes), self.bits_)


def hamming(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """In how many bits each of the packed codes (Q, W) differs from each of (N, W): (Q, N) of int32."""
    one, other = _words(one), _words(other)
    found = np.zeros((len(one), len(other)), np.int32)
    for place in range(one.shape[1]):
        found += np.bitwise_count(one[:, None, place] ^ other[None, :, place])
    return found


def hamming_scores(distances: np.ndarray, bits: int) -> np.ndarray:
    """Scores in [-1, 1] of Hamming distances: the cosine of the codes as vectors of -1 and +1."""
    return (1 - 2 * distances / bits).astype(np.float32)


def _words(codes: np.ndarray) -> np.ndarray:
    """Packed codes (N, W) as 64-bit words, filled up with zeros."""
    padded = np.zeros((len(codes), -(-codes.shape[1] // 8) * 8), np.uint8)
    padded[:, : codes.shape[1]] = codes
    return padded.view(np.uint64)


class LSH(BinaryCode):
    """Signs of Gaussian projections: two bits differ with probability angle / pi.

    Rows are centred first: descriptors of networks that end with ReLU share one orthant.
    """

    def __init__(
        self,
        *,
        bits: Annotated[int, BITS] = 64,
        distance: Annotated[str, DISTANCE] = "symmetric",
        seed: Annotated[int, SEED] = 0,
    ) -> None:
        self.bits, self.distance, self.seed = bits, distance, seed

    def _learn(self, X: np.ndarray, y: np.ndarray | None) -> None:
        self.mean_ = X.mean(axis=0, dtype=np.float64)
        self.projection_ = np.random.default_rng(self.seed).standard_normal((X.shape[1], self.bits))


class PCAH(BinaryCode):
    """Signs of the leading principal components. All bits count alike, though the components do not."""

    def __init__(self, *, bits: Annotated[int, BITS] = 64, distance: Annotated[str, DISTANCE] = "symmetric") -> None:
        self.bits, self.distance = bits, distance

    def _learn(self, X: np.ndarray, y: np.ndarray | None) -> None:
        self.mean_, self.projection_ = principal_projection(type(self).__name__, X, self.bits)


class PCARandomRotation(BinaryCode):
    """Signs of principal components after one random rotation, which spreads the variance over the bits."""

    def __init__(
        self,
        *,
        bits: Annotated[int, BITS] = 64,
        distance: Annotated[str, DISTANCE] = "symmetric",
        seed: Annotated[int, SEED] = 0,
    ) -> None:
        self.bits, self.distance, self.seed = bits, distance, seed

    def _learn(self, X: np.ndarray, y: np.ndarray | None) -> None:
        self.mean_, axes = principal_projection(type(self).__name__, X, self.bits)
        self.projection_ = axes @ random_rotation(self.bits, self.seed)


class ITQ(BinaryCode):
    """PCA, and then the rotation R that moves rows nearest to the corners of the cube: min |B - V R|^2.

    Signs and rotation are found in turn, from a random rotation on: a local optimum, which depends on the seed.

    Parameters
    ----------
    iterations : how often signs and rotation are found in turn.

    Attributes
    ----------
    objective_ : (iterations + 1,), |B - V R|^2 / (n K) from the start on; it never rises.
    """

    def __init__(
        self,
        *,
        bits: Annotated[int, BITS] = 64,
        distance: Annotated[str, DISTANCE] = "symmetric",
        iterations: Annotated[int, Range(1, 1000, integer=True)] = 50,
        seed: Annotated[int, SEED] = 0,
    ) -> None:
        self.bits, self.distance, self.iterations, self.seed = bits, distance, iterations, seed

    def _learn(self, X: np.ndarray, y: np.ndarray | None) -> None:
        self.mean_, axes = principal_projection(type(self).__name__, X, self.bits)
        rotations, self.objective_ = rotate(
            (X - self.mean_) @ axes, random_rotation(self.bits, self.seed), self.iterations
        )
        self.projection_ = axes @ rotations


def rotate(V: np.ndarray, R: np.ndarray, iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """ITQ's rotation (K, K) of rows V (n, K), from `R` on, and |B - V R|^2 / (n K) before and after each step."""
    objective = []
    for _ in range(iterations):
        turned = V @ R
        B = np.where(turned >= 0, 1.0, -1.0)
        objective.append(np.square(B - turned).mean())
        U, _, W = np.linalg.svd(V.T @ B)
        R = U @ W
    turned = V @ R
    objective.append(np.square(np.where(turned >= 0, 1.0, -1.0) - turned).mean())
    return R, np.array(objective)


class SpectralHashing(BinaryCode):
    """Signs of sines along principal axes, of the lowest frequencies: a long axis gets several bits.

    Rows outside the range of the learning set are moved to its border.

    Attributes
    ----------
    low_, range_ : (K,), where the axis of each bit starts, and its length.
    mode_ : (K,), half waves along it.
    """

    low_: np.ndarray
    range_: np.ndarray
    mode_: np.ndarray

    def __init__(self, *, bits: Annotated[int, BITS] = 64, distance: Annotated[str, DISTANCE] = "symmetric") -> None:
        self.bits, self.distance = bits, distance

    def _learn(self, X: np.ndarray, y: np.ndarray | None) -> None:
        self.mean_ = X.mean(axis=0, dtype=np.float64)
        spectrum, axes = principal_axes(X, self.mean_)
        axes = axes[: min(self.bits, rank("SpectralHashing", X, self.mean_, spectrum, 0))]
        along = (X - self.mean_) @ axes.T
        low, ranges = along.min(axis=0), np.ptp(along, axis=0)
        axis, self.mode_ = lowest_modes(ranges, self.bits)
        self.low_, self.range_, self.projection_ = low[axis], ranges[axis], axes[axis].T

    def outputs(self, X: np.ndarray) -> np.ndarray:
        """Sines (N, K) along the axes."""
        along = np.clip(((X - self.mean_) @ self.projection_ - self.low_) / self.range_, 0, 1)
        return np.sin(np.pi / 2 + self.mode_ * np.pi * along)


def lowest_modes(ranges: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Axis and number of half waves (K,) of the lowest frequencies, equal ones by axis and mode."""
    most = np.ceil((bits + 1) * ranges / ranges.max()).astype(int) - 1
    axis = np.repeat(np.arange(len(ranges)), most)
    mode = np.concatenate([np.arange(1, count + 1) for count in most])
    kept = np.argsort((mode * np.pi / ranges[axis]) ** 2, kind="stable")[:bits]
    return axis[kept], mode[kept]


class OneBit(BinaryCode):
    """The sign of every dimension after centring, K = D; meant for a shortlist that is re-scored."""

    def __init__(self, *, distance: Annotated[str, DISTANCE] = "asymmetric") -> None:
        self.distance = distance

    @property
    def bits_(self) -> int:
        """K, the number of bits."""
        return self.width_

    def _learn(self, X: np.ndarray, y: np.ndarray | None) -> None:
        self.mean_ = X.mean(axis=0, dtype=np.float64)

    def outputs(self, X: np.ndarray) -> np.ndarray:
        """Centred rows (N, D)."""
        return X - self.mean_


def principal_projection(owner: str, X: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and the leading `bits` principal axes as columns (D, K).

    Raises
    ------
    ValueError : the rows do not span so many dimensions.
    """
    mean = X.mean(axis=0, dtype=np.float64)
    spectrum, axes = principal_axes(X, mean)
    spanned = rank(owner, X, mean, spectrum, 0)
    if bits > spanned:
        raise ValueError(
            f"{owner}: bits must be at most {spanned}, the dimensions that the {len(X)} rows of the learning set span "
            f"(of {X.shape[1]}), got {bits}; take fewer bits, or 'lsh', which has no such limit."
        )
    return mean, axes[:bits].T


def random_rotation(width: int, seed: int) -> np.ndarray:
    """A rotation (width, width) drawn uniformly."""
    Q, R = np.linalg.qr(np.random.default_rng(seed).standard_normal((width, width)))
    return Q * np.sign(np.diag(R))
