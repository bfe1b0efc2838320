"""Unlabelled: transformers trained without labels, as timm builds them and publishes their weights.

The same networks are on torch.hub, in their makers' own code, which you must trust first: see `from_hub`.
"""

from __future__ import annotations

from cbirlab.backbones.catalogue import Tap, add_backbone
from cbirlab.backbones.from_timm import built, source
from cbirlab.backbones.networks.rows import TRAINED_AT

_CHANNELS = 384


def _small(name: str, model: str, title: str, reference: str, parameters: int, patch: int, before: int) -> None:
    """Register a transformer of 12 blocks, read like the others, with `before` tokens before those of the patches."""
    places = {f"block{number}": f"blocks.{number}.norm1" for number in (3, 6, 9)} | {"block12": "norm"}
    maps = {tap: Tap(path, _CHANNELS, patch, "map", True, "BNC", before) for tap, path in places.items()}
    add_backbone(
        name,
        lambda: built(model),
        title=title,
        reference=reference,
        taps=maps | {"class_token": Tap("norm", _CHANNELS, 0, "vector", True, "BNC", before)},
        licence="Apache-2.0 (the published weights)",
        parameters=parameters,
        min_side=patch,
        multiple=patch,
        input_size=TRAINED_AT,
        other_sizes=f"whole patches of {patch} x {patch} from the top left; the trained positions are stretched to fit",
        source=source(name, model, f"timm/{model}", parameters),
        requires="timm",
    )


_small(
    "dino_vits16",
    "vit_small_patch16_224.dino",
    "DINO ViT-S/16",
    "Caron et al., ICCV 2021",
    parameters=21_665_664,
    patch=16,
    before=1,
)
_small(
    "dinov2_vits14",
    "vit_small_patch14_dinov2.lvd142m",
    "DINOv2 ViT-S/14",
    "Oquab et al., TMLR 2024",
    parameters=22_056_192,
    patch=14,
    before=1,
)
_small(
    "dinov2_vits14_reg",
    "vit_small_patch14_reg4_dinov2.lvd142m",
    "DINOv2 ViT-S/14, registers",
    "Oquab et al., TMLR 2024; Darcet et al., ICLR 2024",
    parameters=22_057_344,
    patch=14,
    before=5,
)
