"""Fitting: what aggregations and whitenings learn before they can be applied."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.aggregation import Aggregation
from cbirlab.backbones import BACKBONES, classifier_of
from cbirlab.base.progress import bar
from cbirlab.compression import Compression
from cbirlab.compression import learn_code as learn_from
from cbirlab.extract import Descriptors, Sampler, State
from cbirlab.extract.sampling import unpack
from cbirlab.index import Rows
from cbirlab.passes.base import CODEBOOK, Passes
from cbirlab.pipeline.recipe import Recipe
from cbirlab.store import Store, StoreUnwritable, digest
from cbirlab.store.code import code_version
from cbirlab.whitening import Whitening, learn, normalise

if TYPE_CHECKING:
    from cbirlab.backbones import Backbone
    from cbirlab.compression.base import Code

Cells = dict[str, list[Aggregation]]
"""Tap to the aggregations that are wanted there."""

States = dict[tuple[str, str], State]
"""(tap, aggregation key) to what was learned."""


def cells_of(recipes: Iterable[Recipe]) -> Cells:
    """The cells that recipes are made of, each once."""
    cells: dict[str, dict[str, Aggregation]] = {}
    for recipe in recipes:
        for _, tap in recipe.taps:
            cells.setdefault(tap, {})[recipe.aggregation] = recipe.aggregation
    return {tap: list(specs.values()) for tap, specs in cells.items()}


def check_cell(backbone: Backbone, tap: str, spec: Aggregation) -> str:
    """Empty, or why `spec` cannot be applied at `tap`."""
    kind = backbone.taps[tap].kind
    if kind == "local" and not spec.encoding:
        return f"{spec.key}: tap {tap!r} holds sets of local descriptors without a place; choose an encoding, as 'vlad'"
    if kind == "vector" and (spec.encoding or spec.attentions):
        return f"{spec.key}: tap {tap!r} has no positions; choose a pooling, as 'spoc'"
    if spec.fact("channels") not in (None, channels := backbone.taps[tap].channels):
        of = f"maps of {spec.fact('channels')} channels, of {spec.fact('of')}"
        return f"{spec.key}: it was trained on {of}; tap {tap!r} has {channels}"
    if spec.fact("needs") == "classifier":
        place = BACKBONES.info(backbone.name).facts["classifier_tap"]
        if tap != place or classifier_of(backbone) is None:
            where = f"it sits on tap {place!r}" if place else "this network has none on the mean of a tap"
            return f"{spec.key}: needs the network's classifier; {where}, not on {tap!r}"
    return ""


def find_clipped(backbone: Backbone, taps: Iterable[tuple[float, str]], spec: Aggregation) -> str:
    """Empty, or which parts of `spec` need values >= 0 where `taps` have negative ones, as most transformers do."""
    members = {member: backbone.taps[member] for _, member in taps}
    if all(one.kind == "vector" for one in members.values()):  # vectors are used as they are, whatever the pooling
        return ""
    signed = [member for member, one in members.items() if one.signed]
    made = [one.name for one in (*spec.attentions, spec) if one.fact("positive")]
    return f"{', '.join(made)} at {', '.join(signed)}" if signed and made else ""


def warn_of_clipped(found: Iterable[str], stacklevel: int) -> None:
    """Warn once about everything that `clipped` has found."""
    told = list(dict.fromkeys(filter(None, found)))
    if told:
        warnings.warn(
            f"{'; '.join(told)}: made for values >= 0, so negative values of these taps count as zero; use 'spoc', "
            "'mac' or 'rmac' to keep them.",
            stacklevel=stacklevel,
        )


def network_states(backbone: Backbone, cells: Mapping[str, Sequence[Aggregation]]) -> States:
    """What aggregations need from the network itself.

    Raises
    ------
    ValueError : a cell that cannot be computed.
    """
    states: States = {}
    for tap, specs in cells.items():
        for spec in specs:
            if problem := check_cell(backbone, tap, spec):
                raise ValueError(f"{backbone.name}: {problem}.")
            if spec.fact("needs") == "classifier":
                states[tap, spec.key] = State(spec.prepare(_classifier(backbone), backbone.device), backbone.digest)
    return states


def _classifier(backbone: Backbone) -> dict[str, np.ndarray]:
    return {name: np.asarray(value.cpu()) for name, value in (classifier_of(backbone) or {}).items()}


def learning(cells: Mapping[str, Sequence[Aggregation]], known: Mapping[tuple[str, str], Any]) -> Cells:
    """The cells that still have to learn."""
    todo = {tap: [one for one in specs if one.learns and (tap, one.key) not in known] for tap, specs in cells.items()}
    return {tap: specs for tap, specs in todo.items() if specs}


def plain(cells: Mapping[str, Sequence[Aggregation]]) -> Cells:
    """The cells that learn nothing."""
    return {tap: [one for one in specs if not one.learns] for tap, specs in cells.items()}


def samplers(cells: Mapping[str, Sequence[Aggregation]], backbone: Backbone) -> dict[str, list[Sampler]]:
    """What to sample at each tap, without repetition."""
    found = {}
    for tap, specs in cells.items():
        wanted = [Sampler(spec, backbone.taps[tap].channels) for spec in specs]
        found[tap] = list({one.key: one for one in wanted}.values())
    return found


def merge_cells(one: Mapping[str, Sequence[Any]], other: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Merge two sets of cells tap by tap, in the order of `other` where it has the tap."""
    return {tap: [*one.get(tap, ()), *other.get(tap, ())] for tap in dict.fromkeys([*other, *one])}


