"""The table of systems: the survey's 32 on one network, beside the numbers that it prints.

python data/results/systems.py --photographs FOLDER [--train] > systems.md
"""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

import pandas as pd

from cbirlab import SYSTEMS, compare_systems, published

SIDE = 224
ELSEWHERE = ("oxford5k", "paris6k", "holidays")


def printed(name: str) -> list[str]:
    """What the survey prints for a system: mAP on Oxford5k, Paris6k and Holidays, in points."""
    rows = published(metric="map")
    own = rows[(rows["method"] == SYSTEMS[name].published) & rows["source"].str.contains("Survey")]
    values = {row.dataset: f"{100 * row.value:.1f}" for row in own.itertuples()}
    return [values.get(one, "") for one in ELSEWHERE]


def measured(frame: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """mAP of each system in points with its interval, or why there is none; and the dimensions of its rows."""
    found = {}
    for row in frame.to_dict("records"):
        metric = "map_medium" if "map_medium" in row else "map"
        if row["error"]:
            found[row["system"]] = ("out" if SYSTEMS[row["system"]].out else row["error"][:60], "")
        else:
            low, value, high = (100 * row[f"{metric}{end}"] for end in ("_low", "", "_high"))
            found[row["system"]] = (f"{value:.1f} [{low:.1f}, {high:.1f}]", f"{row['dim']:.0f}")
    return found


def main() -> None:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--photographs", type=Path, required=True)
    given.add_argument("--train", action="store_true")
    asked = given.parse_args()
    warnings.filterwarnings("ignore")
    files = [asked.photographs / name / "groundtruth.csv" for name in ("smvs_dvd_covers", "corel1k")]
    places = [("toytown", "toynet")] + [(str(file), "efficientnet_lite0") for file in files]
    columns = []
    for dataset, backbone in places:
        found: dict[str, tuple[str, str]] = {}
        for name in SYSTEMS:
            shared = {"backbone": backbone, "image_size": SIDE, "train": asked.train, "progress": False}
            found |= measured(compare_systems(dataset, name, **shared))
            print(dataset, name, *found[name], file=sys.stderr, flush=True)
        columns.append(found)
    heads = ["system", "year", "status", "dim", "Toytown, toynet", "covers", "Corel-1k", *ELSEWHERE]
    print("| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads))
    for name in SYSTEMS:
        system = SYSTEMS[name]
        cells = [name, str(system.year), system.status, columns[0][name][1], *(one[name][0] for one in columns)]
        print("| " + " | ".join(cells + printed(name)) + " |")


if __name__ == "__main__":
    main()
