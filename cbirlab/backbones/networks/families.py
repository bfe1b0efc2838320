"""Families: networks under their names in timm and torch.hub, each registered when it is first asked for."""

from cbirlab.backbones.catalogue import BACKBONES

BACKBONES.add_family("timm:", "cbirlab.backbones.from_timm:register", title="any network of timm ([timm] extra)")
BACKBONES.add_family(
    "hub:",
    "cbirlab.backbones.from_hub:register",
    title="owner/repository:entry of torch.hub (DINO, DINOv2), once trusted",
)
