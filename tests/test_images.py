from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from cbirlab import images
from cbirlab.images import ImageError
from cbirlab.images.preprocessing import target_size

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 0x0112


def quarters(width: int = 60, height: int = 40) -> Image.Image:
    """Red, green over blue, white: every rotation and mirror image of it looks different."""
    image = Image.new("RGB", (width, height))
    for colour, x, y in ((RED, 0, 0), (GREEN, 1, 0), (BLUE, 0, 1), (WHITE, 1, 1)):
        image.paste(colour, (x * width // 2, y * height // 2, (x + 1) * width // 2, (y + 1) * height // 2))
    return image


def corners(image: Image.Image) -> list[tuple[int, ...]]:
    right, bottom = image.width - 5, image.height - 5
    return [image.getpixel(at) for at in ((4, 4), (right, 4), (4, bottom), (right, bottom))]  # pyright: ignore


def assert_close(found: list[tuple[int, ...]], wanted: list[tuple[int, ...]], tolerance: int = 6) -> None:
    assert np.abs(np.array(found) - np.array(wanted)).max() <= tolerance, (found, wanted)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".gif", ".tif", ".ppm"])
def test_common_formats_are_read_as_upright_rgb(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    quarters().save(path, **({"quality": 95, "subsampling": 0} if suffix == ".jpg" else {}))
    image = images.read(path)
    assert image.mode == "RGB"
    assert images.size(path) == (40, 60)
    assert_close(corners(image), [RED, GREEN, BLUE, WHITE], 12)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    """Stored so that the viewer's turn undoes it: each of the eight orientations must come out as drawn."""
    stored = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    image = quarters() if stored is None else quarters().transpose(stored)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = tmp_path / "x.jpg"
    image.save(path, exif=exif, quality=95, subsampling=0)
    assert images.size(path) == (40, 60)
    assert_close(corners(images.read(path)), [RED, GREEN, BLUE, WHITE], 12)
    assert images.pixels(path, image_size=30).shape == (20, 30, 3)
    assert_close(corners(Image.open(io.BytesIO(images.thumbnail(path, 60)))), [RED, GREEN, BLUE, WHITE], 40)


def test_cmyk_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    quarters().convert("CMYK").save(path, quality=95)
    assert Image.open(path).mode == "CMYK"
    assert_close(corners(images.read(path)), [RED, GREEN, BLUE, WHITE], 12)


def test_lab_is_converted(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    lab = ImageCms.profileToProfile(
        quarters(), ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    lab.save(path)
    assert images.read(path).mode == "RGB"


def test_sixteen_bits_keep_their_grey(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.fromarray(np.array([[0, 257, 32896, 65535]], np.uint16)).save(path)
    assert Image.open(path).mode.startswith("I")
    assert np.asarray(images.read(path))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_float_grey_is_read_from_zero_to_one_and_refused_beyond(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)).save(tmp_path / "x.tif")
    assert np.asarray(images.read(tmp_path / "x.tif"))[0, :, 0].tolist() == [0, 128, 255]
    for wrong in (2.0, np.nan):
        Image.fromarray(np.array([[0.0, wrong]], np.float32)).save(tmp_path / "y.tif")
        with pytest.raises(ImageError, match=r"y\.tif: grey values .* must lie in \[0, 1\]"):
            images.read(tmp_path / "y.tif")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_other_modes_become_rgb_with_transparency_on_white(tmp_path: Path, mode: str) -> None:
    image = Image.new("RGBA", (8, 8), (0, 0, 0, 255))
    if mode in ("LA", "RGBA"):
        image.putpixel((0, 0), (0, 0, 0, 0))
    image.convert(mode).save(tmp_path / "x.png")
    found = images.read(tmp_path / "x.png")
    assert found.mode == "RGB"
    assert found.getpixel((7, 7)) == (0, 0, 0)
    assert found.getpixel((0, 0)) == (WHITE if mode in ("LA", "RGBA") else (0, 0, 0))


def test_a_transparent_palette_colour_is_white(tmp_path: Path) -> None:
    image = Image.new("P", (8, 8), 0)
    image.putpalette([0, 0, 0, *RED])
    image.putpixel((0, 0), 1)
    image.save(tmp_path / "x.png", transparency=0)
    found = images.read(tmp_path / "x.png")
    assert (found.getpixel((0, 0)), found.getpixel((7, 7))) == (RED, WHITE)


def test_an_animation_is_its_first_frame(tmp_path: Path) -> None:
    for path in (tmp_path / "x.gif", tmp_path / "x.webp", tmp_path / "x.png"):
        frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, GREEN)]
        lossless = {"lossless": True} if path.suffix == ".webp" else {}
        frames[0].save(path, save_all=True, append_images=frames[1:], **lossless)
        assert Image.open(path).n_frames == 2  # pyright: ignore[reportAttributeAccessIssue]
        assert images.read(path).getpixel((3, 3)) == RED


def test_one_pixel_is_an_image(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1), RED).save(tmp_path / "x.png")
    assert images.prepare(tmp_path / "x.png", image_size=320, mean=(0, 0, 0), std=(1, 1, 1)).shape == (3, 1, 1)
    assert images.thumbnail(tmp_path / "x.png", 32)


def test_a_very_long_image_keeps_at_least_one_pixel(tmp_path: Path) -> None:
    Image.new("RGB", (3000, 1), RED).save(tmp_path / "x.png")
    assert images.pixels(tmp_path / "x.png", image_size=100).shape == (1, 100, 3)


