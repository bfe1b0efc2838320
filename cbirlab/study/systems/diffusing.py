"""Diffusing: the survey's Table 2, what a graph of neighbours makes of descriptors that are there."""

from __future__ import annotations

from cbirlab.study.systems.base import add

_DESCRIBED = {"backbone": "resnet101", "tap": "layer4", "aggregation": "gem", "whitening": "lw"}
_ITS_ROWS = "descriptors are GeM of ImageNet's network with Lw, in the paper fine-tuned ones"

add(
    "RDP",
    published="",
    cite="bai2019",
    year=2019,
    table=2,
    kind="diffusion",
    parts=({**_DESCRIBED, "rerank": "rdp"},),
    departs=_ITS_ROWS,
)
add(
    "Offline diffusion",
    published="",
    cite="yang2019",
    year=2019,
    table=2,
    kind="diffusion",
    parts=({**_DESCRIBED, "rerank": "diffusion_offline"},),
    departs=_ITS_ROWS,
)
add(
    "Global diffusion",
    published="",
    cite="iscen2017",
    year=2017,
    table=2,
    kind="diffusion",
    parts=({**_DESCRIBED, "rerank": "diffusion"},),
    departs=f"{_ITS_ROWS}; fewer neighbours than its 50, which suit hundreds of right answers",
)
add(
    "Regional diffusion",
    published="",
    cite="iscen2017",
    year=2017,
    table=2,
    kind="diffusion",
    parts=({**_DESCRIBED, "aggregation": "rmac(levels=3, learned=True)", "whitening": "none", "rerank": "diffusion"},),
    stand_in="regions that are added up for 21 rows of each image",
    departs="an image has one row in a graph here, so that what regions find by themselves is lost",
)
