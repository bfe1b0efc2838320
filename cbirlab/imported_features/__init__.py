"""Imported features: descriptors that others computed, read from their files and judged like one's own."""

from cbirlab.imported_features.judging import SIMILARITY, evaluate_features, rank_features
from cbirlab.imported_features.reading import FeaturesError, import_features

__all__ = ["SIMILARITY", "FeaturesError", "evaluate_features", "import_features", "rank_features"]
