"""What codes are worth where they learned and where they did not: who is judged on which images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cbirlab import Recipe, evaluate, load_backbone, load_dataset, run
from cbirlab.base.progress import listening
from cbirlab.compression.binary import ITQ
from cbirlab.datasets import Dataset
from cbirlab.index import Ranking
from cbirlab.pipeline import Bench
from cbirlab.store import Store
from cbirlab.study import codes
from cbirlab.study.codes import held_out, over_seeds, seen_and_unseen


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("codes"))


@pytest.fixture
def shown(pictures: Path) -> Dataset:
    """The drawn pictures, half of whose instances are learned on."""
    return load_dataset(pictures, name="shown", image_size=64)


def table(dataset: Dataset, store: Store, *compressions: str, **more: Any) -> Any:
    given: dict[str, Any] = {"seeds": (0, 1), "every": 2, "whitening": "none", "whitening_set": "held_out"} | more
    return seen_and_unseen(compressions, dataset=dataset, store=store, progress=False, **given)


def test_a_row_in_so_many_of_each_label_is_held_out() -> None:
    labels = np.array(["a", "b", "a", "", "a", "b", "", "a", "c", "", "a", "a"])
    assert np.flatnonzero(held_out(labels, 3)).tolist() == [4, 9, 11]
    assert np.flatnonzero(held_out(labels, 2)).tolist() == [2, 5, 6, 7, 11]


def test_each_code_is_judged_three_times(shown: Dataset, warm: Store) -> None:
    found = table(shown, warm, "none", "itq(bits=8)", "hashnet(bits=8, epochs=40)")
    assert found["compression"].tolist() == ["none", *["itq(bits=8)"] * 2, *["hashnet(bits=8, epochs=40)"] * 2]
    assert found["seed"].tolist() == [-1, 0, 1, 0, 1]
    assert found["bytes_per_image"].tolist() == [4 * 192, 1, 1, 1, 1]
    assert found["balance"].isna().tolist() == [True, *[False] * 4]
    assert found.loc[0, "quantisation_error"] == 0
    assert found[["learned", "seen", "unseen"]].apply(lambda one: one.between(0, 1)).all(axis=None)
    mean = over_seeds(found)
    assert mean["seeds"].tolist() == [1, 2, 2]
    assert mean.loc[1, "unseen"] == pytest.approx(found.loc[1:2, "unseen"].mean())
    assert mean.loc[1, ["seen_low", "seen_high"]].tolist() == sorted(found.loc[1:2, "seen"])


def test_unseen_is_the_benchmark_as_it_is_always_judged(shown: Dataset, warm: Store) -> None:
    found = table(shown, warm, "none")
    same = run(Recipe(whitening="none", whitening_set="held_out"), dataset=shown, store=warm, progress=False)
    assert found.loc[0, "unseen"] == pytest.approx(same.metrics["map"], abs=1e-9)


def test_seen_and_learned_share_instances_and_no_image(shown: Dataset, warm: Store, monkeypatch: Any) -> None:
    asked: list[tuple[Dataset, Ranking]] = []

    def watched(lists: Any, dataset: Dataset, *given: Any, **more: Any) -> Any:
        asked.append((dataset, lists.whole()))
        return evaluate(lists, dataset, *given, **more)

    monkeypatch.setattr(codes, "evaluate", watched)
    found = table(shown, warm, "itq(bits=8)", seeds=[3])
    (learned, _), (seen, ranking), (unseen, _) = asked
    assert not {*learned.images} & {*seen.images}
    assert {*learned.instances} == {*seen.instances}
    assert shown.held_out is not None
    assert {*learned.images, *seen.images} == {*shown.held_out.learning.train}
    judged = {shown.images[row] for labels in unseen.labels for rows in labels.values() for row in rows}
    assert not judged & {*learned.images, *seen.images}

    network = load_backbone("toynet")
    recipe = Recipe(whitening="none").resolved(shown, network)
    rows = Bench(shown, network, recipe, store=warm, progress=False).pair(recipe)[0].values
    of_learned, of_seen = (rows[[shown.images.index(path) for path in one.images]] for one in (learned, seen))
    code = ITQ(bits=8, seed=3).fit(of_learned)
    scores = code.scores(code.encode(of_seen), code.encode(of_seen))
    assert np.array_equal(ranking.images, np.argsort(-scores, axis=1, kind="stable"))
    assert found.loc[0, "seen"] == evaluate(ranking, seen, remarking=False).metrics["map"]


def test_it_can_be_watched_and_needs_labels_and_other_images(shown: Dataset, things: Dataset, warm: Store) -> None:
    told: list[tuple[str, int, int]] = []
    with listening(lambda *one: told.append(one)):
        table(shown, warm, "none", "bae(bits=4, epochs=2)")
    assert [one for one in told if one[0] == "codes"] == [("codes", done, 3) for done in range(4)]
    with pytest.raises(ValueError, match="train' must show an instance in two images that are learned, got none"):
        table(things, warm, "itq(bits=8)", whitening_set=None)
    with pytest.raises(ValueError, match="must show an instance in two images that are seen, got none with every=5"):
        table(shown, warm, "itq(bits=8)", every=5)
    with pytest.raises(ValueError, match="must learn on other images than the database, got 'shown/images'"):
        table(shown, warm, "itq(bits=8)", whitening_set="database")
    with pytest.raises(TypeError, match="compression"):
        table(shown, warm, "none", compression="itq")
