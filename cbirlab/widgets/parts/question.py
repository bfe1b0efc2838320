"""The question: a query of the protocol, database images, a picture of one's own, or a part of one of them."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from traitlets import Float, HasTraits, Instance, Int, List, Tuple

from cbirlab import images
from cbirlab.base.recent import Recent
from cbirlab.datasets.base import Box, Dataset
from cbirlab.index import Ranking
from cbirlab.widgets.parts.gallery import Thumbnails
from cbirlab.widgets.parts.results import (
    Results,
    kinds_of_images,
    kinds_of_query,
    left_out,
    results_of_images,
    results_of_outside,
    results_of_query,
)
from cbirlab.widgets.parts.snapshot import MOST_IN_SHEET, contact_sheet
from cbirlab.widgets.parts.state import Setting

if TYPE_CHECKING:
    from PIL import Image

    from cbirlab.live import Session

_DECODED = Recent(2)  # the pictures of older questions are decoded again when one goes back to them


@dataclass(frozen=True)
class OwnPicture:
    """A picture from outside the dataset.

    Attributes
    ----------
    name : of its file.
    data : its bytes.
    """

    name: str
    data: bytes

    @property
    def image(self) -> Image.Image:
        """The upright RGB picture.

        Raises
        ------
        ImageError : the bytes are no picture.
        """
        return _DECODED.get(self, lambda: images.from_bytes(self.data, self.name))


class Question(HasTraits):
    """The question that all sides of a panel answer.

    Attributes
    ----------
    query : row among the benchmark's queries; used if there is neither `image` nor `images` nor `own`.
    image : row of the database whose image is the query instead, or None.
    images : rows of several database images that are one query instead, by the mean of their descriptors; or empty.
    own : a picture from outside that is the query instead, or None.
    box : the part of the picture to search for, (x0, y0, x1, y1) in its pixels; None for what the protocol says.
    """

    query = Int(0, min=0)
    image = Int(None, min=0, allow_none=True)
    images: list[int] = List(Int(min=0))  # pyright: ignore[reportAssignmentType]
    own: OwnPicture | None = Instance(OwnPicture, allow_none=True)  # pyright: ignore[reportAssignmentType]
    box: Box | None = Tuple(*[Float()] * 4, default_value=None, allow_none=True)  # pyright: ignore[reportAssignmentType]

    def ask(
        self,
        *,
        query: int | None = None,
        image: int | None = None,
        own: OwnPicture | None = None,
        images: Sequence[int] = (),
    ) -> None:
        """Ask for one of the four, with its whole picture; one row in `images` is the same as `image`."""
        with self.hold_trait_notifications():
            self.query = self.query if query is None else query
            self.image, self.own, self.box = images[0] if len(images) == 1 else image, own, None
            self.images = list(images) if len(images) > 1 else []

    def ask_own(self, name: str, data: bytes) -> None:
        """Ask for a picture from outside, from the bytes of its file.

        Raises
        ------
        ImageError : the bytes are no picture.
        """
        own = OwnPicture(name, data)
        own.image  # noqa: B018  raises where it is no picture
        self.ask(own=own)

    def ask_part(self, dataset: Dataset, box: Sequence[float]) -> None:
        """Ask for a part of the picture.

        Parameters
        ----------
        box : (x0, y0, x1, y1) in fractions of width and height; empty for the whole picture.

        Raises
        ------
        ValueError : several pictures are the query, and box is a part of them.
        """
        if self.images and box:
            raise ValueError("a part can be asked for of one picture, here several are the query; pick one of them.")
        height, width = images.size(self.picture(dataset))
        if box:
            x0, y0, x1, y1 = (round(edge * side) for edge, side in zip(box, (width, height) * 2, strict=True))
            self.box = (x0, y0, max(x1, x0 + 1), max(y1, y0 + 1))
        else:
            self.box = None

    @property
    def of_protocol(self) -> bool:
        """Whether this is a query of the protocol, asked as the protocol asks it."""
        return self.image is None and self.own is None and self.box is None and not self.images

    @property
    def outside(self) -> bool:
        """Whether the network has to see a picture first."""
        return self.own is not None or self.box is not None

    @property
    def words(self) -> str:
        """The question in words."""
        if self.images:
            return f"{len(self.images)} database images together"
        whole = f"Query {self.query}" if self.image is None else f"Database image {self.image}"
        if self.own is not None:
            return self.own.name if self.box is None else f"Part of {self.own.name}"
        return whole if self.box is None else f"Part of {whole[0].lower()}{whole[1:]}"

    def item(self, dataset: Dataset) -> int | None:
        """Id of the picture's thumbnail as `Thumbnails.of_dataset` counts; None from outside, and for several."""
        if self.own is not None or self.images:
            return None
        return self.query + len(dataset.images) if self.image is None else self.image

    def picture(self, dataset: Dataset) -> Path | Image.Image:
        """The whole picture; a sheet of several."""
        if self.own is not None:
            return self.own.image
        if self.images:
            shown = Thumbnails([dataset.images[row] for row in self.images[:MOST_IN_SHEET]])
            return contact_sheet([shown[item] for item in range(len(shown))])
        return dataset.queries[self.query].path if self.image is None else dataset.images[self.image]

    def unreadable(self, session: Session) -> str:
        """Why the picture cannot be read; empty if it can."""
        if self.own is not None:
            return ""
        if self.images:
            reasons = [session.unreadable("images").get(row, "") for row in self.images]
            return reasons[0] if all(reasons) else ""
        part, row = ("queries", self.query) if self.image is None else ("images", self.image)
        return session.unreadable(part).get(row, "")

    def own_rows(self, dataset: Dataset) -> list[int]:
        """The database rows that are the query's own pictures and are left out of its answer."""
        own = self.own_row(dataset)
        return list(self.images) if own is None else [own]

    def own_row(self, dataset: Dataset) -> int | None:
        """The same of a query that is one picture."""
        if self.own is not None or self.images:
            return None
        return left_out(dataset, self.query) if self.image is None else self.image

    def remark(self, dataset: Dataset) -> str:
        """Why a question that is not the protocol's has no AP; empty for a question of the protocol."""
        if self.of_protocol:
            return ""
        kind = "A picture from outside" if self.own is not None else "A database image"
        kind = "The mean of several database images" if self.images else kind
        kind = kind if self.box is None else "A part of a picture"
        rows = self.images or self._image
        known = self.own is None and (not rows or any(dataset.instances and dataset.instances[row] for row in rows))
        judged = "frames show which results have the same instance" if known else "no result is marked"
        return (
            f"{kind} is the query. The protocol has no ground truth for it, so it has no AP and {judged}; the mAP is "
            "still that of all benchmark queries. Pick a query in the strip to go back."
        )

    def given(self, dataset: Dataset) -> Box | None:
        """The protocol's rectangle on the picture."""
        asked = self.image is None and self.own is None and not self.images
        return dataset.queries[self.query].box if asked else None

    def fractions(self, dataset: Dataset) -> tuple[Box | None, Box | None]:
        """The protocol's rectangle and the one to search for, in fractions of width and height."""
        if self.images:
            return None, None
        height, width = images.size(self.picture(dataset))
        given, box = (
            box and (box[0] / width, box[1] / height, box[2] / width, box[3] / height)
            for box in (self.given(dataset), self.box)
        )
        return given, box

    def rank(self, session: Session, setting: Setting) -> Ranking:
        """Rank the database for this question: (1, N)."""
        if self.of_protocol:
            return session.rank_query(self.query, *setting)
        if self.images:
            return session.rank_image(list(self.images), *setting)
        if self.image is not None and not self.outside:
            return session.rank_image(self.image, *setting)
        return session.rank_image(self.picture(session.dataset), *setting, box=self.box)

    def results(self, dataset: Dataset, ranking: Ranking, *, shown: int, only: Collection[int] = ()) -> Results:
        """The first answers, marked as far as the ground truth allows; only rows in `only`, if it has any."""
        if self.own is not None:
            return results_of_outside(self.words, ranking, shown=shown, only=only)
        if rows := self.images or self._image:
            return results_of_images(dataset, ranking, rows, shown=shown, only=only, words=self.words)
        return results_of_query(dataset, ranking, self.query, shown=shown, only=only, words=self.words)

    @property
    def _image(self) -> list[int]:
        return [] if self.image is None else [self.image]

    def kinds(self, dataset: Dataset, rows: Sequence[int] | None = None) -> list[str]:
        """The mark of each of these database rows in the answer, of all by default; "" where nothing is known."""
        rows = range(len(dataset.images)) if rows is None else rows
        if self.own is not None:
            return [""] * len(rows)
        if asked := self.images or self._image:
            return kinds_of_images(dataset, asked, rows)
        return kinds_of_query(dataset, self.query, rows)

    def take(self, values: Mapping[str, Any]) -> None:
        """Ask what was asked at another time, by its `trait_values`, in one step."""
        with self.hold_trait_notifications():
            for name, value in values.items():
                setattr(self, name, value)

    def to_json(self) -> dict[str, Any]:
        """The question as plain data; a picture from outside with its bytes."""
        own = self.own and {"name": self.own.name, "data": base64.b64encode(self.own.data).decode("ascii")}
        box = self.box and list(self.box)
        return {"query": self.query, "image": self.image, "images": list(self.images), "own": own, "box": box}

    def from_json(self, saved: Mapping[str, Any]) -> None:
        """Take over a question kept by `to_json`, in one step."""
        own = saved.get("own")
        with self.hold_trait_notifications():
            self.query, self.image, self.images = saved["query"], saved["image"], list(saved.get("images", ()))
            self.own = own and OwnPicture(own["name"], base64.b64decode(own["data"]))
            self.box = tuple(saved["box"]) if saved["box"] else None
