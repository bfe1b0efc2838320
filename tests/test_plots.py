"""Figures: what is drawn is what the table says; colours can be told apart; nothing of pyplot."""

from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from fake_session import FakeSession, fake_dataset
from PIL import Image

from cbirlab import plots
from cbirlab.plots.canvas import COLOURS, HATCHES, INK, LINES, MARKERS, looks
from cbirlab.whitening import WHITENINGS, learn

TABLE = pd.DataFrame(
    {
        "tap": ["layer3", "layer3", "layer4", "layer4"],
        "aggregation": ["mac", "gem(p=3)", "mac", "gem(p=3)"],
        "dim": [96, 48, 192, 24],
        "map_medium": [0.2, 0.35, 0.47, 0.56],
        "map_medium_low": [0.15, 0.30, 0.42, 0.51],
        "map_medium_high": [0.26, 0.41, 0.51, 0.60],
        "map_hard": [0.1, 0.2, 0.3, float("nan")],
    }
)


def test_figures_of_pyplot_lie_on_the_page_as_ours_do():
    """No background of their own, and none that IPython asks JupyterLab to put behind them."""
    import matplotlib as mpl
    from matplotlib_inline.backend_inline import _fetch_figure_metadata

    with mpl.rc_context():
        plt = plots.pyplot()
        figure, ax = plt.subplots()
        ax.plot([1, 2], label="line")
        ax.set(title="title", xlabel="x")
        texts = (ax.title, ax.xaxis.label, *ax.get_xticklabels(), *ax.legend().get_texts())
        drawn = picture(ax)
        plt.close(figure)
    assert drawn.getpixel((0, 0))[3] == drawn.getpixel((drawn.width // 3, drawn.height // 2))[3] == 0
    assert _fetch_figure_metadata(figure) is None
    assert {mpl.colors.to_hex(text.get_color()) for text in texts} == {INK}
    assert ax.lines[0].get_color() == COLOURS[0]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    random = np.random.default_rng(0)
    made = fake_dataset(tmp_path_factory.mktemp("towers"))
    known = [
        {
            "index": [*labels["easy"], *labels["hard"]],
            "viewpoint_deg": (90 * random.random(len(labels["easy"]) + len(labels["hard"]))).tolist(),
        }
        for labels in made.labels
    ]
    return replace(made, metadata={"pairs": known})


def picture(ax):
    return Image.open(io.BytesIO(plots.png(ax))).convert("RGBA")


def series(ax):
    """Label to (x, y) of every line with a label."""
    named = {line.get_label(): line.get_xydata() for line in ax.lines if not line.get_label().startswith("_")}
    return {name: (data[:, 0], data[:, 1]) for name, data in named.items()}


def whiskers(ax):
    """Ends of every interval, as ((x, y), (x, y))."""
    return [np.array(path) for one in ax.collections for path in one.get_segments()]


# Tables


def test_bars_have_the_lengths_and_the_intervals_of_the_table():
    ax = plots.bars(TABLE, ["tap", "aggregation"])
    assert [bar.get_width() for bar in ax.patches] == list(TABLE["map_medium"])
    assert [label.get_text() for label in ax.get_yticklabels()][-1] == "layer4, gem(p=3)"
    ends = [(one[0, 0], one[1, 0]) for one in whiskers(ax)]
    assert ends == [pytest.approx(pair) for pair in zip(TABLE["map_medium_low"], TABLE["map_medium_high"], strict=True)]
    assert ax.get_xlabel() == "mAP (Medium), 95 % interval"
    assert ax.get_ylim()[0] > ax.get_ylim()[1], "the first row on top"
    assert ax.get_xlim()[0] == 0
    assert [text.get_text() for text in ax.texts] == [" 0.200", " 0.350", " 0.470", " 0.560"]


def test_bars_without_interval_and_with_a_missing_value():
    ax = plots.bars(TABLE, ["tap", "aggregation"], "map_hard")
    assert whiskers(ax) == []
    assert [text.get_text() for text in ax.texts][-1] == "none"
    assert ax.get_xlabel() == "mAP (Hard)"


def test_bars_refuse_rows_that_are_alike_missing_columns_and_empty_tables():
    with pytest.raises(ValueError, match="'layer3' twice; name more columns"):
        plots.bars(TABLE, "tap")
    with pytest.raises(ValueError, match="it lacks map_easy"):
        plots.bars(TABLE, "tap", "map_easy")
    with pytest.raises(ValueError, match="must have a row"):
        plots.lines(TABLE[:0], "dim", "tap")


def test_lines_over_words_keep_the_order_of_the_table():
    ax = plots.lines(TABLE, "tap", "aggregation")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["layer3", "layer4"]
    found = series(ax)
    assert found["mac"][1].tolist() == [0.2, 0.47]
    assert found["gem(p=3)"][1].tolist() == [0.35, 0.56]
    assert len(whiskers(ax)) == 4
    assert found["mac"][0].tolist() != found["gem(p=3)"][0].tolist(), "whiskers stand side by side"


def test_lines_over_numbers_are_sorted_and_stand_where_they_belong():
    found = series(plots.lines(TABLE, "dim", "aggregation"))
    assert found["gem(p=3)"][0].tolist() == [24, 48]
    assert found["gem(p=3)"][1].tolist() == [0.56, 0.35]


def test_one_line_needs_no_legend():
    ax = plots.lines(TABLE, "dim", None, "map_hard", xlabel="dimensions (number)")
    assert ax.get_legend() is None
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("dimensions (number)", "mAP (Hard)")


def test_costs_stand_on_a_logarithmic_axis_with_their_words_and_intervals():
    ax = plots.costs(TABLE, "dim", "tap", "aggregation")
    assert ax.get_xscale() == "log"
    assert sorted(text.get_text() for text in ax.texts) == sorted(TABLE["tap"])
    found = series(ax)
    assert {(x, y) for x, y in zip(*found["mac"], strict=True)} == {
        *TABLE.loc[TABLE["aggregation"] == "mac", ["dim", "map_medium"]].itertuples(index=False, name=None)
    }
    assert len(whiskers(ax)) == 4
    assert plots.costs(TABLE, "dim", "tap").get_legend() is None
    with pytest.raises(ValueError, match="dim must be above 0 in every row, got 0"):
        plots.costs(TABLE.assign(dim=0), "dim", "tap")


def test_factors_draw_what_by_factor_finds(dataset):
    from cbirlab.study.perturbation import by_factor, pairs

    runs = {name: FakeSession(dataset).rank(name, "gem", "none", None) for name in ("stem", "layer4")}
    ax = plots.factors(runs, "viewpoint_deg", [30, 60])
    frames = {name: pairs(run.ranking, run.dataset) for name, run in runs.items()}
    found = by_factor(frames, "viewpoint_deg", [30, 60])
    for name, (_, heights) in series(ax).items():
        assert heights.tolist() == found[found["setting"] == name]["auc"].tolist()
    assert [label.get_text().split("\n")[0] for label in ax.get_xticklabels()] == ["under 30", "30 to 60", "over 60"]
    assert "degrees" in ax.get_xlabel()
    upside_down = plots.factors(runs, "viewpoint_deg", value="rank")
    assert upside_down.get_ylim()[0] > upside_down.get_ylim()[1]
    with pytest.raises(ValueError, match="value must be one of auc, rank"):
        plots.factors(runs, "viewpoint_deg", value="map")


def test_win_loss_draws_every_query_once_and_the_mean():
    frame = pd.DataFrame({"difference": [0.5, 0.2, 0.0, -0.1]})
    frame.attrs = {"mean_difference": 0.15, "low": -0.1, "high": 0.3}
    ax = plots.win_loss(frame, names=("SIFT", "deep"))
    heights = {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in ax.patches}
    assert heights == {0: 0.5, 1: 0.2, 3: -0.1}
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert any("mean +0.150, 95 % [-0.100, +0.300]" in label for label in labels)
    assert {"SIFT better: 2 queries", "deep better: 1 queries"} <= {*labels}
    assert len({bar.get_hatch() for bar in ax.patches}) == 2


# Methods


@pytest.mark.parametrize("name", WHITENINGS)
def test_a_spectrum_is_the_shares_of_the_variance(name):
    random = np.random.default_rng(0)
    X = random.normal(size=(60, 8)) * np.arange(1, 9)
    whitening = learn(name, X, [str(row % 20) for row in range(60)])
    if not hasattr(whitening, "spectrum_"):
        with pytest.raises(ValueError, match="must be fitted and have eigenvalues"):
            plots.spectrum(whitening)
        return
    ax = plots.spectrum(whitening)
    shares = ax.lines[0].get_ydata()
    assert sum(shares) == pytest.approx(100)
    assert shares[0] == pytest.approx(100 * whitening.spectrum_[0] / whitening.spectrum_.sum(), rel=1e-6)
    assert ax.lines[1].get_xdata()[0] == whitening.n_components_


def test_cosines_have_areas_of_one_and_every_pair_in_them():
    random = np.random.default_rng(0)
    ax = plots.cosines(random.uniform(0.5, 1, (4, 10)), random.uniform(-1, 1, 300), title="before")
    for patch in ax.patches:
        points = patch.get_xy()
        x, y = points[:, 0], points[:, 1]
        area = abs(0.5 * np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))
        assert area == pytest.approx(1, abs=1e-6)
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert any(text.startswith("matching pairs: 40,") for text in texts)
    with pytest.raises(ValueError, match="other pairs must be at least one"):
        plots.cosines([0.5], [])


def test_an_overlay_covers_the_picture_and_its_boxes_are_in_cells():
    weights = np.zeros((4, 8))
    ax = plots.overlay(Image.new("RGB", (160, 80)), weights, [(0, 2, 4, 6)], title="R-MAC")
    assert [tuple(image.get_extent()) for image in ax.images] == [(0, 160, 80, 0)] * 2
    box = ax.patches[-1]
    assert (box.get_x(), box.get_y(), box.get_width(), box.get_height()) == (40, 0, 80, 80)
    pixels = plots.overlay(np.zeros((80, 160, 3), np.uint8), boxes=[(1, 2, 3, 5)]).patches[-1]
    assert (pixels.get_x(), pixels.get_y(), pixels.get_width(), pixels.get_height()) == (2, 1, 3, 2)
    with pytest.raises(ValueError, match=r"weights must be \(h, w\), got \(3,\)"):
        plots.overlay(Image.new("RGB", (4, 4)), [1, 2, 3])
    with pytest.raises(ValueError, match="a box must be"):
        plots.overlay(Image.new("RGB", (4, 4)), boxes=[(1, 2)])


# All of them

DRAWN = {
    "bars": lambda ax: plots.bars(TABLE, ["tap", "aggregation"], ax=ax),
    "lines": lambda ax: plots.lines(TABLE, "tap", "aggregation", ax=ax),
    "costs": lambda ax: plots.costs(TABLE, "dim", "tap", "aggregation", ax=ax),
    "win_loss": lambda ax: plots.win_loss(pd.DataFrame({"difference": [0.1, -0.2]}), ax=ax),
    "spectrum": lambda ax: plots.spectrum(learn("pca", np.random.default_rng(0).normal(size=(30, 5))), ax=ax),
    "cosines": lambda ax: plots.cosines([0.8, 0.9], [0.1, 0.2], ax=ax),
    "overlay": lambda ax: plots.overlay(Image.new("RGB", (30, 20)), np.ones((2, 3)), [(0, 0, 1, 1)], ax=ax),
}


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_draws_into_the_ax_it_is_given_and_returns_it(name):
    from matplotlib.figure import Figure

    mine = Figure().subplots()
    assert DRAWN[name](mine) is mine


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_of_its_own_shows_itself_has_words_and_no_background(name):
    ax = DRAWN[name](None)
    png, more = ax._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert more["alt"] == plots.described(ax) != ""
    if name != "overlay":
        assert ax.get_xlabel() in more["alt"] != ""
        assert picture(ax).getpixel((0, 0))[3] == 0


def test_nothing_of_pyplot_is_imported_and_matplotlib_only_to_draw():
    code = (
        "import sys, cbirlab.plots as plots\n"
        "assert not {'matplotlib', 'pandas', 'torch'} & {*sys.modules}\n"
        "plots.cosines([0.5], [0.1])\n"
        "assert 'matplotlib' in sys.modules and 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", ["#ffffff", "#111111"])
def test_every_colour_stands_out_on_light_and_on_dark_pages(page):
    assert min(contrast(colour, page) for colour in COLOURS) >= 3
    assert contrast(INK, page) >= 4.2


def test_series_differ_in_more_than_colour():
    first = [(looks(place)["marker"], looks(place)["linestyle"]) for place in range(len(MARKERS) * 2)]
    assert len(set(first)) == len(first)
    for a, b in combinations(range(6), 2):
        assert looks(a)["color"] != looks(b)["color"]
    assert len(set(HATCHES)) == len(HATCHES) >= len(COLOURS)
    assert len(set(LINES)) == 4


def test_pictures_stand_side_by_side_at_one_scale():
    shown = {"wide": np.zeros((20, 60, 3), np.uint8), "tall": np.full((50, 30, 3), 255, np.uint8)}
    ax = plots.pictures(shown)
    extents = [image.get_extent() for image in ax.images]
    assert [(right - left, bottom - top) for left, right, bottom, top in extents] == [(60, 20), (30, 50)]
    assert extents[1][0] > extents[0][1], "they do not overlap"
    assert [label.get_text() for label in ax.texts] == ["wide\n20 x 60", "tall\n50 x 30"]
    assert plots.png(ax).startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="at least one picture"):
        plots.pictures({})


NAMES = ["a$b", "$\\frac$", "$x$ and $y", "caf\udce9", "\x1b[31m", "\\$1"]


@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_kind_are_labels_as_they_are(name):
    frame = pd.DataFrame({"weights": [name, "other"], "map": [0.1, 0.2], "x": [1, 2]})
    changed = {"choice": ["junk"], "from": [name], "to": [name], "change": [0.1], "change_low": [0.0]}
    changed = pd.DataFrame({**changed, "change_high": [0.2], "forward_pass": [False]})
    drawn = [
        plots.bars(frame, "weights", "map"),
        plots.lines(frame, "weights", None, "map"),
        plots.lines(frame, "x", "weights", "map"),
        plots.changes(changed),
        plots.win_loss(pd.DataFrame({"difference": [0.1, -0.1]}), names=(name, "b")),
        plots.cosines([0.5], [0.1], title=name),
        plots.pictures({name: np.zeros((4, 4, 3), np.uint8)}),
    ]
    for ax in drawn:
        assert plots.png(ax)
    assert "a$b" in plots.described(plots.cosines([0.5], [0.1], title="a$b"))
