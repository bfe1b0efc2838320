"""Hostile files: small, made on purpose, and ruinous to whoever believes what they say of themselves."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import struct
import tarfile
import zipfile
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from scipy.io import savemat

MANY = 3000
"""Megabytes that a bomb unfolds to: more than a trial may take."""


@cache
def zeros(megabytes: int) -> bytes:
    """That many zeros as a raw deflate stream, made of one megabyte again and again."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    one = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return one * megabytes + packer.flush()


def behind(head: bytes, megabytes: int) -> bytes:
    """A raw deflate stream of some bytes and then zeros."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH) + zeros(megabytes)


def zipped(name: str, stream: bytes, size: int) -> bytes:
    """A .zip of one member whose deflate stream is given, with a size that it only says."""
    sizes = struct.pack("<HHIII", 0, 33, 0, len(stream), min(size, 0xFFFFFFFF))
    local = b"PK\3\4" + struct.pack("<HHH", 20, 0, 8) + sizes + struct.pack("<HH", len(name), 0) + name.encode()
    central = (
        b"PK\1\2" + struct.pack("<HHHH", 20, 20, 0, 8) + sizes + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0)
    )
    central += name.encode()
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local) + len(stream), 0)
    return local + stream + central + end


def members(*given: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", compression) as packed:
        for name, content in given:
            packed.writestr(zipfile.ZipInfo(name), content, compression)
    return made.getvalue()


# pictures


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, data: bytes = bytes(100), *, bits: int = 8, colour: int = 0, more: bytes = b""
) -> bytes:
    """A PNG of a size that it says, with what is given as its compressed pixels."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    stream = zlib.compress(data) if data[:1] == b"\0" else data
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", head) + more + _chunk(b"IDAT", stream) + _chunk(b"IEND", b"")


def pictures() -> dict[str, bytes]:
    made = {}
    sizes = [
        (2**31 - 1, 2**31 - 1),
        (9400, 9400),
        (89_000_000, 1),
        (1, 89_000_000),
        (0, 5),
        (65535, 1300),
        (3, 29_000_000),
    ]
    for width, height in sizes:
        for bits, colour in ((8, 2), (8, 6), (16, 0), (1, 0)):
            made[f"{width}x{height}-{bits}-{colour}.png"] = png(width, height, bits=bits, colour=colour)
    for kind, head in ((b"zTXt", b"k\0\0"), (b"iTXt", b"k\0\1\0\0\0"), (b"iCCP", b"k\0\0")):
        made[f"{kind.decode()}.png"] = png(8, 8, more=_chunk(kind, head + b"\x78\x01" + zeros(100)))
    made["full.png"] = png(9400, 9400, b"\x78\x01" + zeros(90))
    made["full16.png"] = png(9400, 9400, b"\x78\x01" + zeros(180), bits=16)
    for size in (65535, 9000):
        screen = b"GIF89a" + struct.pack("<HH", size, size) + b"\x80\0\0" + bytes(6) + b","
        made[f"{size}.gif"] = screen + struct.pack("<HHHH", 0, 0, size, size) + b"\0\2\2L\1\0;"
        made[f"{size}.ppm"] = b"P6\n%d %d\n255\n" % (size, size) + bytes(50)
        made[f"{size}.pgm"] = b"P2\n1 %d\n255\n" % (size * 10_000) + b"1 " * 50
        bitmap = struct.pack("<IiiHHIIiiII", 40, size, -size, 1, 24, 0, 0, 0, 0, 0, 0)
        made[f"{size}.bmp"] = b"BM" + struct.pack("<IHHI", 100, 0, 0, 54) + bitmap + bytes(50)
    for loop in (0, 8):
        tags = [(256, 9000), (257, 9000), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, 9000), (279, 2**31)]
        body = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
        made[f"loop{loop}.tif"] = b"II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", loop) + bytes(100)
    made["script.jpg"] = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\n%%EOF\n"
    return made


# arrays


