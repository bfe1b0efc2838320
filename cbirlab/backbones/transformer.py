"""Transformer: torchvision's vision transformer for images of any size, and weights under timm's names.

Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021; Touvron et al., "Training data-efficient image
transformers and distillation through attention", ICML 2021 (DeiT).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isqrt

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import VisionTransformer

# of timm, in which DeiT was published, and of the first release of torchvision: pattern, and its name today
_NAMES = (
    (r"^cls_token$", "class_token"),
    (r"^pos_embed$", "encoder.pos_embedding"),
    (r"^patch_embed\.proj\.", "conv_proj."),
    (r"^blocks\.(\d+)\.", r"encoder.layers.encoder_layer_\1."),
    (r"\.norm([12])\.", r".ln_\1."),
    (r"\.attn\.qkv\.", ".self_attention.in_proj_"),
    (r"\.attn\.proj\.", ".self_attention.out_proj."),
    (r"\.mlp\.(fc1|linear_1)\.", ".mlp.0."),
    (r"\.mlp\.(fc2|linear_2)\.", ".mlp.3."),
    (r"^norm\.", "encoder.ln."),
    (r"^head\.", "heads.head."),
)


class AnySizeTransformer(VisionTransformer):
    """torchvision's network, without its limit to square images of one size.

    The image is cut into whole patches from the top left; the remainder at the right and at the bottom is not seen. The
    positions that were learned on a square grid are stretched to the grid of the image (see `positions`), so that an
    image keeps its shape; on the grid they were learned on they stay as they are.
    """

    def __init__(self, hidden_dim: int, num_heads: int) -> None:
        super().__init__(
            image_size=224,
            patch_size=16,
            num_layers=12,
            num_heads=num_heads,
            hidden_dim=hidden_dim,
            mlp_dim=4 * hidden_dim,
        )
        # torchvision begins with zeros, which would make all class scores of random weights equal.
        nn.init.trunc_normal_(self.heads.get_parameter("head.weight"), std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores (B, K) of normalised images (B, 3, H, W), H and W at least 16."""
        patches = self.conv_proj(x)
        class_token = self.class_token.expand(len(x), -1, -1)
        tokens = torch.cat([class_token, patches.flatten(2).transpose(1, 2)], dim=1)
        tokens = tokens + positions(self.encoder.pos_embedding, patches.shape[2], patches.shape[3])
        tokens = self.encoder.ln(self.encoder.layers(self.encoder.dropout(tokens)))
        return self.heads(tokens[:, 0])

    @staticmethod
    def own_name(key: str) -> str:
        """torchvision's present name for a tensor; an unknown name stays as it is."""
        return _own_name(key)

    def adopted(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors under this network's names; the network also takes over the grid on which they were learned."""
        state = own_names(state)
        learned = state.get("encoder.pos_embedding")
        own = self.encoder.pos_embedding
        if learned is not None and learned.ndim == 3 and (learned.shape[0], learned.shape[2]) == (1, own.shape[2]):
            if isqrt(learned.shape[1] - 1) ** 2 == learned.shape[1] - 1:
                self.encoder.pos_embedding = nn.Parameter(torch.zeros_like(learned))
        return state


def own_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under torchvision's present names; unknown names stay as they are."""
    return {_own_name(key): value for key, value in state.items()}


def positions(learned: Tensor, height: int, width: int) -> Tensor:
    """Position embeddings (1, 1 + height width, C) from those learned on a square grid (1, 1 + n n, C), bicubic.

    The first embedding belongs to the class token and stays as it is.
    """
    side = isqrt(learned.shape[1] - 1)
    if (height, width) == (side, side):
        return learned
    grid = learned[:, 1:].transpose(1, 2).unflatten(2, (side, side))
    stretched = functional.interpolate(grid.float(), size=(height, width), mode="bicubic", align_corners=False)
    return torch.cat([learned[:, :1], stretched.flatten(2).transpose(1, 2).to(learned.dtype)], dim=1)


def deit_tiny() -> AnySizeTransformer:
    """DeiT-Tiny/16: 192 channels, 12 blocks of 3 heads."""
    return AnySizeTransformer(hidden_dim=192, num_heads=3)


def vit_b_16() -> AnySizeTransformer:
    """ViT-B/16: 768 channels, 12 blocks of 12 heads."""
    return AnySizeTransformer(hidden_dim=768, num_heads=12)


def _own_name(key: str) -> str:
    for pattern, name in _NAMES:
        key = re.sub(pattern, name, key)
    return key
