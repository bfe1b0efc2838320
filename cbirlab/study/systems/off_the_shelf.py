"""Off the shelf: the survey's Table 3, networks as ImageNet has trained them."""

from __future__ import annotations

from cbirlab.study.systems.base import HAND_CRAFTED, add

SINGLE, SEVERAL = "single pass", "multiple passes"
_OLD_WEIGHTS = "torchvision's weights in place of those of the authors"

add(
    "Neural codes",
    cite="babenko2014",
    year=2014,
    table=3,
    kind=SINGLE,
    parts=(
        {
            "backbone": "alexnet",
            "tap": "fc6",
            "image_size": 224,
            "resize": "square",
            "whitening": "pca(power=0)",
            "dimensions": 128,
        },
    ),
    departs=f"{_OLD_WEIGHTS}, Caffe's; PCA without whitening, as in the paper",
)
add(
    "R-MAC",
    cite="tolias2016",
    year=2016,
    table=3,
    kind=SINGLE,
    parts=(
        {
            "backbone": "vgg16",
            "tap": "conv5_3",
            "aggregation": "rmac(levels=3, learned=True)",
        },
    ),
    departs=f"{_OLD_WEIGHTS}; regions are whitened on the train split of the dataset, in the paper on the other city; "
    "without the search of a box that re-ranks",
)
add(
    "CroW",
    cite="kalantidis2016",
    year=2016,
    table=3,
    kind=SINGLE,
    parts=({"backbone": "vgg16", "tap": "pool5", "aggregation": "crow", "whitening": "pca", "dimensions": 256},),
    departs=f"{_OLD_WEIGHTS}; whitening learned on the train split, in the paper on the other city",
)
add(
    "BLCF",
    cite="mohedano2016",
    year=2016,
    table=3,
    kind=SINGLE,
    parts=({"backbone": "vgg16", "tap": "conv5_3", "aggregation": "bow(k=1024)"},),
    departs=f"{_OLD_WEIGHTS}; the last map of block 5 (the paper: its first), 1,024 words, which a small learning set "
    "fills (the paper: 25,000); columns are projected, not whitened",
)
add(
    "SPoC",
    cite="babenko2015",
    year=2015,
    table=3,
    kind=SINGLE,
    parts=(
        {
            "backbone": "vgg19",
            "tap": "conv5_4",
            "aggregation": "spoc(centre_prior=True)",
            "whitening": "pca",
            "dimensions": 256,
        },
    ),
    departs=f"{_OLD_WEIGHTS}; VGG-19, as the paper has it, where the survey prints VGG16",
)
add(
    "Multi-layer CNN",
    cite="yu2017",
    year=2017,
    table=3,
    kind=SINGLE,
    parts=tuple(
        {"backbone": "vgg16", "tap": tap, "aggregation": "spoc", "image_size": 224}
        for tap in ("fc6", "conv4_3", "conv5_3")
    ),
    fusion={"method": "cascade"},
    departs=f"{_OLD_WEIGHTS}; the form of the exponential mapping is not known to us: a convolutional layer adds "
    "exp(-distance / tau) to the score of the fully connected one, among its first 100",
)
add(
    "DeepIndex",
    cite="liu2015",
    year=2015,
    table=3,
    kind=SEVERAL,
    parts=tuple(
        {"backbone": network, "tap": "fc6", "image_size": 224, "passes": "spm(levels=3, combine='bow', words=512)"}
        for network in ("alexnet", "vgg19")
    ),
    fusion={"method": "minmax"},
    departs=f"{_OLD_WEIGHTS}; one index for each network, whose scores are added, with 512 words; in the paper "
    "words of several indexes come together",
)
add(
    "MOF",
    cite="li2016",
    year=2016,
    table=3,
    kind=SEVERAL,
    parts=tuple(
        {"backbone": "alexnet", "tap": tap, "aggregation": "mac", "passes": "spm(levels=3, combine='bow', words=512)"}
        for tap in ("fc7", "conv5")
    ),
    fusion={"method": "minmax"},
    stand_in="AlexNet for CNN-M",
    departs="CNN-M has no weights for PyTorch; 512 words of each level (the paper: 20,000), whose scores are added",
)
add(
    "Multi-scale CNN",
    cite="razavian2016",
    year=2016,
    table=3,
    kind=SEVERAL,
    parts=(
        {
            "backbone": "vgg16",
            "tap": "conv5_3",
            "aggregation": "mac",
            "passes": "cnnaug(levels=4, combine='match')",
            "whitening": "pca",
        },
    ),
    departs=f"{_OLD_WEIGHTS}; 30 patches of each picture, queries too, at twice their size",
)
add(
    "CNNaug-ss",
    cite="razavian2014",
    year=2014,
    table=3,
    kind=SEVERAL,
    parts=(
        {
            "backbone": "alexnet",
            "tap": "fc6",
            "passes": "cnnaug(levels=4, combine='match')",
            "whitening": "pca",
            "dimensions": 500,
        },
    ),
    stand_in="AlexNet for OverFeat",
    departs="OverFeat has no weights for PyTorch; queries have four levels of patches, in the paper three",
)
add(
    "MOP-CNN",
    cite="gong2014",
    year=2014,
    table=3,
    kind=SEVERAL,
    parts=(
        {"backbone": "alexnet", "tap": "fc7", "image_size": 256},
        {
            "backbone": "alexnet",
            "tap": "fc7",
            "image_size": 256,
            "passes": "windows(size=0.5, step=0.25, combine='vlad', words=100, local_dims=500)",
        },
        {
            "backbone": "alexnet",
            "tap": "fc7",
            "image_size": 256,
            "passes": "windows(size=0.25, step=0.5, combine='vlad', words=100, local_dims=500)",
        },
    ),
    fusion={"method": "early", "whitening": "pca", "dimensions": 2048},
    departs=f"{_OLD_WEIGHTS}; patches are parts of the short side, in the paper 128 and 64 of 256 pixels",
)
add(
    "CCS",
    cite="yan2016",
    year=2016,
    table=3,
    kind=SEVERAL,
    parts=(
        {"backbone": "googlenet", "tap": "inception5b", "aggregation": "spoc"},
        {
            "backbone": "googlenet",
            "tap": "inception5b",
            "aggregation": "spoc",
            "passes": "proposals(most=20, combine='vlad', words=16)",
        },
        {"backbone": HAND_CRAFTED, "tap": "rootsift", "aggregation": "vlad(k=16)"},
    ),
    fusion={"method": "early", "whitening": "pca", "dimensions": 128},
    departs=f"{_OLD_WEIGHTS}; 20 proposals by clustering, in the paper 100 by a trained method",
)
add(
    "OLDFP",
    cite="mopuri2015",
    year=2015,
    table=3,
    kind=SEVERAL,
    parts=(
        {
            "backbone": "alexnet",
            "tap": "fc6",
            "passes": "proposals(most=20, combine='max')",
            "whitening": "pca",
            "dimensions": 512,
        },
    ),
    departs=f"{_OLD_WEIGHTS}; 20 proposals by clustering, in the paper 100 by selective search",
)
add(
    "LDD",
    cite="cao2017",
    year=2017,
    table=3,
    kind=SEVERAL,
    parts=(
        {
            "backbone": "vgg19",
            "tap": "conv5_4",
            "aggregation": "mac",
            "passes": "grid(rows=6, columns=6, whole=False, combine='bow', words=512)",
        },
    ),
    departs=f"{_OLD_WEIGHTS}; a mesh of 36 patches and 512 words, which a small learning set fills (the "
    "paper: 500,000)",
)
