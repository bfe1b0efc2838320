"""Postgres: the connection to a server that ``CBIRLAB_PGVECTOR`` names; no error says more of it than the host."""

from __future__ import annotations

import os
from collections.abc import Callable
from threading import Lock
from typing import Any

from cbirlab.base.text import first_line
from cbirlab.index.engines import EngineError

ADDRESS = "CBIRLAB_PGVECTOR"
CONNECT_SECONDS = 10


class Postgres:
    """One connection, made when it is first needed and again when it is lost.

    Raises
    ------
    ImportError : psycopg or pgvector is not installed.
    EngineError : the address is not set, or cannot be read.
    """

    def __init__(self) -> None:
        try:
            import pgvector  # noqa: F401
            from psycopg import Error, conninfo
        except ImportError as error:
            raise ImportError(
                "index 'pgvector' needs psycopg and pgvector: pip install 'cbirlab[pgvector]'."
            ) from error
        address = os.environ.get(ADDRESS, "")
        if not address:
            raise EngineError(
                f"index 'pgvector': {ADDRESS} must hold the address of a PostgreSQL server, as "
                "postgresql://user:password@host:5432/database, and is not set."
            )
        try:
            parsed = conninfo.conninfo_to_dict(address)
        except Error:  # its message repeats the address
            raise EngineError(
                f"index 'pgvector': {ADDRESS} must be like postgresql://user:password@host:5432/database, and cannot "
                "be read."
            ) from None
        self.host = f"{parsed.get('host', 'localhost')}:{parsed.get('port', 5432)}"
        self._address, self._secret = address, str(parsed.get("password") or "")
        self._connection: Any = None
        self._lock = Lock()

    def do(self, work: Callable[[Any], Any]) -> Any:
        """Do something in a transaction; once more if the server fails, since it may have been started anew."""
        from psycopg import Error, OperationalError

        with self._lock:
            for left in (True, False):
                try:
                    with self._connected().transaction():
                        return work(self._connection)
                except Error as error:
                    if self._connection is not None and self._connection.broken:
                        self._connection = None
                    if not (left and isinstance(error, OperationalError)):
                        raise EngineError(f"pgvector at {self.host}: {self._told(error)}") from None

    def _connected(self) -> Any:
        if self._connection is None:
            import psycopg
            from pgvector.psycopg import register_vector

            connection = psycopg.connect(self._address, autocommit=True, connect_timeout=CONNECT_SECONDS)
            connection.execute("set client_min_messages = warning")
            connection.execute("create extension if not exists vector")
            register_vector(connection)
            self._connection = connection
        return self._connection

    def _told(self, error: Exception) -> str:
        """The first line of an error, without the password, whoever wrote that there."""
        told = first_line(error)
        return f"{told.replace(self._secret, '***') if self._secret else told}."
