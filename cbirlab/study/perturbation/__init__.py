"""What breaks a descriptor: changes within a pair of pictures, and changes made to a query.

By factor, on a benchmark that knows what changed within each pair (Toytown)::

    frames = {name: pairs(run.ranking, run.dataset) for name, run in runs.items()}
    by_factor(frames, "viewpoint_deg")

By perturbation, on any benchmark::

    probe(session, query=0, kind="rotate")
"""

from cbirlab.study.perturbation.answers import Answer, answer_of, probe, query_picture, row_of
from cbirlab.study.perturbation.factors import FACTORS, MEASURES, Factor, by_factor, pairs
from cbirlab.study.perturbation.perturb import KINDS, Kind, perturbed, unchanged

__all__ = [
    "FACTORS",
    "KINDS",
    "MEASURES",
    "Answer",
    "Factor",
    "Kind",
    "answer_of",
    "by_factor",
    "pairs",
    "perturbed",
    "probe",
    "query_picture",
    "row_of",
    "unchanged",
]