def header(text: str, *, version: bytes = b"\1\0") -> bytes:
    """The beginning of an .npy file whose header says what is given."""
    size = len(text).to_bytes(2 if version == b"\1\0" else 4, "little")
    return b"\x93NUMPY" + version + size + text.encode("latin1")


def said(shape: str, kind: str = "'<f4'") -> bytes:
    return header(f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}\n")


def headers() -> dict[str, bytes]:
    deep = "(" * 900 + ")" * 900
    made = {
        "huge": said("(9, 400000000000)"),
        "large": said(f"(9, {MANY << 18})"),
        "wide": said("(9, 4)", "'<U900000000'"),
        "void": said("(9, 0)"),
        "million": said("(1000000000, 0)"),
        "negative": said("(-1, 4)"),
        "object": said("(9, 4)", "'|O'"),
        "fields": said("(9, 4)", "[('a', '<f4'), ('b', '|O')]"),
        "inner": said("(9, 4)", "[('a', '<f4', (100000, 100000))]"),
        "deep": said(deep),
        "deeper": header("(" * 9000),
        "minus": header("-" * 9000 + "1"),
        "numbers": said(f"({'9' * 5000}, 1)"),
        "long": header(" " * 50_000, version=b"\2\0"),
        "calls": header("__import__('os').system('false')\n"),
    }
    return {name: head + bytes(144) for name, head in made.items()}


def npy() -> dict[str, bytes]:
    return {f"{name}.npy": content for name, content in headers().items()}


def npz() -> dict[str, bytes]:
    made = {f"{name}.npz": members(("images.npy", content), ("X.npy", content)) for name, content in headers().items()}
    for name in ("X", "images"):
        head = said(f"(9, {MANY << 18})", "'<i4'")
        made[f"{name}-bomb.npz"] = zipped(f"{name}.npy", behind(head, MANY), MANY << 20)
        made[f"{name}-lies.npz"] = zipped(f"{name}.npy", behind(head, MANY), 1000)
    made["other.npz"] = members(("X.npy", said("(9, 4)") + bytes(144)), compression=zipfile.ZIP_LZMA)
    made["folder.npz"] = members(("X.npy/", b""), ("images.npy/", b""))
    made["none.npz"] = members()
    made["twice.npz"] = members(("X.npy", said("(9, 4)") + bytes(144)), ("x.npy", said("(9, 4)") + bytes(144)))
    return made


def mat() -> dict[str, bytes]:
    def element(kind: int, content: bytes, size: int | None = None) -> bytes:
        return struct.pack("<II", kind, len(content) if size is None else size) + content + bytes(-len(content) % 8)

    def matrix(kind: int, sides: tuple[int, ...], *parts: bytes, name: bytes = b"X") -> bytes:
        flags = element(6, struct.pack("<II", kind, 0))
        shape = element(5, struct.pack(f"<{len(sides)}i", *sides))
        return element(14, flags + shape + element(1, name) + b"".join(parts))

    def packed(content: bytes) -> bytes:
        return struct.pack("<II", 15, len(content)) + content

    cell = matrix(1, (0, 0), name=b"")
    for _ in range(2000):
        cell = matrix(1, (1, 1), cell, name=b"")
    held = io.BytesIO()
    savemat(held, {"imlist": np.array(["a", "b"], dtype=object), "gnd": {"x": 1}, "qidx": [1]})
    odd = bytearray(held.getvalue())
    odd[232] = 19  # the type of a text: no such type
    sparse = matrix(5, (2**31 - 1, 2**31 - 1), element(5, bytes(4)), element(5, bytes(8)), element(9, bytes(8)))
    made = {
        "huge": matrix(6, (2**31 - 1, 2**31 - 1), element(9, bytes(8))),
        "negative": matrix(6, (-1, -5), element(9, bytes(40))),
        "cells": matrix(1, (2**31 - 1, 1), name=b"imlist"),
        "structs": matrix(2, (2**31 - 1, 1), element(5, struct.pack("<i", 32)), element(1, b""), name=b"gnd"),
        "letters": matrix(4, (1, 2**31 - 1), element(4, b"ab")),
        "bomb": packed(b"\x78\x01" + behind(struct.pack("<II", 14, MANY << 20), MANY)),
        "lies": packed(b"\x78\x01" + behind(struct.pack("<II", 14, 100), MANY)),
        "nested": packed(zlib.compress(packed(zlib.compress(packed(b""))))),
        "deep": matrix(1, (1, 1), cell, name=b"imlist"),
        "sparse": sparse,
        "long": element(14, b"", 2**32 - 1),
        "none": b"",
    }
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
    four = struct.pack("<iiiii", 0, 2**31 - 1, 2**31 - 1, 0, 2) + b"X\0" + bytes(8)
    more = {"odd.mat": bytes(odd), "four.mat": four, "name.mat": struct.pack("<iiiii", 0, 1, 1, 0, 2**31 - 1)}
    return {f"{name}.mat": head + content for name, content in made.items()} | more