def learn_cells(
    cells: Cells,
    samplers: Mapping[str, Sequence[Sampler]],
    found: Descriptors,
    part: str,
    store: Store,
    backbone: Backbone,
    progress: bool,
) -> States:
    """Fit every cell on its samples, which `found` holds."""
    states: States = {}
    todo = [(tap, spec) for tap, specs in cells.items() for spec in specs]
    for tap, spec in bar(todo, desc="learning", unit="fit", show=progress):
        wanted = Sampler(spec, backbone.taps[tap].channels)
        sampler = next(one for one in samplers[tap] if one.key == wanted.key)
        given = _classifier(backbone) if spec.fact("needs") == "classifier" else {}
        rows, key = found[tap, sampler.key][part], found.keys[tap, sampler.key][part]
        states[tap, spec.key] = learn_state(spec, sampler, rows, key, store, given)
    return states


def combine_views(how: str, values: np.ndarray, counts: np.ndarray, state: Any) -> Rows:
    """The views of each image combined into one row."""
    from cbirlab import passes

    return Rows(np.asarray(passes.combine_patches(how, values, counts, state), dtype=np.float32))


def view_codebook(scheme: Passes, values: np.ndarray, key: str, store: Store) -> Mapping[str, np.ndarray]:
    """The codebook over views of VLAD and BoW, learned on the views of the train split."""
    from cbirlab import passes

    specification = {"codebook": "views", "on": key, "code": code_version("passes", "encoding"), **asked_of(scheme)}
    return load_or_fit(store, specification, lambda: passes.learn_codebook(values, **scheme.codebook))


def asked_of(scheme: Passes) -> dict[str, int]:
    """What a scheme asks of its codebook other than the defaults, which are left out of the keys of the store."""
    return {name: value for name, value in scheme.codebook.items() if value != CODEBOOK[name]}


def concatenate_taps(members: Sequence[np.ndarray], weights: Sequence[float]) -> np.ndarray:
    """Rows L2-normalised, multiplied by their member's weight and laid side by side."""
    return np.concatenate([weight * normalise(one) for one, weight in zip(members, weights, strict=True)], axis=1)


