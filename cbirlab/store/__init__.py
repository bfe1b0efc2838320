"""Store: descriptors and fitted parts on disk, found by the hash of everything they depend on.

In its folder::

    descriptors/<key>/meta.json, values.npy           finished entries; key = hash of the entry's specification
    fitted/<key>/meta.json, mean.npy, ...
    projection/<key>/meta.json, points.npy
    partial/<base>/<shard>/<column>.shard             finished shards of a run that has not ended
    images/<folder>.json, views/<scheme>.json         what is known of image files seen before, to save time
    orders/<specification>.json                       in which order images stood whose descriptors are here
    tmp/<owner>/                                      what is being written, by a process that lives

Whatever is written is written under ``tmp`` and renamed into place: a reader sees all of it or nothing, and of two
writers of one entry the first wins. Every file carries its checksum, or another one holds it; arrays are opened as
memory maps after it was compared.
"""

from cbirlab.store.files import DamagedEntry, Entry, StoreUnwritable, default_path, digest
from cbirlab.store.store import KINDS, Store

__all__ = ["KINDS", "DamagedEntry", "Entry", "Store", "StoreUnwritable", "default_path", "digest"]
