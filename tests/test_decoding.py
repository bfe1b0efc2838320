"""Files of pictures: metadata is not the picture, ranges of wide values, limits, and damage of every kind."""

from __future__ import annotations

import io
import os
import random
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from cbirlab import images
from cbirlab.extract.batches import Batch, Item
from cbirlab.extract.decode import decode_ahead
from cbirlab.images import IMAGE_SUFFIXES, UNREAD_SUFFIXES, ImageError
from cbirlab.images.decoding import opening, upright
from cbirlab.images.preprocessing import Resizing, target_size
from cbirlab.widgets.parts.question import OwnPicture

WIDTH, HEIGHT = 23, 14
T = TypeVar("T")
ORIENTATION = 0x0112


def picture(seed: int = 0, mode: str = "RGB") -> Image.Image:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = np.stack([x * 11, y * 18, (x * y + 7 * seed) % 256], -1).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray(planes[..., 0].astype(np.uint16) * 257)
    if mode == "F":
        return Image.fromarray(planes[..., 0].astype(np.float32) / 255)
    return Image.fromarray(planes).convert(mode)


def saved(kind: str, image: Image.Image | None = None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    (image or picture()).save(buffer, kind, **options)
    return buffer.getvalue()


# What is put into the files: metadata of one format each, wherever it may stand


def chunk(kind: bytes, data: bytes, *, sound: bool = True) -> bytes:
    checksum = zlib.crc32(kind + data) ^ (0 if sound else 1)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def into_png(data: bytes, rng: random.Random) -> bytes:
    kinds = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"pHYs", b"gAMA", b"cHRM", b"tIME", b"sBIT", b"bKGD", b"tRNS")
    chosen = rng.choices(kinds, k=3)
    extra = [chunk(kind, nonsense(rng), sound=kind != b"tRNS" and rng.random() < 0.5) for kind in chosen]
    extra.append(chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(3 << 20), 1)))
    first, last = data.index(b"IDAT") - 4, data.rindex(b"IEND") - 4
    after = b"".join(extra[2:])
    return data[:first] + b"".join(extra[:2]) + data[first:last] + after + data[last:]


def into_jpeg(data: bytes, rng: random.Random) -> bytes:
    starts = (
        b"JFIF\0",
        b"Exif\0\0",
        b"ICC_PROFILE\0",
        b"MPF\0II*\0",
        b"Photoshop 3.0\x008BIM",
        b"Adobe",
        b"",
        b"FPXR\0",
    )
    segments = []
    for _ in range(3):
        body = rng.choice(starts) + nonsense(rng)
        segments.append(bytes([0xFF, rng.choice([*range(0xE0, 0xEE), 0xFE])]) + struct.pack(">H", len(body) + 2) + body)
    segments.append(b"\xff\xee" + struct.pack(">H", 8) + b"Adobe\0")  # cut off before it says anything
    segments.append(b"\xff\xe0" + struct.pack(">H", 7) + b"JFIF\0")
    return data[:2] + b"\xff\xff".join(segments) + data[2:]


def into_webp(data: bytes, rng: random.Random) -> bytes:
    extra = b""
    for kind in (b"EXIF", b"XMP ", b"ICCP", b"ABCD"):
        body = nonsense(rng)
        extra += kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
    size = struct.pack("<I", 10) + bytes([0x2C, 0, 0, 0]) + (WIDTH - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + size + (HEIGHT - 1).to_bytes(3, "little") + data[12:] + extra
    return b"RIFF" + struct.pack("<I", len(body)) + body


def into_tiff(data: bytes, rng: random.Random, extra: list[tuple[int, int, int, bytes]] | None = None) -> bytes:
    """With entries of random type, count and place among the sound ones, and a next page that is none."""
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack(order + "I", data[4:8])[0]
    count = struct.unpack(order + "H", data[start : start + 2])[0]
    entries = [data[start + 2 + 12 * i : start + 14 + 12 * i] for i in range(count)]
    tags = (270, 272, 274, 282, 283, 296, 305, 306, 316, 330, 700, 33723, 34377, 34665, 34675, 34853, 37724, 50341)
    for tag in rng.sample(tags, 5) if extra is None else ():
        kind, number = rng.choice([0, 1, 2, 3, 4, 5, 7, 12, 99]), rng.choice([0, 1, 3, 2**20, 2**32 - 1])
        entries.append(struct.pack(order + "HHI4s", tag, kind, number, rng.randbytes(4)))
    entries += [struct.pack(order + "HHI4s", *one) for one in extra or ()]
    entries.sort(key=lambda entry: struct.unpack(order + "H", entry[:2])[0])
    following = rng.choice([0, 8, 2**32 - 1, len(data)]) if extra is None else 0
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries) + struct.pack(order + "I", following)
    return data[:4] + struct.pack(order + "I", len(data)) + data[8:] + directory


