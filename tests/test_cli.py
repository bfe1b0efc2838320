"""Command line: what it prints, writes and returns."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import cbirlab
from cbirlab import cli, tables
from cbirlab.backbones import BACKBONES
from cbirlab.base.registry import Registry
from cbirlab.cli import lab, listing
from cbirlab.cli.options import size_bytes
from cbirlab.cli.parser import build_parser
from cbirlab.datasets import load_dataset
from cbirlab.imported_features import evaluate_features
from cbirlab.store import Store


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    """Call the command line in an empty folder with its own store; returns code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CBIRLAB_STORE", str(tmp_path / "store"))

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = cli.main(arguments)
        except SystemExit as stop:  # argparse
            code = int(stop.code or 0)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def options(pictures: Path) -> list[str]:
    return ["--dataset", str(pictures), "--weights", "random", "--image-size", "64", "--quiet"]


def test_without_a_command_the_help_is_shown(call):
    code, out, _ = call()
    assert code == 0
    assert "cbirlab compare --taps all" in out


@pytest.mark.parametrize(
    "command", ["lab", "app", "list", "run", "compare", "extract", "index", "versus", "evaluate", "published", "store"]
)
def test_every_command_has_help(call, command):
    code, out, _ = call(command, "--help")
    assert code == 0
    assert command in out


def test_the_example_commands_in_the_help_are_understood():
    for line in build_parser().epilog.splitlines():  # pyright: ignore
        words = line.strip().split("  ")[0].replace('"', "").split()
        if words[:1] == ["cbirlab"]:
            assert build_parser().parse_args(words[1:]).command == words[1]


def test_list_names_everything(call):
    code, out, _ = call("list")
    assert code == 0
    for kind in listing.KINDS:
        registry = listing.registry(kind)
        assert isinstance(registry, Registry)
        for name in registry:
            assert name in out


def test_list_of_one_kind_one_entry_and_taps(call):
    assert "gem(p=3)" in call("list", "aggregations")[1]
    details = call("list", "aggregations", "gem")[1]
    assert "in [1, 10], default 3" in details
    taps = call("list", "taps", "resnet50")[1].splitlines()
    assert len(taps) == len(BACKBONES.info("resnet50").facts["taps"])
    assert taps[4].split() == ["layer4", "2048", "channels", "stride", "32", "layer4", "default"]
    assert "layer4" in call("list", "backbones", "resnet50")[1]
    assert "trapezoid" in call("list", "protocols", "revisited")[1]