def parquet() -> dict[str, bytes]:
    def written(**columns: Any) -> bytes:
        held = io.BytesIO()
        pyarrow.parquet.write_table(pyarrow.table(columns), held)
        return held.getvalue()

    texts = pyarrow.DictionaryArray.from_arrays(np.zeros(MANY, np.int32), ["x" * (1 << 20)])
    vectors = pyarrow.array([[1.0, 2.0]] * 9)
    return {
        "rows.parquet": written(x=np.zeros(40_000_000)),
        "texts.parquet": written(name=texts, x=np.zeros(MANY)),
        "uneven.parquet": written(x=[[1.0], [1.0, 2.0], []]),
        "empty.parquet": written(x=pyarrow.array([], pyarrow.list_(pyarrow.float32()))),
        "nothing.parquet": written(x=[None, [1.0]]),
        "part.parquet": written(part=[None] * 9, x=vectors),
        "twice.parquet": written(part=["x/name"] * 4 + ["x"] * 5, name=["n"] * 9, x=vectors),
    }


def hdf5() -> dict[str, bytes]:
    def written(*given: Any, **options: Any) -> bytes:
        held = io.BytesIO()
        with h5py.File(held, "w") as file:
            file.create_dataset(*given, **options)
        return held.getvalue()

    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        file["soft"], file["loop"] = h5py.SoftLink("/soft"), h5py.SoftLink("/")
        file["outer"], file["self"] = h5py.ExternalLink("/etc/passwd", "X"), file
        file["X"] = np.zeros((9, 4), [("a", "f4"), ("b", "O" if False else "S4")])
    deep = io.BytesIO()
    with h5py.File(deep, "w") as file:
        group = file
        for _ in range(3000):
            group = group.create_group("g")
        group["X"] = np.ones((9, 4))
    return {
        "declared.h5": written("X", (9, MANY << 20), "f4", chunks=(9, 1 << 16)),
        "flat.h5": written("X", (MANY << 18, 9), "f8", chunks=(1 << 10, 9), compression="gzip"),
        "chunk.h5": written("X", (9, 1 << 27), "f4", chunks=(9, 1 << 24), compression="gzip"),
        "texts.h5": written("X", (9, 4), h5py.string_dtype()),
        "links.h5": held.getvalue(),
        "deep.h5": deep.getvalue(),
    }


# pickles


