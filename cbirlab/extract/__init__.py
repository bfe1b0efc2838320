"""Extract: one forward pass per image fills the grid of all taps and all aggregations, through the store.

Entries are found by the hash of image bytes and boxes, weights, preprocessing, tap, aggregation, precision and of the
code that computes them. Only what is missing is computed; a killed run resumes at the shard where it stopped.

`extract` takes three steps, which a cluster can take too, since no shard depends on another::

    planned = plan(Request(dataset, backbone, taps=["layer4"], aggregations=[spec]), store)
    computed = [compute(shard, Network(backbone), store) for shard in planned.shards]  # in any order, in any process
    descriptors = assemble(planned, store, computed)

`cbirlab.extract.cluster` does this on a Dask cluster.
"""

from cbirlab.extract.assembling import ShardsMissing, assemble
from cbirlab.extract.batches import BATCH_PIXELS, PARTS
from cbirlab.extract.descriptors import SCALE_POOLING, Descriptors
from cbirlab.extract.engines import ENGINE
from cbirlab.extract.fingerprint import image_hashes
from cbirlab.extract.local import Computing, extract
from cbirlab.extract.loop import Computed, Shard, compute
from cbirlab.extract.network import Network
from cbirlab.extract.planning import Estimate, Plan, estimate, plan
from cbirlab.extract.request import Request, State
from cbirlab.extract.sampling import Sampler
from cbirlab.extract.settling import settle_engine

__all__ = [
    "BATCH_PIXELS",
    "ENGINE",
    "PARTS",
    "SCALE_POOLING",
    "Computed",
    "Computing",
    "Descriptors",
    "Estimate",
    "Network",
    "Plan",
    "Request",
    "Sampler",
    "Shard",
    "ShardsMissing",
    "State",
    "assemble",
    "compute",
    "estimate",
    "extract",
    "image_hashes",
    "plan",
    "settle_engine",
]
