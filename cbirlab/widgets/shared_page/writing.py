"""Writing: one HTML file with its scripts, styles, arrays and thumbnails, and a policy that allows nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from cbirlab.base.text import printable
from cbirlab.projection import PROJECTIONS
from cbirlab.widgets.panels.sessions import key_of
from cbirlab.widgets.parts import views
from cbirlab.widgets.parts.gallery import AUTO_SIDE, Gallery, Thumbnails, close_all, page_text
from cbirlab.widgets.parts.results import OF_INSTANCE, OF_PROTOCOL, strip_of
from cbirlab.widgets.parts.scatter import Scatter
from cbirlab.widgets.shared_page.packing import join, pack
from cbirlab.widgets.shared_page.pairing import pairing
from cbirlab.widgets.shared_page.preparing import Prepared, marks_of

if TYPE_CHECKING:
    from cbirlab.live import Session
    from cbirlab.widgets.shared_page.choosing import Plan

FACE = "export default { render };"
SCRIPTS = ("thumbnails.js", "shared_model.js", "shared_data.js", "shared_compare.js", "shared_controls.js")
SCRIPTS += ("shared_results.js", "shared_tables.js", "shared_page.js")
TOO_OLD = (
    "This browser is too old for this page. Chrome and Edge 110, Firefox 115 and Safari 16.4 and later can show it."
)
CHANGES = (
    "On B: ▲ and ▼ are places moved since A, new (its place in A). On A: gone (its place in B). Places after the last "
    "result of a list are not in this page."
)
HTML = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{title}</h1><p class="cbirlab-note">{about}</p></header>
<noscript>This page needs JavaScript. It holds everything itself and asks no server for anything.</noscript>
<p id="too-old" hidden>{too_old}</p>
<main id="page" class="cbirlab-panel cbirlab-shared"></main>
<script type="application/json" id="layout">{layout}</script>
<script type="text/plain" id="arrays">{arrays}</script>
<script type="text/plain" id="thumbnails">{thumbnails}</script>
<script>{script}</script>
</body>
</html>
"""


def html_of(made: Prepared, session: Session, plan: Plan, thumbnails: Thumbnails, start: dict[str, Any]) -> str:
    """The whole page as text.

    Parameters
    ----------
    thumbnails : as `Thumbnails.of_dataset` numbers them.
    start : what the page opens on: "question", "compared" and the positions of the controls of both "sides".
    """
    pictures = _pictures(made, session, len(thumbnails))
    ends, jpegs = join([thumbnails[int(item)] for item in pictures])
    levels, draws = pairing(made.ap, made.groups)
    arrays = {"rows": made.rows, "scores": made.scores, "counts": made.counts, "maps": made.maps}
    if made.ap:
        arrays["ap"] = np.stack([*made.ap.values()])
    texts = _texts(made, session, plan, thumbnails) | {"levels": levels, "start": start}
    told = np.frombuffer(json.dumps(texts, ensure_ascii=False).encode("utf-8"), np.uint8)
    layout, packed = pack({**arrays, **draws, "pictures": pictures, "ends": ends, "texts": told})
    script, style = _script(), _style()
    return HTML.format(
        policy=policy(script, style),
        title=escape(f"{printable(session.dataset.name)} · {key_of(session)}"),
        about=escape(_about(made, session)),
        too_old=escape(TOO_OLD),
        style=style,
        layout=json.dumps(layout).replace("<", "\\u003c"),
        arrays=packed,
        thumbnails=jpegs,
        script=script,
    )


def policy(script: str, style: str) -> str:
    """The page's content security policy: its own script and style by their hashes, pictures of its own, no more."""

    def by_hash(text: str) -> str:
        return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii") + "'"

    allowed = ("default-src 'none'", f"script-src {by_hash(script)}", f"style-src {by_hash(style)}")
    return "; ".join([*allowed, "img-src data: blob:", "base-uri 'none'", "form-action 'none'"])


def _script() -> str:
    """The widgets' own modules, each closed in a function that gives its `render`, and what drives them."""
    made = ["const widgets = {};"]
    for name, module in (("gallery", str(Gallery._esm)), ("scatter", str(Scatter._esm))):
        if module.count(FACE) != 1:
            raise RuntimeError(f"the module of {name} must end in {FACE!r}, which the page turns into a return.")
        made.append(f"widgets.{name} = (() => {{\n{module.replace(FACE, 'return { render };')}\n}})();")
    script = "\n".join([*made, page_text(*SCRIPTS)])
    if "</script" in script.lower() or "<!--" in script:
        raise RuntimeError("the scripts of a page must not hold the end of a script, which would end them.")
    return script


