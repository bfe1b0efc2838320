"""What breaks a descriptor: changes within a pair of pictures, and changes made to a query.

By factor, on a benchmark that knows what changed within each pair (Toytown)::

    frames = {name: pairs(run.ranking, run.dataset) for name, run in runs.items()}
    by_factor(frames, "viewpoint_deg")

By perturbation, on any benchmark::

    probe(session, query=0, kind="rotate")
"""

from cbirlab.base.renamed import renamed
from cbirlab.study.perturbation.answers import Answer, answer_of, probe, query_picture, row_of
from cbirlab.study.perturbation.factors import FACTORS, MEASURES, Factor, by_factor, pairs
from cbirlab.study.perturbation.perturb import KINDS, Kind, perturb_image, unchanged

__getattr__ = renamed(__name__, {"perturbed": "perturb_image"})

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
    "perturb_image",
    "probe",
    "query_picture",
    "row_of",
    "unchanged",
]
