"""Exported features: descriptors go out in the forms that other tools read, with the names of their images."""

from cbirlab.exported_features.exporting import export_features
from cbirlab.exported_features.formats import SUFFIXES

__all__ = ["SUFFIXES", "export_features"]