def into_gif(data: bytes, rng: random.Random) -> bytes:
    after = 13 + 3 * (2 << (data[10] & 7))
    extra = b""
    for _ in range(3):
        blocks = b"".join(bytes([len(part)]) + part for part in (nonsense(rng)[:255] or b"x" for _ in range(400)))
        extra += b"\x21" + rng.choice([b"\xfe", b"\xff\x0bXMP DataXMP", b"\xff\x0bICCRGBG1012"]) + blocks + b"\0"
    return data[:after] + extra + data[after:]


def into_jp2(data: bytes, rng: random.Random) -> bytes:
    at = data.index(b"jp2h") - 4
    size = struct.unpack(">I", data[at : at + 4])[0]
    inner = struct.pack(">I4s", 28, b"res ") + rng.randbytes(20)
    odd = nonsense(rng)
    other = struct.pack(">I4s", 8 + len(odd), rng.choice([b"uuid", b"xml ", b"uinf", b"jp2i"])) + odd
    return (
        data[:at] + other + struct.pack(">I", size + len(inner)) + data[at + 4 : at + size] + inner + other
        + data[at + size :]
    )  # fmt: skip


def nonsense(rng: random.Random) -> bytes:
    starts = (b"", b"Exif\0\0", b"II*\0", b"MM\0*\0\0\0\x08", b"<x:xmpmeta", b"name\0", b"name\0\0\x78\x9c", b"\0")
    return rng.choice(starts) + rng.randbytes(rng.choice([0, 1, 7, 60, 300]))


INTO: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "PNG": into_png, "JPEG": into_jpeg, "WEBP": into_webp, "TIFF": into_tiff, "GIF": into_gif, "JPEG2000": into_jp2,
}  # fmt: skip
WRITTEN = [
    ("PNG", mode, {}) for mode in ("RGB", "RGBA", "P", "L", "LA", "1", "I;16")
] + [
    ("JPEG", "RGB", {}), ("JPEG", "L", {}), ("JPEG", "CMYK", {}), ("JPEG", "RGB", {"progressive": True}),
    ("WEBP", "RGB", {"lossless": True}), ("WEBP", "RGB", {}), ("GIF", "P", {}), ("GIF", "L", {}),
    *(("TIFF", mode, {}) for mode in ("RGB", "RGBA", "L", "I;16", "F", "CMYK", "P", "1")),
    ("TIFF", "RGB", {"compression": "tiff_lzw"}), ("TIFF", "RGB", {"compression": "jpeg"}),
    ("TIFF", "1", {"compression": "group4"}), ("TIFF", "L", {"big_tiff": False, "compression": "tiff_adobe_deflate"}),
    ("JPEG2000", "RGB", {}), ("JPEG2000", "L", {}),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "mode", "options"), WRITTEN, ids=lambda value: str(value))
def test_nonsense_in_metadata_costs_no_picture(tmp_path: Path, kind: str, mode: str, options: dict[str, Any]) -> None:
    """The same pixels and the same size as without it, and no warning; an orientation may be found by chance."""
    rng = random.Random(f"{kind}{mode}{options}")
    path = tmp_path / "x.img"
    sound = saved(kind, picture(mode=mode), **options)
    path.write_bytes(sound)
    wanted = np.asarray(images.read(path))
    for _ in range(25):
        path.write_bytes(INTO[kind](sound, rng))
        found = images.read(path)
        assert images.size(path) == (found.height, found.width)
        if images.orientation(path) == 1:
            np.testing.assert_array_equal(np.asarray(found), wanted)
        assert images.thumbnail(path, 9)
        assert not found.info.get("exif")


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow as it writes
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "AVIF", "TIFF", "JPEG"])
def test_exif_that_is_none_costs_no_picture(tmp_path: Path, kind: str) -> None:
    if kind == "AVIF" and not features.check("avif"):
        pytest.skip("this Pillow reads no AVIF")
    path = tmp_path / "x"
    for number in range(20):
        block = b"Exif\0\0" + nonsense(random.Random(number))
        try:
            path.write_bytes(saved(kind, exif=block))
        except Exception:  # what Pillow will not write, others do, see above
            continue
        assert images.read(path).size[::-1] == images.size(path)


