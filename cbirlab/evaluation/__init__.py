"""Evaluation: a ranking and a ground truth become numbers, under a protocol that you can inspect.

METRICS     numbers computed per query, from the ranks of its positives
PROTOCOLS   which images count as positive, which are ignored, and every other choice that moves a number
"""

from cbirlab.evaluation.comparing import (
    PairedTest,
    interval,
    paired,
    paired_interval,
    per_query_table,
    told_apart,
    verdict,
)
from cbirlab.evaluation.intervals import Interval, bootstrap, paired_difference, randomisation_p
from cbirlab.evaluation.judgement import Judged
from cbirlab.evaluation.metrics import METRICS, largest, title_of
from cbirlab.evaluation.one_query import average_precision, precision_at, recall_at
from cbirlab.evaluation.protocols import PROTOCOLS, Level, Protocol
from cbirlab.evaluation.result import Evaluation
from cbirlab.evaluation.scoring import Scorer, evaluate, judge, query_groups
from cbirlab.evaluation.ties import tie_rate

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "Evaluation",
    "Interval",
    "Judged",
    "Level",
    "PairedTest",
    "Protocol",
    "Scorer",
    "average_precision",
    "bootstrap",
    "evaluate",
    "interval",
    "judge",
    "largest",
    "paired",
    "paired_difference",
    "paired_interval",
    "per_query_table",
    "precision_at",
    "query_groups",
    "randomisation_p",
    "recall_at",
    "tie_rate",
    "title_of",
    "told_apart",
    "verdict",
]
