"""Mutations: a file, and what becomes of it on a bad disk, in a careless script or in the hands of someone hostile."""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

INTEGERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 63) - 1)
NUMBERS = (b"0", b"-1", b"1", b"3", b"255", b"65536", b"2147483648", b"99999999999", b"1e308", b"nan", b"9" * 40)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 5, 1.5, 1e308, 10**30, float("nan"), float("-inf"), "", "x", "none", "5", "é\ud800\0"),
    *([], {}, [[]], [None], [1, "a"], {"a": 1}, {"": None}, [0] * 1000, "x" * 5000, "(" * 300, [1e300, -1]),
)


def damaged(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """The bytes of a file with one to three things changed, from `others` of the same reader if need be."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = _inside(rng, data, others) if data and rng.random() < 0.5 else _bytes(rng, data, others)
    return data


def _inside(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """What lies behind a checksum is changed and packed again, so that readers get to see it; JSON stays JSON."""
    try:
        if data.startswith(b"PK"):
            return _zip(rng, data, others)
        if data.startswith(b"\x1f\x8b"):
            return gzip.compress(_bytes(rng, gzip.decompress(data), others), 1)
        if data.startswith(b"\x89PNG"):
            return _png(rng, data, others)
        if data[:1] in (b"{", b"["):
            return _json(rng, data)
    except Exception:  # it was damaged before, so anything may be raised here
        pass
    return _bytes(rng, data, others)


def _bytes(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    if not data:
        return rng.choice((b"", b"\0", b"x" * 100))
    return rng.choice(_WAYS)(rng, bytearray(data), others)


def _bits(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> bytes:
    for _ in range(rng.choice((1, 2, 4, 16, 64))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _header(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> bytes:
    for _ in range(rng.choice((1, 2, 4))):
        data[rng.randrange(min(len(data), 256))] = rng.randrange(256)
    return bytes(data)


def _truncated(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> bytes:
    return bytes(data[: rng.randrange(len(data))])


def _integer(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> bytes:
    for _ in range(rng.choice((1, 2))):
        size, at = rng.choice((1, 2, 4, 8)), rng.randrange(len(data))
        value = rng.choice(INTEGERS) % (1 << 8 * size)
        data[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))
    return bytes(data)


def _number(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> bytes:
    """Another number where the file has one in figures."""
    found = [*re.finditer(rb"\d+", data[:100_000])]
    if not found:
        return _integer(rng, data, others)
    one = rng.choice(found)
    data[one.start() : one.end()] = rng.choice(NUMBERS)
    return bytes(data)


def _deleted(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 4, 16, 100))]
    return bytes(data)


def _repeated(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data))
    data[at:at] = data[at : at + rng.choice((1, 4, 16, 200))] * rng.choice((1, 1, 2, 100))
    return bytes(data)


def _spliced(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> bytes:
    other = rng.choice((bytes(data), *others))
    return bytes(data[: rng.randrange(len(data))]) + other[rng.randrange(len(other) + 1) :]


def _zeros(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data))
    part = data[at : at + rng.choice((4, 64, 512))]
    data[at : at + len(part)] = bytes([rng.choice((0, 0, 0xFF))]) * len(part)
    return bytes(data)


def _shuffled(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> bytes:
    at = rng.randrange(len(data))
    part = [*data[at : at + 64]]
    rng.shuffle(part)
    data[at : at + 64] = bytes(part)
    return bytes(data)


def _longer(rng: random.Random, data: bytearray, _: Sequence[bytes]) -> bytes:
    return bytes(data) + rng.randbytes(rng.choice((1, 100, 5000)))


_Way = Callable[[random.Random, bytearray, Sequence[bytes]], bytes]
_WAYS: tuple[_Way, ...] = (
    *(_bits, _bits, _header, _truncated, _integer, _integer, _number),
    *(_deleted, _repeated, _spliced, _zeros, _shuffled, _longer),
)


def _zip(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One member changed, renamed, dropped or doubled."""
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        members = [(entry, packed.read(entry)) for entry in packed.infolist()]
    at, way = rng.randrange(len(members)), rng.random()
    entry, content = members[at]
    if way < 0.7:
        members[at] = (entry, _bytes(rng, content, others))
    elif way < 0.8:
        del members[at]
    elif way < 0.9:
        members.append((entry, _bytes(rng, content, others)))
    else:
        entry.filename = rng.choice((entry.filename + "x", "x/" + entry.filename, "../x", "/x", members[0][0].filename))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        for entry, content in members:
            packed.writestr(entry.filename, content, entry.compress_type)
    return made.getvalue()


def _png(rng: random.Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """One chunk changed, its sum right; the pixels changed before they are compressed."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append([data[at + 4 : at + 8], data[at + 8 : at + 8 + size]])
        at += 12 + size
    one = rng.choice(chunks)
    content = one[1]
    if one[0] == b"IDAT" and rng.random() < 0.5:
        one[1] = zlib.compress(_bytes(rng, zlib.decompress(content), others), 1)
    else:
        one[1] = _bytes(rng, content, others)
    sums = (zlib.crc32(kind + content).to_bytes(4, "big") for kind, content in chunks)
    parts = (
        len(content).to_bytes(4, "big") + kind + content + checked
        for (kind, content), checked in zip(chunks, sums, strict=True)
    )
    return data[:8] + b"".join(parts)


def _json(rng: random.Random, data: bytes) -> bytes:
    """One value anywhere in it replaced, or a name; or the value nested deeply."""
    tree = {"": json.loads(data)}
    places = [*_places(tree)]
    holder, key = rng.choice(places)
    way = rng.random()
    if way < 0.75:
        holder[key] = rng.choice(VALUES)
    elif way < 0.85 and isinstance(holder, dict):
        holder[rng.choice(("x", "", key + "s", key.upper()))] = holder.pop(key)
    elif way < 0.95:
        other, name = rng.choice(places)
        holder[key] = json.loads(json.dumps(other[name]))
    else:
        deep = rng.choice((50, 900, 200_000))
        return json.dumps(tree.get("")).encode().replace(b'"', b"[" * deep + b'"', 1)
    return json.dumps(tree.get("")).encode()


def _places(tree: Any) -> Any:
    """(holder, key) of every value in it."""
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in [*pairs]:
        yield tree, key
        yield from _places(value)
