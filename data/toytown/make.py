"""Make Toytown's images: ``python data/toytown/make.py benchmark|train|finish|network|val|sheet --help``.

Rendering needs ``mitsuba`` and an LLVM library (Debian: libllvm19).  A run that is stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from generator import publish, sets, sheet, work  # noqa: E402
from generator.backend import RenderUnavailable, load_mitsuba  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except RenderUnavailable as error:
        print(f"make.py: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make.py", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="command")

    def add(name: str, run, help_: str, out: Path | None = HERE, renders: bool = True) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=help_, description=help_)
        command.set_defaults(run=run)
        command.add_argument("--out", type=Path, default=out, required=out is None, help="folder to write to")
        command.add_argument("--work", type=Path, help="folder of per-image working files (default: OUT/.work)")
        if renders:
            command.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
            command.add_argument("--only", nargs="+", help="make these images only, by name, and nothing else")
        return command

    add("benchmark", _benchmark, "render the benchmark's 1096 images, then write ground truth, patches and rows")
    add("train", _train, "render the train split's images, then write rows")
    add("finish", _finish, "write ground truth, patches, rows and checksums of finished images again", renders=False)
    network = add("network", _network, "render images for training a network", out=None)
    network.add_argument("--landmarks", type=int, default=400)
    network.add_argument("--shots", type=int, default=16)
    network.add_argument("--long-side", type=int, default=160, help="pixels")
    add("val", _val, "render a separate validation benchmark", out=None)
    add("sheet", _sheet, "write contact_sheet.jpg from the finished benchmark", renders=False)
    return parser


def _benchmark(options) -> int:
    if _render(sets.benchmark(), options, options.out / "images"):
        _finish(options)
    return 0


def _train(options) -> int:
    if _render(sets.train(), options, options.out / "train"):
        _finish(options)
    return 0


def _finish(options) -> int:
    """Publish whatever splits are complete."""
    folder, out = _work_folder(options), options.out
    found = []
    benchmark, train = sets.benchmark(), sets.train()
    if _complete(benchmark, folder):
        truth = publish.write_groundtruth(benchmark, folder, out / "gnd_toytown.json")
        publish.write_patches(benchmark, folder, out / "patches.npz")
        found += work.rows(benchmark, folder)
        print(publish.summary(truth))
    if _complete(train, folder):
        found += work.rows(train, folder)
    publish.write_rows(found, out / "images.jsonl")
    print(f"{len(found)} rows, {publish.write_checksums(out)} checksums")
    return 0


def _network(options) -> int:
    items = sets.network(options.landmarks, options.shots, options.long_side)
    if _render(items, options, options.out / "images"):
        publish.write_rows(work.rows(items, _work_folder(options)), options.out / "images.jsonl")
    return 0


def _val(options) -> int:
    items = sets.val()
    if _render(items, options, options.out / "images"):
        folder = _work_folder(options)
        publish.write_rows(work.rows(items, folder), options.out / "images.jsonl")
        publish.write_patches(items, folder, options.out / "patches.npz")
        print(publish.summary(publish.write_groundtruth(items, folder, options.out / "gnd_val.json")))
    return 0


def _sheet(options) -> int:
    sheet.write(options.out, options.out / "contact_sheet.jpg")
    return 0


def _render(items: list[sets.Item], options, images: Path) -> bool:
    """Make missing images; returns whether the set is complete afterwards."""
    from tqdm import tqdm

    load_mitsuba()  # a clear error now rather than from every process
    chosen = items
    if options.only:
        unknown = sorted(set(options.only) - {item.name for item in items})
        if unknown:
            raise SystemExit(f"make.py: --only names images that are not in this set: {', '.join(unknown)}.")
        chosen = [item for item in items if item.name in set(options.only)]
    with tqdm(total=len(chosen), unit="image", smoothing=0.05) as bar:
        for done in work.make(chosen, images, _work_folder(options), options.jobs):
            bar.update(done)
    return not options.only


def _work_folder(options) -> Path:
    return options.work or options.out / ".work"


def _complete(items: list[sets.Item], folder: Path) -> bool:
    return all((folder / f"{item.name}.json").exists() for item in items)


if __name__ == "__main__":
    sys.exit(main())
