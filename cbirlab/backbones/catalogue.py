"""Catalogue: what each network knows about itself, told without loading torch.

A network is registered with its taps in the order in which it computes them. A tap is the output of a submodule, after
a ReLU: GeM and CroW need values >= 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cbirlab.registry import Registry

if TYPE_CHECKING:
    from torch import nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Tap:
    """A place in a network where its maps are read.

    Attributes
    ----------
    path : dotted path of the submodule whose output is read.
    channels : C of its maps.
    stride : pixels of the image per step on the map; 0 where there is no map.
    kind : "map"; "vector" where the network has left no positions (a fully connected layer, a class token), read as a
        map of one position; "local" for a set of local descriptors (B, C, 1, T), short sets filled up with zeros.
    """

    path: str
    channels: int
    stride: int
    kind: str = "map"


BACKBONES: Registry[Callable[..., nn.Module]] = Registry("backbone")


def add_backbone(
    name: str,
    builder: Callable[..., nn.Module] | str,
    *,
    title: str,
    taps: Mapping[str, Tap],
    default_tap: str | None = None,
    reference: str = "",
    mean: tuple[float, ...] = IMAGENET_MEAN,
    std: tuple[float, ...] = IMAGENET_STD,
    weights: str = "",
    bundled: str = "",
    licence: str = "",
    parameters: int | None = None,
    min_side: int = 1,
    classifier: str = "",
) -> None:
    """Register a network.

    Parameters
    ----------
    builder : called without arguments, returns the network; or ``"module:attribute"``. The network's parts must be
        defined in the order in which they run.
    taps : in the order in which the network computes them.
    default_tap : the last one if not given.
    mean, std : of RGB in 0..1, as the network was trained.
    weights : label of torchvision's weights that ``weights=None`` stands for.
    bundled : path of the bundled weights below the data folder.
    parameters : number of parameters, with the classifier.
    min_side : shortest image side in pixels that every tap can digest.
    classifier : path of the last layer, which may have any number of classes.
    """
    default = default_tap or list(taps)[-1]
    if default not in taps:
        raise ValueError(f"{name}: default_tap must be one of {', '.join(taps)}, got {default!r}.")
    facts = {
        "taps": dict(taps),
        "default_tap": default,
        "mean": mean,
        "std": std,
        "weights": weights,
        "bundled": bundled,
        "licence": licence,
        "parameters": parameters,
        "min_side": min_side,
        "classifier": classifier,
    }
    BACKBONES.add(name, builder, title=title, reference=reference, **facts)


def taps_of(name: str) -> dict[str, Tap]:
    """The taps of the registered network `name`, in the order in which it computes them; loads nothing."""
    return dict(BACKBONES.info(name).facts["taps"])


def _torchvision(
    name: str,
    title: str,
    reference: str,
    rows: str,
    *,
    classifier: str,
    parameters: int,
    min_side: int,
    default_tap: str | None = None,
) -> None:
    """Register a network of torchvision; `rows` holds one tap per line: name, path, channels, stride."""
    taps = {}
    for row in rows.strip().splitlines():
        tap, path, channels, stride = row.split()
        taps[tap] = Tap(path, int(channels), int(stride))
    add_backbone(
        name,
        f"torchvision.models:{name}",
        title=title,
        reference=reference,
        taps=taps,
        default_tap=default_tap,
        weights="IMAGENET1K_V1",
        licence="BSD-3-Clause (torchvision)",
        parameters=parameters,
        min_side=min_side,
        classifier=classifier,
    )


add_backbone(
    "toynet",
    "cbirlab.toynet:ToyNet",
    title="toynet",
    reference="bundled: residual network trained on rendered landmarks",
    mean=(0.45, 0.45, 0.45),
    std=(0.25, 0.25, 0.25),
    taps={
        "stem": Tap("stem", 16, 2),
        "layer1": Tap("layer1", 24, 4),
        "layer2": Tap("layer2", 48, 8),
        "layer3": Tap("layer3", 96, 16),
        "layer4": Tap("layer4", 192, 16),
    },
    bundled="toynet/toynet.safetensors",
    licence="CC0-1.0",
    parameters=813_952,  # without the head, whose size depends on the training set
    classifier="head",
)
_torchvision(
    "resnet18",
    "ResNet-18",
    "He et al., CVPR 2016",
    """
    stem    relu    64   2
    layer1  layer1  64   4
    layer2  layer2  128  8
    layer3  layer3  256  16
    layer4  layer4  512  32
    """,
    classifier="fc",
    parameters=11_689_512,
    min_side=1,
)
_torchvision(
    "resnet50",
    "ResNet-50",
    "He et al., CVPR 2016",
    """
    stem    relu    64    2
    layer1  layer1  256   4
    layer2  layer2  512   8
    layer3  layer3  1024  16
    layer4  layer4  2048  32
    """,
    classifier="fc",
    parameters=25_557_032,
    min_side=1,
)
_torchvision(
    "vgg16",
    "VGG-16",
    "Simonyan and Zisserman, ICLR 2015",
    """
    conv1_2  features.3   64   1
    conv2_2  features.8   128  2
    conv3_3  features.15  256  4
    conv4_3  features.22  512  8
    conv5_3  features.29  512  16
    pool5    features.30  512  32
    """,
    default_tap="conv5_3",
    classifier="classifier.6",
    parameters=138_357_544,
    min_side=32,
)
_torchvision(
    "alexnet",
    "AlexNet",
    "Krizhevsky et al., NeurIPS 2012; Krizhevsky 2014",
    """
    conv1  features.1   64   4
    conv2  features.4   192  8
    conv3  features.7   384  16
    conv4  features.9   256  16
    conv5  features.11  256  16
    """,
    classifier="classifier.6",
    parameters=61_100_840,
    min_side=31,
)
# The blocks of MobileNetV2 end in a linear layer; the taps are what the next block expands it to, so values are >= 0.
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
    """,
    classifier="classifier.1",
    parameters=3_504_872,
    min_side=1,
)
_torchvision(
    "squeezenet1_0",
    "SqueezeNet 1.0",
    "Iandola et al., 2016",
    """
    conv1  features.1   96   2
    fire3  features.4   128  4
    fire4  features.5   256  4
    fire7  features.9   384  8
    fire8  features.10  512  8
    fire9  features.12  512  16
    """,
    classifier="classifier.1",
    parameters=1_248_424,
    min_side=21,
)
_torchvision(
    "squeezenet1_1",
    "SqueezeNet 1.1",
    "Iandola et al., 2016",
    """
    conv1  features.1   64   2
    fire3  features.4   128  4
    fire5  features.7   256  8
    fire7  features.10  384  16
    fire9  features.12  512  16
    """,
    classifier="classifier.1",
    parameters=1_235_496,
    min_side=17,
)
