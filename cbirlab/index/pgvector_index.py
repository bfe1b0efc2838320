"""Index "pgvector": a collection in PostgreSQL, with its parameters."""

from __future__ import annotations

from typing import Annotated, Any

from cbirlab.base.params import Choice, Range, Word
from cbirlab.index.engines import EngineIndex
from cbirlab.index.pgvector import PgVector

KINDS = Choice(("exact", "hnsw", "bits"))
TYPES = Choice(("vector", "halfvec"))


class PgVectorIndex(EngineIndex):
    """A collection of rows in PostgreSQL.

    Parameters
    ----------
    collection : its name on the server.
    kind : "exact" compares all rows; "hnsw" is a graph of neighbours; "bits" is a graph of their signs, for rows that
        are centred, as whitened ones: what it finds is scored again by the rows.
    type : numbers of 4 bytes ("vector") or of 2 ("halfvec").
    ef : images that a graph visits, which it can find at most; by default 100. It needs no new load.
    links, construction : neighbours of each row in the graph, and candidates while it is built; by default 16 and 64.
        pgvector draws the levels of its graph from no seed, so two loads are not the same graph.

    References
    ----------
    Malkov and Yashunin, TPAMI 2020; https://github.com/pgvector/pgvector
    """

    def __init__(
        self,
        *,
        collection: Annotated[str, Word()] = "images",
        kind: Annotated[str, KINDS] = "hnsw",
        type: Annotated[str, TYPES] = "vector",
        ef: Annotated[int | None, Range(1, 1000, integer=True, optional=True)] = None,
        links: Annotated[int | None, Range(2, 100, integer=True, optional=True)] = None,
        construction: Annotated[int | None, Range(4, 1000, integer=True, optional=True)] = None,
    ) -> None:
        self.collection, self.kind, self.type = collection, kind, type
        self.ef, self.links, self.construction = ef, links, construction

    def _engine(self) -> PgVector:
        graph = {"ef": self.ef, "links": self.links, "construction": self.construction}
        ignored = [name for name, value in graph.items() if value is not None]
        if self.kind == "exact" and ignored:
            raise ValueError(
                f"PgVectorIndex: kind 'exact' has no graph and would ignore {', '.join(ignored)}; leave it out."
            )
        return PgVector()

    def _specification(self) -> dict[str, Any]:
        own = {"kind": self.kind, "type": self.type}
        graph = {"links": self.links or 16, "construction": self.construction or 64}
        return own if self.kind == "exact" else {**own, **graph}

    def _knobs(self) -> dict[str, Any]:
        return {} if self.kind == "exact" else {"ef": self.ef or 100}

    def _limit(self) -> int:
        return min([super()._limit(), *self._knobs().values()])

    def _first(self, depth: int) -> int:
        return self._limit() if self.kind == "bits" else super()._first(depth)