def test_the_markdown_list_has_a_row_per_entry(call):
    rows = call("list", "--markdown")[1].splitlines()
    kinds = [listing.registry(kind) for kind in listing.KINDS]
    assert len(rows) == 2 + sum(not kind.info(name).facts.get("trained") for kind in kinds for name in kind)
    assert all(row.startswith("| ") and row.endswith(" |") for row in rows)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["list", "backbone"], 2, "unknown 'backbone'. Did you mean 'backbones'?"),
        (["list", "backbones", "resnet5"], 2, "Did you mean 'resnet50'"),
        (["list", "taps"], 2, "name a backbone to list its taps"),
        (["frobnicate"], 2, "unknown 'frobnicate'. Known: lab"),
        (["run", "--backbone", "toynt"], 2, "Did you mean 'toynet'"),
        (["run", "--aggregation", "gem(p=12)"], 2, "p must be in [1, 10]"),
        (["run", "--dimensions", "many"], 2, "invalid int value"),
        (["run", "--out", "table.doc"], 2, "--out must end in one of"),
        (["run", "--dataset", "no/such/folder"], 2, "no/such/folder"),
        (["run", "--recipe", "none.json"], 1, "none.json"),
        (["compare", "--backbone", "toynt"], 2, "Did you mean 'toynet'"),
        (["compare", "--taps", "layr4", "--weights", "random", "--dataset", "."], 1, "at least one image"),
        (["compare", "--aggregations", "gme"], 2, "Did you mean 'gem'"),
        (["compare", "--whitenings", "pcb"], 2, "Did you mean 'pca'"),
        (["compare", "--precision", "float16"], 2, "precision must be one of"),
        (["run", "--weights", "none.pth", "--dataset", "pictures"], 1, "none.pth"),
        (["evaluate", "--dataset", "pictures", "--features", "none.npy"], 1, "none.npy: no such file"),
        (["evaluate", "--dataset", "pictures", "--features", "x.npy", "--out", "x.doc"], 2, "--out must end in one of"),
        (["evaluate", "--dataset", "pictures", "--features", "x.npy", "--per-query", "x.d"], 2, "--per-query must end"),
        (["evaluate", "--dataset", "pictures"], 2, "--features"),
        (["published", "--dataset", "oxford"], 2, "Did you mean 'oxford5k'"),
        (["published", "--method", "no such"], 1, "no published result matches"),
        (["store", "prune", "--keep", "many"], 2, "a size is a number"),
        (["store", "prune", "--keep", "-5"], 2, "a size is a number >= 0"),
        (["store", "prune", "--keep", "inf"], 2, "a size is a number >= 0"),
        (["store", "prune", "--older-than", "-1"], 2, "a number of days >= 0"),
        (["lab", "--no-browser"], 2, "put options for JupyterLab after --, as in: cbirlab lab -- --no-browser"),
        (["app", "--port", "9999"], 2, "put options for Voilà after --"),
        (["run", "--no-such-option"], 2, "unrecognized arguments: --no-such-option\n"),
        (["run", "--device", "abacus"], 2, "--device must be a device of this machine, such as 'cpu', got 'abacus'"),
        (["compare", "--device", "abacus"], 2, "--device must be"),
        (["run", "--dataset", ""], 2, "Unknown dataset ''"),
        (["run", "--out", "."], 2, "--out must end in one of"),
        (["store"], 2, "ACTION"),
    ],
)
def test_wrong_usage_is_2_and_failure_1_with_one_sentence(call, arguments, code, message, pictures):
    if "pictures" in arguments:
        arguments = [str(pictures) if word == "pictures" else word for word in arguments]
    got, _, err = call(*arguments)
    assert (got, message in err) == (code, True), err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "usage", "near"),
    [
        (["stor", "list"], "usage: cbirlab [", "'store'"),
        (["store", "lst"], "usage: cbirlab store [", "'list'"),
        (["list", "aggregation"], "usage: cbirlab list [", "'aggregations'"),
        (["run", "--agregation", "gem"], "usage: cbirlab run [", "'--aggregation'"),
        (["compare", "--whitning", "pca"], "usage: cbirlab compare [", "'--whitening'"),
        (["store", "prune", "--kep", "0"], "usage: cbirlab store prune [", "'--keep'"),
        (["run", "--traceback", "--qiet"], "usage: cbirlab run [", "'--quiet'"),
        (["--verson"], "usage: cbirlab [", "'--version'"),
    ],
)
def test_wrong_usage_shows_that_of_the_command_and_the_nearest_name(call, arguments, usage, near):
    code, _, err = call(*arguments)
    assert code == 2
    assert err.startswith(usage)
    assert f"Did you mean {near}?" in err.splitlines()[-1]


def test_an_error_can_show_where_it_came_from(call):
    with pytest.raises(KeyError):
        call("run", "--traceback", "--dataset", "no/such/folder")


