"""Codes: what is kept of a descriptor when memory or time are short. Learned on the learning set, like whitenings."""

from cbirlab.compression.methods import COMPRESSIONS, Compression, learn_code

__all__ = ["COMPRESSIONS", "Compression", "learn_code"]