def exif_block(orientation: int, order: str = "<") -> bytes:
    """By hand, the tag that counts among others that are nonsense."""
    entries = [(0x010F, 2, 2**31, 7), (ORIENTATION, 3, 1, None), (0x8769, 4, 1, 2**32 - 1)]
    packed = b""
    for tag, kind, count, value in entries:
        last = struct.pack(order + "HH", orientation, 0) if value is None else struct.pack(order + "I", value)
        packed += struct.pack(order + "HHI", tag, kind, count) + last
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + struct.pack(order + "H", len(entries)) + packed


def xmp_packet(orientation: int, form: str) -> bytes:
    said = {"attribute": f'tiff:Orientation="{orientation}"', "element": f"<tiff:Orientation>{orientation}</tiff:O"}
    return f"<x:xmpmeta junk {said[form]}".encode()


def carriers(orientation: int) -> Iterator[tuple[str, bytes]]:
    """Files of every format that say an orientation in every way they have."""
    png, jpeg, webp, tiff = (
        saved("PNG"),
        saved("JPEG", quality=100, subsampling=0),
        saved("WEBP", lossless=True),
        saved("TIFF"),
    )
    first, last = png.index(b"IDAT") - 4, png.rindex(b"IEND") - 4
    size = struct.pack("<I", 10) + bytes([0, 0, 0, 0]) + (WIDTH - 1).to_bytes(3, "little")
    extended = b"WEBPVP8X" + size + (HEIGHT - 1).to_bytes(3, "little") + webp[12:]
    raw = exif_block(orientation).hex().encode()
    profile = b"Raw profile type exif\0", b"\nexif\n      99\n" + raw + b"\n"
    texts = {"zTXt": profile[0] + b"\0" + zlib.compress(profile[1]), "tEXt": profile[0] + profile[1]}
    for name, text in texts.items():
        yield f"PNG {name}", png[:first] + chunk(name.encode(), text) + png[first:]
    for order in "<>":
        block = exif_block(orientation, order)
        yield f"PNG eXIf {order}", png[:first] + chunk(b"eXIf", block) + png[first:]
        yield f"PNG eXIf at the end {order}", png[:last] + chunk(b"eXIf", block) + png[last:]
        segment = b"Exif\0\0" + block
        yield f"JPEG {order}", jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]
        body = extended + b"EXIF" + struct.pack("<I", len(block)) + block + b"\0" * (len(block) % 2)
        yield f"WEBP {order}", b"RIFF" + struct.pack("<I", len(body)) + body
    yield "TIFF", into_tiff(tiff, random.Random(0), [(ORIENTATION, 3, 1, struct.pack("<HH", orientation, 0))])
    for form in ("attribute", "element"):
        packet = xmp_packet(orientation, form)
        yield f"PNG {form}", png[:first] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet) + png[first:]
        segment = b"http://ns.adobe.com/xap/1.0/\0" + packet
        yield f"JPEG {form}", jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]
        body = extended + b"XMP " + struct.pack("<I", len(packet)) + packet + b"\0" * (len(packet) % 2)
        yield f"WEBP {form}", b"RIFF" + struct.pack("<I", len(body)) + body
        longer = tiff + packet
        where = [(700, 1, len(packet), struct.pack("<I", len(tiff)))]
        yield f"TIFF {form}", into_tiff(longer, random.Random(0), where)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_found_wherever_it_is_said(tmp_path: Path, orientation: int) -> None:
    """As Pillow turns it, and the header tells the size that the pixels have."""
    path, upright_picture = tmp_path / "x.img", picture()
    if orientation in upright._TURNS:
        upright_picture = upright_picture.transpose(upright._TURNS[orientation])
    for name, data in carriers(orientation):
        path.write_bytes(data)
        found = images.read(path)
        assert images.orientation(path) == orientation, name
        assert images.size(path) == (found.height, found.width), name
        difference = np.asarray(found).astype(int) - np.asarray(upright_picture)
        assert np.abs(difference).max() <= (12 if "JPEG" in name else 0), name
        assert images.size(found) == images.size(path), f"{name}: turned once, not at every reading"


