"""What the README and the documents that it leads to print is what the package says and does."""

from __future__ import annotations

import json
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
from cbirlab.pipeline import STAGES, remove_stage

ROOT = Path(__file__).parent.parent
DOCUMENTS = (
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "cbirlab/EXTENDING.md",
    "cbirlab/METHODS.md",
    "data/README.md",
    "data/results/README.md",
    "data/results/adaptation.md",
    "data/results/systems.md",
    "data/results/tables.md",
    "data/toynet/README.md",
    "data/toytown/README.md",
    "notebooks/README.md",
)
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS}
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
BLOCKS = [block for text in TEXTS.values() for block in FENCED.findall(text)]
PYTHON = [code for language, code in BLOCKS if language == "python"]
COMMANDS = [shlex.split(line)[1:] for _, block in BLOCKS for line in block.splitlines() if line.startswith("cbirlab ")]
LINKS = [
    (name, link)
    for name, text in TEXTS.items()
    for link in dict.fromkeys(re.findall(r"\]\((?!https?:)([^)\s]+)\)", FENCED.sub("", text)))
]


def anchors(text: str) -> list[str]:
    """What GitHub calls the headings of a document in its address."""
    titles = re.findall(r"^#+ (.+)$", FENCED.sub("", text), flags=re.MULTILINE)
    slugs = [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles]
    before = [slugs[:place].count(slug) for place, slug in enumerate(slugs)]
    return [f"{slug}-{count}" if count else slug for slug, count in zip(slugs, before, strict=True)]


def target(name: str, link: str) -> str:
    """The path that a document's link leads to, from the root of the repository, without the anchor."""
    path = link.partition("#")[0]
    return name if not path else ((ROOT / name).parent / path).resolve().relative_to(ROOT.resolve()).as_posix()


@pytest.fixture(scope="module")
def towers(tmp_path_factory) -> Path:
    """A few drawn towers in the form of Toytown, which the documents' examples run on here."""
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
    methods = TEXTS["cbirlab/METHODS.md"]
    inside = re.search(r"<!-- inside:begin.*?-->\n(.*?)<!-- inside:end -->", methods, flags=re.DOTALL)
    assert inside is not None
    assert inside.group(1).strip() == markdown().strip(), "write it again: cbirlab list --markdown"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.usefixtures("in_folder")
def test_the_commands_work(words: list[str], towers: Path, capsys):
    words = [*words]
    if words[0] in ("compare", "run", "why", "export"):
        words += ["--dataset", str(towers), "--quiet", *(["--weights", "random"] if "alexnet" in words else [])]
    assert main(words) == 0, capsys.readouterr().err
    assert capsys.readouterr().out


@pytest.mark.parametrize("code", [code for code in PYTHON if "toytown" in code or "Fusion" in code])
@pytest.mark.usefixtures("in_folder")
def test_the_python_works(code: str, towers: Path, capsys):
    code = code.replace('"toytown"', repr(str(towers))).replace("Recipe(tap", f"Recipe(dataset={str(towers)!r}, tap")
    known, stages = set(BACKBONES), set(STAGES)
    try:
        exec(code, {})
    finally:
        for name in set(BACKBONES) - known:
            BACKBONES.remove(name)
        for name in set(STAGES) - stages:
            remove_stage(name)
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


@pytest.mark.parametrize(("name", "link"), LINKS)
def test_links_lead_to_a_file_and_to_a_heading_in_it(name: str, link: str):
    path, anchor = target(name, link), link.partition("#")[2]
    assert (ROOT / path).exists()
    assert not anchor or anchor in anchors((ROOT / path).read_text(encoding="utf-8"))


def test_anchors_are_made_as_github_makes_them():
    text = "# One, `two` & three-four\n```\n# a comment\n```\n## Whitening\n### Whitening\n"
    assert anchors(text) == ["one-two--three-four", "whitening", "whitening-1"]


def test_the_readme_leads_to_every_document():
    found, left = set(), {"README.md"}
    while left:
        found |= left
        left = {target(name, link) for name, link in LINKS if name in left and ".md" in link} - found
    assert found == set(DOCUMENTS)


def _headings(notebook: str) -> list[str]:
    cells = json.loads((ROOT / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8"))["cells"]
    lines = [line for cell in cells if cell["cell_type"] == "markdown" for line in "".join(cell["source"]).splitlines()]
    return [line.lstrip("#").strip() for line in lines if line.startswith("#")]


def test_every_notebook_is_listed_with_its_question():
    names = {path.stem for path in (ROOT / "notebooks").glob("*.ipynb")}
    listed = re.findall(r"^\| \[(\w+)\]\(\1\.ipynb\) \| (.+) \|$", TEXTS["notebooks/README.md"], flags=re.MULTILINE)
    assert {name for name, _ in listed} == names
    assert [question for _, question in listed] == [_headings(name)[0] for name, _ in listed]


def test_lessons_name_headings_of_their_notebooks():
    steps = re.findall(r"^\| \d+ \| (.+?) \| (.+?) \|", TEXTS["notebooks/README.md"], flags=re.MULTILINE)
    shown = [(re.findall(r"`(\w+)`", books), re.findall(r"\*(.+?)\*", show)) for books, show in steps]
    assert len(shown) > 10
    for books, headings in shown:
        assert books
        assert set(headings) <= {heading for book in books for heading in _headings(book)}
