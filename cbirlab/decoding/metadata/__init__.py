"""Metadata: a picture's file as decoders get it, without what is not the picture."""

from cbirlab.decoding.metadata.directory import exif_orientation
from cbirlab.decoding.metadata.facts import Facts
from cbirlab.decoding.metadata.stripping import bare

__all__ = ["Facts", "bare", "exif_orientation"]
