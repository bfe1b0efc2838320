"""How the vectors of an image's patches are combined: into one vector (max, sum, VLAD, BoW), or matched one by one.

The patch vectors of all images are the rows of one matrix; image i owns ``counts[i]`` consecutive rows. Rows are
L2-normalised first; rows of zeros are patches in which nothing was found, and never count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from cbirlab.base.text import did_you_mean
from cbirlab.passes.base import CODEBOOK, WITH_CODEBOOK
from cbirlab.whitening import normalise

BLOCK_ELEMENTS = 2**21
"""Numbers that a block of rows, or a block of similarities, holds: 16 MiB of float64."""

COSINE_STEPS = 2.0**40
"""Number of distinct steps of a cosine between 0 and 1: rounding errors move its last three decimal digits."""


def combine_patches(
    how: str, vectors: np.ndarray, counts: np.ndarray, state: Mapping[str, Any] | None = None
) -> np.ndarray:
    """One vector per image from the vectors of its patches.

    Parameters
    ----------
    how : "max", the largest value of each dimension (Mopuri and Babu, CVPRW 2015); "sum"; "vlad" (Gong et al., ECCV
        2014, who apply it to each patch size separately); or "bow", the histogram of the patches' words (DeepIndex, Liu
        et al., ICMR 2015; MOF, Li et al., MM 2016; LDD, Cao et al., MM 2017). The last two need `state`.
    vectors : (n, D), may be a memory map; read a block at a time.
    counts : (N,), patches of each image; they add up to n.
    state : what `learn_codebook` returned; VLAD and BoW read the same codebook.

    Returns
    -------
    (N, D), for VLAD (N, words * dims), for BoW (N, words); float32 unless `vectors` is float64. Maxima and sums are
    not normalised, VLAD and BoW have length one. An image without any patch gives a row of zeros.

    Raises
    ------
    ValueError : an unknown `how`, counts that do not fit the vectors, VLAD or BoW without a codebook.
    """
    counts = _checked("combine_patches", vectors, counts)
    width, combine = _combination(how, vectors.shape[1], state)
    out = np.zeros((len(counts), width), np.float64 if vectors.dtype == np.float64 else np.float32)
    for images, unit, kept in _patches(vectors, counts):
        there = kept > 0
        if there.any():
            out[images][there] = combine(unit, kept[there])
    return out


def learn_codebook(
    vectors: np.ndarray, words: int = CODEBOOK["words"], local_dims: int = CODEBOOK["local_dims"], seed: int = 0
) -> dict[str, np.ndarray]:
    """The codebook over patches for VLAD and BoW, from a sample of 100,000 of them if there are more.

    MOP-CNN has 100 words of 500 dimensions, MOF 20,000 words; an image's few patches fill far fewer.

    Parameters
    ----------
    vectors : (n, D) patch vectors of images that are not evaluated.
    words : of the codebook.
    local_dims : principal components kept of a patch vector; a narrower one keeps its D.
    seed : of the k-means and of the sample.

    Returns
    -------
    Arrays by name, for `combine_patches`.

    Raises
    ------
    TypeError, ValueError : a parameter out of range, or fewer different patches than words.
    """
    from cbirlab.encoding.vlad import VLAD  # loads torch and scikit-learn, which maximum and sum do not need

    patches = len(vectors)
    if words > patches:  # before scikit-learn is asked: its sentence would not name the parameter of the scheme
        raise ValueError(
            f"passes: words must be at most the number of patches that the codebook is learned on, {patches}, got "
            f"{words}; lower words, or learn on more images or more patches of each."
        )
    fitted = VLAD(k=words, local_dims=local_dims, seed=seed).fit(vectors)
    return {name: getattr(fitted, name) for name in _LEARNED}


def match(queries: np.ndarray, query_counts: np.ndarray, images: np.ndarray, image_counts: np.ndarray) -> np.ndarray:
    """Patch-to-patch score of CNNaug-ss (Razavian et al., CVPRW 2014, section 4.1): every query against every image.

    Minus the mean, over the patches of the query, of the Euclidean distance to the nearest patch of the image.

    Parameters
    ----------
    queries : (n_q, D) patch vectors; whitened ones in the paper.
    query_counts : (Q,).
    images : (n, D), may be a memory map; read a block at a time.
    image_counts : (N,).

    Returns
    -------
    (Q, N) float32 in [-2, 0], larger is better; -inf, no answer, if query or image has no patch.

    Raises
    ------
    ValueError : counts that do not fit the vectors, or another D in `queries` than in `images`.
    """
    query_counts = _checked("match: queries", queries, query_counts)
    image_counts = _checked("match: images", images, image_counts)
    if queries.shape[1] != images.shape[1]:
        raise ValueError(
            f"match: queries must have as many dimensions as images, {images.shape[1]}, got {queries.shape[1]}."
        )
    scores = np.full((len(query_counts), len(image_counts)), -np.inf, np.float32)
    for columns, image_rows, image_kept in _patches(images, image_counts):
        limit = max(1, BLOCK_ELEMENTS // max(1, len(image_rows)))
        for rows, query_rows, query_kept in _patches(queries, query_counts, limit):
            asked, held = query_kept > 0, image_kept > 0
            if asked.any() and held.any():
                block = _matched(query_rows, query_kept[asked], image_rows, image_kept[held])
                scores[rows, columns][np.ix_(asked, held)] = block
    return scores


def _matched(queries: np.ndarray, query_counts: np.ndarray, images: np.ndarray, image_counts: np.ndarray) -> np.ndarray:
    """Scores (q, n) of a block: unit rows, every count positive."""
    nearest = np.maximum.reduceat(queries @ images.T, _starts(image_counts), axis=1)
    # Smaller differences depend on which other queries run with this one; rounded, equal patches are 0 apart, not 1e-8.
    nearest = np.round(nearest * COSINE_STEPS) / COSINE_STEPS
    distances = np.sqrt((2 - 2 * nearest).clip(min=0))
    return -np.add.reduceat(distances, _starts(query_counts), axis=0) / query_counts[:, None]


def _combination(
    how: str, width: int, state: Mapping[str, Any] | None
) -> tuple[int, Callable[[np.ndarray, np.ndarray], np.ndarray]]:
    """Dimensions of a combined vector, and the function of unit rows and positive counts that makes it."""
    if how == "max":
        return width, lambda rows, counts: np.maximum.reduceat(rows, _starts(counts))
    if how == "sum":
        return width, lambda rows, counts: np.add.reduceat(rows, _starts(counts))
    if how not in WITH_CODEBOOK:
        known = ("max", "sum", *WITH_CODEBOOK)
        hint = did_you_mean(str(how), known) or " For 'match', which keeps patches apart, call match()."
        raise ValueError(f"combined: how must be one of {', '.join(map(repr, known))}, got {how!r}.{hint}")
    if state is None:
        raise ValueError(f"combined: how={how!r} needs state, a codebook; make it with learn_codebook(train_patches).")
    encoding = _restored(how, state)
    if encoding.n_features_in_ != width:
        raise ValueError(
            f"combined: vectors must have {encoding.n_features_in_} dimensions, as the codebook in state, got {width}."
        )
    return encoding.width(width), lambda rows, counts: encoding.transform(np.split(rows, _starts(counts)[1:]))


_LEARNED = ("mean_", "components_", "centres_")


def _restored(how: str, state: Mapping[str, Any]) -> Any:
    """The estimator that reads a codebook as VLAD or as BoW, every word counting alike."""
    from cbirlab.encoding import ENCODINGS

    words, dims = state["centres_"].shape
    encoding = ENCODINGS[how](k=words, local_dims=dims)
    for name in _LEARNED:
        setattr(encoding, name, np.asarray(state[name]))
    if how == "bow":
        encoding.idf_ = np.ones(words, np.float32)
    return encoding


def _patches(
    vectors: np.ndarray, counts: np.ndarray, rows: int | None = None
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Consecutive images whose patches fit into a block (one image at least): their slice, unit rows, rows of each.

    Rows of zeros are taken out, and not counted. The rows are in float64: for two nearly equal patches,
    |a - b|² = 2 - 2ab is a difference of nearly equal numbers.
    """
    rows = max(1, min(rows or BLOCK_ELEMENTS, BLOCK_ELEMENTS // max(1, vectors.shape[1])))
    ends = np.concatenate([[0], np.cumsum(counts)])
    first = 0
    while first < len(counts):
        last = max(first + 1, int(np.searchsorted(ends, ends[first] + rows, side="right")) - 1)
        unit = normalise(np.asarray(vectors[ends[first] : ends[last]], dtype=np.float64))
        there = unit.any(axis=1)
        before = np.concatenate([[0], np.cumsum(there)])
        yield slice(first, last), unit[there], np.diff(before[ends[first : last + 1] - ends[first]])
        first = last


def _starts(counts: np.ndarray) -> np.ndarray:
    """First row of each image."""
    return np.cumsum(counts) - counts


def _checked(owner: str, vectors: np.ndarray, counts: Any) -> np.ndarray:
    counts = np.asarray(counts)
    if getattr(vectors, "ndim", 0) != 2:
        raise ValueError(f"{owner}: vectors must be (n, D), one row per patch, got {np.shape(vectors)}.")
    if counts.ndim != 1 or (counts.size and (counts.dtype.kind not in "iu" or counts.min() < 0)):
        raise ValueError(f"{owner}: counts must be (N,) whole numbers of patches, none negative, got {counts!r:.80}.")
    if counts.sum() != len(vectors):
        raise ValueError(f"{owner}: counts must add up to the {len(vectors)} rows of vectors, got {counts.sum()}.")
    return counts.astype(np.int64)
