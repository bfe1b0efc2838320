"""Published weights: what torchvision publishes for the networks here, known without loading torchvision.

A test compares every line with torchvision, which gives the address when a file is actually downloaded.
"""

from __future__ import annotations

from dataclasses import dataclass

from cbirlab.backbones.catalogue import CAFFE_MEAN, CAFFE_STD, IMAGENET_MEAN, IMAGENET_STD

_TABLE = """
alexnet            IMAGENET1K_V1             alexnet-owt-7be5be79.pth               233.087 56.522 224 bilinear
vgg16              IMAGENET1K_V1             vgg16-397923af.pth                     527.796 71.592 224 bilinear
vgg16              IMAGENET1K_FEATURES       vgg16_features-amdegroot-88682ab5.pth  527.802 nan    224 bilinear caffe
vgg19              IMAGENET1K_V1             vgg19-dcbb9e9d.pth                     548.051 72.376 224 bilinear
googlenet          IMAGENET1K_V1             googlenet-1378be20.pth                 49.731  69.778 224 bilinear
resnet18           IMAGENET1K_V1             resnet18-f37072fd.pth                  44.661  69.758 224 bilinear
resnet50           IMAGENET1K_V1             resnet50-0676ba61.pth                  97.781  76.130 224 bilinear
resnet50           IMAGENET1K_V2             resnet50-11ad3fa6.pth                  97.790  80.858 224 bilinear
resnet101          IMAGENET1K_V1             resnet101-63fe2227.pth                 170.511 77.374 224 bilinear
resnet101          IMAGENET1K_V2             resnet101-cd907fc2.pth                 170.530 81.886 224 bilinear
densenet121        IMAGENET1K_V1             densenet121-a639ec97.pth               30.845  74.434 224 bilinear
densenet161        IMAGENET1K_V1             densenet161-8d451a50.pth               110.369 77.138 224 bilinear
squeezenet1_0      IMAGENET1K_V1             squeezenet1_0-b66bff10.pth             4.778   58.092 224 bilinear
squeezenet1_1      IMAGENET1K_V1             squeezenet1_1-b8a52dc0.pth             4.729   58.178 224 bilinear
mobilenet_v2       IMAGENET1K_V1             mobilenet_v2-b0353104.pth              13.555  71.878 224 bilinear
mobilenet_v2       IMAGENET1K_V2             mobilenet_v2-7ebf99e0.pth              13.598  72.154 224 bilinear
mobilenet_v3_large IMAGENET1K_V1             mobilenet_v3_large-8738ca79.pth        21.114  74.042 224 bilinear
mobilenet_v3_large IMAGENET1K_V2             mobilenet_v3_large-5c1a4163.pth        21.107  75.274 224 bilinear
efficientnet_b0    IMAGENET1K_V1             efficientnet_b0_rwightman-7f5810bc.pth 20.451  77.692 224 bicubic
efficientnet_v2_s  IMAGENET1K_V1             efficientnet_v2_s-dd5fe13b.pth         82.704  84.228 384 bilinear
convnext_tiny      IMAGENET1K_V1             convnext_tiny-983f1562.pth             109.119 82.520 224 bilinear
vit_b_16           IMAGENET1K_V1             vit_b_16-c867db91.pth                  330.285 81.072 224 bilinear
vit_b_16           IMAGENET1K_SWAG_E2E_V1    vit_b_16_swag-9ac1b537.pth             331.398 85.304 384 bicubic
vit_b_16           IMAGENET1K_SWAG_LINEAR_V1 vit_b_16_lc_swag-4e70ced5.pth          330.285 81.886 224 bicubic
swin_t             IMAGENET1K_V1             swin_t-704ceda3.pth                    108.190 81.474 224 bicubic
"""


@dataclass(frozen=True)
class Release:
    """One set of published weights.

    Attributes
    ----------
    label : its name in `load_backbone` and recipes.
    file : name of the file.
    megabytes : its size, of 2^20 bytes.
    accuracy : percentage of the images of ImageNet's validation set that it classifies correctly; nan if unknown.
    trained_at : side in pixels of the central square on which that was measured.
    interpolation : how the images were reduced for that measurement.
    mean, std : of RGB in 0..1, with which it was trained.
    """

    label: str
    file: str
    megabytes: float
    accuracy: float
    trained_at: int
    interpolation: str
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


def releases(name: str) -> dict[str, Release]:
    """The weights that torchvision publishes for the network `name`, by label, oldest first; empty if none."""
    found = {}
    for row in _TABLE.strip().splitlines():
        network, label, file, megabytes, accuracy, side, interpolation, *caffe = row.split()
        if network == name:
            colours = (CAFFE_MEAN, CAFFE_STD) if caffe else ()
            found[label] = Release(label, file, float(megabytes), float(accuracy), int(side), interpolation, *colours)
    return found
