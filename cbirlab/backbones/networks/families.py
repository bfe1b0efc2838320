"""Families: networks by the names that timm and torch.hub know them by, entered when one is first asked for."""

from cbirlab.backbones.catalogue import BACKBONES

BACKBONES.add_family("timm:", "cbirlab.backbones.from_timm:register", title="any network of timm ([timm] extra)")
BACKBONES.add_family(
    "hub:",
    "cbirlab.backbones.from_hub:register",
    title="owner/repository:entry of torch.hub (DINO, DINOv2), once trusted",
)
