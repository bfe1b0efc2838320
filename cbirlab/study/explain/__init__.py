"""Looking: what a setting does with pictures, places and pairs, as plain arrays for a panel or a notebook to draw.

>>> looker = Looker(session)
>>> looker.overlay(3, "layer4", "crow").heat.shape            # picture 3: what CroW weighs, in its pixels
>>> match = looker.match(1003, 7, "layer4", "spoc", "pca")    # query 3 of 1,000 images, and image 7
>>> match.heat_a.sum() + match.mean_a                         # the score, place by place
"""

from cbirlab.study.explain.heat_map import Overlay, overlay, resized, to_pixels, words
from cbirlab.study.explain.looker import Looker
from cbirlab.study.explain.match import Match, Pair, similarity_map
from cbirlab.study.explain.missed_positives import Positive, missed, positives
from cbirlab.study.explain.pairs import Cosines, JudgedPairs, cosines, judged_pairs
from cbirlab.study.explain.place_parts import Parts, parts
from cbirlab.study.explain.variances import Spectrum, spectrum

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
    "judged_pairs",
    "missed",
    "overlay",
    "parts",
    "positives",
    "resized",
    "similarity_map",
    "spectrum",
    "to_pixels",
    "words",
]
