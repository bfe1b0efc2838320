"""Published numbers: what the records hold, and how they stand beside measured ones."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from cbirlab import plots, tables
from cbirlab.base.registry import UnknownName
from cbirlab.evaluation import METRICS, PROTOCOLS, title_of
from cbirlab.study.literature import Published, beside, published, records


def value(method: str, dataset: str, metric: str) -> float:
    (found,) = [one for one in records() if (one.method, one.dataset, one.metric) == (method, dataset, metric)]
    return found.value


@pytest.mark.parametrize(
    ("method", "dataset", "metric", "printed"),
    [
        ("Neural codes", "ukbench", "ns", 3.42),
        ("R-MAC", "paris106k", "map", 0.757),
        ("LDD", "oxford5k", "map", 0.833),
        ("Quartet-Net", "ukbench", "map", 0.875),
        ("MDP-CNN", "oxford105k", "map", 0.851),
        ("CAM + CroW (Fig. 10b)", "oxford5k", "map", 0.712),
        ("R-MAC, ResNet-101", "rparis6k_1m", "mp@10_hard", 0.674),
        ("HesAff-rSIFT-ASMK*, spatial verification", "roxford5k", "map_medium", 0.606),
        ("GeM, ResNet-101 (example features)", "roxford5k", "map_easy", 0.8481),
        ("GeM, ResNet-101 (example features)", "rparis6k", "mp@10_hard", 0.8914),
        ("GeM, ResNet-101, AP loss", "rparis6k", "map_hard", 0.609),
        ("R-rGeM", "holidays", "map", 0.8932),
        ("NetVLAD, AlexNet", "pitts30k", "hit@5", 0.846),
        ("GSS", "instre", "map", 0.892),
    ],
)
def test_numbers_are_where_they_were_printed(method, dataset, metric, printed):
    assert value(method, dataset, metric) == printed


def test_every_record_is_complete_and_measured_as_here():
    assert len(records()) > 300
    seen = set()
    for one in records():
        assert all((one.method, one.dataset, one.settings, one.source)), one
        assert one.protocol in PROTOCOLS
        assert title_of(one.metric) != one.metric or one.metric.partition("@")[0] in METRICS
        level = one.metric.rpartition("_")[2]
        assert (level in ("easy", "medium", "hard")) == (one.protocol == "revisited"), one
        assert 0 < one.value <= (4 if one.metric == "ns" else 1), one
        seen.add((one.method, one.dataset, one.metric, one.source))
    assert len(seen) == len(records()), "two numbers of one method on one dataset cannot be told apart"


def test_the_medium_level_is_easier_than_the_hard_one_and_distractors_make_it_harder():
    frame = published(wide=True)
    both = frame.dropna(subset=["map_medium", "map_hard"])
    assert (both["map_medium"] > both["map_hard"]).all()
    for plain, larger in (("roxford5k", "roxford5k_1m"), ("oxford5k", "oxford105k"), ("paris6k", "paris106k")):
        small, large = (published(name, wide=True).set_index(["method", "source"]) for name in (plain, larger))
        metric = "map_medium" if plain.startswith("r") else "map"
        pairs = small[[metric]].join(large[[metric]].add_suffix("_large")).dropna()
        assert len(pairs) > 5
        assert (pairs[metric] > pairs[f"{metric}_large"]).all()


def test_numbers_are_found_by_dataset_method_and_metric():
    frame = published("oxford5k", method="gem", metric="map")
    assert list(frame.columns) == [*Published.__dataclass_fields__]
    assert {*frame["dataset"]} == {"oxford5k"}
    assert frame["method"].str.contains("GeM").all()
    wide = published("roxford5k", wide=True)
    assert wide["method"].is_unique
    assert not wide["map_medium"].isna().any()
    assert len(published("oxford5k", method="no such method")) == 0
    assert len(published()) == len(records())
    with pytest.raises(UnknownName, match="Did you mean 'oxford5k'"):
        published("oxfrd5k")


@pytest.fixture
def measured() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "dataset": ["roxford5k"] * 2, "backbone": ["resnet50", "vgg16"], "aggregation": "gem(p=3)",
            "map_medium": [0.4, 0.3], "map_medium_low": [0.35, 0.2], "map_medium_high": [0.45, 0.4],
            "map_hard": [0.2, 0.1], "recipe": '{"dataset": "toytown"}',
        }
    )  # fmt: skip


def test_published_rows_stand_below_measured_ones_and_are_marked(measured, tmp_path):
    both = beside(measured)
    assert list(both.columns) == ["origin", "method", *measured.columns, "settings", "source"]
    assert both["origin"].tolist() == ["measured"] * 2 + ["published"] * (len(both) - 2)
    assert both["method"].tolist()[:2] == ["resnet50 gem(p=3)", "vgg16 gem(p=3)"]
    pd.testing.assert_frame_equal(both.loc[:1, measured.columns], measured)
    theirs = both[both["origin"] == "published"]
    assert theirs[["recipe", "map_medium_low", "backbone"]].isna().all(axis=None)
    row = theirs[theirs["method"] == "R-MAC, ResNet-101"].iloc[0]
    assert (row["map_medium"], row["map_hard"]) == (0.498, 0.185)
    for suffix in ("csv", "json", "md", "tex"):
        tables.write(both, tmp_path / f"both.{suffix}")
    for suffix in ("csv", "json"):
        again = tables.read(tmp_path / f"both.{suffix}")
        np.testing.assert_allclose(again["map_medium"].astype(float), both["map_medium"])
        with pytest.raises(ValueError, match="row must have a recipe"):
            tables.read_recipe(again.iloc[5].to_dict())
    assert len(beside(measured, method="R-MAC")) < len(both)
    with pytest.raises(UnknownName, match="published numbers 'toytown'"):
        beside(measured.assign(dataset="toytown"))
    with pytest.raises(ValueError, match="dataset must be given"):
        beside(measured.drop(columns="dataset"))
    assert len(beside(measured.drop(columns="dataset"), dataset="roxford5k")) == len(both)


def test_bars_tell_published_numbers_from_measured_ones(measured):
    both = beside(measured, method="R-MAC")
    ax = plots.bars(both, by="method", value="map_medium")
    hatched = [bool(bar.get_hatch()) for bar in ax.patches]
    assert hatched == [False, False] + [True] * (len(both) - 2)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["published, with other settings"]
    assert all(math.isfinite(bar.get_width()) for bar in ax.patches)
    assert plots.bars(measured, by="backbone").get_legend() is None
