"""Light: convolutional networks made to be small or quick."""

from __future__ import annotations

from cbirlab.backbones.networks.rows import torchvision

# The blocks of MobileNetV2 end in a linear layer; the taps read what the next block expands its output to, so values
# are >= 0. A function takes the average, and the dropout after it passes the average on unchanged in evaluation mode.
torchvision(
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
# From its sixth block on MobileNetV3 has hard swish in place of ReLU, EfficientNet has swish: both dip below 0.
torchvision(
    "mobilenet_v3_large",
    "MobileNetV3-Large",
    "Howard et al., ICCV 2019",
    """
    expand2   features.2.block.0   64    2
    expand4   features.4.block.0   72    4
    expand7   features.7.block.0   240   8   signed
    expand11  features.11.block.0  480   16  signed
    expand13  features.13.block.0  672   16  signed
    last      features.16          960   32  signed
    avgpool   avgpool              960   vector signed
    fc        classifier.1         1280  vector signed
    logits    classifier.3         1000  vector signed
    """,
    classifier="classifier.3",
    parameters=5_483_032,
)
# SqueezeNet classifies every position, cuts at 0 and averages: its class scores are >= 0.
torchvision(
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
torchvision(
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
torchvision(
    "efficientnet_b0",
    "EfficientNet-B0",
    "Tan and Le, ICML 2019",
    """
    stage1   features.1    16    2   signed
    stage2   features.2    24    4   signed
    stage3   features.3    40    8   signed
    stage5   features.5    112   16  signed
    stage7   features.7    320   32  signed
    last     features.8    1280  32  signed
    avgpool  avgpool       1280  vector signed
    logits   classifier.1  1000  vector signed
    """,
    classifier="classifier.1",
    classifier_tap="last",
    parameters=5_288_548,
)
torchvision(
    "efficientnet_v2_s",
    "EfficientNetV2-S",
    "Tan and Le, ICML 2021",
    """
    stage1   features.1    24    2   signed
    stage2   features.2    48    4   signed
    stage3   features.3    64    8   signed
    stage5   features.5    160   16  signed
    stage6   features.6    256   32  signed
    last     features.7    1280  32  signed
    avgpool  avgpool       1280  vector signed
    logits   classifier.1  1000  vector signed
    """,
    classifier="classifier.1",
    classifier_tap="last",
    parameters=21_458_488,
)
