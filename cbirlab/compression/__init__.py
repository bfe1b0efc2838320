"""Codes: what is kept of a descriptor when memory or time are short. Learned on the learning set, like whitenings."""

from cbirlab.compression import binary  # noqa: F401  (registers its codes)
from cbirlab.compression.base import COMPRESSIONS, Code, Compression, learn_code

__all__ = ["COMPRESSIONS", "Code", "Compression", "learn_code"]
