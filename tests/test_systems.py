"""Systems: each of the survey's 32 by what makes it that one, on a small network; names, papers and departures."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace

import pytest

from cbirlab import SYSTEMS, Recipe, compare_systems, load_dataset, run
from cbirlab.adaptation.training import moving
from cbirlab.backbones import BACKBONES, load_backbone, taps_of
from cbirlab.base.registry import UnknownName
from cbirlab.cli import main
from cbirlab.fusion import FusedRun, Fusion
from cbirlab.live import Session
from cbirlab.study.literature import published
from cbirlab.study.systems.base import HAND_CRAFTED, tap_in_place_of
from cbirlab.widgets.panels.system_menu import state_of_system
from cbirlab.widgets.panels.workbench import Workbench
from cbirlab.widgets.parts.state import RetrievalState

SIDE = 64
RUNNING = [name for name in SYSTEMS if not SYSTEMS[name].out]
LEARNING = [name for name in RUNNING if SYSTEMS[name].training]


@pytest.fixture
def given(pictures, warm, monkeypatch):
    """A small dataset and a small network with random weights, which learns in two steps where a system learns.

    Codebooks over patches have as few words as 40 pictures fill.
    """
    for name in RUNNING:
        parts = [dict(part) for part in SYSTEMS[name].parts]
        for part in parts:
            if "passes" in part:
                part["passes"] = re.sub(r"words=\d+(, local_dims=\d+)?", "words=4", part["passes"])
        monkeypatch.setitem(SYSTEMS._entries, name, replace(SYSTEMS[name], parts=tuple(parts)))
    training = {"on": f"{pictures}/images", "leak": True, "steps": 2, "image_size": SIDE}
    shared = {"backbone": "toynet", "weights": "random", "whitening_set": "database", "image_size": SIDE}
    return {"dataset": str(pictures), "train": True, "training": training, "store": warm, "progress": False, **shared}


def words(recipe, count):
    assert recipe.aggregation.parameters["k"] == count


def patches(recipe, scheme, combine):
    assert (recipe.passes.name, recipe.passes.combine) == (scheme, combine)


def whitened(recipe, whitening, dimensions=None):
    assert (recipe.whitening.key, recipe.dimensions) == (whitening, dimensions)


def test_there_are_as_many_as_in_the_tables():
    assert Counter(SYSTEMS[name].table for name in SYSTEMS) == {3: 14, 4: 14, 2: 4}
    assert [SYSTEMS[name].table for name in SYSTEMS] == [3] * 14 + [4] * 14 + [2] * 4
    assert len({SYSTEMS[name].title for name in SYSTEMS}) == 32


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_system_says_where_it_is_from_and_where_it_departs(name):
    system = SYSTEMS[name]
    assert bool(system.out) != bool(system.departs)
    assert system.bibtex.startswith("@")
    assert str(system.year) in system.bibtex or name == "ime-cnn"  # printed two years after it was submitted
    for part in system.parts:
        assert part["tap"] in taps_of(part["backbone"])
        assert part["backbone"] in BACKBONES


@pytest.mark.parametrize("name", [name for name in SYSTEMS if SYSTEMS[name].table in (3, 4)])
def test_its_published_number_is_known(name):
    rows = published()
    named = rows[
        (rows["method"] == SYSTEMS[name].published) & rows["source"].str.contains(f"Table {SYSTEMS[name].table}")
    ]
    assert len(named)


@pytest.mark.parametrize(
    ("name", "paper"),
    [
        ("cnnaug-ss", "Sharif Razavian et al., CVPR 2014"),
        ("faster-r-cnn", "Salvador et al., CVPR 2016"),
        ("sift-cnn", "Lv et al., IEEE Transactions on Image Processing 2018"),
        ("netvlad", "Arandjelović et al., CVPR 2016"),
        ("gem", "Radenović et al., IEEE Transactions on Pattern Analysis and Machine Intelligence 2019"),
        ("spoc", "Babenko and Lempitsky, ICCV 2015"),
    ],
)
def test_a_paper_is_named_as_it_is_written(name, paper):
    assert SYSTEMS[name].paper == paper


@pytest.mark.parametrize("name", SYSTEMS)
def test_no_sign_of_bibtex_is_left_in_the_name_of_a_paper(name):
    assert not set(SYSTEMS[name].paper) & set("{}\\^")
    first = SYSTEMS[name].bibtex.split("author = {")[1].split(",")[0]
    assert len(SYSTEMS[name].paper.split(" et al.")[0].split(" and ")[0].split(",")[0]) == len(
        re.sub(r"[{}\\']", "", first)
    )


def test_the_bibliography_holds_what_is_cited_and_no_more():
    from cbirlab.study.systems.base import _entries

    assert {SYSTEMS[name].cite for name in SYSTEMS} == set(_entries())
    for entry in _entries().values():
        assert entry.count("{") == entry.count("}")
        assert all(f"  {field} = " in entry for field in ("author", "title", "year"))


def test_keys_are_distinct(given):
    data = load_dataset(given["dataset"])
    texts = []
    for name in RUNNING:
        plan = SYSTEMS[name].plan(data, given["dataset"])
        texts.append((json.dumps(json.loads(plan.to_json())), json.dumps(dict(SYSTEMS[name].training), default=str)))
    assert len(set(texts)) == len(texts)


FACTS = {
    "neural-codes": lambda plan: (
        whitened(plan, "pca(power=0)", 128),
        taps_of("toynet")[str(plan.tap)].kind == "vector",
    ),
    "r-mac": lambda plan: plan.aggregation.key == "rmac(levels=3, learned=True)",
    "crow": lambda plan: (plan.aggregation.name == "crow", whitened(plan, "pca", 256)),
    "blcf": lambda plan: (plan.aggregation.name == "bow", words(plan, 1024)),
    "spoc": lambda plan: (plan.aggregation.parameters["centre_prior"], whitened(plan, "pca", 256)),
    "multi-layer-cnn": lambda plan: (
        plan.method.name == "cascade",
        [taps_of("toynet")[str(one.tap)].kind for one in plan.members] == ["vector", "map", "map"],
    ),
    "deepindex": lambda plan: [patches(one, "spm", "bow") for one in plan.members],
    "mof": lambda plan: (
        [patches(one, "spm", "bow") for one in plan.members],
        [taps_of("toynet")[str(one.tap)].kind for one in plan.members] == ["vector", "map"],
    ),
    "multi-scale-cnn": lambda plan: (patches(plan, "cnnaug", "match"), plan.aggregation.name == "mac"),
    "cnnaug-ss": lambda plan: (patches(plan, "cnnaug", "match"), whitened(plan, "pca", 500)),
    "mop-cnn": lambda plan: (
        [(one.passes.name, one.passes.combine) for one in plan.members[1:]] == [("windows", "vlad")] * 2,
        [one.passes.parameters["size"] for one in plan.members[1:]] == [0.5, 0.25],
        plan.members[0].passes.single,
        whitened(plan, "pca", 2048),
    ),
    "ccs": lambda plan: (
        [one.backbone for one in plan.members] == ["toynet", "toynet", HAND_CRAFTED],
        patches(plan.members[1], "proposals", "vlad"),
        plan.members[2].aggregation.name == "vlad",
        whitened(plan, "pca", 128),
    ),
    "oldfp": lambda plan: (patches(plan, "proposals", "max"), whitened(plan, "pca", 512)),
    "ldd": lambda plan: patches(plan, "grid", "bow"),
    "non-metric": lambda plan: plan.rerank.key.startswith("nonmetric"),
    "rdp": lambda plan: plan.rerank.key.startswith("rdp"),
    "offline-diffusion": lambda plan: plan.rerank.key.startswith("diffusion_offline"),
    "global-diffusion": lambda plan: (plan.rerank.key.startswith("diffusion"), plan.whitening.name == "lw"),
    "regional-diffusion": lambda plan: plan.aggregation.name == "rmac",
}
TRAINED = {
    "delf": ("pooling", "delf", "ce"),
    "neural-codes-fine-tuned": ("logits", None, "ce"),
    "siam-fv": ("layer4", None, "siamese"),
    "sift-cnn": ("layer4", None, "siamese"),
    "quartet-net": ("logits", None, "double"),
    "netvlad": ("pooling", "netvlad", "triplet"),
    "deep-retrieval": ("pooling", "region_weights", "triplet"),
    "mom": ("layer4", None, "triplet"),
    "gem": ("layer4", None, "siamese_cirtorch"),
    "sfm-cnn": ("layer4", None, "siamese_cirtorch"),
    "ime-cnn": ("layer4", None, "multisim"),
    "mdp-cnn": ("layer4", None, "triplet"),
}
LABELS = {
    "sift-cnn": "verified",
    "mom": "mom",
    "gem": "verified",
    "sfm-cnn": "verified",
    "ime-cnn": "knn",
    "mdp-cnn": "diffusion",
}
"""Schemes that guess labels; the other systems have the given ones."""


def test_each_has_a_fact():
    assert {*FACTS, *TRAINED} == set(RUNNING)
    assert set(TRAINED) == set(LEARNING)


@pytest.mark.parametrize("name", FACTS)
def test_what_makes_a_system_that_one(name, given):
    def true(found):
        return all(map(true, found)) if isinstance(found, tuple | list) else found in (None, True)

    data = load_dataset(given["dataset"])
    assert true(FACTS[name](SYSTEMS[name].plan(data, given["dataset"], "toynet")))


@pytest.mark.parametrize("name", TRAINED)
def test_what_a_system_learns(name, given):
    data = load_dataset(given["dataset"])
    training = SYSTEMS[name].learning(data, given["dataset"], "toynet")
    moves, pooling, loss = TRAINED[name]
    assert (training.moves, training.loss.name, training.labels.name) == (moves, loss, LABELS.get(name, "given"))
    if pooling:
        assert training.pooling.name == pooling


def fitting(name, given):
    """Options that suit 40 pictures: no keypoints agree, and few words are filled."""
    labels = {"labels": "kmeans(each=5)"} if LABELS.get(name) in ("verified", "mom") else {}
    sized = {"aggregation": "bow(k=16)"} if name == "blcf" else {}
    return given | {"training": given["training"] | labels} | sized


@pytest.mark.parametrize("name", RUNNING)
def test_a_system_runs_on_any_network(name, given):
    given = fitting(name, given)
    done = run(name, **given)
    assert 0 <= done.metrics["map"] <= 1
    assert isinstance(done, FusedRun) == (len(SYSTEMS[name].parts) > 1)
    if name in TRAINED:
        recipe = done.recipe
        learned = str(recipe.weights).startswith("trained-") or str(recipe.aggregation).startswith("trained:")
        assert learned


def test_a_system_that_must_learn_says_so(given):
    with pytest.raises(ValueError, match=r"gem: its network learns first, 2 steps .*train=True"):
        run("gem", **given | {"train": False})
    with pytest.raises(ValueError, match="faster-r-cnn: it is listed only: a detector is fine-tuned on boxes"):
        run("faster-r-cnn", **given)
    with pytest.raises(UnknownName, match=r"Unknown system 'rmac'\. Did you mean 'r-mac'"):
        run("rmac", **given)


def test_options_of_a_system_do_not_stand_beside_a_recipe(things, warm):
    recipe = Recipe(dataset="things", weights="random")
    with pytest.raises(TypeError, match="run: dimensions, train belong to a system by name"):
        run(recipe, dataset=things, store=warm, dimensions=3, train=True)
    found = run(recipe, dataset=things, store=warm, progress=False)
    both = Fusion(members=(recipe, Recipe(dataset="things", weights="random", tap="layer3")))
    assert run(both, dataset=things, store=warm, progress=False).metrics["map"] > 0
    assert found.metrics["map"] > 0


@pytest.mark.parametrize(
    ("tap", "of", "on", "expected"),
    [
        ("fc6", "alexnet", "vgg16", "fc6"),
        ("fc7", "alexnet", "efficientnet_lite0", "avgpool"),
        ("fc6", "alexnet", "toynet", "logits"),
        ("fc6", "alexnet", "vit_b_16", "class_token"),
        ("conv5_3", "vgg16", "toynet", "layer4"),
        ("pool5", "vgg16", "resnet18", "layer4"),
        ("conv4_3", "vgg16", "toynet", "layer3"),
        ("layer3", "resnet101", "vgg16", "conv4_3"),
        ("conv1_2", "vgg16", "squeezenet1_1", "conv1"),
    ],
)
def test_another_network_has_a_tap_in_the_same_place(tap, of, on, expected):
    assert tap_in_place_of(tap, of, on) == expected


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "resnet18", "deit_tiny", "toynet", "alexnet"])
def test_what_a_system_lets_learn_has_parameters_on_any_network(backbone, things):
    """A neural code of a network without fully connected layers is the mean of its last map, which has none."""
    network = load_backbone(backbone, "random")
    for name in ("neural-codes-fine-tuned", "quartet-net"):
        training = SYSTEMS[name].learning(things, "things", backbone, weights="random").resolved(network, 64)
        assert moving(network, training.moves, str(training.tap))


@pytest.mark.parametrize("name", ["crow", "neural-codes", "mop-cnn", "ccs", "blcf", "multi-layer-cnn"])
def test_an_equal_budget_is_kept(name, given):
    done = run(name, **fitting(name, given), dimensions=8)
    dims = [done.dim] if hasattr(done, "dim") else [done.embedding.shape[1]]
    assert dims == [8] if name != "multi-layer-cnn" else dims[0] in (8, 24)


def test_a_table_of_systems_has_a_row_for_each(given):
    options = {key: value for key, value in given.items() if key not in ("dataset", "train", "training")}
    frame = compare_systems(given["dataset"], "crow,gem,faster-r-cnn,mop-cnn", **options)
    assert list(frame["system"]) == ["crow", "gem", "faster-r-cnn", "mop-cnn"]
    assert [bool(error) for error in frame["error"]] == [False, True, True, False]
    assert frame["map"].notna().tolist() == [True, False, False, True]
    assert list(frame["status"]) == ["runs", "runs with a stand-in", "out", "runs"]
    row = frame.iloc[0]
    assert Recipe.from_json(row["recipe"]).aggregation.name == "crow"


def test_the_command_line_runs_one_and_compares_several(pictures, warm, capsys, tmp_path):
    given = ["--dataset", str(pictures), "--weights", "random", "--image-size", str(SIDE), "--store", str(warm.path)]
    given += ["--whitening-set", "database", "--quiet"]
    assert main(["run", "crow", "--backbone", "toynet", *given]) == 0
    assert "crow(a=2, b=2)" in capsys.readouterr().out
    out = tmp_path / "systems.csv"
    line = ["compare", "--systems", "crow", "gem", "--backbone", "toynet", "--dimensions", "8", "--out", str(out)]
    assert main([*line, *given]) == 0
    said = capsys.readouterr().out
    assert "\ngem: its network learns first, 60 steps" in said
    assert len(out.read_text().splitlines()) == 3
    assert main(["run", "rmac", *given]) == 2
    assert "Did you mean 'r-mac'" in capsys.readouterr().err
    assert main(["compare", "--systems", "crow", "--taps", "layer3", *given]) == 2
    assert "a system decides its taps" in capsys.readouterr().err
    assert main(["compare", "--systems", "crow", "--backbone", "toynet", "resnet18", *given]) == 2
    assert "take one of --backbone" in capsys.readouterr().err
    assert main(["list", "systems", "mop-cnn"]) == 0
    told = capsys.readouterr().out
    assert "@inproceedings{gong2014," in told
    assert "windows(size=0.25" in told


ONE_PASS = [
    *("r-mac", "crow", "blcf", "spoc", "non-metric"),
    *("rdp", "offline-diffusion", "global-diffusion", "regional-diffusion"),
]


@pytest.fixture
def opened(pictures, warm):
    return Session(str(pictures), "toynet", "random", store=warm, image_size=SIDE, whitening_set="database")


@pytest.mark.parametrize("name", ONE_PASS)
def test_a_panel_shows_a_system_of_one_pass(name, opened):
    state = RetrievalState.of(state_of_system(SYSTEMS[name], opened))
    given = {"image_size": SIDE, "whitening_set": "database", "weights": "random"}
    plan = SYSTEMS[name].plan(opened.dataset, opened.common.dataset, "toynet", **given)
    assert opened.recipe(*state.setting) == plan.resolved(opened.dataset, opened.bench.backbone)


@pytest.mark.parametrize("name", [name for name in RUNNING if name not in ONE_PASS])
def test_a_panel_says_how_to_run_any_other_system(name, opened):
    with pytest.raises(ValueError, match=re.escape(f"cbirlab.run({name!r}")):
        state_of_system(SYSTEMS[name], opened)


def test_the_menu_of_systems_sets_the_controls_and_lets_them_go(pictures, warm):
    asked = {"store": warm, "image_size": SIDE, "whitening_set": "database", "weights": "random"}
    workbench = Workbench(str(pictures), "toynet", backbones=["toynet"], prefetch=False, pause=0, **asked)
    menu, before = workbench.a.systems.systems, workbench.a.setting
    menu.value = "mop-cnn"
    assert (menu.value, workbench.a.setting) == ("", before)
    assert "it fuses 3 rankings" in workbench.error.value
    menu.value = "crow"
    assert (workbench.a.setting.aggregation.name, workbench.a.controls.whitening.value) == ("crow", "pca")
    assert "Kalantidis" in workbench.a.systems.note.value
    workbench.a.controls.tap.value = "layer3"
    assert (menu.value, workbench.a.systems.note.value) == ("", "")
    workbench.close()
