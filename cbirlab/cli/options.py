"""Options that several commands share: the fields of a recipe, a saved recipe, where results go."""

from __future__ import annotations

import argparse
from typing import Any

from cbirlab.methods import listed
from cbirlab.preprocessing import CROP, INTERPOLATION, RESIZE


class _IntoOptions(argparse.Action):
    """Keeps recipe fields apart from the command's own options, and only those that were given."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        if namespace.options is None:
            namespace.options = argparse.Namespace()
        setattr(namespace.options, self.dest, values)


class Several(argparse.Action):
    """Takes names one by one and in lists separated by commas: mac 'gem(p=4)', or mac,gem(p=4).

    Parameters
    ----------
    each : makes a value of each name, and raises ArgumentTypeError.
    split : cuts a text into names.
    """

    def __init__(self, *given: Any, each: Any = str, split: Any = listed, **options: Any) -> None:
        super().__init__(*given, nargs="+", **options)
        self.each, self.split = each, split

    def __call__(self, parser: Any, namespace: Any, values: Any, option_string: str | None = None) -> None:
        try:
            found = [self.each(name) for text in values for name in self.split(text)]
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, str(error)) from error
        if not found:
            raise argparse.ArgumentError(self, f"must be one or more, got {' '.join(values)!r}")
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


def add_recipe_options(parser: argparse.ArgumentParser, *, one: bool) -> None:
    """The fields of a recipe; of `one`, or those that the rows of a table share."""
    parser.set_defaults(options=None)
    into: dict[str, Any] = {"action": _IntoOptions, "default": argparse.SUPPRESS}
    group = parser.add_argument_group("recipe")
    group.add_argument(
        "--dataset",
        metavar="NAME",
        help="a name, a folder or a CSV file; 'photos(layout=nested)' has options (default: toytown)",
        **into,
    )
    if one:
        group.add_argument("--backbone", metavar="NAME", help="(default: toynet)", **into)
        group.add_argument("--weights", metavar="WEIGHTS", help="'random', a label of torchvision, or a file", **into)
        group.add_argument("--tap", metavar="NAME", help="(default: the backbone's own)", **into)
        group.add_argument(
            "--aggregation",
            metavar="NAME",
            help="'gem', 'vlad(k=64)' or 'crow_spatial > gem(p=4)' (default: gem)",
            **into,
        )
        group.add_argument("--passes", metavar="NAME", help="feedforward scheme (default: single)", **into)
        group.add_argument("--whitening", metavar="NAME", help="(default: none)", **into)
        group.add_argument("--dimensions", type=int, metavar="D", help="kept after whitening (default: all)", **into)
    group.add_argument(
        "--whitening-set",
        metavar="NAME",
        help="what whitening learns on: train, held_out (half of the dataset, the other half is judged), database (a "
        "leak, and reported), or another dataset",
        **into,
    )
    group.add_argument(
        "--image-size", type=int, metavar="PIXELS", help="long side (default: the dataset's own)", **into
    )
    group.add_argument(
        "--scales",
        action=_SeveralIntoOptions,
        each=_number_or_name,
        metavar="S",
        help="relative to the image size, or one of the sets down, up_down (default: 1)",
        default=argparse.SUPPRESS,
    )
    for option, name in (("--crop", "crop"), ("--resize", "resize"), ("--interpolation", "interpolation")):
        group.add_argument(option, metavar="NAME", help=_one_of(name), **into)
    group.add_argument("--antialias", type=_on_or_off, metavar="on|off", help="when shrinking (default: on)", **into)
    group.add_argument("--scale-pooling", metavar="NAME", help="mean or gem over scales (default: mean)", **into)
    group.add_argument("--precision", metavar="TYPE", help="float32 or bfloat16 (default: float32)", **into)
    group.add_argument("--index", metavar="NAME", help="(default: exact)", **into)
    group.add_argument("--depth", type=int, metavar="K", help="results per query (default: all images)", **into)
    group.add_argument("--protocol", metavar="NAME", help="(default: the dataset's own)", **into)
    group.add_argument(
        "--average-precision", metavar="NAME", help="trapezoid or finite-sum (default: the protocol's)", **into
    )


def add_metrics(parser: argparse.ArgumentParser, *, of_recipe: bool) -> None:
    """Further metrics, as a field of the recipe or as an option of their own."""
    parser.add_argument(
        "--metrics",
        action=_SeveralIntoOptions if of_recipe else Several,
        default=argparse.SUPPRESS if of_recipe else None,
        metavar="NAME",
        help="further ones beside the protocol's: recall@1 hit@5 mrr",
    )


def _one_of(name: str) -> str:
    """What a field of the preprocessing may be, its default first."""
    options = {"crop": CROP, "resize": RESIZE, "interpolation": INTERPOLATION}[name].options
    what = {"crop": "of queries with a box", "resize": "what the image size is", "interpolation": "kernel"}[name]
    return f"{what}: {', '.join(options)} (default: {options[0]})"


def _on_or_off(text: str) -> bool:
    words = {"on": True, "true": True, "off": False, "false": False}
    if text.lower() not in words:
        raise argparse.ArgumentTypeError(f"must be on or off, got {text!r}")
    return words[text.lower()]


def _number_or_name(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def add_timing(parser: argparse.ArgumentParser) -> None:
    """Whether describing an image is timed."""
    parser.add_argument(
        "--time-images",
        action="store_true",
        help="describe a few images anew, each row alone, for the column ms_per_image",
    )


def add_common(parser: argparse.ArgumentParser) -> None:
    """Where results, descriptors and the network go."""
    parser.add_argument("--out", metavar="FILE", help="write the table: .csv, .md, .tex, .xlsx or .json")
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