def pickles() -> dict[str, bytes]:
    def truth(names: Any) -> bytes:
        return pickle.dumps({"imlist": names, "gnd": names, "qidx": []}, 2)

    made = {}
    for name, width, depth in (("wide", 60, 3), ("deep", 2, 60), ("both", 1000, 2)):
        held: Any = [1] * width
        for _ in range(depth):
            held = [held] * width
        made[f"laughs-{name}"] = truth(held)
        made[f"tuples-{name}"] = truth(tuple(map(tuple, held))) if name == "both" else b"."
    itself: list[Any] = []
    itself.append(itself)
    shared = np.zeros(100_000)
    head = b"cnumpy.core.multiarray\n"
    return {f"{name}.pkl": content for name, content in made.items()} | {
        "itself.pkl": truth(itself),
        "shared.pkl": truth([shared] * 1000),
        "bytes.pkl": head + b"scalar\n(cnumpy\ndtype\n(S'u1'\ntRI10000000000\ntR.",
        "frombuffer.pkl": b"cnumpy.core.numeric\n_frombuffer\n(I9999999999\ncnumpy\ndtype\n(S'u1'\ntR(I1\ntS'C'\ntR.",
        "encode.pkl": b"c_codecs\nencode\n(cnumpy\ndtype\nS'latin1'\ntR.",
        "memo.pkl": b"\x80\x02]r\xff\xff\xff\x7f.",
        "lists.pkl": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "nested.pkl": b"\x80\x02" + b"N" + b"\x85" * 100_000 + b".",
        "frame.pkl": b"\x80\x04\x95" + b"\xff" * 7 + b"\x7f]" + b".",
        "length.pkl": b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b"x.",
        "text.pkl": b"\x80\x04\x8d" + (1 << 40).to_bytes(8, "little") + b"x.",
        "array.pkl": b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b"x.",
        "figures.pkl": b"I" + b"9" * 5_000_000 + b"\n.",
        "long.pkl": b"L" + b"9" * 100_000 + b"L\n.",
    }


# archives


