"""Fine-tuned: the survey's Table 4, networks that learn for retrieval first.

What they learn on is the train split of the dataset that is searched, or the half of it that is held out: the sets of
the papers (Landmarks, retrieval-SfM-120k, Pittsburgh) are not bundled.
"""

from __future__ import annotations

from cbirlab.study.systems.base import add

SUPERVISED, UNSUPERVISED = "supervised", "unsupervised"
_OWN_SET = "learns on the train split here, in the paper on"

add(
    "DELF",
    cite="noh2017",
    year=2017,
    table=4,
    kind=SUPERVISED,
    parts=({"backbone": "resnet101", "tap": "layer3", "whitening": "pca", "dimensions": 2048},),
    training={"moves": "pooling", "pooling": "delf", "loss": "ce"},
    stand_in="GeM of the weighted map for local descriptors that are matched",
    departs=f"attention over the map of layer3, then GeM, as the survey's row has it; {_OWN_SET} Landmarks",
)
add(
    "Neural codes, fine-tuned",
    name="neural-codes-fine-tuned",
    cite="babenko2014",
    year=2014,
    table=4,
    kind=SUPERVISED,
    parts=(
        {
            "backbone": "alexnet",
            "tap": "fc6",
            "image_size": 224,
            "whitening": "pca(power=0)",
            "dimensions": 128,
        },
    ),
    training={"moves": "fc6", "loss": "ce"},
    departs=f"only fc6 moves, in the paper all layers; {_OWN_SET} 672 landmarks",
)
add(
    "Non-metric",
    cite="garcia2019",
    year=2019,
    table=4,
    kind=SUPERVISED,
    parts=(
        {
            "backbone": "vgg16",
            "tap": "conv5_3",
            "aggregation": "rmac(levels=3)",
            "whitening": "pca",
            "dimensions": 512,
            "rerank": "nonmetric",
        },
    ),
    departs=f"re-ranks the first results, in the paper all; {_OWN_SET} landmarks",
)
add(
    "Faster R-CNN",
    cite="salvador2016",
    year=2016,
    table=4,
    kind=SUPERVISED,
    parts=({"backbone": "vgg16", "tap": "conv5_3"},),
    out="a detector is fine-tuned on boxes, and the datasets here have none",
)
add(
    "SIAM-FV",
    cite="ong2017",
    year=2017,
    table=4,
    kind=SUPERVISED,
    parts=(
        {
            "backbone": "vgg16",
            "tap": "conv5_3",
            "aggregation": "fisher(k=16)",
            "whitening": "pca",
            "dimensions": 512,
        },
    ),
    training={"moves": "conv5_3", "loss": "siamese"},
    stand_in="GeM for the Fisher layer while it trains",
    departs=f"the Fisher vector is learned after the network, in the paper with it; {_OWN_SET} landmarks",
)
add(
    "SIFT-CNN",
    cite="lv2018",
    year=2018,
    table=4,
    kind=SUPERVISED,
    parts=({"backbone": "vgg16", "tap": "conv5_3", "aggregation": "spoc"},),
    training={"moves": "conv5_3", "loss": "siamese", "labels": "verified", "aggregation": "spoc"},
    departs=f"pairs whose RootSIFT matches agree in their arrangement; {_OWN_SET} photographs of its own",
)
add(
    "Quartet-Net",
    cite="cao2016",
    year=2016,
    table=4,
    kind=SUPERVISED,
    parts=({"backbone": "vgg16", "tap": "fc6", "image_size": 224, "whitening": "pca(power=0)", "dimensions": 128},),
    training={"moves": "fc6", "loss": "double"},
    departs=f"pairs in place of quartets, under the same two margins; {_OWN_SET} landmarks",
)
add(
    "NetVLAD",
    cite="arandjelovic2016",
    year=2016,
    table=4,
    kind=SUPERVISED,
    parts=({"backbone": "vgg16", "tap": "conv5_3", "whitening": "pca", "dimensions": 256},),
    training={"moves": "pooling", "pooling": "netvlad(k=16)", "loss": "triplet"},
    departs=f"only the layer moves, with 16 words (the paper: 64, and conv5 too); {_OWN_SET} places by GPS",
)
add(
    "Deep Retrieval",
    cite="gordo2017",
    year=2017,
    table=4,
    kind=SUPERVISED,
    parts=({"backbone": "resnet101", "tap": "layer4", "whitening": "pca", "dimensions": 2048},),
    training={"moves": "pooling", "pooling": "region_weights", "loss": "triplet"},
    stand_in="weights of R-MAC's grid for a region proposal network",
    departs=f"the network stays, in the paper it moves first; {_OWN_SET} Landmarks, cleaned",
)
add(
    "MoM",
    cite="iscen2018",
    year=2018,
    table=4,
    kind=UNSUPERVISED,
    parts=({"backbone": "vgg16", "tap": "conv5_3", "aggregation": "mac", "whitening": "pca", "dimensions": 64},),
    training={"moves": "conv5_3", "loss": "triplet", "labels": "mom", "aggregation": "mac"},
    departs="triplets, weighted by the manifold; it needs thousands of pictures with many of each object",
)
add(
    "GeM",
    published="GeM, as in the survey",
    cite="radenovic2019",
    year=2019,
    table=4,
    kind=UNSUPERVISED,
    parts=({"backbone": "vgg16", "tap": "conv5_3", "aggregation": "gem", "whitening": "lw"},),
    training={"moves": "conv5_3", "loss": "siamese_cirtorch", "labels": "verified", "aggregation": "gem"},
    stand_in="verified neighbours for 3D models",
    departs="its pairs come from structure from motion; Lw is learned from instance labels here",
)
add(
    "SfM-CNN",
    cite="radenovic2016",
    year=2016,
    table=4,
    kind=UNSUPERVISED,
    parts=({"backbone": "vgg16", "tap": "conv5_3", "aggregation": "mac", "whitening": "lw"},),
    training={"moves": "conv5_3", "loss": "siamese_cirtorch", "labels": "verified", "aggregation": "mac"},
    stand_in="verified neighbours for 3D models",
    departs="its pairs come from structure from motion; Lw is learned from instance labels here",
)
add(
    "IME-CNN",
    cite="xu2019",
    year=2017,
    table=4,
    kind=UNSUPERVISED,
    parts=({"backbone": "resnet101", "tap": "layer4", "aggregation": "mac"},),
    training={"moves": "layer4", "labels": "knn", "aggregation": "mac"},
    stand_in="regression to the mean of neighbours for that to a manifold embedding",
    departs="the last stage moves, in the paper a layer after the network",
)
add(
    "MDP-CNN",
    cite="zhao2018",
    year=2018,
    table=4,
    kind=UNSUPERVISED,
    parts=({"backbone": "resnet101", "tap": "layer4", "aggregation": "spoc"},),
    training={"moves": "layer4", "loss": "triplet", "labels": "diffusion", "aggregation": "spoc"},
    departs="groups on the manifold are its positives, in the paper similarities after a random walk",
)
