"""Exercises of notebook 17: what does a network need to learn your pictures, and what does it forget?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cbirlab.backbones import load_backbone
from cbirlab.exercises.base import Solution, exercise, score, told_apart
from cbirlab.fusion import versus

if TYPE_CHECKING:
    import pandas as pd

    from cbirlab.pipeline import Run

TRUE, SHUFFLED = "head", "head(labels=shuffled)"
NOTHING, LESS, MORE = "nothing", "less than half", "more than half"


def gains(runs: Mapping[str, Run], against: Mapping[str, Run] | Run) -> pd.DataFrame:
    """What each run gains on another one over the same queries, with the paired interval.

    Parameters
    ----------
    against : one run for all, or one of the same name for each.

    Returns
    -------
    A row per run, by name: its main metric; "difference" with its 95 % interval from "low" to "high", whole groups of
    queries drawn together, and "p"; "clear", "yes", "no" (a loss) or "cannot tell".
    """
    import pandas as pd

    rows = {}
    for name, run in runs.items():
        other = against[name] if isinstance(against, Mapping) else against
        frame = versus(run, other)
        about = frame.attrs
        metric = score(run.metrics)
        difference = {"difference": about["mean_difference"], "low": about["low"], "high": about["high"]}
        rows[name] = {metric: run.metrics[metric], **difference, "p": about["p"], "clear": told_apart(frame)[0]}
    return pd.DataFrame.from_dict(rows, orient="index")


def tap_before_last(backbone: str, weights: str | None = None) -> str:
    """The tap before the one where descriptors are taken by default; that one itself if it is the first."""
    network = load_backbone(backbone, weights)
    taps = list(network.taps)
    return taps[max(0, taps.index(network.default_tap) - 1)]


@exercise("17_adapting.prediction", title="What a head gains without labels")
def prediction(table: Any) -> Solution:
    """`table`: of `gains` against no whitening, with the rows "head" and "head(labels=shuffled)"."""
    true, shuffled = (float(table["difference"][name]) for name in (TRUE, SHUFFLED))
    share = shuffled / true if true > 0 else 0.0
    word = NOTHING if share <= 0 else LESS if share < 0.5 else MORE
    said = f"With true labels the head has {true:+.3f}, with shuffled ones {shuffled:+.3f}"
    return Solution(
        answer=word,
        why=f"{said}. Any batch teaches that pictures should lie apart, and that needs no label.",
        hints=(
            f'Divide the difference of {SHUFFLED!r} by that of {TRUE!r}: "{NOTHING}", "{LESS}" or "{MORE}".',
            f"{said}.",
        ),
    )


@exercise("17_adapting.1", title="Precision of guessed labels")
def precision(groups: tuple[tuple[int, ...], ...] = ((3, 1), (2,))) -> Solution:
    """Groups of a guess, and how many pictures of each instance they hold."""
    right = sum(count * (count - 1) // 2 for group in groups for count in group)
    pairs = sum(sum(group) * (sum(group) - 1) // 2 for group in groups)
    pictures = sum(max(group) for group in groups) / sum(map(sum, groups))
    return Solution(
        answer=right / pairs,
        why=f"{right} of {pairs} pairs. A loss sees pairs, so one picture in the wrong group counts as many times as "
        "there are others in it.",
        hints=("Count pairs, not pictures: 4 pictures are 6 pairs.", "Of the 6 pairs of the first group 3 are right."),
        mistakes=((pictures, "Those are pictures; count pairs."),),
    )


@exercise("17_adapting.2", title="The loss of a network that has collapsed")
def collapsed(margin: float = 0.1) -> Solution:
    """The triplet loss if all descriptors are one."""
    return Solution(
        answer=margin,
        why="Both distances are 0, so the margin is left. A loss that stays at its margin is the sign of it, and the "
        "mean distance of two pictures, which the panel draws, is another.",
        hints=("How far is the anchor from its match, and from the other, if all descriptors are equal?",),
        mistakes=((0.0, "That would be a match that is nearer by the margin at least."), (2 * margin, "Only once.")),
    )


@exercise("17_adapting.3", title="What is owed to labels")
def owed(table: Any) -> Solution:
    """`table`: of `gains` against the head with shuffled labels, with the row "head"."""
    row = table.loc[TRUE]
    word = {"yes": "so labels do help", "no": "so true labels even hurt"}.get(str(row["clear"]), "so one cannot tell")
    return Solution(
        answer=float(row["difference"]),
        why=f"The interval is [{row['low']:+.3f}, {row['high']:+.3f}], {word}.",
        hints=("Take the head with true labels less that with shuffled ones, not less none.", "See the second table."),
        tolerance=0.01,
    )


@exercise("17_adapting.4", title="Which guess is more often right")
def better_guess(guessed: Any) -> Solution:
    """`guessed`: scheme to the trained head, see `cbirlab.adaptation.trained.Trained`."""
    found = {name: one.label_precision for name, one in guessed.items()}
    best = max(found, key=lambda name: found[name])
    said = ", ".join(f"{name} {value:.0%}".replace("%", " %") for name, value in found.items())
    return Solution(
        answer=best,
        why=f"Pairs that are right: {said}. Then look at what they gain, and at what shuffled labels gain.",
        hints=('The larger "label_precision".',),
    )


@exercise("17_adapting.5", title="The step that is kept")
def kept(trained: Any) -> Solution:
    """`trained`: of `cbirlab.adaptation.running.train`."""
    start, best = trained.held_out
    return Solution(
        answer=int(trained.kept),
        why=f"Held-out mAP {best:.3f} there, {start:.3f} at the start. These identities were not learned from, but "
        "their pictures were taken like the others.",
        hints=('The largest "held_out" of the curve; step 0 is the start, and may be the best.', "`trained.kept`."),
    )


@exercise("17_adapting.6", title="What was forgotten")
def forgotten(table: Any, name: str = "the first") -> Solution:
    """`table`: of `gains` after training less before, a row per domain; `name` is that of the pictures not learned."""
    row, own = table.loc[name], table.drop(index=name).iloc[0]
    value, gained = float(row["difference"]), float(own["difference"])
    apart = abs(gained - value) > 0.05 * abs(value)
    return Solution(
        answer=value,
        why=f"The interval is [{row['low']:+.3f}, {row['high']:+.3f}]. On the pictures that it learned it has "
        f"{gained:+.3f} [{own['low']:+.3f}, {own['high']:+.3f}].",
        hints=("The row of the pictures that the network knew before.", "The sign counts: a loss is negative."),
        mistakes=((gained, "That is on the pictures that it learned."),) if apart else (),
        tolerance=0.01,
    )


@exercise("17_adapting.labels", title="How many labels it takes")
def labels(table: Any) -> Solution:
    """`table`: of `cbirlab.adaptation.label_curve`."""
    plain = float(table.loc[table["labels"] == "pca(power=0.25)", "difference"].iloc[0])
    taught = table[table["labels"] == "given"]
    enough = [row for row in taught.to_dict("records") if row["difference"] > plain]
    last = taught.iloc[-1]
    owed = f"{last['owed']:+.3f} [{last['owed_low']:+.3f}, {last['owed_high']:+.3f}]"
    return Solution(
        answer=int(enough[0]["pictures"]) if enough else "never",
        why=f"Half a PCA-whitening has {plain:+.3f}, and the head with {last['labelled']:.0f} labels "
        f"{last['difference']:+.3f}. Less the same labels shuffled it is {owed}: that much is owed to labels.",
        hints=('Compare the line of "true labels" with the dotted one.', 'The first such count, or "never".'),
    )
