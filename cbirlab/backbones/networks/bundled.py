"""Bundled: toynet."""

from cbirlab.backbones.catalogue import add_backbone
from cbirlab.backbones.networks.rows import taps

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
