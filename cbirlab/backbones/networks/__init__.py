"""Networks: toynet, those of torchvision, vision transformers, in the catalogue without loading torch.

Any other network goes by the name that others gave it (`timm:resnet50d`, `hub:owner/repository:entry`), or is passed to
`cbirlab.backbones.add_module`.
"""

# ruff: noqa: I001  # the order of these imports is the order in which menus and tables list the networks
from cbirlab.backbones.networks import bundled, classic, light, modern, unlabelled, handcrafted, families  # noqa: F401
