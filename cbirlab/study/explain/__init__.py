"""Looking: what a setting does with pictures, places and pairs, as plain arrays for a panel or a notebook to draw.

>>> looker = Looker(session)
>>> looker.overlay(3, "layer4", "crow").heat.shape            # picture 3: what CroW weighs, in its pixels
>>> match = looker.match(1003, 7, "layer4", "spoc", "pca")    # query 3 of 1,000 images, and image 7
>>> match.heat_a.sum() + match.mean_a                         # the score, place by place
"""

from cbirlab.base.renamed import renamed
from cbirlab.study.explain.heat_map import Overlay, overlay, resize_map, to_pixels, words
from cbirlab.study.explain.looker import Looker
from cbirlab.study.explain.match import Match, Pair, similarity_map
from cbirlab.study.explain.missed_positives import Positive, find_missed, positives
from cbirlab.study.explain.pairs import Cosines, JudgedPairs, cosines, judged_pairs
from cbirlab.study.explain.place_parts import Parts, parts
from cbirlab.study.explain.variances import Spectrum, spectrum

__getattr__ = renamed(__name__, {"missed": "find_missed"})

__all__ = [
    "Cosines",
    "JudgedPairs",
    "Looker",
    "Match",
    "Overlay",
    "Pair",
    "Parts",
    "Positive",
    "Spectrum",
    "cosines",
    "find_missed",
    "judged_pairs",
    "overlay",
    "parts",
    "positives",
    "resize_map",
    "similarity_map",
    "spectrum",
    "to_pixels",
    "words",
]
