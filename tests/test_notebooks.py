"""Notebooks: short cells, nothing stored; each runs from top to bottom, and each exercise knows right from wrong.

They run on a part of the bundled benchmark; ``CBIRLAB_NOTEBOOKS=whole`` runs them as they are, on all of it.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from fake_session import label
from nbclient import NotebookClient
from PIL import Image

from cbirlab.datasets import load_dataset
from cbirlab.exercises import EXERCISES, part_of
from cbirlab.widgets.parts.bars import Bars
from cbirlab.widgets.parts.gallery import Gallery
from cbirlab.widgets.parts.query_picture import QueryPicture
from cbirlab.widgets.parts.scatter import Scatter
from cbirlab.widgets.parts.squares import Squares

REPOSITORY = Path(__file__).parents[1]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
WHOLE = os.environ.get("CBIRLAB_NOTEBOOKS") == "whole"
WIDGET = "application/vnd.jupyter.widget-view+json"
PROGRESS = re.compile(r"\d+%\||FloatProgress|: \d+:\d\d")  # tqdm's bars show themselves as text without a kernel
OTHER = ("squeezenet1_1", "random")  # taps with other names, none of them a classifier's; it is small and here
UNTIL_THE_PANEL = {"0", "4", "5", "6", "8", "9", "12", "13", "14", "15"}
"""Notebooks that are not run to the end with it: what follows the panel takes long, and names no tap."""
SMALL = "IMAGE_SIZE, AGGREGATIONS, WHITENINGS = 64, ['mac', 'gem'], ['none', 'pca']"
MOST_LINES = 10
MOST_CELLS = 12
BY_NAME = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)

EXTRAS = ("openpyxl", "h5py", "timm", "voila", "faiss", "mitsuba", "pytorch_metric_learning")
WITHOUT_EXTRAS = "import sys\nsys.modules |= dict.fromkeys({})  # as after a plain pip install"
NEEDS = {"14_search_at_scale": "faiss", "17_adapting": "pytorch_metric_learning"}
"""The extra that a notebook is about, and says so."""

TRY = '''
from cbirlab.exercises import judge, solution

def wrong_answers(found):
    """Answers that are not right, of the right kind and of others."""
    right = found.answer
    yield from (mistake for mistake, _ in found.mistakes)
    if isinstance(right, str):
        yield from ("another word", 7, [right, right])
    elif isinstance(right, (set, frozenset)):
        yield from ([*right, "another word"], 7, "another word")
    elif isinstance(right, (list, tuple)):
        yield from ([*right, 0], [number + 1 for number in right], sum(right), "word")
    else:
        yield from (right + 1, -right - 1, 1.2 * right + 0.01, "word", [right, right], True)

def try_both(name, **given):
    """The exercise takes its right answer, refuses wrong ones, says something else to each, and waits for the dots."""
    found = solution(name, **given)
    verdict = judge(name, found.answer, **given)
    assert verdict.right is True and verdict.sentence.startswith("Right. "), (name, verdict)
    assert judge(name, ..., **given).right is None
    for wrong in wrong_answers(found):
        verdict = judge(name, wrong, **given)
        assert verdict.right is False and verdict.sentence.startswith("Not yet"), (name, wrong, verdict)
    print("tried", name)
'''


def called(*descriptions):
    """Whether a part of a panel is a control of that name."""
    return lambda part: label(part) in descriptions


CONTROLS = {
    r"Move the controls": called("tap"),
    r"(Move the|Choose a) tap": called("tap"),
    r"Choose a( tap, a)? pooling|before SPoC, GeM and MAC": called("pooling"),
    r"with the embeddings in its menu": lambda part: called("pooling")(part) and "vlad" in dict(part.options).values(),
    r"R-MAC's levels": called("R-MAC levels"),
    r"CroW's exponents": called("CroW a"),
    r"GeM's p": called("GeM p"),
    r"`attention`": called("attention"),
    r"a whitening, move its power": called("power"),
    r"and a whitening": called("whitening"),
    r"its power and the\s+dimensions": called("dimensions"),
    r"Change the backbone": called("backbone"),
    r"Compare A \| B": called("Compare A | B"),
    r"[Pp]in settings": called("Pin this setting"),
    r"download the table|its buttons export": called("Download CSV"),
    r"change the method": called("map"),
    r"Let junk count": called("junk"),
    r"take\s+another\s+level": called("level"),
    r"cut the list": called("results"),
    r"Both settings\s+can be changed": lambda part: getattr(part, "titles", ()) == ("Setting B",),
    r"Click a bar": lambda part: isinstance(part, Bars),
    r"Click a\s+square": lambda part: isinstance(part, Squares),
    r"number of bits": called("bits"),
    r"choose\s+another code|Choose a code": called("code"),
    r"Move the iteration": called("iteration"),
    r"another seed": called("seed"),
    r"start from a random rotation": called("start"),
    r"by the first axis": called("first axis"),
    r"choose another group": called("group"),
    r"move m:": called("m"),
    r"Click another result": lambda part: isinstance(part, Gallery),
    r"`distance`": called("distance"),
    r"Raise re-scored": called("re-scored"),
    r"Choose a compression": called("compression"),
    r"places to re-score": called("rescore"),
    r"Move the probes": called("probes"),
    r"Choose a larger k": called("k"),
    r"Move k1": called("k1"),
    r"Move the steps": called("steps"),
    r"Move the tolerance": called("pixels"),
    r"draw around some": lambda part: isinstance(part, Scatter),
    r"dropped in|marked to search": lambda part: isinstance(part, QueryPicture),
    r"[Cc]lick a query|Click another picture|which queries change|over several queries|Look for a query":
        lambda part: isinstance(part, Gallery) and part.arrangement == "strip",
}  # fmt: skip
"""What a reader is told to move, as a pattern of the text before a panel, and how to know it in the panel."""


def not_there(name):
    """The extras that a notebook has to do without."""
    return [one for one in EXTRAS if one != NEEDS.get(name)]


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def read(path):
    return nbformat.read(path, as_version=4)


def checks(cell):
    """The calls of `check` in a cell."""
    calls = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "check"]


def test_there_are_notebooks():
    assert NOTEBOOKS


@BY_NAME
def test_nothing_is_stored(path):
    notebook = read(path)
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}, "GitHub refuses to show some of the others"
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata.language_info) == {"name"}
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}
    for cell in code_cells(notebook):
        assert cell.outputs == []
        assert cell.execution_count is None


@BY_NAME
def test_cells_are_short_and_define_nothing(path):
    cells = code_cells(read(path))
    assert len(cells) <= MOST_CELLS
    for cell in cells:
        assert len(cell.source.splitlines()) <= MOST_LINES
        definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        assert not [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, definitions)]


@BY_NAME
def test_the_first_code_cell_holds_the_parameters(path):
    assert code_cells(read(path))[0].metadata.get("tags") == ["parameters"]


@BY_NAME
def test_no_answer_is_given_away(path):
    """Whatever is to be answered is left open, and predicted before the first thing is measured."""
    cells = code_cells(read(path))
    for cell in cells:
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("answer", "prediction"):
                assert ast.unparse(node.value) == "..."
    if any(name.startswith(f"{path.stem}.") for name in EXERCISES):
        assert cells[1].source.startswith("prediction = ...")


@BY_NAME
def test_each_exercise_is_asked_once(path):
    """What the notebook checks is what `cbirlab.exercises` has of it."""
    asked = [ast.literal_eval(call.args[0]) for cell in code_cells(read(path)) for call in checks(cell)]
    assert sorted(asked) == sorted(name for name in EXERCISES if name.startswith(f"{path.stem}."))


@pytest.fixture(scope="session")
def town(tmp_path_factory):
    """A part of Toytown on disk, in the form of the whole."""
    return written(part_of("toytown", queries=8, images=140, train=96), tmp_path_factory.mktemp("town"))


@pytest.fixture(scope="session")
def village(tmp_path_factory):
    """A smaller part, in small pictures, for a network that takes its time."""
    return written(part_of("toytown", queries=6, images=40, train=96), tmp_path_factory.mktemp("village"), shrink=4)


def written(part, folder, *, shrink=1):
    """A part in the form of the whole; its pictures, where they are not smaller, are links."""
    rows = {name: known for kind in ("images", "queries", "train") for name, known in _named(part, kind)}
    truth = {
        "imlist": [path.stem for path in part.images],
        "qimlist": [query.path.stem for query in part.queries],
        "gnd": [
            {"bbx": [edge / shrink for edge in query.box], "pairs": pairs}
            | {name: list(found) for name, found in labels.items()}
            for query, labels, pairs in zip(part.queries, part.labels, part.metadata["pairs"], strict=True)
        ],
    }
    (folder / "gnd_town.json").write_text(json.dumps(truth))
    (folder / "images.jsonl").write_text("".join(f"{json.dumps({'name': name} | row)}\n" for name, row in rows.items()))
    for place, paths in {"images": [*part.images, *_paths(part.queries)], "train": part.train}.items():
        (folder / place).mkdir()
        for path in paths:
            if shrink == 1:
                (folder / place / path.name).symlink_to(path)
            else:
                Image.open(path).reduce(shrink).save(folder / place / path.name, quality=95)
    assert len(load_dataset(folder).metadata["pairs"]) == len(part.queries)
    return folder


def _paths(queries):
    return [query.path for query in queries]


def _named(part, kind):
    """Name and metadata of each picture of a part."""
    paths = _paths(part.queries) if kind == "queries" else getattr(part, kind)
    return [(path.stem, row) for path, row in zip(paths, part.metadata[kind], strict=True)]


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory):
    """One store for all notebooks, as a reader has it."""
    return tmp_path_factory.mktemp("store")


@BY_NAME
def test_runs_from_top_to_bottom(path, town, shared_store, tmp_path, monkeypatch):
    monkeypatch.setenv("CBIRLAB_STORE", str(shared_store))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")])))
    notebook = read(path)
    if not WHOLE:
        code_cells(notebook)[0].source += f"\nDATASET, ROWS = {str(town)!r}, 10_000"
    asked = with_trials(notebook, not_there(path.stem))
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    errors = [output.text for output in outputs if output.get("name") == "stderr"]
    assert not errors, errors
    printed = "".join(output.text for output in outputs if output.get("name") == "stdout")
    assert [line.split()[1] for line in printed.splitlines() if line.startswith("tried ")] == asked
    shown = [output.data for output in outputs if WIDGET in output.get("data", {})]
    panels = [data for data in shown if not PROGRESS.search(data["text/plain"])]
    assert panels
    assert all("image/jpeg" in data or "image/png" in data for data in panels), "a panel without its still picture"
    figures = [
        (output.data["image/png"], output.metadata) for output in outputs if "image/png" in output.get("data", {})
    ]
    for png, metadata in figures:
        figure = Image.open(io.BytesIO(base64.b64decode(png)))
        assert figure.mode != "RGBA" or figure.getpixel((0, 0))[3] == 0, "a figure that is white on a dark page"
        assert "needs_background" not in str(metadata)
    assert not [data for data in shown if "cbirlab-error" in data["text/plain"]]


@pytest.fixture(scope="session")
def elsewhere(village, tmp_path_factory):
    """Runs a notebook with another network, in this process; gives (text before it, panel) for each of its panels."""
    store, known = tmp_path_factory.mktemp("elsewhere"), {}

    def run(path):
        if path not in known:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("CBIRLAB_STORE", str(store))
                for name in not_there(path.stem):
                    patch.setitem(sys.modules, name, None)
                notebook = read(path)
                if path.stem.split("_")[0] in UNTIL_THE_PANEL and not WHOLE:
                    last = max(place for place, cell in enumerate(notebook.cells) if "panel = " in cell.source)
                    del notebook.cells[last + 1 :]
                small = "" if WHOLE else f"\n{SMALL}"
                known[path] = run_here(
                    notebook, not_there(path.stem), f"DATASET, BACKBONE, WEIGHTS = {str(village)!r}, *{OTHER}{small}"
                )
        return known[path]

    yield run
    for panels in known.values():
        for _, panel in panels:
            panel.close()


def run_here(notebook, without, parameters):
    code_cells(notebook)[0].source += f"\n{parameters}"
    asked = with_trials(notebook, without)
    said, text, panels, names = io.StringIO(), "", [], {"display": lambda *shown: None}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = cell.source
            continue
        with contextlib.redirect_stdout(said):
            exec(compile(cell.source, "<cell>", "exec"), names)
        if "panel = " in cell.source:
            panels.append((text, names["panel"]))
    assert [line.split()[1] for line in said.getvalue().splitlines() if line.startswith("tried ")] == asked
    return panels


@BY_NAME
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_runs_with_another_network(path, elsewhere):
    for _, panel in elsewhere(path):
        assert not alerts(panel)
        assert panel.still().startswith(b"\xff\xd8")


@BY_NAME
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_the_text_before_a_panel_names_is_in_the_panel(path, elsewhere):
    for text, panel in elsewhere(path):
        named = {word: there for word, there in CONTROLS.items() if re.search(word, text)}
        assert named, f"this test does not know what the reader is told to do: {text}"
        parts = [*tree(panel)]
        for word, there in named.items():
            assert any(there(part) for part in parts), f"{word!r} is in the text, and not in the panel"


def tree(widget):
    """A widget, and all that is in it."""
    yield widget
    for child in getattr(widget, "children", ()):
        yield from tree(child)


def alerts(panel):
    return [part.value for part in tree(panel) if "role='alert'" in str(getattr(part, "value", ""))]


def test_a_progress_bar_leaves_nothing_in_the_notebook(tmp_path, monkeypatch):
    """Its widget ends with the bar: an opened notebook would have an error in its place."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")])))
    code = """
import time
from cbirlab.base.progress import bar
for step in bar(range(5), desc="slow", unit="step"):
    time.sleep(0.4)
""".strip()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    seen = []
    client = NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(tmp_path)}})
    process = client.process_message
    monkeypatch.setattr(
        client, "process_message", lambda message, *rest: seen.append(message) or process(message, *rest)
    )
    client.execute()
    assert [m for m in seen if WIDGET in m["content"].get("data", {})], "there was one"
    assert [output.data for output in notebook.cells[0].outputs] == [{"text/plain": ""}]


def with_trials(notebook, without=EXTRAS):
    """Behind each cell that checks an answer, a cell that tries right and wrong ones; the names of the exercises."""
    asked, cells = [], []
    for cell in notebook.cells:
        cells.append(cell)
        for call in checks(cell) if cell.cell_type == "code" else ():
            name, given = call.args[0], call.keywords
            trial = ast.Call(ast.Name("try_both"), [name], given)
            cells.append(nbformat.v4.new_code_cell(ast.unparse(trial)))
            asked.append(ast.literal_eval(name))
    cells[:0] = [nbformat.v4.new_code_cell(text.strip()) for text in (WITHOUT_EXTRAS.format(tuple(without)), TRY)]
    notebook.cells = cells
    return asked