def test_compare_writes_tables_and_run_repeats_a_row(call, pictures, tmp_path):
    compare = ["compare", *options(pictures), "--taps", "layer2", "layer4", "--aggregations", "gem", "mac"]
    compare += ["--whitenings", "all", "--whitening-set", str(pictures.parent / "train"), "--dimensions", "4", "8"]
    code, out, err = call(*compare, "--out", "table.csv")
    assert (code, err) == (0, "")
    assert out.startswith("| ")
    frame = tables.read(tmp_path / "table.csv")
    assert len(frame) == 2 * 2 * (1 + 2 + 2 + 1 + 1), "none, pca, shrinkage, zca, autoencoder; lw has no labels"
    for suffix in ("md", "tex", "json", "xlsx"):
        assert call(*compare, "--out", f"table.{suffix}")[0] == 0
        assert (tmp_path / f"table.{suffix}").stat().st_size > 100
    code, out, _ = call("run", "--recipe", "table.csv", "--row", "4", "--quiet", "--out", "row.json")
    assert code == 0
    assert f"{frame.loc[4, 'map']:.4f}" in out
    row = json.loads((tmp_path / "row.json").read_text())[0]
    assert row["map"] == frame.loc[4, "map"]
    (tmp_path / "recipe.json").write_text(json.dumps(row["recipe"]))
    code, out, _ = call("run", "--recipe", "recipe.json", "--aggregation", "gem(p=4)", "--quiet")
    assert code == 0
    assert "gem(p=4)" in out
    code, out, _ = call("run", "--recipe", "table.csv", "--row", "4", "--metrics", "recall@1", "--out", "more.csv")
    assert (code, "recall@1" in out) == (0, True)
    assert tables.read(tmp_path / "more.csv").loc[0, "map"] == frame.loc[4, "map"]
    assert "recall@1" in tables.read(tmp_path / "more.csv").columns
    code, _, err = call("run", "--recipe", "table.csv", "--row", "99")
    assert (code, "row must be in [0, 27]" in err) == (2, True)