def _style() -> str:
    return page_text("widgets.css", "scatter.css", "shared_page.css")


def _about(made: Prepared, session: Session) -> str:
    count, images = len(made.heads), len(session.dataset.images)
    asked = f"{len(made.questions)} queries" if session.dataset.queries else "each of which can be the query"
    return (
        f"{images} images, {asked}; {count} settings were prepared, the first {made.rows.shape[2]} results of each. "
        "Nothing is computed here and nothing is asked of a server."
    )


def _pictures(made: Prepared, session: Session, count: int) -> np.ndarray:
    """Ids of the thumbnails that the page can show: all if it has a map, else those of questions and results."""
    if len(made.maps):
        return np.arange(count, dtype=np.uint32)
    items = [question.item(session.dataset) for question in made.questions]
    listed = np.arange(made.rows.shape[2]) < made.counts[..., None]
    return np.unique([*made.rows[listed].tolist(), *(item for item in items if item is not None)]).astype(np.uint32)


def _texts(made: Prepared, session: Session, plan: Plan, thumbnails: Thumbnails) -> dict[str, Any]:
    dataset = session.dataset
    names = [printable(path.stem) for path in thumbnails.paths]
    instances = [*(dataset.instances or [""] * len(dataset.images)), *[""] * len(dataset.queries)]
    points = np.zeros((len(names), 2) if len(made.maps) else (0, 2))
    gallery, strip = Gallery(thumbnails, side=AUTO_SIDE), strip_of(dataset, thumbnails)
    files = [thumbnails.file_name(item) for item in range(len(thumbnails))]
    scatter = Scatter(thumbnails, points, [printable(one) for one in instances[: len(points)]], files[: len(points)])
    order = _best_first(made)
    try:
        return {
            "images": len(dataset.images),
            "questions": _questions(made, session, names),
            "choices": plan.choices.to_page(),
            "shape": plan.numbers.shape,
            "numbers": plan.numbers.ravel().tolist(),
            "files": files[: len(dataset.images)],
            "heads": made.heads,
            "tables": {place: _without_styles(table) for place, table in made.tables.items()},
            "impossible": made.impossible,
            "all": {
                "order": order,
                "rows": views.comparison_table([made.table_rows[place] for place in order]),
            },
            "maps": {
                name: {"title": PROJECTIONS.info(name).title, "of": places} for name, places in made.map_of.items()
            },
            "honest": made.honest,
            "gallery": traits_of(gallery),
            "strip": traits_of(strip),
            "scatter": traits_of(scatter) | {"labels": names},
            "changes": CHANGES,
        }
    finally:
        close_all(gallery, strip, scatter)


def _questions(made: Prepared, session: Session, names: list[str]) -> list[dict[str, Any]]:
    found = []
    for question, legend in zip(made.questions, made.legends, strict=True):
        item, own = question.item(session.dataset), question.own_row(session.dataset)
        kinds, other = marks_of(session, question)
        told = {"id": item, "words": question.words, "name": names[item or 0], "own": own}
        told["right"] = OF_PROTOCOL if question.of_protocol else OF_INSTANCE
        found.append(told | {"kinds": kinds, "other": other, "legend": [*legend]})
    return found


def _best_first(made: Prepared) -> list[int]:
    """Settings by the mean over the levels of their mAP, or as they are without ground truth."""
    place = np.array([*made.heads])
    if not made.ap:
        return place.tolist()
    means = np.mean([np.nan_to_num(ap[place]).mean(axis=1) for ap in made.ap.values()], axis=0)
    return place[np.argsort(-means, kind="stable")].tolist()


def _without_styles(html: str) -> str:
    """Lengths of bars as data, which the page's script makes styles of: its policy forbids styles in texts.

    All other text is escaped, quotes too, so that only our own attributes are found.
    """
    return html.replace(" style='", " data-style='")


def traits_of(widget: Any) -> dict[str, Any]:
    """What a widget tells its module, as plain data; bytes as base64."""
    plain = (str, int, float, bool, list, tuple, dict, bytes)
    found = {name: getattr(widget, name) for name in widget.traits(sync=True) if not name.startswith("_")}
    return {
        name: base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value
        for name, value in found.items()
        if isinstance(value, plain)
    }
