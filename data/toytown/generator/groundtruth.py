"""Which database images show what a query shows: easy, hard or junk, from measured quantities alone.

The three classes are those of the revisited Oxford and Paris benchmarks (Radenovic et al., CVPR 2018): easy images
show the landmark clearly from a similar view, hard ones under severe change, junk ones so little that finding them
should neither help nor hurt.  There, people labelled them; here they follow from co-visible surface and numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from .measure import overlap

JUNK_OVERLAP = 0.15  # junk when neither image shows this share of what the other shows
JUNK_FRACTION = 0.012  # ... or the landmark covers less of the frame
JUNK_VISIBLE = 0.05  # ... or less of the landmark is visible
JUNK_CONTRAST = 14.0  # ... or its grey values (0 to 255) deviate less from their mean: unreadable
EASY_OVERLAP = 0.45  # share of what the query shows
EASY_AZIMUTH_DEG = 45.0
EASY_SCALE_RATIO = 2.2
EASY_VISIBLE = 0.5
EASY_HAZE = 0.006  # extinction per metre
EASY_FRACTION = 0.06
EASY_BLUR_PX = 0.9

Patches = tuple[np.ndarray, np.ndarray]


def compare(query: Mapping, image: Mapping, query_patches: Patches, image_patches: Patches) -> dict[str, float]:
    """Measured relation of a query and a database image of one landmark.

    Returns
    -------
    dict
        ``overlap`` (share of what the query shows that the image shows), ``overlap_back`` (the reverse),
        ``viewpoint_deg`` (difference in azimuth), ``scale_ratio`` (>= 1), ``occlusion`` (of the image).
    """
    turn = query["camera"]["azimuth_deg"] - image["camera"]["azimuth_deg"]
    sizes = max(query["measured"]["scale_px"], 1.0), max(image["measured"]["scale_px"], 1.0)
    return {
        "overlap": overlap(*query_patches, image_patches[0]),
        "overlap_back": overlap(*image_patches, query_patches[0]),
        "viewpoint_deg": abs((turn + 180.0) % 360.0 - 180.0),
        "scale_ratio": max(sizes) / min(sizes),
        "occlusion": image["measured"]["occlusion"],
    }


def label(relation: Mapping[str, float], image: Mapping) -> str:
    """Class of a database image that shows the query's landmark: "easy", "hard" or "junk"."""
    measured = image["measured"]
    if (
        max(relation["overlap"], relation["overlap_back"]) < JUNK_OVERLAP
        or measured["fraction"] < JUNK_FRACTION
        or measured["visible"] < JUNK_VISIBLE
        or measured["contrast"] < JUNK_CONTRAST
    ):
        return "junk"
    easy = (
        relation["overlap"] >= EASY_OVERLAP
        and relation["viewpoint_deg"] <= EASY_AZIMUTH_DEG
        and relation["scale_ratio"] < EASY_SCALE_RATIO
        and measured["visible"] > EASY_VISIBLE
        and measured["fraction"] >= EASY_FRACTION
        and not image["weather"]["night"]
        and image["weather"]["haze"] < EASY_HAZE
        and image["photometric"]["blur_px"] < EASY_BLUR_PX
    )
    return "easy" if easy else "hard"


def illumination(image: Mapping) -> str:
    """Kind of light in an image: "night", "overcast", "low sun" (under 15 degrees) or "sun"."""
    if image["weather"]["night"]:
        return "night"
    if image["weather"]["overcast"]:
        return "overcast"
    return "low sun" if image["sun"]["elevation_deg"] < 15.0 else "sun"


def sun_difference(query: Mapping, image: Mapping) -> float | None:
    """Angle in degrees between the sun's directions in two images; None where it does not shine in one of them."""
    if any(row["weather"]["night"] or row["weather"]["overcast"] for row in (query, image)):
        return None
    turn = np.radians(query["sun"]["azimuth_deg"] - image["sun"]["azimuth_deg"])
    one, two = (np.radians(row["sun"]["elevation_deg"]) for row in (query, image))
    cosine = np.sin(one) * np.sin(two) + np.cos(one) * np.cos(two) * np.cos(turn)
    return round(float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))), 1)


def build(queries: Sequence[Mapping], database: Sequence[Mapping], patches: Callable[[str], Patches]) -> dict:
    """Ground truth of a benchmark.

    Parameters
    ----------
    queries, database : rows of metadata; a row's ``landmark`` is None for a distractor.
    patches : gives the patch numbers and counts of an image by name.

    Returns
    -------
    dict
        ``imlist``, ``qimlist`` and ``gnd`` as in the benchmarks' own files, with ``pairs`` beside the lists.
    """
    members: dict[int, list[int]] = {}
    for index, row in enumerate(database):
        if row["landmark"] is not None:
            members.setdefault(row["landmark"], []).append(index)
    gnd = [_entry(query, members.get(query["landmark"], []), database, patches) for query in queries]
    return {"imlist": [r["name"] for r in database], "qimlist": [r["name"] for r in queries], "gnd": gnd}


def _entry(query: Mapping, members: Sequence[int], database: Sequence[Mapping], patches) -> dict:
    entry: dict = {"bbx": query["measured"]["bbx"], "easy": [], "hard": [], "junk": []}
    names = ("index", "overlap", "viewpoint_deg", "scale_ratio", "illumination", "sun_deg", "occlusion")
    pairs: dict[str, list] = {name: [] for name in names}
    for index in members:
        image = database[index]
        relation = compare(query, image, patches(query["name"]), patches(image["name"]))
        found = label(relation, image)
        entry[found].append(index)
        if found == "junk":
            continue
        pairs["index"].append(index)
        pairs["illumination"].append(f"{illumination(query)} to {illumination(image)}")
        pairs["sun_deg"].append(sun_difference(query, image))
        for name in ("overlap", "viewpoint_deg", "scale_ratio", "occlusion"):
            pairs[name].append(round(relation[name], 3))
    return {**entry, "pairs": pairs}
