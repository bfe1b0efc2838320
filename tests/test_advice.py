"""Advice: arithmetic on measured figures; what fits comes first, and what it is based on is in the package's words."""

from __future__ import annotations

import pytest

from cbirlab.cli import main
from cbirlab.compression import Compression
from cbirlab.index import IndexMethod
from cbirlab.study import advice
from cbirlab.study.advice import WAYS, advise


@pytest.fixture(autouse=True)
def speed(monkeypatch):
    """A machine that reads 10^9 numbers in a second."""
    monkeypatch.setattr(advice, "_seconds_per_number", lambda: 1e-9)


def test_what_fits_is_first_and_the_best_of_it_on_top():
    table = advise(1_000_000, 200 * 10**6, 100)
    fits = table["fits"].tolist()
    assert fits == sorted(fits, reverse=True)
    assert table["compression"].iloc[0] == "sq(bits=8)"
    assert (table["memory_mb"] * 1e6 <= 200 * 10**6)[table["fits"]].all()
    exact = table[(table["compression"] == "none") & (table["index"] == "exact")].iloc[0]
    assert exact["memory_mb"] == 512
    assert exact["ms"] == pytest.approx(1000 * 1_000_000 * 128 * 1e-9 / 0.43, rel=0.05)
    assert not advise(10**9, 10**6, 1)["fits"].any()


def test_larger_databases_gain_by_lists_and_graphs_and_scans_do_not():
    small, large = (advise(count, 10**12, 10**6).set_index(["compression", "index"])["ms"] for count in (10**5, 10**7))
    assert large["none", "exact"] / small["none", "exact"] == pytest.approx(100, rel=0.1)
    assert large["none", "ivf(probes=16)"] / small["none", "ivf(probes=16)"] == pytest.approx(10, rel=0.1)
    assert large["none", "hnsw(ef=64)"] / small["none", "hnsw(ef=64)"] == pytest.approx(1.4, rel=0.1)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_way_is_one_that_recipes_take(way):
    code = Compression.parse(way.compression.format(width=128, quarter=32))
    assert not IndexMethod.parse(way.index).refuses(code)


def test_bad_numbers_and_the_command(capsys):
    for arguments, said in [
        ((0, 1, 1), "images"),
        ((1, 0, 1), "memory"),
        ((1, 1, -1), "ms"),
        ((1, 1, 1, 9), "multiple"),
    ]:
        with pytest.raises(ValueError, match=said):
            advise(*arguments)
    assert main(["advise", "--images", "1000000", "--memory", "200MB", "--ms", "50"]) == 0
    out = capsys.readouterr().out
    assert "sq(bits=8)" in out
    assert "measured at 100,000 rows" in out
    assert main(["advise", "--images", "0", "--memory", "1GB", "--ms", "5"]) == 1
