"""Store: descriptors and fitted parts on disk, found by the hash of everything they depend on.

In its folder::

    descriptors/<key>/meta.json, values.npy           finished entries; key = hash of the entry's specification
    fitted/<key>/meta.json, mean.npy, ...
    projection/<key>/meta.json, points.npy
    pictures/<key>/meta.json, places.npy, ...         local features of one picture
    partial/<base>/<shard>/<column>.shard             finished shards of a run that has not ended
    images/<folder>.json, views/<scheme>.json         facts about image files seen before, to save time
    orders/<specification>.json                       the order of the images whose descriptors are here
    tmp/<owner>/                                      what a running process is writing

The store writes everything under ``tmp`` and renames it into place: a reader sees all of it or nothing, and if two
processes write one entry, the first wins. Every file carries its checksum, or another file holds it; arrays are opened
as memory maps once it has been compared.
"""

from cbirlab.store.files import DamagedEntry, Entry, StoreUnwritable, default_path, digest
from cbirlab.store.meta import KINDS
from cbirlab.store.store import Store

__all__ = ["KINDS", "DamagedEntry", "Entry", "Store", "StoreUnwritable", "default_path", "digest"]
