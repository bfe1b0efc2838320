"""Networks: toynet, those of torchvision, two vision transformers, entered in the catalogue without loading torch."""

from __future__ import annotations

from typing import Any

from cbirlab.backbones.catalogue import NO_WEIGHTS, Tap, add_backbone
from cbirlab.handcrafted import DESCRIPTORS

_TRAINED_AT = (224, 224)


def _taps(rows: str) -> dict[str, Tap]:
    """One tap per line: name, path, channels, stride or "vector", and "signed" where values below 0 occur."""
    taps = {}
    for row in rows.strip().splitlines():
        name, path, channels, stride, *signed = row.split()
        vector = stride == "vector"
        taps[name] = Tap(path, int(channels), 0 if vector else int(stride), "vector" if vector else "map", bool(signed))
    return taps


def _torchvision(name: str, title: str, reference: str, rows: str, **facts: Any) -> None:
    """Register a network with weights that torchvision publishes."""
    add_backbone(
        name,
        f"torchvision.models:{name}",
        title=title,
        reference=reference,
        taps=_taps(rows),
        weights="IMAGENET1K_V1",
        licence="BSD-3-Clause (torchvision)",
        **facts,
    )


add_backbone(
    "toynet",
    "cbirlab.toynet:ToyNet",
    title="toynet",
    reference="bundled: residual network trained on rendered landmarks",
    mean=(0.45, 0.45, 0.45),
    std=(0.25, 0.25, 0.25),
    taps=_taps(
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
_torchvision(
    "resnet18",
    "ResNet-18",
    "He et al., CVPR 2016",
    """
    stem     relu     64    2
    layer1   layer1   64    4
    layer2   layer2   128   8
    layer3   layer3   256   16
    layer4   layer4   512   32
    avgpool  avgpool  512   vector
    logits   fc       1000  vector signed
    """,
    classifier="fc",
    classifier_tap="layer4",
    parameters=11_689_512,
)
_torchvision(
    "resnet50",
    "ResNet-50",
    "He et al., CVPR 2016",
    """
    stem     relu     64    2
    layer1   layer1   256   4
    layer2   layer2   512   8
    layer3   layer3   1024  16
    layer4   layer4   2048  32
    avgpool  avgpool  2048  vector
    logits   fc       1000  vector signed
    """,
    classifier="fc",
    classifier_tap="layer4",
    parameters=25_557_032,
)
# fc6 and fc7 of the two networks below are read after their ReLU, as Babenko et al. (ECCV 2014) read neural codes.
_torchvision(
    "vgg16",
    "VGG-16",
    "Simonyan and Zisserman, ICLR 2015",
    """
    conv1_2  features.3    64    1
    conv2_2  features.8    128   2
    conv3_3  features.15   256   4
    conv4_3  features.22   512   8
    conv5_3  features.29   512   16
    pool5    features.30   512   32
    fc6      classifier.1  4096  vector
    fc7      classifier.4  4096  vector
    logits   classifier.6  1000  vector signed
    """,
    default_tap="conv5_3",
    classifier="classifier.6",
    parameters=138_357_544,
    min_side=32,
    input_size=_TRAINED_AT,
    other_sizes="maps follow the image; before fc6 they are averaged to 7 x 7, whatever the image's size and shape",
)
_torchvision(
    "alexnet",
    "AlexNet",
    "Krizhevsky et al., NeurIPS 2012; Krizhevsky 2014",
    """
    conv1   features.1    64    4
    conv2   features.4    192   8
    conv3   features.7    384   16
    conv4   features.9    256   16
    conv5   features.11   256   16
    fc6     classifier.2  4096  vector
    fc7     classifier.5  4096  vector
    logits  classifier.6  1000  vector signed
    """,
    classifier="classifier.6",
    parameters=61_100_840,
    min_side=63,  # what pool5 before fc6 takes; the convolutions alone would take 31
    input_size=_TRAINED_AT,
    other_sizes="maps follow the image; before fc6 they are averaged to 6 x 6, whatever the image's size and shape",
)
# The blocks of MobileNetV2 end in a linear layer; the taps are what the next block expands it to, so values are >= 0.
# The average is taken by a function; the dropout after it hands it on unchanged in evaluation mode.
_torchvision(
    "mobilenet_v2",
    "MobileNetV2",
    "Sandler et al., CVPR 2018",
    """
    expand2   features.2.conv.0   96    2
    expand4   features.4.conv.0   144   4
    expand7   features.7.conv.0   192   8
    expand11  features.11.conv.0  384   16
    expand14  features.14.conv.0  576   16
    last      features.18         1280  32
    avgpool   classifier.0        1280  vector
    logits    classifier.1        1000  vector signed
    """,
    classifier="classifier.1",
    classifier_tap="last",
    parameters=3_504_872,
)
# SqueezeNet classifies every position, cuts at 0 and averages: its class scores are >= 0.
_torchvision(
    "squeezenet1_0",
    "SqueezeNet 1.0",
    "Iandola et al., 2016",
    """
    conv1   features.1    96    2
    fire3   features.4    128   4
    fire4   features.5    256   4
    fire7   features.9    384   8
    fire8   features.10   512   8
    fire9   features.12   512   16
    logits  classifier.3  1000  vector
    """,
    classifier="classifier.1",
    classifier_tap="fire9",
    parameters=1_248_424,
    min_side=21,
)
_torchvision(
    "squeezenet1_1",
    "SqueezeNet 1.1",
    "Iandola et al., 2016",
    """
    conv1   features.1    64    2
    fire3   features.4    128   4
    fire5   features.7    256   8
    fire7   features.10   384   16
    fire9   features.12   512   16
    logits  classifier.3  1000  vector
    """,
    classifier="classifier.1",
    classifier_tap="fire9",
    parameters=1_235_496,
    min_side=17,
)


def _transformer_taps(channels: int) -> dict[str, Tap]:
    """Tokens of a transformer of 12 blocks with patches of 16 pixels, after blocks 3, 6, 9 and 12.

    They are read after the layer norm through which the next part of the network sees them (that of the following
    block's attention, or the final one), because the sums that run from block to block have no common scale.
    """
    norm = "encoder.layers.encoder_layer_{}.ln_1"
    return _taps(
        f"""
        block3       {norm.format(3)}  {channels}  16      signed
        block6       {norm.format(6)}  {channels}  16      signed
        block9       {norm.format(9)}  {channels}  16      signed
        block12      encoder.ln        {channels}  16      signed
        class_token  encoder.ln        {channels}  vector  signed
        logits       heads             1000        vector  signed
        """
    )


_TRANSFORMER: dict[str, Any] = {
    "classifier": "heads.head",
    "min_side": 16,
    "input_size": _TRAINED_AT,
    "other_sizes": "whole patches of 16 x 16 from the top left; their 14 x 14 trained positions are stretched to fit",
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
    licence="BSD-3-Clause (torchvision)",
    parameters=86_567_656,
    **_TRANSFORMER,
)


def _descriptor_tap(name: str) -> Tap:
    facts = DESCRIPTORS.info(name).facts
    return Tap(name, facts["channels"], 0, facts["kind"])


add_backbone(
    "handcrafted",
    "cbirlab.handcrafted.module:HandCrafted",
    title="Hand-crafted",
    reference=", ".join(DESCRIPTORS.info(name).title for name in DESCRIPTORS),
    taps={name: _descriptor_tap(name) for name in DESCRIPTORS},
    default_tap="rootsift",
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    weights=NO_WEIGHTS,
    licence="Apache-2.0 (OpenCV), BSD-3-Clause (scikit-image)",
    parameters=0,
)
