"""Options that several commands share: the fields of a recipe, a saved recipe, where to put results."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from typing import Any

from cbirlab.base.methods import split_names


class _IntoOptions(argparse.Action):
    """Keeps recipe fields apart from the command's own options, and keeps only those that were given."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        if namespace.options is None:
            namespace.options = argparse.Namespace()
        setattr(namespace.options, self.dest, values)


class Several(argparse.Action):
    """Takes names one by one and in lists separated by commas: mac 'gem(p=4)', or mac,gem(p=4).

    Parameters
    ----------
    each : turns each name into a value, or raises ArgumentTypeError.
    split : cuts a text into names.
    """

    def __init__(self, *given: Any, each: Any = str, split: Any = split_names, **options: Any) -> None:
        super().__init__(*given, nargs="+", **options)
        self.each, self.split = each, split

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        try:
            found = [self.each(name) for text in values for name in self.split(text)]
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, str(error)) from error
        if not found:
            raise argparse.ArgumentError(self, f"needs at least one name, got {' '.join(values)!r}")
        self.keep(parser, namespace, found)

    def keep(self, parser: Any, namespace: Any, values: list[Any]) -> None:
        setattr(namespace, self.dest, values)


class _SeveralIntoOptions(Several):
    def keep(self, parser: Any, namespace: Any, values: list[Any]) -> None:
        _IntoOptions(self.option_strings, self.dest)(parser, namespace, values)


def whole_number(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text!r}") from None


def at_least_one(text: str) -> int:
    """A whole number >= 1."""
    number = whole_number(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number >= 1, got {text!r}")
    return number


def add_saved_recipe(parser: argparse.ArgumentParser) -> None:
    """A recipe from a file."""
    parser.add_argument("--recipe", metavar="FILE", help="a recipe or a table (.json, .csv); options override it")
    parser.add_argument("--row", type=int, default=0, metavar="N", help="row of the table, from 0 (default: 0)")


def recipe_fields(given: Any) -> dict[str, Any]:
    """Fields of the recipe that were given."""
    options = dict(vars(given.options)) if given.options is not None else {}
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    if "scales" in options and isinstance(options["scales"][0], str):
        options["scales"] = options["scales"][0]  # the name of a set
    return options


def add_recipe_options(parser: argparse.ArgumentParser, *decides: str, one: bool, leave: Collection[str] = ()) -> None:
    """Add the fields of a recipe as declared, except those in `leave`: of `one` recipe, or several for a table.

    Parameters
    ----------
    decides : add only the fields that decide this.
    """
    from cbirlab.base.registry import load_extensions
    from cbirlab.pipeline.recipe import Recipe

    load_extensions()
    add_fields(parser.add_argument_group("recipe"), Recipe, *decides, one=one, leave=leave)


def add_fields(group: Any, record: Any, *decides: str, one: bool = True, leave: Collection[str] = ()) -> None:
    """Add the declared fields of a record to a group of options, see `add_recipe_options`."""
    from cbirlab.pipeline.fields import each, help_of

    group.set_defaults(options=None)
    for name, field in each(record, *decides):
        option, read = f"--{name.replace('_', '-')}", _reader(field.read)
        about: dict[str, Any] = {
            "metavar": field.metavar,
            "help": help_of(getattr(record, name), field, several=not one),
        }
        if name in leave:
            continue
        if field.plural and not one:
            both = dict.fromkeys([option, f"--{field.plural}"])
            group.add_argument(*both, dest=field.plural, action=Several, each=read, **about)
        elif field.several:
            group.add_argument(option, action=_SeveralIntoOptions, each=read, default=argparse.SUPPRESS, **about)
        else:
            group.add_argument(option, action=_IntoOptions, type=read, default=argparse.SUPPRESS, **about)


def _reader(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """A reader for argparse, which passes on the sentence that says what is wrong with a text."""

    def checked(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            said = str(error) if str(error).startswith("must ") else f"invalid {read.__name__} value: {text!r}"
            raise argparse.ArgumentTypeError(said) from error

    return checked


_GRID = {
    "encoding": "encodings to compare beside the aggregations, e.g. bow 'vlad(k=64)'",
    "attention": "weights to put before each of them, e.g. none crow_spatial",
    "fusion": "fuse recipes that differ only in backbone or tap",
}


def add_grid(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add the weights, and those `names` of what a grid takes beside the fields of a recipe."""
    for name in names:
        help = f"{_GRID[name]} (default: none)"
        parser.add_argument(f"--{name}", f"--{name}s", dest=f"{name}s", action=Several, metavar="NAME", help=help)
    parser.add_argument(
        "--weights", metavar="WEIGHTS", help="'random', a label of torchvision, or a file (default: the backbone's own)"
    )


def add_timing(parser: argparse.ArgumentParser) -> None:
    """Whether describing an image is timed."""
    parser.add_argument(
        "--time-images",
        action="store_true",
        help="time each row on a few images, for the column ms_per_image",
    )


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options for where results, descriptors and the network go."""
    parser.add_argument("--out", metavar="FILE", help="write the table: .csv, .md, .tex, .xlsx or .json")
    parser.add_argument(
        "--columns",
        action=Several,
        metavar="NAME",
        help="its columns, by the names in a .csv (default: all; in .md and .tex those that tell the rows apart, and "
        "the main metrics with their intervals)",
    )
    add_places(parser)


def add_places(parser: argparse.ArgumentParser) -> None:
    """Add the options for where descriptors and the network go, and whether that is shown."""
    parser.add_argument(
        "--store", metavar="FOLDER", help="where descriptors are kept (default: CBIRLAB_STORE or the cache)"
    )
    parser.add_argument("--device", default="cpu", help="where the network runs (default: cpu)")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")


def size_bytes(text: str) -> int:
    """Bytes in "500MB", "2 GB" or "1000"."""
    units = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
    number = text.strip().lower().rstrip("bkmgt ")
    unit = text.strip().lower()[len(number) :].strip()
    try:
        size = int(float(number) * units[unit])
    except (ValueError, KeyError, OverflowError):
        size = -1
    if size < 0:
        raise argparse.ArgumentTypeError(f"a size is a number >= 0 with B, KB, MB, GB or TB, got {text!r}")
    return size


def days(text: str) -> float:
    """A number of days."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"a number of days >= 0 is needed, got {text!r}")
    return number
