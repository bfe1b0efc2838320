"""Encodings by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cbirlab.base.registry import Registry

if TYPE_CHECKING:
    import numpy as np


def _by_words(queries: np.ndarray, images: np.ndarray, **parameters: Any) -> np.ndarray:
    from cbirlab.encoding.asmk import similarity  # which loads torch

    return similarity(queries, images, **parameters)


ENCODINGS: Registry[Any] = Registry("encoding")
ENCODINGS.add(
    "bow",
    "cbirlab.encoding.bow:BoW",
    title="BoW",
    reference="Sivic and Zisserman, ICCV 2003; on columns: Mohedano et al., ICMR 2016",
)
ENCODINGS.add(
    "vlad",
    "cbirlab.encoding.vlad:VLAD",
    title="VLAD",
    reference="Jégou et al., CVPR 2010; Arandjelović and Zisserman, CVPR 2013; on columns: Ng et al., CVPRW 2015",
)
ENCODINGS.add(
    "fisher",
    "cbirlab.encoding.fisher:Fisher",
    title="Fisher vector",
    reference="Perronnin, Sánchez and Mensink, ECCV 2010; Sánchez et al., IJCV 2013",
)
ENCODINGS.add(
    "netvlad",
    "cbirlab.encoding.netvlad:NetVLAD",
    title="NetVLAD",
    reference="Arandjelović et al., CVPR 2016",
)
ENCODINGS.add(
    "asmk",
    "cbirlab.encoding.asmk:ASMK",
    title="ASMK (extension: not in the survey's v2)",
    reference="Tolias, Avrithis and Jégou, ICCV 2013",
    similarity=_by_words,
)
