"""Commands: what each of them reads, computes and prints."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from cbirlab.base.frames import frame_of
from cbirlab.base.progress import showing
from cbirlab.base.registry import UnknownName
from cbirlab.cli import saying
from cbirlab.cli.options import recipe_fields
from cbirlab.cli.saying import UsageError, say


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a command line and return the exit code."""
    saying.prepare_streams()
    try:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("always", UserWarning)
                warnings.showwarning = saying.show_warning
                return _carried_out(arguments)
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        saying.complain("cbirlab: interrupted; what was finished is kept in the store.")
        return 130
    except BrokenPipeError:  # the reader, like `head`, has had enough
        saying.turn_away()
        return 0


def _carried_out(arguments: Sequence[str] | None) -> int:
    from cbirlab.cli.parser import build_parser  # here, so that an interrupt while it is imported is caught above

    parser = build_parser()
    given = parser.parse_args(arguments)
    if given.command is None:
        parser.print_help()
        return 0
    try:
        with showing(not getattr(given, "quiet", False)):
            return _COMMANDS[given.command](given)
    except BrokenPipeError:
        raise
    except (UsageError, UnknownName) as error:
        return _failed(error, 2, given)
    except (ValueError, TypeError, OSError, RuntimeError, ImportError, ArithmeticError, MemoryError) as error:
        return _failed(error, 1, given)


def _failed(error: Exception, code: int, given: Any) -> int:
    if given.traceback:
        raise error
    saying.complain(f"cbirlab {given.command}: {saying.sentence(error, given.command)}")
    return code


def _lab(given: Any) -> int:
    from cbirlab.cli.lab import launch

    return launch(given.folder, given.jupyter)


def _app(given: Any) -> int:
    from cbirlab.cli.app import launch

    limits = {name: getattr(given, name) for name in ("visitors", "idle_minutes", "allow_downloads")}
    return launch(given.dataset, given.backbone, given.weights, given.voila, **limits)


def _list(given: Any) -> int:
    from cbirlab.cli import listing

    if given.kind == "taps" and given.name is None:
        raise UsageError("name a backbone to list its taps, as in: cbirlab list taps resnet50")
    say(listing.markdown() if given.markdown else listing.text(given.kind, given.name))
    return 0


def _run(given: Any) -> int:
    from cbirlab import tables
    from cbirlab.cli import checks, output, systems

    try:
        recipe = systems.asked(given)
        checks.table(given.out, columns=given.columns)
        checks.ranking(given.save_ranking)
        checks.device(given.device)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error
    result = output.carry_out(recipe, given)
    for what in checks.without_effect(recipe, result):
        warnings.warn(what, stacklevel=2)
    say(output.run_text(result))
    if given.save_ranking:
        from cbirlab.study.choices import write_ranking

        say(f"written: {write_ranking(result.ranking, given.save_ranking)}")
    if given.out:
        say(f"written: {tables.write(frame_of([output.row_of(result)]), given.out, columns=given.columns)}")
    return 0


def _search(given: Any) -> int:
    from cbirlab.cli import searching

    return searching.search_command(given)


def _duplicates(given: Any) -> int:
    from cbirlab.cli import searching

    return searching.duplicates_command(given)


def _versus(given: Any) -> int:
    from cbirlab.cli import checks, output
    from cbirlab.fusion import complementarity, versus

    try:
        recipes = [output.recipe_of(output.read_recipe(given.table, row), {}) for row in (given.a, given.b)]
        checks.level(recipes[0], given.level)
        checks.table(given.out, columns=given.columns)
        checks.device(given.device)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error
    a, b = (output.carry_out(recipe, given) for recipe in recipes)
    frame = versus(a, b, level=given.level)
    say(output.versus_text(frame, complementarity({"a": a, "b": b}, level=given.level)), end="")
    output.write_table(frame, given)
    return 0


def _why(given: Any) -> int:
    from cbirlab.cli import checks, output

    try:
        checks.table(given.out, columns=given.columns)
        checks.device(given.device)
        explained = output.explain_choices(given, recipe_fields(given))
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error
    frame = explained()
    say(output.why_text(frame), end="")
    output.write_table(frame, given)
    return 0


def _compare(given: Any) -> int:
    from cbirlab.cli import checks, output, systems
    from cbirlab.pipeline import Recipe
    from cbirlab.study.grid import compare
    from cbirlab.study.literature import beside, published

    if given.systems:
        return systems.compare_command(given)
    shared = recipe_fields(given)
    dataset = shared.pop("dataset", "toytown")
    try:
        checks.table(given.out, columns=given.columns)
        if given.published:
            published(Path(dataset).name)
        Recipe(**shared)
        names = output.check_names(given)
        checks.device(given.device)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error
    output.say_network(names.get("backbones"), dataset, given)
    frame = compare(
        dataset,
        **names,
        weights=given.weights,
        fusion_weights=given.fusion_weights,
        time_images=given.time_images,
        store=output.store(given),
        device=given.device,
        progress=not given.quiet,
        **shared,
    )
    frame = beside(frame) if given.published else frame
    say(output.frame_text(frame), end="")
    output.write_table(frame, given)
    return 0


def _advise(given: Any) -> int:
    from cbirlab.cli import searching

    return searching.advise_command(given)


def _extract(given: Any) -> int:
    from cbirlab.cli import checks, extracting, output
    from cbirlab.pipeline import Recipe

    shared = recipe_fields(given)
    dataset = shared.pop("dataset", "toytown")
    try:
        Recipe(**shared)
        names = output.check_names(given)
        cluster = extracting.cluster_of(given)
        checks.device(given.device)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error
    return extracting.command(given, dataset, cluster, {**names, **shared})


def _train(given: Any) -> int:
    from cbirlab.cli import training

    return training.train_command(given)


def _index(given: Any) -> int:
    from cbirlab.cli import checks, collections
    from cbirlab.pipeline import Recipe

    try:
        recipe = Recipe(**recipe_fields(given))
        checks.device(given.device)
        collections.check(recipe, given)
    except (ValueError, TypeError) as error:
        raise UsageError(str(error)) from error
    return collections.command(given, recipe)


def _data(given: Any) -> int:
    from cbirlab.cli import data

    return data.command(given)


def _evaluate(given: Any) -> int:
    from cbirlab.cli import checks, judging
    from cbirlab.pipeline import Recipe

    options = recipe_fields(given)
    try:
        checks.table(given.out)
        checks.table(given.per_query, "--per-query")
        Recipe(**options)  # refused here rather than after the descriptors were read
    except ValueError as error:
        raise UsageError(str(error)) from error
    return judging.evaluate_command(given, options)


def _published(given: Any) -> int:
    from cbirlab.cli import checks, judging

    try:
        checks.table(given.out)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return judging.published_command(given)


def _store(given: Any) -> int:
    from cbirlab.cli import store

    return store.command(given)


_COMMANDS = {
    "lab": _lab,
    "app": _app,
    "list": _list,
    "run": _run,
    "compare": _compare,
    "search": _search,
    "duplicates": _duplicates,
    "advise": _advise,
    "extract": _extract,
    "train": _train,
    "matrix": lambda given: import_module("cbirlab.cli.matrix").matrix_command(given),
    "index": _index,
    "versus": _versus,
    "why": _why,
    "data": _data,
    "evaluate": _evaluate,
    "export": lambda given: import_module("cbirlab.cli.exporting").export_command(given),
    "page": lambda given: import_module("cbirlab.cli.sharing").page_command(given),
    "published": _published,
    "store": _store,
}
