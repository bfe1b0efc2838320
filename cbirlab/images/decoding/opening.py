"""Opening: a picture's file is opened within limits of size and memory; whatever goes wrong is one clear error."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

from PIL import Image

from cbirlab.images.decoding.formats import FORMATS, UNSIGNED, ImageError
from cbirlab.images.decoding.metadata import Facts, bare

MAX_PIXELS = 89_000_000  # just under the size at which Pillow starts to warn of decompression bombs
MAX_SIDE = 100_000  # every row and column costs memory of its own
MAX_PIXELS_OF = {"JPEG2000": 60_000_000}  # whose decoder takes 23 bytes for a pixel, others at most 16
BIG_PIXELS = 12_000_000  # from here on pictures are decoded one at a time, whatever the number of threads

_one_big = threading.Lock()

T = TypeVar("T")


class Held(NamedTuple):
    """The bytes of a file named `name`."""

    data: bytes
    name: str


Source = str | Path | Image.Image
Use = Callable[[Image.Image, Facts], T]


def used(source: Source | Held, use: Use[T], held: ExitStack | None = None, *, draft: int | None = None) -> T:
    """Open `source`, check its size before a pixel is decoded, apply `use`; turn any error into an ImageError.

    Parameters
    ----------
    held : keeps other big pictures waiting until it is closed; by default until this returns.
    draft : a long side, in pixels, that is enough: the decoder may then give a smaller picture.
    """
    name = name_of(source)
    try:
        with ExitStack() as own:
            if isinstance(source, Image.Image):
                source.load()
                return use(source.copy(), Facts(_orientation(source)))
            image, facts = _opened(source, own)
            _check_size(image)
            if image.width * image.height >= BIG_PIXELS:
                (own if held is None else held).enter_context(_one_big)
            if draft is not None:
                image.draft("RGB", (draft, draft))
            return use(image, facts)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(f"{name}: {_too_large('far more')}") from error
    except FileNotFoundError:
        raise ImageError(f"{name}: no such file.") from None
    except Image.UnidentifiedImageError as error:
        raise ImageError(f"{name}: not an image in a format that is known here.") from error
    except MemoryError:
        raise ImageError(f"{name}: {_NO_MEMORY}") from None
    except (
        Exception
    ) as error:  # decoders raise nearly anything on damaged files: OSError, SyntaxError, struct.error, ...
        raise ImageError(f"{name}: cannot be read as an image ({type(error).__name__}: {error}).") from error


_NO_MEMORY = "there is not enough memory to read it; make it smaller first."


@contextmanager
def enough_memory(name: str) -> Iterator[None]:
    """Turn a lack of memory inside the block into an ImageError that names the picture.

    Raises
    ------
    ImageError : there is not enough memory.
    """
    try:
        yield
    except MemoryError:
        raise ImageError(f"{name}: {_NO_MEMORY}") from None


def name_of(source: Source | Held) -> str:
    """The name by which messages call a picture."""
    if isinstance(source, Held):
        return source.name
    return "The picture" if isinstance(source, Image.Image) else str(Path(source))


def _opened(source: str | Path | Held, own: ExitStack) -> tuple[Image.Image, Facts]:
    file: BinaryIO = io.BytesIO(source.data) if isinstance(source, Held) else own.enter_context(open(source, "rb"))
    if not file.seek(0, io.SEEK_END):
        raise ImageError("the file is empty (0 bytes).")
    lean, facts = bare(file)
    ending = Path(name_of(source)).suffix.lower()
    formats = [name for name in FORMATS if ending in UNSIGNED.get(name, (ending,))]
    return own.enter_context(Image.open(lean, formats=formats)), facts


def _check_size(image: Image.Image) -> None:
    most = MAX_PIXELS_OF.get(image.format or "", MAX_PIXELS)
    if image.width * image.height > most:
        raise ImageError(_too_large(f"{image.width} x {image.height}", most))
    if max(image.size) > MAX_SIDE:
        raise ImageError(
            f"a side of an image may have at most {MAX_SIDE} pixels, this one is {image.width} x {image.height}; "
            "make it smaller first."
        )


def _too_large(shown: str, most: int = MAX_PIXELS) -> str:
    return f"an image may have at most {most} pixels, this one has {shown}; make it smaller first."


def _orientation(image: Image.Image) -> int:
    """The orientation of a picture that the caller opened."""
    try:
        value = image.getexif().get(0x0112)
    except Exception:  # damaged metadata raises nearly anything, and none of it concerns the picture
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
