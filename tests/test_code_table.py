"""The table of codes over seeds: what `compare` finds one by one, and intervals known from tables of Student's t."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from fake_session import write_toytown_form

from cbirlab import compare
from cbirlab.compression.library import has_faiss
from cbirlab.datasets import load_dataset
from cbirlab.exercises import judge, solution
from cbirlab.store import Store
from cbirlab.study.code_table import RESCORED, SYMMETRIC, compare_codes, half_width


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    dataset = load_dataset(write_toytown_form(tmp_path_factory.mktemp("towers")), image_size=96)
    return {"dataset": dataset, "store": Store(tmp_path_factory.mktemp("store")), "weights": "random"}


@pytest.fixture(scope="module")
def table(towers):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the bounds are columns: nobody need be warned of ties
        return compare_codes(codes=("pcah", "itq"), bits=(8, 16), seeds=(0, 3), rescore=5, progress=False, **towers)


def test_a_row_is_the_mean_over_seeds_of_what_compare_finds(table, towers):
    assert [*table["way"]] == ["full rows", *["symmetric", "asymmetric", "re-scored"] * 4]
    assert [*table["bytes_per_image"]] == [768, *[1] * 3, *[2] * 3, *[1] * 3, *[2] * 3]
    assert [*table["seeds"]] == [1] * 7 + [2] * 6
    given = {"aggregations": "gem", "whitenings": "none", "progress": False, **towers}
    ways = {"symmetric": ("symmetric", 0), "asymmetric": ("asymmetric", 0), "re-scored": ("symmetric", 5)}
    for way, (distance, rescore) in ways.items():
        texts = [f"itq(bits=16, distance={distance}, seed={seed})" for seed in (0, 3)]
        with warnings.catch_warnings(action="ignore"):
            each = compare(compressions=texts, rescores=[rescore], **given)["map_medium"]
        mine = table[(table["code"] == "itq") & (table["bits"] == 16) & (table["way"] == way)].iloc[0]
        assert mine["map_medium"] == pytest.approx(each.mean())
        room = 12.706 * abs(each[0] - each[1]) / 2  # t of one degree of freedom; sd / sqrt(2) of two is half of the gap
        assert mine["map_medium_high"] - mine["map_medium_low"] == pytest.approx(2 * room, rel=1e-4)
    assert table.loc[table["code"] == "pcah", "map_medium_low"].isna().all()
    assert (table["map_ties_worst_medium"] <= table["map_ties_medium"] + 1e-12).all()
    assert (table["map_ties_medium"] <= table["map_ties_best_medium"] + 1e-12).all()


def test_the_interval_is_that_of_printed_tables():
    assert half_width(np.array([1.0, 2, 3])) == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)
    assert half_width(np.array([0.0, 0, 4, 4])) == pytest.approx(3.1824 * math.sqrt(16 / 3) / 2, rel=1e-4)
    assert math.isnan(half_width(np.array([1.0])))


@pytest.mark.skipif(not has_faiss(), reason="needs faiss: pip install 'cbirlab[scale]'")
@pytest.mark.filterwarnings("ignore:PQ:UserWarning")
def test_product_quantisers_have_as_many_bits(towers):
    found = compare_codes(codes=("pq",), bits=(16,), rescore=5, progress=False, **towers)
    assert [*found["way"]] == ["full rows", "asymmetric", "re-scored"]
    assert [*found["bytes_per_image"]] == [768, 2, 2]


def test_what_is_written_with_its_parameters_or_has_no_bits_is_compared_as_it_is(towers):
    codes = ("float16", "itq(bits=8)", "itq(bits=8, distance='asymmetric', seed=3)", "sq(bits=4)")
    found = compare_codes(codes=codes, bits=(8, 16), seeds=(0, 3), rescore=5, progress=False, **towers)
    ways = [("asymmetric", "re-scored"), ("symmetric", "re-scored"), ("asymmetric", "re-scored")]
    assert [*found["way"][1:]] == [way for group in (*ways, ways[0]) for way in group]
    assert [*found["code"][1::2]] == [*codes]
    assert [*found["seeds"][1::2]] == [1, 2, 1, 1]
    assert [*found["bits"][1::2]] == [8 * size for size in found["bytes_per_image"][1::2]] == [16 * 192, 8, 8, 4 * 192]
    given = {"aggregations": "gem", "whitenings": "none", "progress": False, **towers}
    with warnings.catch_warnings(action="ignore"):
        each = [
            compare(compressions=[f"itq(bits=8, seed={seed})"], rescores=[5], **given)["map_medium"][0]
            for seed in (0, 3)
        ]
    row = found[(found["code"] == "itq(bits=8)") & (found["way"] == RESCORED)].iloc[0]
    assert (row["map_medium_least"], row["map_medium_most"]) == (min(each), max(each))
    with pytest.raises(LookupError, match="'itk'"):
        compare_codes(codes=("itk",), bits=(16,), progress=False, **towers)


def test_exercises_follow_the_table(table):
    kept = table[table["way"] == RESCORED].groupby("bytes_per_image")["map_medium"].max()
    full = table["map_medium"].iloc[0]
    fewest = next((many for many, value in kept.items() if value >= 0.9 * full), 768)
    assert solution("13_codes.prediction", table=table).answer == fewest
    assert solution("13_codes.prediction", table=table, share=9).answer == 768
    itq = table[table["code"] == "itq"].set_index(["bits", "way"])
    gain = itq.loc[(16, "asymmetric"), "map_medium"] - itq.loc[(16, "symmetric"), "map_medium"]
    assert solution("13_codes.4", table=table).answer == pytest.approx(gain)
    row = itq.loc[(8, SYMMETRIC)]
    span = row["map_ties_best_medium"] - row["map_ties_worst_medium"]
    assert span > 0
    assert judge("13_codes.5", float(span), table=table).right
    assert solution("13_codes.1").answer == 3
    assert solution("13_codes.2").answer == 16
