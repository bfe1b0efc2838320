"""Together: what fields of a recipe mean in combination, and which cannot be combined."""

from __future__ import annotations

from typing import Any

from cbirlab.aggregation import Aggregation
from cbirlab.backbones import Backbone, check_tap
from cbirlab.images.preprocessing import IMAGE_SIZE
from cbirlab.pipeline.distractors import named, synthetic
from cbirlab.pipeline.tap_names import Taps

ONE_POSITION = "spoc"


def check_together(recipe: Any) -> None:
    """Refuse fields of a `Recipe` that cannot be combined.

    Raises
    ------
    ValueError : says which ones, and what they would need.
    """
    spec, passes, whitening = recipe.aggregation, recipe.passes, recipe.whitening
    if recipe.resizing.resize == "centre_crop" and not passes.single:
        raise ValueError(
            f"Recipe: resize 'centre_crop' leaves one square of an image, which needs passes 'single', got {passes!r}."
        )
    if recipe.image_size and recipe.image_size * max(recipe.scales) > IMAGE_SIZE.high:
        raise ValueError(
            f"Recipe: image_size times the largest of scales must be at most {IMAGE_SIZE.high:g} pixels, got "
            f"{recipe.image_size} x {max(recipe.scales):g}."
        )
    if recipe.scale_pooling == "gem" and spec.name != "gem":
        raise ValueError(
            f"Recipe: scale_pooling 'gem' needs the aggregation gem, whose exponent it takes, got {spec!r}."
        )
    if spec.fact("similarity") and (whitening.name != "none" or not passes.single or len(recipe.scales) > 1):
        raise ValueError(
            f"Recipe: {spec} compares words, not vectors: it needs whitening 'none', passes 'single' and one "
            f"scale, got {whitening!r}, {passes!r} and {recipe.scales}."
        )
    several = spec.fact("similarity") or passes.combine == "match"
    if several and (recipe.compression.used or recipe.index.name != "exact" or recipe.rescore):
        raise ValueError(
            f"Recipe: {spec} with passes {passes!r} compares words or views, not vectors: it needs compression "
            f"'none', index 'exact' and rescore 0, got {recipe.compression!r}, {recipe.index!r} and {recipe.rescore}."
        )
    if several and recipe.rerank.needs & {"vectors", "neighbours"}:
        raise ValueError(
            f"Recipe: {spec} with passes {passes!r} compares words or views, not vectors, so rerank must be 'none' or "
            f"of methods that compare pictures, as 'spatial', got {recipe.rerank!r}."
        )
    if named(recipe) and recipe.rerank.compares_pictures:
        raise ValueError(
            f"Recipe: rerank {recipe.rerank!r} compares pictures, which those of distractors are not among; it needs "
            f"distractors that are a number, got {recipe.distractors!r}."
        )
    if recipe.rerank.changes_database and (recipe.index.name != "exact" or recipe.compression.used or recipe.rescore):
        raise ValueError(
            f"Recipe: rerank {recipe.rerank!r} changes the database, which is then searched exactly by full rows: it "
            f"needs index 'exact', compression 'none' and rescore 0, got {recipe.index!r}, {recipe.compression!r} and "
            f"{recipe.rescore}."
        )
    if several and recipe.distractors:
        raise ValueError(
            f"Recipe: distractors are vectors, and {spec} with passes {passes!r} compares words or views; it needs "
            f"distractors 0, got {recipe.distractors!r}."
        )
    if needed := recipe.index.refuses(recipe.compression):
        raise ValueError(f"Recipe: index {recipe.index!r} needs {needed}, got compression {recipe.compression!r}.")


def learns_rows(recipe: Any) -> bool:
    """Whether a `Recipe` learns something from the descriptors of the learning set."""
    methods = (recipe.whitening, recipe.compression, recipe.index)
    learned = any(one.fact("learned") for one in methods) or recipe.rerank.learns or synthetic(recipe) > 0
    return learned or bool(recipe.passes.codebook)


def possible_aggregation(tap: Taps, spec: Aggregation, backbone: Backbone) -> Aggregation:
    """The aggregation; at a tap without positions all poolings give the same vector, and tables call it "spoc"."""
    positions = any(check_tap(backbone, member).kind != "vector" for _, member in tap.members)
    return spec if positions or spec.encoding or spec.attentions else Aggregation(ONE_POSITION)