def test_sound_files_are_read_as_pillow_reads_them(tmp_path: Path) -> None:
    """Every mode of every format, pixel by pixel."""
    path = tmp_path / "x.img"
    for kind, mode, options in WRITTEN:
        if mode in ("RGB", "L", "CMYK", "1"):
            path.write_bytes(saved(kind, picture(mode=mode), **options))
            with Image.open(path) as image:
                np.testing.assert_array_equal(np.asarray(images.read(path)), np.asarray(image.convert("RGB")))


def test_bands_are_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture converted three rows at a time is the one converted at once, turned every way."""
    path = tmp_path / "x.png"
    for mode in ("RGB", "RGBA", "LA", "P", "I;16", "1"):
        for turn in range(1, 9):
            monkeypatch.undo()
            path.write_bytes(saved("PNG", picture(mode=mode), exif=b"Exif\0\0" + exif_block(turn)))
            whole = np.asarray(images.read(path))
            monkeypatch.setattr("cbirlab.images.decoding.greys._BAND_PIXELS", 3 * WIDTH + 1)
            np.testing.assert_array_equal(np.asarray(images.read(path)), whole)


# Values of unknown scale


def wide(path: Path, values: np.ndarray, extra: list[tuple[int, int, int, bytes]]) -> Path:
    path.write_bytes(into_tiff(saved("TIFF", Image.fromarray(values)), random.Random(0), extra))
    return path


def said(path: Path) -> tuple[np.ndarray, list[str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = np.asarray(images.read(path))
    return found, [str(one.message) for one in caught]


@given(bits=st.integers(9, 15), seed=st.integers(0, 99), stated=st.sampled_from(["tiff", "png"]))
@settings(max_examples=40, deadline=None)
def test_wide_values_are_scaled_by_the_range_that_the_file_states(tmp_path_factory, bits, seed, stated) -> None:
    values = np.random.default_rng(seed).integers(0, 1 << bits, (9, 11)).astype(np.uint16)
    values[0, :2] = 0, (1 << bits) - 1
    path = tmp_path_factory.getbasetemp() / f"wide.{stated}"
    if stated == "tiff":
        wide(path, values, [(281, 3, 1, struct.pack("<HH", (1 << bits) - 1, 0))])
    else:
        data = saved("PNG", Image.fromarray(values))
        at = data.index(b"IDAT") - 4
        path.write_bytes(data[:at] + chunk(b"sBIT", bytes([bits])) + data[at:])
    found, messages = said(path)
    assert messages == []
    np.testing.assert_array_equal(found[..., 0], np.rint(values * (255.0 / ((1 << bits) - 1))).astype(np.uint8))


def test_a_png_that_keeps_its_bits_at_the_upper_end_stays_as_it_is(tmp_path: Path) -> None:
    """As the format asks for: a night of 12 bits is no file of 12 bits in 16."""
    values = (np.arange(99).reshape(9, 11) << 4).astype(np.uint16)
    data = saved("PNG", Image.fromarray(values))
    at = data.index(b"IDAT") - 4
    (tmp_path / "x.png").write_bytes(data[:at] + chunk(b"sBIT", bytes([12])) + data[at:])
    found, messages = said(tmp_path / "x.png")
    assert found.max() == round(98 * 16 / 257)
    assert len(messages) == 1


def test_a_stated_range_that_is_not_that_of_the_values_counts_for_nothing(tmp_path: Path) -> None:
    values = np.array([[0, 40000, 65535]], np.uint16)
    for stated in (0, 1, 4095):
        found, _ = said(wide(tmp_path / "x.tif", values, [(281, 3, 1, struct.pack("<HH", stated, 0))]))
        assert found[0, :, 0].tolist() == [0, 156, 255]
    floats = np.array([[0.0, 50.0, 200.0]], np.float32)
    found, _ = said(wide(tmp_path / "x.tif", floats, [(341, 11, 1, struct.pack("<f", 200.0))]))
    assert found[0, :, 0].tolist() == [0, 64, 255]
    with pytest.raises(ImageError, match=r"must lie in \[0, 1\]"):
        images.read(wide(tmp_path / "x.tif", floats, [(341, 11, 1, struct.pack("<f", float("nan")))]))


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jp2"])
def test_dim_values_of_unknown_scale_are_said_once_for_all(tmp_path: Path, bits: int, suffix: str) -> None:
    """By `read` for its file, by an extraction for all its files together; a black or a bright picture is none."""
    paths = []
    for number in range(4):
        values = np.random.default_rng(number).integers(0, 1 << bits, (12, 12)).astype(np.uint16)
        values[0, 0] = (1 << bits) - 1
        paths.append(tmp_path / f"{number}{suffix}")
        Image.fromarray(values).save(paths[-1])
    assert len(said(paths[0])[1]) == 1
    batch = Batch((0, 1, 2, 3), (12, 12))
    with pytest.warns(UserWarning, match=rf"Each of 4 pictures \(the first: .*0\{suffix}\) has values") as caught:
        decoded = list(decode_ahead([batch], [Item(path) for path in paths], ahead_pixels=1, image_size=12))
    assert (len(caught), len(decoded[0].rows)) == (1, 4)
    for values in (np.zeros((3, 3), np.uint16), np.full((3, 3), 30_000, np.uint16)):
        Image.fromarray(values).save(paths[0])
        assert said(paths[0])[1] == []


def test_sixteen_bits_of_colour_are_said_to_be_dim_too(tmp_path: Path) -> None:
    """Pillow keeps the upper eight: 12 bits of colour in 16 leave 16 levels."""
    rows = b"".join(b"\0" + struct.pack(">9H", *(400 * i for i in range(9))) for _ in range(3))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 3, 3, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "x.png").write_bytes(data)
    found, messages = said(tmp_path / "x.png")
    assert (found.max(), len(messages)) == (3200 >> 8, 1)


# Limits


def declared(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(1, 89_000_000), (89_000_000, 1), (100_001, 2), (800, 110_000)])
def test_a_side_is_bounded_before_a_pixel_is_decoded(tmp_path: Path, width: int, height: int) -> None:
    (tmp_path / "x.png").write_bytes(declared(width, height))
    for use in (images.size, images.read, lambda path: images.pixels(path, image_size=9)):
        with pytest.raises(ImageError, match=r"x\.png: a side of an image may have at most 100000 pixels"):
            use(tmp_path / "x.png")


@pytest.mark.parametrize("resize", ["short_side", "centre_crop"])
def test_a_thin_picture_is_not_enlarged_beyond_reason(tmp_path: Path, resize: str) -> None:
    Image.new("L", (1, 60_000)).save(tmp_path / "x.png")
    with pytest.raises(ImageError, match=rf"x\.png: a picture of 1 x 60000 pixels is too thin for resize '{resize}'"):
        images.pixels(tmp_path / "x.png", image_size=224, resizing=Resizing(resize))
    for rule in ("long_side", "thumbnail", "square"):
        found = images.pixels(tmp_path / "x.png", image_size=224, resizing=Resizing(rule))
        assert found.shape[:2] == target_size(60_000, 1, 224, resize=rule)


def test_a_lack_of_memory_is_the_error_of_its_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any step; others of the run are decoded."""
    paths = [tmp_path / "0.png", tmp_path / "1.png"]
    for path, width in zip(paths, (40, 50), strict=True):
        Image.new("RGB", (width, 30)).save(path)

    def lacking(what: str) -> None:
        usual = getattr(Image.Image, what)

        def fail(self, *given, **named):
            if self.width == 50:
                raise MemoryError
            return usual(self, *given, **named)

        monkeypatch.setattr(Image.Image, what, fail)

    for step in ("load", "resize"):
        monkeypatch.undo()
        lacking(step)
        batch, square = Batch((0, 1), (20, 20)), Resizing("square")
        decoded = list(decode_ahead([batch], list(map(Item, paths)), ahead_pixels=1, image_size=20, resizing=square))
        assert decoded[0].rows == (0,)
        assert "1.png: there is not enough memory" in decoded[0].problems[1]
    monkeypatch.undo()
    lacking("crop")
    with pytest.raises(ImageError, match=r"1\.png: there is not enough memory"):
        images.thumbnail(paths[1], 9, (0, 0, 9, 9))