def test_two_rows_are_compared_query_by_query_and_fusions_are_run_again(call, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = [
        "compare",
        *options(pictures),
        "--taps",
        "layer1",
        "layer4",
        "--aggregations",
        "gem",
        "--whitenings",
        "none",
    ]
    assert call(*given, "--fusion", "rrf", "early", "--out", "table.csv")[0] == 0
    frame = tables.read("table.csv")
    assert list(frame["fusion"]) == ["", "", "rrf(k=60)", "early"]
    assert frame["tap"].iloc[-1] == "layer1 + layer4"
    code, out, _ = call("run", "--recipe", "table.csv", "--row", "3", "--quiet")
    assert (code, f"{frame['map'].iloc[3]:.4f}" in out) == (0, True)
    code, out, _ = call("versus", "table.csv", "0", "2", "--quiet", "--out", "queries.csv")
    assert code == 0
    assert f"a {frame['map'].iloc[0]:.4f}, b {frame['map'].iloc[2]:.4f}" in out
    queries = tables.read("queries.csv")
    assert len(queries) == 40
    assert queries["difference"].is_monotonic_decreasing
    for row, protocol, word in ((0, "category", "hit@1: a "), (1, "ukbench", "N-S: a "), (0, "holidays", "mAP: a ")):
        recipes = [{**tables.read_recipe(frame.iloc[one].to_dict()), "protocol": protocol} for one in (row, 1)]
        tables.write(pd.DataFrame({"recipe": [json.dumps(one) for one in recipes]}), "other.csv")
        assert f"\n{word}" in "\n" + call("versus", "other.csv", "0", "1", "--quiet")[1]
    code, _, err = call("run", "--recipe", "table.csv", "--row", "3", "--tap", "layer2")
    assert (code, "a saved fusion is run without changes; leave out tap" in err) == (2, True)
    code, _, err = call(*given[:-7], "--taps", "layer1", "--fusion", "rrf")
    assert (code, "fusions need recipes that differ" in err) == (1, True)


def test_the_store_is_listed_verified_repaired_and_pruned(call, pictures, tmp_path):
    assert call("store", "list")[1].startswith("no entries")
    assert call("run", *options(pictures))[0] == 0
    code, out, _ = call("store", "list")
    assert code == 0
    head, described = next((out.splitlines()[0], line) for line in out.splitlines() if " descriptors " in line)
    assert described[head.index("backbone") :].split()[:2] == ["toynet", "random"]
    assert described.endswith("gem(p=3)")
    assert call("store", "verify")[0] == 0
    store = Store(tmp_path / "store")
    broken = store.folder("descriptors", store.entries()[0].key) / "values.npy"
    broken.write_bytes(broken.read_bytes()[:-1])
    code, out, _ = call("store", "verify")
    assert code == 1
    assert "1 damaged" in out
    assert call("store", "verify", "--repair")[0] == 0
    assert call("store", "verify")[0] == 0
    assert call("run", *options(pictures))[0] == 0
    assert call("compare", *options(pictures), "--aggregations", "gem(p=4)", "mac")[0] == 0
    out = call("store", "list")[1]
    lines = [line for line in out.splitlines() if " descriptors " in line]
    assert any("mac" in line and "gem (2 settings)" in line for line in lines), out  # all poolings of a tap in one
    total = next(line.split() for line in out.splitlines() if line.startswith("together"))
    assert int(total[1]) == len(Store(tmp_path / "store").entries())
    assert call("store", "prune", "--keep", "0")[0] == 0
    assert call("store", "list")[1].startswith("no entries")
    assert call("store", "list", "--store", str(tmp_path / "elsewhere"))[1].startswith("no entries")


def test_warnings_are_one_line_and_do_not_fail(call, pictures, tmp_path):
    (tmp_path / "mixed" / "thing").mkdir(parents=True)
    for number, path in enumerate(sorted((pictures / "thing0").iterdir())):
        (tmp_path / "mixed" / "thing" / f"{number}.png").write_bytes(path.read_bytes())
    (tmp_path / "mixed" / "thing" / "bad.jpg").write_bytes(b"no image")
    code, out, err = call("run", *options(tmp_path / "mixed"))
    assert code == 0
    assert err.startswith("warning: ")
    assert "bad.jpg" in err
    assert "map " in out


@pytest.mark.parametrize("option", ["--out", "--save-ranking"])
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_computed(
    call, tmp_path, monkeypatch, pictures, option
):
    name = "x.csv" if option == "--out" else "x.npz"
    run = ["run", *options(pictures), option]
    (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("mine")
    for place, why in ((name, "must be a file"), (f"file/{name}", "is no folder")):
        code, out, err = call(*run, place)
        assert (code, out) == (1, "")
        assert f"{option}" in err
        assert why in err
    assert (tmp_path / "file").read_text() == "mine"
    monkeypatch.setattr(os, "access", lambda place, mode: Path(place) != tmp_path)
    code, out, err = call(*run, f"new/folder/{name}")
    assert (code, out) == (1, "")
    assert "permission is denied" in err
    assert not (tmp_path / "new").exists()


def test_an_excel_table_without_openpyxl_is_refused_before_anything_is_computed(call, monkeypatch, pictures):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    code, out, err = call("run", *options(pictures), "--out", "x.xlsx")
    assert (code, out, "pip install 'cbirlab[excel]'" in err) == (1, "", True)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", b"{bad", "must hold a recipe"),
        ("x.json", b"\x82\xff", "must hold a recipe"),
        ("x.json", b"[1, 2]", "must hold a recipe"),
        ("x.json", b"[]", "has no rows"),
        ("x.csv", b"", "must hold a recipe"),
        ("x.csv", b"\x82\xff", "must hold a recipe"),
        ("x.csv", b"a,b\n1,2\n", "must hold a recipe"),
        ("x.csv", b"a,b\n", "has no rows"),
        ("x.md", b"| a |", "must hold a recipe"),
    ],
)
def test_a_file_without_a_recipe_is_named(call, tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    for command in (["run", "--recipe", name], ["versus", name, "0", "1"]):
        code, _, err = call(*command)
        assert (code, err.count("\n")) == (2, 1)
        assert err.startswith(f"cbirlab {command[0]}: {name}: ")
        assert message in err


def test_what_the_system_refuses_is_said_with_the_file_and_without_a_number(call):
    code, _, err = call("run", "--recipe", "none.json")
    assert (code, err) == (1, "cbirlab run: none.json: no such file or directory.\n")


def test_options_without_effect_are_told(call, pictures):
    train = str(pictures.parent / "train")
    few = ["--whitening", "pca", "--whitening-set", train, "--dimensions", "5000"]
    code, _, err = call("run", *options(pictures), *few)
    assert code == 0
    assert err.startswith("warning: 5000 dimensions were asked for, but only ")
    code, _, err = call("run", *options(pictures), "--whitening-set", "nowhere")
    assert (code, "'nowhere' has no effect" in err) == (0, True)
    assert call("run", *options(pictures), *few[:-1], "2")[2] == ""


def test_images_without_ground_truth_have_no_metrics_and_are_told_why(call, pictures):
    for command in (["run"], ["compare", "--aggregation", "mac", "--whitening", "none"]):
        code, out, _ = call(*command, *options(pictures / "thing0"))
        assert code == 0
        assert out.rstrip().splitlines()[-1].startswith("No ground truth")
        assert "No ground truth" not in call(*command, *options(pictures))[1]


def test_an_entry_says_what_it_does_and_nothing_of_the_program(call):
    out = call("list", "aggregations", "gem")[1]
    assert "Generalised mean of each channel" in out
    assert "of_gem" not in out
    assert "gem_sweep" not in out


def test_an_interrupt_ends_with_130(call, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setitem(cli.commands._COMMANDS, "list", interrupted)
    code, _, err = call("list")
    assert (code, "interrupted" in err) == (130, True)
    monkeypatch.setattr("cbirlab.cli.parser.build_parser", lambda: interrupted(None))
    assert call("list")[0] == 130


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2GB", 2 * 10**9), ("500 mb", 5 * 10**8), ("1000", 1000), ("1.5kB", 1500), ("0", 0), ("7b", 7)],
)
def test_sizes(text, expected):
    assert size_bytes(text) == expected


def test_lab_copies_notebooks_and_keeps_what_the_user_changed(tmp_path, monkeypatch, capsys):
    installed = tmp_path / "installed"
    installed.mkdir()
    for name in ("0_tour.ipynb", "1_more.ipynb"):
        (installed / name).write_text(name)
    monkeypatch.setattr(lab, "_notebooks", lambda: (installed, False))
    monkeypatch.chdir(tmp_path)
    working = lab.working_folder(None)
    assert working.name == "cbirlab-notebooks"
    (working / "0_tour.ipynb").write_text("mine")
    (working / "1_more.ipynb").unlink()
    lab.working_folder(None)
    assert (working / "0_tour.ipynb").read_text() == "mine"
    assert (working / "1_more.ipynb").read_text() == "1_more.ipynb"
    assert "0_tour.ipynb is kept as it is" in capsys.readouterr().out
    assert (installed / "0_tour.ipynb").read_text() == "0_tour.ipynb"


def test_lab_works_in_place_in_a_checkout_unless_told_otherwise(tmp_path, monkeypatch):
    checkout = tmp_path / "notebooks"
    checkout.mkdir()
    (checkout / "0_tour.ipynb").write_text("{}")
    monkeypatch.setattr(lab, "_notebooks", lambda: (checkout, True))
    assert lab.working_folder(None) == checkout
    assert lab.working_folder(str(tmp_path / "other")) == tmp_path / "other"
    assert (tmp_path / "other" / "0_tour.ipynb").exists()


@pytest.mark.parametrize("root", [True, False])
def test_lab_starts_jupyterlab_on_the_first_notebook(tmp_path, monkeypatch, root):
    started = []
    (tmp_path / "0_tour.ipynb").write_text("{}")
    monkeypatch.setattr("os.geteuid", lambda: 0 if root else 1000, raising=False)
    monkeypatch.setattr("jupyterlab.labapp.main", lambda argv: started.append(argv))
    assert cli.main(["lab", "--folder", str(tmp_path), "--", "--no-browser", "--port", "9999"]) == 0
    arguments = started[0]
    assert arguments[0] == f"--ServerApp.root_dir={tmp_path.resolve()}"
    assert "--LabApp.default_url=/lab/tree/0_tour.ipynb" in arguments
    assert arguments[-3:] == ["--no-browser", "--port", "9999"]
    assert ("--allow-root" in arguments) == root


def test_the_module_is_the_command_and_listing_loads_no_torch():
    script = (
        "import sys; from cbirlab.cli import main; main(['list'])\n"
        "print('torch' in sys.modules, 'pandas' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False False"
    done = subprocess.run([sys.executable, "-m", "cbirlab", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"cbirlab {cbirlab.__version__}\n"


def test_a_table_for_the_terminal_leaves_out_what_is_the_same_everywhere():
    from cbirlab.cli import output

    frame = pd.DataFrame({"dataset": ["a", "a"], "tap": ["x", "x"], "leak": ["", "some"], "recipe": ["{}", "{}"]})
    header = output.frame_text(frame).splitlines()[0]
    assert "tap" in header
    assert "leak" in header
    assert "dataset" not in header
    assert "recipe" not in header


def test_a_reader_who_has_had_enough_is_no_failure():
    program = [sys.executable, "-m", "cbirlab", "list"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as running:
        running.stdout.close()
        assert running.wait(60) == 0
        assert running.stderr.read() == b""


def test_features_of_others_are_judged_and_written(call, pictures):
    dataset = load_dataset(pictures)
    x = np.random.default_rng(0).normal(size=(len(dataset.images), 5))
    np.savez("both.npz", X=x.T, Q=x.T, other=np.zeros(3))
    np.save("x.npy", x)
    given = ["evaluate", "--dataset", str(pictures)]
    code, out, err = call(*given, "--features", "x.npy", "--out", "row.csv", "--per-query", "queries.csv")
    assert code == 0, err
    assert "average precision: trapezoid" in out
    row, queries = tables.read("row.csv").iloc[0], tables.read("queries.csv")
    assert (row["features"], row["dim"], row["similarity"], row["protocol"]) == ("x.npy", 5, "cosine", "retrieval")
    expected = evaluate_features(x, None, dataset)
    assert row["map"] == pytest.approx(expected.metrics["map"])
    assert f"map    {row['map']:.4f}  [{row['map_low']:.4f}, {row['map_high']:.4f}]" in out
    assert len(queries) == len(dataset.queries)
    assert queries["map"].mean() == pytest.approx(row["map"])
    code, _, err = call(*given, "--features", "x.npy", "--metrics", "recall@1,mrr", "hit@5", "--out", "more.csv")
    assert code == 0, err
    more = tables.read("more.csv").iloc[0]
    assert (more[row.index] == row).all()
    assert 0 <= more["recall@1"] <= more["mrr"] <= 1
    assert call(*given, "--features", "x.npy", "--metrics", "hits@5")[0] == 2
    both = [*given, "--features", "both.npz", "--key", "X", "--query-key", "Q"]
    assert call(*both)[1] == out.split("written")[0]
    first = call(*given, "--features", "x.npy", "--protocol", "category", "--top", "2")[1]
    assert re.search(r"^hit@8 +([\d.]+)", first, re.M)[1] == re.search(r"^hit@1 +([\d.]+)", first, re.M)[1]
    assert call(*both, "--columns")[1] == out.split("written")[0]
    code, _, err = call(*both, "--rows")
    assert (code, "It would fit as D x N" in err) == (1, True)
    code, out, _ = call(*given, "--features", "x.npy", "--protocol", "category", "--similarity", "euclidean")
    assert (code, "hit@8" in out, "average precision: finite-sum" in out) == (0, True, True)


def test_published_numbers_stand_below_the_rows_of_a_table(call, pictures, tmp_path):
    shutil.copytree(pictures, tmp_path / "mine" / "oxford5k")
    given = ["compare", *options(tmp_path / "mine" / "oxford5k"), "--aggregations", "gem", "--whitenings", "none"]
    code, out, err = call(*given, "--published", "--out", "table.csv")
    assert code == 0, err
    frame = tables.read("table.csv")
    assert frame["origin"].tolist()[:2] == ["measured", "published"]
    assert frame["map"][1] == 0.433
    assert "PCA, 128 dimensions" in out
    code, _, err = call("compare", "--dataset", str(pictures), "--published")
    assert (code, "Unknown dataset with published numbers" in err) == (2, True)


def test_published_numbers_are_printed_with_their_settings(call):
    code, out, _ = call("published", "--dataset", "roxford5k", "--method", "r-mac", "--out", "numbers.json")
    assert code == 0
    assert "| R-MAC, ResNet-101 " in out
    assert "0.498" in out
    assert "off the shelf" in out
    assert {*tables.read("numbers.json")["dataset"]} == {"roxford5k"}
    assert "| holidays " in call("published")[1]
