"""Evaluation: a ranking and a ground truth become numbers, under a protocol one can look at.

METRICS     what is computed per query, from the ranks of its positives
PROTOCOLS   which images count as positive, which are ignored, and every other choice that moves a number
"""

from cbirlab.evaluation.intervals import Interval, bootstrap, paired_difference
from cbirlab.evaluation.judgement import Judged, average_precision, precision_at, recall_at
from cbirlab.evaluation.metrics import METRICS
from cbirlab.evaluation.protocols import PROTOCOLS, Level, Protocol
from cbirlab.evaluation.scoring import Evaluation, evaluate, judge, query_groups

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "Evaluation",
    "Interval",
    "Judged",
    "Level",
    "Protocol",
    "average_precision",
    "bootstrap",
    "evaluate",
    "judge",
    "paired_difference",
    "precision_at",
    "query_groups",
    "recall_at",
]