def test_big_pictures_are_decoded_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "BIG_PIXELS", 100)
    inside, most, lock = [0], [0], threading.Lock()
    usual = images.reading.upright_rgb

    def counted(image, facts):
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        found = usual(image, facts)
        threading.Event().wait(0.005)
        with lock:
            inside[0] -= 1
        return found

    monkeypatch.setattr(images.reading, "upright_rgb", counted)
    paths = []
    for number in range(6):
        paths.append(tmp_path / f"{number}.png")
        picture(number).save(paths[-1])
    rows = tuple(range(6))
    list(decode_ahead([Batch(rows, (8, 13))], [Item(path) for path in paths], ahead_pixels=1, image_size=13))
    assert most == [1]


# Formats


def test_a_drawing_named_as_a_picture_starts_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("gs", "gswin64c", "djpeg", "convert", "gimp"):
        (tools / tool).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
        (tools / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    drawings = {
        "eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 40\n%%EndComments\n%%EOF\n",
        "wmf": struct.pack("<IHhhhhHIH", 0x9AC6CDD7, 0, 0, 0, 40, 40, 96, 0, 0) + b"\1\0\t\0" + bytes(40),
        "mcidas": b"\0\0\0\0\0\0\0\4" + bytes(400),
    }
    for name, data in drawings.items():
        for suffix in (".jpg", ".png", ".tif", f".{name}"):
            path = tmp_path / f"x{suffix}"
            path.write_bytes(data)
            for use in (images.size, images.read, lambda file: images.thumbnail(file, 9)):
                with pytest.raises(ImageError, match="not an image in a format that is known here"):
                    use(path)
    assert not (tmp_path / "ran").exists()


def test_endings_are_read_or_only_look_like_it(tmp_path: Path) -> None:
    assert not IMAGE_SUFFIXES & UNREAD_SUFFIXES
    assert {".heic", ".jxl", ".psd", ".cr2", ".dng"} <= UNREAD_SUFFIXES
    writers = Image.registered_extensions()
    for suffix in sorted(IMAGE_SUFFIXES - {".pbm", ".pfm", ".avifs"}):
        kind = writers.get(suffix, "JPEG")
        (tmp_path / f"x{suffix}").write_bytes(saved(kind))
        assert images.read(tmp_path / f"x{suffix}").size == (WIDTH, HEIGHT), suffix
        assert images.size(tmp_path / f"x{suffix}") == (HEIGHT, WIDTH), suffix


# Damage

SEEDS = [*((kind, mode, options) for kind, mode, options in WRITTEN), *((kind, "RGB", {}) for kind in (
    "BMP", "PPM", "TGA", "QOI", "PCX", "SGI", "DDS", *(["AVIF"] if features.check("avif") else [])))]  # fmt: skip


def damaged(data: bytes, rng: random.Random) -> bytes:
    body, size = bytearray(data), len(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        at = rng.randrange(size)
        match rng.choice(["bit", "byte", "cut", "zeros", "twice", "number"]):
            case "bit":
                body[at : at + 1] = bytes([(body[at] if at < len(body) else 0) ^ (1 << rng.randrange(8))])
            case "byte":
                body[at % 64 : at % 64 + 1] = rng.randbytes(1)
            case "cut":
                del body[at : at + rng.choice([1, 9, size])]
            case "zeros":
                body[at : at + 20] = bytes(20)
            case "twice":
                body[at:at] = body[at : at + 30]
            case "number":
                body[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\0\0\0\0"])
        if not body:
            break
    return bytes(body)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("kind", sorted({kind for kind, _, _ in SEEDS}))
def test_damaged_bytes_are_a_picture_or_an_error_with_the_path(tmp_path: Path, kind: str) -> None:
    """From a file or as an upload; what the header tells is what the pixels are."""
    rng = random.Random(kind)
    seeds = [saved(name, picture(mode=mode), **options) for name, mode, options in SEEDS if name == kind]
    path = tmp_path / ("x.tga" if kind == "TGA" else "x.jpg")
    for _ in range(80):
        data = damaged(rng.choice(seeds), rng)
        path.write_bytes(data)
        told = attempt(lambda: images.size(path), path)
        found = attempt(lambda: images.read(path), path)
        attempt(lambda: images.thumbnail(path, 9), path)
        attempt(lambda: OwnPicture(path.name, path.read_bytes()).image, path)
        if told is not None and found is not None:
            assert told == (found.height, found.width)


def attempt(use: Callable[[], T], path: Path) -> T | None:
    """What comes of it; None where it is the error that names the file."""
    try:
        return use()
    except ImageError as error:
        assert path.name in str(error)  # noqa: PT017
        return None


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_an_upload_keeps_to_the_limits_of_files() -> None:
    for data, why in ((declared(13_000, 13_000), "at most 89000000"), (declared(1, 200_000), "a side"), (b"", "empty")):
        with pytest.raises(ImageError, match=rf"mine\.png: .*{why}"):
            _ = OwnPicture("mine.png", data).image