def learn_whitening(whitening: Whitening, values: np.ndarray, labels: Sequence[str], key: str, store: Store) -> Any:
    """Fit a whitening on `values`, which are known by `key`, or take it from the store if it was fitted before.

    Parameters
    ----------
    labels : instance of each row, for a whitening that learns from pairs.
    """
    estimator = whitening.target()
    pairs = {"labels": sha256(repr(list(labels)).encode()).hexdigest()} if whitening.fact("pairs") else {}
    code = code_version("whitening", *whitening.fact("code", ()), estimator)
    specification = {"whitening": whitening.name, "parameters": whitening.parameters, "code": code, "on": key, **pairs}

    def fit() -> dict[str, np.ndarray]:
        fitted = learn(whitening, values, labels if pairs else None)
        return {name: np.asarray(value) for name, value in vars(fitted).items() if name not in fitted.get_params()}

    fitted = estimator(**whitening.parameters)
    for attribute, value in load_or_fit(store, specification, fit).items():
        setattr(fitted, attribute, value.item() if value.ndim == 0 else value)
    return fitted


def learn_code(compression: Compression, values: np.ndarray, labels: Sequence[str], store: Store) -> Code:
    """Fit a code on `values`, or take it from the store if it was fitted on the same rows before.

    Parameters
    ----------
    labels : instance of each row, for a code that learns from pairs.
    """
    pairs = {"labels": sha256(repr(list(labels)).encode()).hexdigest()} if compression.fact("pairs") else {}
    learning = {name: value for name, value in compression.parameters.items() if name != "distance"}
    specification = {"compression": compression.name, "parameters": learning, "on": content(values)}
    specification |= {"code": code_version("compression", "training", "whitening"), **pairs}

    def fit() -> dict[str, np.ndarray]:
        learned = learn_from(compression, values, labels if pairs else None)
        return {name: np.asarray(value) for name, value in vars(learned).items() if name.endswith("_")}

    code = compression.make()
    for attribute, value in load_or_fit(store, specification, fit).items():
        setattr(code, attribute, value.item() if value.ndim == 0 else np.asarray(value))
    return code


def content(values: np.ndarray) -> str:
    """Hash of an array's numbers, shape and type."""
    checksum = sha256(f"{values.shape} {values.dtype}".encode())
    for start in range(0, len(values), 1 << 16):
        checksum.update(np.ascontiguousarray(values[start : start + (1 << 16)]).data)
    return checksum.hexdigest()


def warn_of_few(recipe: Recipe, whitening: Any, images: int, width: int) -> None:
    """Warn if nobody chose to learn on so few images, and say what would help."""
    if not whitening.tempered and images < 2 * min(width, recipe.dimensions or width):
        warnings.warn(
            f"whitening {recipe.whitening!r} is learned on {images} images for {width} dimensions, so its smallest "
            "variances are mostly error: take 'shrinkage', 'pca(power=0.25)' or at most "
            f"{max(1, images // 2)} dimensions.",
            stacklevel=5,
        )


def load_or_fit(
    store: Store, specification: Mapping[str, Any], fit: Callable[[], dict[str, np.ndarray]], kind: str = "fitted"
) -> Mapping[str, np.ndarray]:
    """Call `fit`, or take what it gave before from the store, where it is an entry of this `kind`."""
    entry = store.get(kind, specification)
    if entry is not None:
        return entry.arrays
    arrays = fit()
    with suppress(StoreUnwritable):  # extraction has said so already; fitting again is cheap
        store.put(kind, specification, arrays)
    return arrays


def learn_state(
    spec: Aggregation, sampler: Sampler, rows: np.ndarray, key: str, store: Store, given: Mapping[str, np.ndarray]
) -> State:
    """What an aggregation learns from the sampled `rows` of the learning set, which are known by `key`.

    Parameters
    ----------
    given : further arrays that it needs, from the network's classifier.
    """
    code = code_version("aggregation", "encoding", spec.target())
    specification = {"aggregation": spec.key, "code": code, "on": key}
    arrays = load_or_fit(store, specification, lambda: spec.learn(*unpack(rows, sampler)))
    both = {**arrays, **given}
    of_queries = spec.prepare(both, queries=True) if spec.fact("similarity") else None
    return State(spec.prepare(both), digest(specification), of_queries)