def bomb(path: Path, side: int) -> None:
    """A PNG of a few bytes that says it is `side` x `side`."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9_500, 12_000, 100_000])
def test_a_decompression_bomb_is_refused_before_a_pixel_is_decoded(tmp_path: Path, side: int) -> None:
    bomb(tmp_path / "x.png", side)
    for use in (images.read, images.size):
        with pytest.raises(ImageError, match=r"x\.png: an image may have at most 89000000 pixels"):
            use(tmp_path / "x.png")


def damaged(path: Path, kind: str) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(buffer, "JPEG")
    data = {
        "truncated": buffer.getvalue()[: len(buffer.getvalue()) // 2],
        "header cut": buffer.getvalue()[:30],
        "empty": b"",
        "text": b"<html>404 not found</html>",
        "zeros": bytes(1000),
    }[kind]
    path.write_bytes(data)


@pytest.mark.parametrize("kind", ["truncated", "header cut", "empty", "text", "zeros"])
def test_a_damaged_file_is_one_error_with_its_path(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.jpg"
    damaged(path, kind)
    for use in (images.read, lambda file: images.thumbnail(file, 32), lambda file: images.pixels(file, image_size=9)):
        with pytest.raises(ImageError, match=r"x\.jpg: ") as caught:
            use(path)
        assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_image_errors(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file"):
        images.read(tmp_path / "x.jpg")
    with pytest.raises(ImageError, match="cannot be read"):
        images.read(tmp_path)


@given(
    st.binary(max_size=400), st.sampled_from([b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"RIFF"])
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow on damaged EXIF
def test_any_bytes_are_an_image_or_an_image_error(data: bytes, magic: bytes) -> None:
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(magic + data)
        file.flush()
        try:
            assert images.read(file.name).mode == "RGB"
        except ImageError:
            pass


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(1, 2000))
def test_target_size_keeps_the_aspect_and_never_enlarges(height: int, width: int, image_size: int) -> None:
    tall, wide = target_size(height, width, image_size)
    assert 1 <= tall <= height
    assert 1 <= wide <= width
    assert max(tall, wide) == min(image_size, max(height, width))
    scale = min(1.0, image_size / max(height, width))
    assert tall == 1 or abs(tall - height * scale) <= 0.5
    assert wide == 1 or abs(wide - width * scale) <= 0.5


def test_a_query_box_keeps_the_scale_of_its_full_image(tmp_path: Path) -> None:
    """Crop, then long side = image_size * max(crop) / max(full): a box of half the width has half the size."""
    path = tmp_path / "x.png"
    quarters(600, 400).save(path)
    assert target_size(400, 600, 300, (300, 0, 600, 200)) == (100, 150)
    crop = images.pixels(path, image_size=300, box=(300.4, 0, 599.7, 199.5))
    assert crop.shape == (100, 150, 3)
    assert (crop == np.array(GREEN)).all(axis=-1).mean() > 0.98
    assert images.pixels(path, image_size=2000, box=(0, 0, 300, 200)).shape == (200, 300, 3)


@pytest.mark.parametrize("box", [(0, 0, 10), (0, 0, float("nan"), 5), (50, 0, 50, 10), (700, 0, 800, 10), (9, 9, 3, 3)])
def test_a_box_without_pixels_is_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="box"):
        target_size(400, 600, 300, box)


def test_scale_multiplies_the_size_and_may_enlarge(tmp_path: Path) -> None:
    quarters().save(tmp_path / "x.png")
    for scale, shape in ((0.5, (15, 22, 3)), (1.0, (30, 45, 3)), (2.0, (60, 90, 3))):
        assert images.pixels(tmp_path / "x.png", image_size=45, scale=scale).shape == shape


def test_image_size_must_be_positive() -> None:
    with pytest.raises(ValueError, match="image_size must be at least 1"):
        target_size(4, 4, 0)


def test_prepare_is_the_formula(tmp_path: Path) -> None:
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    values = np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)
    Image.fromarray(values).save(tmp_path / "x.png")
    found = images.prepare(tmp_path / "x.png", image_size=320, mean=mean, std=std)
    wanted = torch.empty(3, 5, 7, dtype=torch.float64)
    for y in range(5):
        for x in range(7):
            for c in range(3):
                wanted[c, y, x] = (float(values[y, x, c]) / 255 - mean[c]) / std[c]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), wanted, atol=1e-6, rtol=1e-6)


def test_a_batch_of_pixels_is_normalised_like_its_images() -> None:
    batch = np.random.default_rng(2).integers(0, 256, (2, 4, 5, 3), np.uint8)
    found = images.normalise(batch, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    assert found.shape == (2, 3, 4, 5)
    assert torch.equal(found[1], images.normalise(batch[1], mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4)))


def test_a_thumbnail_is_a_small_jpeg_of_the_box(tmp_path: Path) -> None:
    quarters(600, 400).save(tmp_path / "x.jpg", quality=95)
    whole = Image.open(io.BytesIO(images.thumbnail(tmp_path / "x.jpg", 96)))
    part = Image.open(io.BytesIO(images.thumbnail(tmp_path / "x.jpg", 96, (0, 200, 300, 400))))
    assert (whole.format, whole.size, part.size) == ("JPEG", (96, 64), (96, 64))
    assert_close(corners(part), [BLUE] * 4, 12)


def test_an_open_image_is_taken_as_it_is() -> None:
    assert images.size(quarters()) == (40, 60)
    assert np.array_equal(images.pixels(quarters(), image_size=999), np.asarray(quarters()))
