"""What is made ahead: the nearest first, nothing while others are waited for, and what distance between recipes is."""

from __future__ import annotations

import threading

import pytest
from fake_session import write_toytown_form

from cbirlab.datasets import load_dataset
from cbirlab.live import Session
from cbirlab.live.prefetch import Ahead
from cbirlab.live.slider_stops import moves_between
from cbirlab.pipeline import Recipe
from cbirlab.store import Store
from cbirlab.whitening.pca import PCAWhitening

TAPS = ("stem", "layer1", "layer2")


def distance(one: int, other: int) -> int:
    return abs(one - other)


def test_the_nearest_to_what_was_asked_last_is_made_first():
    held, made = threading.RLock(), []
    ahead = Ahead(distance, held, quiet=0)
    with held:  # nothing is begun while somebody is waited for
        ahead.begin(range(10), made.append)
        ahead.near(7)
        assert not ahead.wait(0.05)
        assert made == []
    assert ahead.wait()
    assert sorted(made) == [*range(10)]
    later = made[1:]  # the first had been taken before anything was asked for
    assert later == sorted(later, key=lambda thing: abs(thing - 7))


def test_a_new_wish_turns_the_order_round():
    held, made = threading.RLock(), []
    ahead = Ahead(distance, held, quiet=0)

    def make(thing: int) -> None:
        made.append(thing)
        if thing == 2:
            ahead.near(9)

    ahead.begin(range(10), make)
    assert ahead.wait()
    assert made == [0, 1, 2, 9, 8, 7, 6, 5, 4, 3]


def test_nothing_is_begun_while_something_is_asked_again_and_again():
    made: list[int] = []
    ahead = Ahead(distance, threading.RLock(), quiet=30)
    ahead.near(3)
    ahead.begin(range(5), made.append)
    assert not ahead.wait(0.2)
    assert made == []


def test_an_error_ends_nothing_and_more_can_be_begun():
    made = []
    ahead = Ahead(distance, threading.RLock(), quiet=0)

    def make(thing: int) -> None:
        if thing == 1:
            raise ValueError("no such thing")
        made.append(thing)

    ahead.begin([0, 1, 2], make)
    assert ahead.wait()
    ahead.begin([5, 6], make)
    assert ahead.wait()
    assert made == [0, 2, 5, 6]


def test_what_nobody_wants_any_more_is_not_begun():
    """Two wait for things; when both are gone, what is in hand is the last."""
    begun, go_on = threading.Event(), threading.Event()
    made = []
    ahead = Ahead(distance, threading.RLock(), quiet=0)

    def make(thing: int) -> None:
        made.append(thing)
        if thing == 1:
            begun.set()
            assert go_on.wait(20)

    ahead.begin(range(5), make)
    assert begun.wait(20)
    ahead.begin(range(5), make)
    ahead.end()
    assert not ahead.wait(0.05), "one of them waits still"
    ahead.end()
    go_on.set()
    assert ahead.wait()
    assert made == [0, 1]
    ahead.begin([7], make)
    assert ahead.wait()
    assert made == [0, 1, 7]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (("stem", "gem(p=3)"), ("stem", "gem(p=3)"), 0),
        (("stem", "gem(p=3)"), ("stem", "gem(p=4.5)"), 1.5),
        (("stem", "gem(p=3)"), ("layer2", "gem(p=3)"), 2),
        (("stem", "gem(p=3)"), ("layer1", "mac"), 2),
        (("stem", "spoc"), ("stem", "spoc(centre_prior=True)"), 1),
        (("stem+layer1", "mac"), ("stem", "mac"), 3),
    ],
)
def test_moves_between_recipes(one, other, expected):
    recipes = [Recipe(dataset="d", tap=tap, aggregation=aggregation) for tap, aggregation in (one, other)]
    assert moves_between(*recipes, TAPS) == expected
    assert moves_between(*reversed(recipes), TAPS) == expected


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    return load_dataset(write_toytown_form(tmp_path_factory.mktemp("towers")), image_size=96)


def test_preparing_learns_no_whitening_and_what_is_learned_ahead_is_the_same(towers, tmp_path, monkeypatch):
    """PCA is learned once for each setting; the ranking is that of a session that never ran ahead."""
    fits = []
    fit = PCAWhitening.fit
    monkeypatch.setattr(PCAWhitening, "fit", lambda self, X, y=None: fits.append(1) or fit(self, X, y))
    plain, live = (
        Session(towers, "toynet", "random", ["mac", "gem(p=3)"], store=Store(tmp_path / name)) for name in ("a", "b")
    )
    plain.prepare(progress=False)
    assert fits == []
    setting = ("layer3", "gem(p=3)", "pca", 8)
    expected = plain.rank(*setting)
    assert len(fits) == 1
    live.prepare(progress=False)
    live.learn_ahead()
    assert live.wait()
    assert len(fits) == 1 + 2 * (len(live.taps) - 1) + 1, "all poolings of a tap without positions are one"
    found = live.rank(*setting)
    assert len(fits) == 12
    assert found.metrics == expected.metrics
    assert (found.ranking.images == expected.ranking.images).all()
    live.learn_ahead()
    assert live.wait()
    assert len(fits) == 12
