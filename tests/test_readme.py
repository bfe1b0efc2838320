"""What the README prints is what the package says and does."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from fake_session import write_toytown_form

from cbirlab.aggregation import AGGREGATIONS
from cbirlab.attention import ATTENTIONS, Attention
from cbirlab.backbones import BACKBONES
from cbirlab.cli import main
from cbirlab.cli.listing import markdown
from cbirlab.passes import PASSES, Passes, View

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
PYTHON = [code for language, code in BLOCKS if language == "python"]
COMMANDS = [shlex.split(line)[1:] for _, block in BLOCKS for line in block.splitlines() if line.startswith("cbirlab ")]


@pytest.fixture(scope="module")
def towers(tmp_path_factory) -> Path:
    """A few drawn towers in the form of Toytown, which the README's examples run on here."""
    return write_toytown_form(tmp_path_factory.mktemp("readme") / "towers")


@pytest.fixture(scope="module")
def folder(towers) -> Path:
    """Where they run: with a store, and with what those before have written."""
    return towers.parent


@pytest.fixture
def in_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("CBIRLAB_STORE", str(folder / "store"))


def test_the_table_of_what_is_inside_is_the_registries():
    inside = re.search(r"<!-- inside:begin.*?-->\n(.*?)<!-- inside:end -->", README, flags=re.DOTALL)
    assert inside is not None
    assert inside.group(1).strip() == markdown().strip(), "write it again: cbirlab list --markdown"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.usefixtures("in_folder")
def test_the_commands_work(words: list[str], towers: Path, capsys):
    words = [*words]
    if words[0] in ("compare", "run", "why"):
        words += ["--dataset", str(towers), "--quiet", *(["--weights", "random"] if "alexnet" in words else [])]
    assert main(words) == 0, capsys.readouterr().err
    assert capsys.readouterr().out


@pytest.mark.parametrize("code", [code for code in PYTHON if "toytown" in code or "Fusion" in code])
@pytest.mark.usefixtures("in_folder")
def test_the_python_works(code: str, towers: Path, capsys):
    code = code.replace('"toytown"', repr(str(towers))).replace("Recipe(tap", f"Recipe(dataset={str(towers)!r}, tap")
    known = set(BACKBONES)
    try:
        exec(code, {})
    finally:
        for name in set(BACKBONES) - known:
            BACKBONES.remove(name)
    assert capsys.readouterr().out


def test_the_example_of_a_pooling_method_registers_one():
    import torch

    try:
        exec(next(code for code in PYTHON if "@pooling" in code), {})
        maps = torch.tensor([[[[1.0, 4.0]]]])
        torch.testing.assert_close(AGGREGATIONS["power"](maps, alpha=0.5), torch.tensor([[1.5]]))
    finally:
        AGGREGATIONS.remove("power")


def test_the_examples_of_attention_and_of_a_scheme_register_them():
    import torch

    try:
        exec(next(code for code in PYTHON if "@attention" in code), {})
        assert Attention("loudest").weights(torch.tensor([[[[1.0, 4.0]], [[2.0, 3.0]]]])).tolist() == [[[2.0, 4.0]]]
        assert Passes("halves").boxes(View(4, 6, lambda: None)) == [(0, 0, 3, 4), (3, 0, 6, 4)]  # pyright: ignore
    finally:
        ATTENTIONS.remove("loudest")
        PASSES.remove("halves")


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)\)", README))))
def test_links_into_the_repository_lead_somewhere(link: str):
    assert (Path(__file__).parent.parent / link).exists()
