"""Recent: keeps the values that were used last in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

ALWAYS = 2
"""How many values stay however large they are: people compare two settings with each other."""


class Recent:
    """The values that were used last, by key; safe between threads.

    Parameters
    ----------
    most : how many values stay.
    most_bytes : limit for all of them together; none by default. The last two stay however large they are.
    size : gives the bytes of a value; needed with `most_bytes`.

    Attributes
    ----------
    size_bytes : of all values that are kept.
    """

    def __init__(
        self, most: int, *, most_bytes: float = float("inf"), size: Callable[[Any], int] = lambda value: 0
    ) -> None:
        self.most, self.most_bytes = most, most_bytes
        self._size = size
        self._values: OrderedDict[Hashable, Any] = OrderedDict()
        self._bytes: dict[Hashable, int] = {}
        self.size_bytes = 0
        self._lock = threading.Lock()

    def __contains__(self, key: Hashable) -> bool:
        return key in self._values

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The value of `key`, made if it is not there."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
        value = make()
        with self._lock:
            self.size_bytes -= self._bytes.get(key, 0)  # another thread may have made it too
            self._values[key], self._bytes[key] = value, self._size(value)
            self.size_bytes += self._bytes[key]
            while len(self._values) > self.most or (len(self._values) > ALWAYS and self.size_bytes > self.most_bytes):
                dropped, _ = self._values.popitem(last=False)
                self.size_bytes -= self._bytes.pop(dropped)
        return value
