"""Metadata: gives decoders a picture's file without the parts that are not the picture."""

from cbirlab.images.decoding.metadata.directory import exif_orientation
from cbirlab.images.decoding.metadata.facts import Facts
from cbirlab.images.decoding.metadata.stripping import bare

__all__ = ["Facts", "bare", "exif_orientation"]
