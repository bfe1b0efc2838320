"""Poolings: each is one file of this folder."""
