"""Trained: what came out of a training, and how it is named wherever a backbone or a whitening is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.adaptation import files
from cbirlab.adaptation.training import HEAD, POOLING, Training
from cbirlab.backbones.names import SIGN
from cbirlab.backbones.trained import LABEL, TRAINED, aliases, label_of, record_of, resolve, trained_folder
from cbirlab.pipeline.recipe import Recipe

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Trained:
    """What came out of a training.

    Attributes
    ----------
    training : resolved, with its precision.
    key : its hash; the weights are "trained-" and its first digits.
    record : everything that is known of it, as plain data: see the properties.
    controls : the same training on shuffled labels, where they were asked for.
    """

    training: Training
    key: str
    record: dict[str, Any] = field(repr=False)
    controls: tuple[Trained, ...] = ()

    @property
    def weights(self) -> str:
        """The label of the weights."""
        return label_of(self.key)

    @property
    def field(self) -> str:
        """The field of a recipe that names it: "backbone", "whitening" of a head, "aggregation" of a pooling."""
        return {HEAD: "whitening", POOLING: "aggregation"}.get(self.training.moves, "backbone")

    def named(self, name: str | None = None) -> str:
        """What stands in that field: "toynet@mine", "trained:mine"; the label where there is no name."""
        before = f"{self.training.backbone}{SIGN}" if self.field == "backbone" else TRAINED
        return before + (name or self.weights)

    @property
    def path(self) -> Path:
        """The file, a plain state dict of the network in safetensors' form."""
        return files.weights_path(self.training.family, self.weights)

    @property
    def curve(self) -> pd.DataFrame:
        """A row per step: "step", "loss", "active", "spread", "held_out", "p", "seconds"; see `Step`."""
        import pandas as pd

        from cbirlab.adaptation.steps import Step

        return pd.DataFrame(self.record["curve"], columns=list(Step._fields))

    @property
    def kept(self) -> int:
        """The step that is kept."""
        return int(self.record["kept"])

    @property
    def ended(self) -> str:
        """Where it was ended by hand, "ended by hand at step 12 of 40"; "" where all steps were taken."""
        return str(self.record.get("ended", ""))

    @property
    def held_out(self) -> tuple[float, float]:
        """The mAP among identities held out, at the start and at the step that is kept; NaN if none are."""
        start, kept = self.record["held_out"]
        return float(start), float(kept)

    @property
    def label_precision(self) -> float:
        """Share of the pairs with one label that truly match; NaN where that is not known."""
        return float(self.record["label_precision"])

    @property
    def known(self) -> int:
        """How many pictures had a label that was looked at, to learn from or to choose the step."""
        return int(self.record["known"])

    def recipe(self, **fields: Any) -> Recipe:
        """The recipe that describes as this training ended, with other `fields` of a recipe."""
        training, p = self.training, self.record.get("p")
        pooling = f"gem(p={p:.4g})" if p else training.aggregation
        own: dict[str, Any] = {"backbone": training.backbone, "tap": training.tap, "aggregation": pooling}
        if training.moves == HEAD:
            own |= {"weights": training.weights, "whitening": self.named()}
        elif training.moves == POOLING:
            pooling = f"gem(p={min(max(p, 1), 10):.4g})" if p else self.named()
            own |= {"weights": training.weights, "aggregation": pooling}
        else:
            own["weights"] = self.weights
        return Recipe(**(own | fields))

    def state_dict(self) -> dict[str, Tensor]:
        """The weights, for any program: ``network.load_state_dict(trained.state_dict(), strict=False)``."""
        from safetensors.torch import load_file

        return load_file(self.path)


def all_trained() -> Iterator[tuple[Trained, tuple[str, ...]]]:
    """Everything that was trained here and is kept, each with the names that it was given."""
    for path in sorted(trained_folder().glob(f"*/{LABEL}*.safetensors")):
        if record := record_of(path):
            done = Trained(Training.from_json(record["training"]), record["key"], record)
            named = aliases(done.training.family)
            yield done, tuple(alias for alias, label in named.items() if label == done.weights)


def find_trained(backbone: str, name: str) -> Trained:
    """What a name or a label of trained weights stands for; of a head, whose `backbone` is "head", too.

    Raises
    ------
    ValueError : there are no such weights.
    """
    path = files.weights_path(backbone, resolve(backbone, name))
    record = record_of(path) if path.is_file() else {}
    if not record:
        raise ValueError(f"find_trained: {backbone} has no trained weights {name!r}; see `cbirlab list trainings`.")
    return Trained(Training.from_json(record["training"]), record["key"], record)
