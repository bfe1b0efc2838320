"""Miners by name: which of the pairs of a batch a loss learns from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from cbirlab.base.methods import Method
from cbirlab.base.registry import Registry
from cbirlab.training.losses import LIBRARY, LOSSES, Loss, check_installed

if TYPE_CHECKING:
    from cbirlab.training.matches import Choose

MINERS: Registry[Any] = Registry("miner")
"""Makers of miners, with the fact `requires`, the module that a miner needs and that an extra brings, or ""."""


@MINERS.register("none", title="None", requires="")
def unmined() -> Choose:
    """Choose nothing: a loss reads all pairs, or those that it chooses itself."""
    return lambda rows, labels: None


MINERS.add(
    "multisim",
    "cbirlab.training.library_miners:multisim_pairs",
    title="Multi-similarity",
    reference="Wang et al., CVPR 2019",
    requires=LIBRARY,
)
MINERS.add(
    "hard",
    "cbirlab.training.library_miners:hard",
    title="Batch hard",
    reference="Hermans et al. 2017",
    requires=LIBRARY,
)
MINERS.add(
    "semihard",
    "cbirlab.training.library_miners:semihard",
    title="Semi-hard triplets",
    reference="Schroff et al., CVPR 2015",
    requires=LIBRARY,
)


class Miner(Method):
    """A miner with its parameters, as trainings name it.

    >>> Miner.parse("semihard(margin=0.2)").key
    'semihard(margin=0.2)'
    """

    registry: ClassVar[Registry[Any]] = MINERS
    terse: ClassVar[bool] = True

    def make(self) -> Choose:
        """A function of rows (B, D), L2-normalised, and labels (B,): the pairs that a loss takes as `mined`.

        These are indices (anchor, match, other) or (anchor, match, anchor, other), without a gradient; None stands for
        all pairs.

        Raises
        ------
        ImportError : the library of the miner is not installed.
        """
        check_installed(f"miner {self.name!r}", self.fact("requires", ""))
        return self.target()(**self.parameters)


def check_mined(loss: Loss, miner: Miner) -> None:
    """Nothing, if `loss` can read what `miner` finds.

    Raises
    ------
    ValueError : it cannot; says which losses can.
    """
    if miner.name != "none" and not loss.fact("mines", False):
        able = ", ".join(name for name in LOSSES if LOSSES.info(name).facts.get("mines"))
        raise ValueError(
            f"loss {loss.name!r} reads all rows of a batch, so miner must be 'none', got {str(miner)!r}; losses that "
            f"read mined pairs: {able}."
        )
