"""Choices: why two honest numbers of one method differ. Each choice is changed alone and judged on the same queries.

pictures   crop of the query, resize rule, interpolation, antialias, scales
network    engine and precision of the passes, weights, what whitening is learned on
judging    junk, the query's own image, level, average precision, cut lists, precision among the first
"""

from cbirlab.study.choices.judging import MEASURES, Judging
from cbirlab.study.choices.rankings import read_ranking, write_ranking
from cbirlab.study.choices.table import CHOICES, differences, ranking_differences

__all__ = ["CHOICES", "MEASURES", "Judging", "differences", "ranking_differences", "read_ranking", "write_ranking"]
