"""Modern: transformers, and the convolutional network that was modelled on them.

The sums that run from block to block have no common scale. If a layer norm stands between them and the next part of the
network, the tap reads them after it, as that part sees them.
"""

from __future__ import annotations

from typing import Any

from cbirlab.backbones.catalogue import Tap, add_backbone
from cbirlab.backbones.networks.rows import TRAINED_AT, taps, torchvision

# The last norm of ConvNeXt comes after the mean over positions.
torchvision(
    "convnext_tiny",
    "ConvNeXt-T",
    "Liu et al., CVPR 2022",
    """
    stage1   features.2.0  96    4   signed
    stage2   features.4.0  192   8   signed
    stage3   features.6.0  384   16  signed
    stage4   features.7    768   32  signed
    avgpool  avgpool       768   vector signed
    norm     classifier.0  768   vector signed
    logits   classifier.2  1000  vector signed
    """,
    classifier="classifier.2",
    parameters=28_589_128,
    min_side=32,
)


def _transformer_taps(channels: int) -> dict[str, Tap]:
    """Tokens of a transformer of 12 blocks with patches of 16 pixels, after blocks 3, 6, 9 and 12.

    The norm is that of the following block's attention, or the final one.
    """
    norm = "encoder.layers.encoder_layer_{}.ln_1"
    return taps(
        f"""
        block3       {norm.format(3)}  {channels}  16      signed BNC
        block6       {norm.format(6)}  {channels}  16      signed BNC
        block9       {norm.format(9)}  {channels}  16      signed BNC
        block12      encoder.ln        {channels}  16      signed BNC
        class_token  encoder.ln        {channels}  vector  signed BNC
        logits       heads             1000        vector  signed
        """
    )


_TRANSFORMER: dict[str, Any] = {
    "classifier": "heads.head",
    "min_side": 16,
    "input_size": TRAINED_AT,
    "other_sizes": "whole patches of 16 x 16 from the top left; their trained positions are stretched to fit",
}
add_backbone(
    "deit_tiny",
    "cbirlab.backbones.transformer:deit_tiny",
    title="DeiT-Tiny/16",
    reference="Touvron et al., ICML 2021",
    taps=_transformer_taps(192),
    licence="Apache-2.0 (the published weights; none are found by default)",
    parameters=5_717_416,
    **_TRANSFORMER,
)
add_backbone(
    "vit_b_16",
    "cbirlab.backbones.transformer:vit_b_16",
    title="ViT-B/16",
    reference="Dosovitskiy et al., ICLR 2021",
    taps=_transformer_taps(768),
    weights="IMAGENET1K_V1",
    licence="BSD-3-Clause (torchvision); IMAGENET1K_SWAG: CC BY-NC 4.0",
    parameters=86_567_656,
    **_TRANSFORMER,
)
# Swin's stages are joined four by four before the next norm, so the first three are read as they are.
torchvision(
    "swin_t",
    "Swin-T",
    "Liu et al., ICCV 2021",
    """
    stage1   features.1  96    4   signed BHWC
    stage2   features.3  192   8   signed BHWC
    stage3   features.5  384   16  signed BHWC
    stage4   norm        768   32  signed BHWC
    avgpool  avgpool     768   vector signed
    logits   head        1000  vector signed
    """,
    classifier="head",
    classifier_tap="stage4",
    parameters=28_288_354,
    min_side=4,
)