def tape(*given: tuple[Any, ...], packing: str = "") -> bytes:
    """A .tar of (name, type, link, content)."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=f"w:{packing}", format=tarfile.PAX_FORMAT) as packed:
        for name, kind, link, content in given:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname, entry.size = kind, link, len(content)
            packed.addfile(entry, io.BytesIO(content) if content else None)
    return made.getvalue()


def gzipped(head: bytes, megabytes: int) -> bytes:
    return b"\x1f\x8b\x08\0\0\0\0\0\0\3" + behind(head, megabytes) + bytes(8)


NAMES = (
    *(
        "../out",
        "/tmp/cbirlab-out",
        "a/../../out",
        "a\\..\\..\\out",
        "C:\\out",
        "C:out",
        "\\\\host\\out",
        "a//../../out",
    ),
    *(
        "a" * 300,
        "/".join("d" * 200 for _ in range(40)),
        ".",
        "..",
        "./..",
        "a/",
        "é\udce9",
        "nul\0x",
        "CON",
        "a.",
        "a:b",
    ),
)


def archives() -> dict[str, bytes]:
    file, folder, soft, hard = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
    made = {f"x{number}.tar": _tape_of(name) for number, name in enumerate(NAMES)}
    made |= {
        f"x{number}.zip": members(("a.txt", b"a"), (name, b"out"))
        for number, name in enumerate(NAMES)
        if name.isascii()
    }
    for number, link in enumerate(("..", "/tmp", "../around/..", "b", "a", ".")):
        for kind in (soft, hard):
            made[f"link{number}{kind.decode()}.tar"] = tape(("a", kind, link, b""), ("a/out", file, "", b"out"))
    kinds = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE, b"S", b"?")
    made |= {f"kind{kind!r}.tar": tape(("b", file, "", b"b"), ("a", kind, "", b"")) for kind in kinds}
    made["path_max.tar"] = _path_max()
    linked = io.BytesIO()
    with zipfile.ZipFile(linked, "w") as packed:
        entry = zipfile.ZipInfo("a")
        entry.create_system, entry.external_attr = 3, 0o120777 << 16
        packed.writestr(entry, "..")
        packed.writestr("a/out", "out")
    made["link.zip"] = linked.getvalue()
    big = tarfile.TarInfo("a")
    big.size = MANY << 20
    tall = tarfile.TarInfo("a")
    tall.type, tall.size = tarfile.XHDTYPE, MANY << 20
    sparse = bytearray(tape(("a", b"S", "", b"")))
    sparse[386:482] = b"00000000000\0" * 8
    sparse[483:495] = b"77777777777\0"
    return made | {
        "bomb.zip": zipped("a", zeros(MANY), MANY << 20),
        "lies.zip": zipped("a", zeros(MANY), 5),
        "bomb.tar.gz": gzipped(big.tobuf(), MANY),
        "tall.tar.gz": gzipped(tall.tobuf(tarfile.GNU_FORMAT), MANY),
        "short.tar": big.tobuf() + bytes(1000),
        "sparse.tar": bytes(sparse),
        "both.tar": tape(("a", file, "", b"a"), ("a/b", file, "", b"b")),
        "other.tar": tape(("a/b", file, "", b"a"), ("a", file, "", b"b")),
        "twice.tar": tape(("a", file, "", b"a"), ("a", file, "", b"b"), ("A", file, "", b"c")),
        "folder.tar": tape(("a", folder, "", b""), ("a", file, "", b"b")),
        "twice.zip": members(("a", b"a"), ("A", b"b"), ("a/b", b"c")),
        "secret.zip": members(("a", b"a" * 100)).replace(b"PK\1\2\x14\x03\x14\0\0\0", b"PK\1\2\x14\x03\x14\0\1\0"),
        "many.zip": members(*((f"{number}", b"") for number in range(5000))),
    }


def _tape_of(name: str) -> bytes:
    return tape(("a.txt", tarfile.REGTYPE, "", b"a"), (name, tarfile.REGTYPE, "", b"out"))


def _path_max() -> bytes:
    """Links whose resolved paths grow beyond what the system can tell, so that a check of where they lead is blind."""
    part, steps, path, given = "d" * 247, "abcdefghijklmnop", "", []
    for step in steps:
        given.append((f"{path}{part}", tarfile.DIRTYPE, "", b""))
        given.append((f"{path}{step}", tarfile.SYMTYPE, part, b""))
        path += f"{part}/"
    long = "/".join(steps) + "/" + "l" * 254
    given.append((long, tarfile.SYMTYPE, "../" * len(steps), b""))
    given.append(("escape", tarfile.SYMTYPE, f"{long}/../..", b""))
    given.append(("flag", tarfile.LNKTYPE, "escape/out", b""))
    return tape(*given, ("flag", tarfile.REGTYPE, "", b"out"), ("escape/out", tarfile.REGTYPE, "", b"out"))


def remove(folder: Path) -> None:
    """All that was unpacked, however deep."""
    shutil.rmtree(folder)


# weights


def states() -> dict[str, bytes]:
    def saved(state: Any, **options: Any) -> bytes:
        held = io.BytesIO()
        torch.save(state, held, **options)
        return held.getvalue()

    wide = {"conv.weight": torch.ones(1).expand(1 << 40)}
    nested: Any = {}
    for _ in range(200):
        nested = {"state_dict": nested}
    tensors = {"x": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}
    heads = [
        json.dumps(tensors),
        "{" * 50_000,
        "[" * 100_000,
        json.dumps({"x": {"dtype": "F32", "shape": [], "data_offsets": [4, 0]}}),
    ]
    made = {
        f"head{number}.safetensors": len(text).to_bytes(8, "little") + text.encode() + bytes(8)
        for number, text in enumerate(heads)
    }
    packed = members(
        ("archive/data.pkl", pickles()["lists.pkl"]), ("archive/version", b"3"), compression=zipfile.ZIP_STORED
    )
    return made | {
        "size.safetensors": (1 << 62).to_bytes(8, "little") + b"{}",
        "wide.pth": saved(wide),
        "old.pth": saved(wide, _use_new_zipfile_serialization=False),
        "nested.pth": saved(nested),
        "lists.pth": packed,
        "bomb.pth": zipped("archive/data.pkl", zeros(MANY), MANY << 20),
        **{name.replace(".pkl", ".pth"): content for name, content in pickles().items() if name[0] in "blmnf"},
    }


# texts


def texts() -> dict[str, bytes]:
    deep = 200_000
    return {
        "empty.json": b"",
        "lists.json": b"[" * deep + b"]" * deep,
        "names.json": b'{"a":' * deep + b"1" + b"}" * deep,
        "inner.json": b'{"tap": ' + b"[" * deep + b"]" * deep + b"}",
        "figures.json": b'{"image_size": ' + b"9" * 10_000 + b"}",
        "huge.json": b'{"image_size": 1e999}',
        "words.json": b'{"aggregation": "gem(p=' + b"(" * 5000 + b')"}',
        "minus.json": b'{"aggregation": "gem(p=' + b"-" * 100_000 + b'1)"}',
        "power.json": b'{"aggregation": "gem(p=9**9**9**9)"}',
        "chain.json": b'{"aggregation": "' + b"crow_spatial > " * 20_000 + b'gem"}',
        "taps.json": b'{"tap": "' + b"layer3+" * 100_000 + b'layer4"}',
        "scales.json": json.dumps({"scales": [1.0] * 50_000}).encode(),
        "large.json": b'{"image_size": 20000}',
        "grid.json": b'{"passes": "grid(rows=100000, columns=100000)"}',
        "tap.json": b'{"tap": 5}',
        "members.json": json.dumps({"members": [{}] * 20_000}).encode(),
        "itself.json": b'{"members": "abc"}',
        "utf16.json": '{"tap": "layer4"}'.encode("utf-16"),
        "marked.json": b"\xef\xbb\xbf{}",
        "bytes.json": b'{"tap": "\xff\xfe"}',
        "surrogate.json": b'{"tap": "\\ud800"}',
        "nan.json": b'{"scales": [NaN], "dimensions": Infinity}',
        "number.json": b"5",
        "null.json": b"null",
    }


def tables() -> dict[str, bytes]:
    sheet = (
        b'<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    )
    entities = b'<!DOCTYPE x [<!ENTITY a "%s">' % (b"x" * 1000)
    for number in range(8):
        name, before = b"bcdefghi"[number : number + 1], b"abcdefgh"[number : number + 1]
        entities += b'<!ENTITY %s "%s">' % (name, b"&%s;" % before * 10)
    made = {
        "bomb.xlsx": zipped("[Content_Types].xml", behind(sheet, MANY), MANY << 20),
        "laughs.xlsx": members(("[Content_Types].xml", entities + b"]><x>&i;</x>"), ("xl/workbook.xml", b"<x/>")),
        "none.xlsx": members(),
        "columns.csv": b"a," * 200_000 + b"\n",
        "quote.csv": b'recipe\n"' + b"x" * 300_000,
        "nul.csv": b"recipe\n\0\0,\0\n",
        "rows.json": b'[{"recipe": 5}, 3, null]',
        "recipe.csv": b'recipe\n"' + b"[" * 200_000 + b'"\n',
    }
    return made | texts()


def lists() -> dict[str, bytes]:
    head = b"path,instance\n"
    return {
        "out.csv": head + b"../x.jpg,a\n/etc/passwd,b\nC:\\x,c\n",
        "field.csv": head + b'"' + b"x" * 300_000 + b'",a\n',
        "columns.csv": b"path,instance," + b"a," * 200_000 + b"\na/1.jpg,a\n",
        "short.csv": head + b"a/1.jpg\n",
        "nul.csv": head + b"a/1\0.jpg,a\n",
        "surrogate.csv": head + "a/\ud800.jpg,a\n".encode("utf-8", "surrogatepass"),
        "long.csv": head + b"x" * 5000 + b"/a.jpg,a\n",
        "utf16.csv": "path,instance\na/1.jpg,a\n".encode("utf-16"),
        "empty.csv": b"",
        "boxes.csv": b"path,instance,x0,y0,x1,y1\na/1.jpg,a,nan,0,inf,1e308\n",
        "bom.csv": b"\xef\xbb\xbf" + head + b"a/1.jpg,a\n",
        "folder.csv": head + b"a,a\n.,b\n",
    }
