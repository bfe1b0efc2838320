"""``cbirlab data list | show | check | get``: benchmarks on this machine, and how to get others."""

from __future__ import annotations

import argparse
from typing import Any

from cbirlab.base.text import printable
from cbirlab.cli.listing import align
from cbirlab.cli.options import Several
from cbirlab.cli.saying import say
from cbirlab.datasets import DATASETS, about, availability
from cbirlab.datasets.roots import data_root

_NAME = "as in: cbirlab data list"


def add_actions(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="list all datasets: which are here, and what the others lack")
    show = actions.add_parser("show", help="show licence, citation and size, and where the files must be")
    check = actions.add_parser(
        "check", help="compare a copy with what was published, or examine images of your own; exit code 1 if wrong"
    )
    get = actions.add_parser("get", help="download one, resuming interrupted downloads")
    for action in (show, check, get):
        action.add_argument(
            "name", metavar="NAME", help=_NAME if action is not check else f"{_NAME}; or a folder, or a CSV"
        )
        action.add_argument("--root", metavar="FOLDER", help="its folder (default: NAME below CBIRLAB_DATA)")
    check.add_argument(
        "--images",
        choices=["headers", "pixels", "none"],
        default="headers",
        help="open every image, decode it too, or only check that it is there (default: headers)",
    )
    check.add_argument("--all", action="store_true", help="name every file that something is wrong with")
    check.add_argument(
        "--out", metavar="FILE", help="write which files are left out, and why: .csv, .md, .tex, .xlsx or .json"
    )
    get.add_argument("--mirror", metavar="URL", help="an address to try first, which holds the files under their names")
    get.add_argument(
        "--only", action=Several, default=[], metavar="PATTERN", help="files to get, as 'test_*' (default: all)"
    )
    get.add_argument("--keep-archives", action="store_true", help="do not remove an archive once it is unpacked")
    for action in (check, get):
        action.add_argument("--quiet", action="store_true", help="no progress bars")


def command(given: Any) -> int:
    """Carry out ``cbirlab data``."""
    if given.action == "list":
        say(listing())
    elif given.action == "show":
        say(shown(given.name, given.root))
    elif given.action == "check":
        return _check(given)
    else:
        _get(given)
    return 0


def _check(given: Any) -> int:
    from cbirlab import tables
    from cbirlab.cli import checks
    from cbirlab.datasets.checking import SHOWN, check

    checks.table(given.out)
    if given.name in DATASETS:
        report = check(given.name, given.root, images=given.images, progress=not given.quiet)
    else:
        from cbirlab.datasets.examining import examine

        report = examine(given.name, images=given.images, progress=not given.quiet)
    say(report.text(None if given.all else SHOWN))
    if given.out:
        import pandas as pd

        rows = [(printable(path), printable(reason)) for path, reason in report.left_out]
        say(f"written: {tables.write(pd.DataFrame(rows, columns=['path', 'reason']), given.out)} ({len(rows)} rows)")
    return 0 if report.ok else 1


def listing() -> str:
    """All datasets, one line each."""
    rows = []
    for name in DATASETS:
        found, facts = availability(name), about(name)
        size = facts.size if facts else ""
        state = "here" if found.ready else f"lacks {', '.join(found.missing)}" if found.missing else "by its path"
        rows.append([name, found.title, size, state])
    return f"{align(rows)}\n\nlooked for in {data_root()}"


def shown(name: str, root: str | None = None) -> str:
    """What is known about one dataset, and whether it is on this machine."""
    info, facts, found = DATASETS.info(name), about(name), availability(name, root)
    if facts is None:
        return f"{name}\n  {info.title}: {info.reference}\n  {found.hint or 'bundled'}"
    rows = [
        ["title", info.title],
        ["cite", facts.citation],
        ["licence", facts.licence],
        ["protocol", facts.protocol],
        ["images", _number(facts.images)],
        ["queries", _number(facts.queries)],
        ["size", facts.size],
        ["page", facts.page],
        ["note", facts.note],
        ["folder", str(found.folder)],
        *(["needs", f"{need.what}: {need.where}"] for need in facts.needs),
        ["same images as", ", ".join(facts.shares)],
        ["download", _files(name)],
        ["state", "here" if found.ready else f"lacks {', '.join(found.missing)}. {found.hint}"],
    ]
    lines = align([row for row in rows if row[1]]).splitlines()
    return "\n".join([name, *(f"  {line}" for line in lines)])


def _get(given: Any) -> None:
    from cbirlab.datasets.getting import chosen, get

    sources, facts = chosen(given.name, given.only), about(given.name)
    assert facts is not None  # `chosen` refuses what has no facts
    say(f"{given.name}: {facts.size}, {len(sources)} files\nlicence: {facts.licence}\ncite: {facts.citation}")
    if facts.note:
        say(f"note: {facts.note}")
    folder = get(
        given.name,
        given.root,
        only=given.only,
        mirror=given.mirror,
        keep_archives=given.keep_archives,
        progress=not given.quiet,
        told=say,
    )
    say(f"in {folder}; compare it with what was published: cbirlab data check {given.name} --root {folder}")


def _files(name: str) -> str:
    from cbirlab.base.downloads import file_names

    facts = about(name)
    return file_names(facts.sources) if facts and facts.sources else "not offered"


def _number(number: int | None) -> str:
    return "" if not number else f"{number:,}"
