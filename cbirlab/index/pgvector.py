"""pgvector: rows in a PostgreSQL that the user runs, searched there; the address is in ``CBIRLAB_PGVECTOR``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from cbirlab.index.engines import EngineError, Info
from cbirlab.index.postgres import Postgres

SEARCH_SECONDS = 60
MOST = {("vector", "hnsw"): 2_000, ("halfvec", "hnsw"): 4_000}
"""The most dimensions that pgvector's graph takes; without one, rows may have `LONGEST`."""
LONGEST = 16_000

_TABLE, _GRAPH = "cbirlab_rows_{}", "cbirlab_graph_{}"
_KNOWN = "create table if not exists cbirlab_collections (name text primary key, dim int, made text, notes text)"


class PgVector:
    """The engine: a table for each collection, and one that says what they hold."""

    def __init__(self) -> None:
        server = Postgres()
        self.host, self._do = server.host, server.do

    def create(self, name: str, dim: int, specification: Mapping[str, Any]) -> None:
        """Make the table of a collection."""
        most = MOST.get((specification["type"], specification["kind"]), LONGEST)
        if dim > most:
            raise ValueError(
                f"PgVectorIndex: {specification['type']!r} with kind {specification['kind']!r} takes at most {most} "
                f"dimensions, got {dim}; reduce them (dimensions), or choose type 'halfvec' or kind 'exact'."
            )

        def make(connection: Any) -> None:
            connection.execute(_KNOWN)
            row = f"{specification['type']}({dim})"
            connection.execute(f"create table if not exists {_TABLE.format(name)} (id bigint primary key, row {row})")
            connection.execute(
                "insert into cbirlab_collections values (%s, %s, %s, '{}') on conflict (name) do nothing",
                (name, dim, json.dumps(dict(specification))),
            )

        self._do(make)

    def upsert(self, name: str, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> None:
        """Write batches of (images, rows); each is there as a whole or not at all."""
        known = self._specification(name)
        into = (
            f"insert into {_TABLE.format(name)} values (%s, %s::{known['type']}) "
            "on conflict (id) do update set row = excluded.row"
        )
        for images, rows in batches:
            pairs = [*zip(images.tolist(), np.asarray(rows, np.float32), strict=True)]
            self._do(lambda connection, pairs=pairs: connection.cursor().executemany(into, pairs))

    def finish(self, name: str) -> None:
        """Build the index of a collection, in one process."""
        known = self._specification(name)
        if known["kind"] == "exact":
            return
        rows = f"row {known['type']}_ip_ops"
        if known["kind"] == "bits":
            rows = f"(binary_quantize(row)::bit({known['dim']})) bit_hamming_ops"
        options = f"m = {known['links']}, ef_construction = {known['construction']}"
        table = _TABLE.format(name)

        def build(connection: Any) -> None:
            connection.execute("set local max_parallel_maintenance_workers = 0")
            connection.execute(
                f"create index if not exists {_GRAPH.format(name)} on {table} using hnsw ({rows}) with ({options})"
            )
            connection.execute(f"analyze {table}")

        self._do(build)

    def note(self, name: str, notes: Mapping[str, Any]) -> None:
        """Write something down beside the collection."""
        given = json.dumps(dict(notes)), name
        update = "update cbirlab_collections set notes = %s where name = %s"
        self._do(lambda connection: connection.execute(update, given))

    def info(self, name: str) -> Info | None:
        """What there is of a collection."""
        table = _TABLE.format(name)

        def look(connection: Any) -> Info | None:
            known = _known(connection, name)
            if known is None:
                return None
            count, size, version = connection.execute(
                f"select (select count(*) from {table}), pg_total_relation_size(%s::regclass), extversion "
                "from pg_extension where extname = 'vector'",
                (table,),
            ).fetchone()
            return Info("pgvector", version, json.loads(known[1]), json.loads(known[2]), count, size)

        return self._do(look)

    def search(self, name: str, Q: np.ndarray, k: int, **knobs: Any) -> np.ndarray:
        """Images (Q, k) by falling inner product, or by Hamming distance of the signs if the kind is "bits"."""
        known = self._specification(name)
        used = [] if known["kind"] == "exact" else ["ef"]
        if [*knobs] != used:
            raise TypeError(f"pgvector: kind {known['kind']!r} takes {used or 'no knobs'}, got {[*knobs]}.")
        by = "row <#> %s::" + known["type"]
        if known["kind"] == "bits":
            by = f"binary_quantize(row)::bit({known['dim']}) <~> binary_quantize(%s::{known['type']})"
        asked = f"select id from {_TABLE.format(name)} order by {by} limit {k}"

        def ask(connection: Any) -> np.ndarray:
            connection.execute(f"set local statement_timeout = '{SEARCH_SECONDS}s'")
            if used:  # else a small table is scanned, whatever ef says
                connection.execute("set local enable_seqscan = off")
                connection.execute(f"set local hnsw.ef_search = {knobs['ef']}")
            found = np.full((len(Q), k), -1, np.int64)
            for place, row in enumerate(np.asarray(Q, np.float32)):
                images = connection.execute(asked, (row,)).fetchall()
                found[place, : len(images)] = [image for (image,) in images]
            return found

        return self._do(ask)

    def drop(self, name: str) -> None:
        """Remove a collection."""

        def remove(connection: Any) -> None:
            connection.execute(_KNOWN)
            connection.execute(f"drop table if exists {_TABLE.format(name)}")
            connection.execute("delete from cbirlab_collections where name = %s", (name,))

        self._do(remove)

    def _specification(self, name: str) -> dict[str, Any]:
        known = self._do(lambda connection: _known(connection, name))
        if known is None:
            raise EngineError(f"pgvector at {self.host}: there is no collection {name!r}.")
        return {**json.loads(known[1]), "dim": known[0]}


def _known(connection: Any, name: str) -> tuple[int, str, str] | None:
    if connection.execute("select to_regclass('cbirlab_collections')").fetchone() == (None,):
        return None
    return connection.execute("select dim, made, notes from cbirlab_collections where name = %s", (name,)).fetchone()
