"""cbirlab: see how content-based image retrieval works, and decide with numbers.

The public names, in the order of the pipeline::

    load_dataset  DATASETS        images, queries, ground truth
    load_backbone BACKBONES       a network and its taps; add_module for one of your own
    PASSES                        what of an image goes through the network
    ATTENTIONS AGGREGATIONS       map (B, C, H, W) to vector (B, D)
    ENCODINGS                     local descriptors (T, D) to vector, with a codebook
    WHITENINGS                    descriptors made comparable
    COMPRESSIONS                  what is kept of a descriptor
    INDEXES search Searcher       search, also in descriptors of one's own
    RERANKERS rerank              better rankings by what the first results say
    evaluate METRICS PROTOCOLS    numbers, under a protocol
    import_features evaluate_features    descriptors that others computed
    export_features               descriptors for others
    Recipe run                    one run; also of a system of the survey by its name, SYSTEMS compare_systems
    FUSIONS Fusion run_fusion     several recipes as one
    compare versus complementarity    one table; query by query
    Training train                networks and heads that learn from other pictures
    Session                       the same, live: a move of a slider costs milliseconds
    differences                   what each choice changes, one at a time
    published beside              numbers of the literature, beside one's own

Importing does nothing but name them; each room is imported when a name of it is first used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

from cbirlab.base.renamed import MovedModules

__version__ = "0.1.0"

sys.meta_path.insert(0, MovedModules())

_ROOMS = {
    "load_dataset": "datasets",
    "DATASETS": "datasets",
    "Dataset": "datasets",
    "load_backbone": "backbones",
    "BACKBONES": "backbones",
    "add_module": "backbones",
    "PASSES": "passes",
    "ATTENTIONS": "attention",
    "AGGREGATIONS": "aggregation",
    "ENCODINGS": "encoding",
    "WHITENINGS": "whitening",
    "COMPRESSIONS": "compression",
    "INDEXES": "index",
    "Ranking": "index",
    "Searcher": "index.searcher",
    "search": "index.searcher",
    "RERANKERS": "reranking",
    "rerank": "reranking",
    "METRICS": "evaluation",
    "PROTOCOLS": "evaluation",
    "evaluate": "evaluation",
    "per_query_table": "evaluation",
    "import_features": "imported_features",
    "evaluate_features": "imported_features",
    "export_features": "exported_features",
    "Recipe": "pipeline",
    "run": "study.systems",
    "SYSTEMS": "study.systems",
    "compare_systems": "study.systems",
    "FUSIONS": "fusion",
    "Fusion": "fusion",
    "run_fusion": "fusion",
    "complementarity": "fusion",
    "versus": "fusion",
    "Training": "adaptation",
    "train": "adaptation",
    "domain_shift": "adaptation",
    "LOSSES": "training.losses",
    "MINERS": "training.miners",
    "compare": "study.grid",
    "Session": "live",
    "differences": "study.choices",
    "published": "study.literature",
    "beside": "study.literature",
}

__all__ = [*_ROOMS]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'cbirlab' has no attribute {name!r}; public names: {', '.join(_ROOMS)}.")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_ROOMS])
