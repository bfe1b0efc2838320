"""What is stored is found again under the same code, and never under other code: which files count, and for what."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

import cbirlab
from cbirlab.aggregation import AGGREGATIONS, Aggregation
from cbirlab.backbones import load_backbone
from cbirlab.encoding import ENCODINGS
from cbirlab.extract import extract
from cbirlab.extract.cache_keys import ENGINE_ROOMS, ROOMS
from cbirlab.pipeline import Recipe, run
from cbirlab.store import code
from cbirlab.store.code import code_version

PACKAGE = Path(cbirlab.__file__).parent

BESIDE = (
    *("base", "store", "datasets", "backbones.weights"),
    *("pipeline", "passes", "evaluation", "index", "whitening", "compression", "reranking"),
)
BESIDE_MODULES = {
    "backbones.trained",  # names of weights; their digest counts
    *("extract", "extract.cache_keys", "extract.decode", "extract.descriptors", "extract.loop", "extract.fingerprint"),
    *(
        "extract.memory",
        "extract.moved",
        "extract.request",
        "extract.planning",
        "extract.assembling",
        "extract.local",
        "extract.batches",
        "extract.machine",
        "extract.engines",
        "extract.settling",
        "extract.views",
    ),
    *(
        "backbones",
        "backbones.backbone",
        "backbones.running",
        "backbones.catalogue",
        "backbones.loading",
        "backbones.names",
        "backbones.caffe",
    ),
}
"""What runs beside it and decides no value: it plans, keeps, checks, reports. Or it counts by what it gave: weights,
the tap's declaration, views and scales stand in the specification themselves."""


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("def f(x):\n    return x + 1", True),
        ("def f(x):  # why\n    '''What it is.'''\n\n    return  x+1", True),
        ("'''Module.'''\ndef f(x):\n    return x + 1\n# end", True),
        ("def f(x):\n    return x + 2", False),
        ("def f(x, y=0):\n    return x + 1", False),
        ("def f(x):\n    'text'\n    return 'other'", False),
        ("class A:\n    '''Nothing else.'''", False),
    ],
)
def test_what_code_does_counts_and_what_is_said_of_it_does_not(text, same):
    assert (code._meaning(text) == code._meaning("def f(x):\n    return x + 1")) == same


def test_a_module_that_is_gone_raises():
    with pytest.raises(ModuleNotFoundError, match=r"no module 'extract.pools' in cbirlab; was it moved"):
        code_version("images", "extract.pools")


def test_a_function_stands_for_its_module_and_one_of_a_notebook_for_its_text():
    assert code_version(AGGREGATIONS["gem"]) == code_version("aggregation.poolings.gem")
    assert (
        code_version("whitening", "index") == code_version("whitening", "index") != code_version("index", "whitening")
    )

    def one(x):
        return x

    def other(x):
        return -x

    assert len({code_version(one), code_version(other), code_version(eval("lambda x: x"))}) == 3


def modules_run(work) -> set[str]:
    """Modules of the package in which a function was called while `work` ran, in any thread."""
    files: set[str] = set()

    def note(frame, event, _given):
        if event == "call":
            files.add(frame.f_code.co_filename)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    inside = [Path(file).relative_to(PACKAGE) for file in files if Path(file).is_relative_to(PACKAGE)]
    return {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in inside}


def unknown(modules: set[str], network) -> set[str]:
    """Those that neither count for the key of descriptors nor are known to decide no value."""
    own = {type(part).__module__.removeprefix("cbirlab.") for part in network.modules()}
    rooms = (*ROOMS, *ENGINE_ROOMS, *own, *BESIDE)
    return {
        module
        for module in modules - BESIDE_MODULES
        if not any(module == room or module.startswith(f"{room}.") for room in rooms)
    }


@pytest.mark.parametrize(("name", "engine"), [("toynet", "torch"), ("toynet", "openvino"), ("handcrafted", "torch")])
def test_all_that_runs_while_images_are_described_counts_or_decides_no_value(name, engine, things, store):
    """A module that was moved, or is new, and that the key of descriptors does not know, would serve stale ones."""
    backbone = load_backbone(name)
    specs = ("gem", "mac", "rmac", "crow", "scda", "pwa", "crow_spatial > spoc")
    cells = {backbone.default_tap: [Aggregation.parse(one) for one in specs]}

    def work() -> None:
        options = {"scales": (1.0, 0.5), "engine": engine, "store": store, "progress": False}
        extract(things, backbone, taps=[*cells], aggregations=cells, **options)

    met = modules_run(work)
    assert {"images.reading", "backbones.taps", "extract.network"} <= met
    assert unknown(met, backbone.module) == set(), "name them in extract.cache_keys.ROOMS, or above"


@pytest.mark.parametrize("aggregation", ["vlad(k=4)", "asmk(k=4)"])
def test_all_that_runs_where_an_encoding_learns_counts_too(aggregation, things, store):
    assert aggregation.partition("(")[0] in ENCODINGS
    met = modules_run(lambda: run(Recipe(aggregation=aggregation), dataset=things, store=store, progress=False))
    assert unknown(met, load_backbone("toynet").module) == set()
