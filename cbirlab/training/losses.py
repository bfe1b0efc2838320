"""Losses by name: what training asks of the rows of a batch, and how each loss is made."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from cbirlab.base.methods import Method
from cbirlab.base.registry import Registry

if TYPE_CHECKING:
    from torch import nn

LOSSES: Registry[Any] = Registry("loss")
"""Makers of losses with three facts: `proxies`, the loss has class weights, parameters of its own that are trained too;
`mines`, it can read mined pairs alone; and `requires`, the module that it needs and that an extra brings, or ""."""

LIBRARY = "pytorch_metric_learning"

EXTRAS = {LIBRARY: "pytorch-metric-learning: pip install 'cbirlab[train]'"}


def _add(name: str, entry: str, title: str, reference: str, *, proxies: bool = False, mines: bool = False) -> None:
    module, _, attribute = entry.partition(":")
    requires = LIBRARY if module == "library" else ""
    target = f"cbirlab.training.{module}:{attribute}"
    LOSSES.add(name, target, title=title, reference=reference, proxies=proxies, mines=mines, requires=requires)


_add("multisim", "library:multisim", "Multi-similarity", "Wang et al., CVPR 2019", mines=True)
_add("supcon", "library:supcon", "Supervised contrastive", "Khosla et al., NeurIPS 2020", mines=True)
_add(
    "siamese",
    "pair_losses:Siamese",
    "Siamese",
    "Hadsell et al., CVPR 2006; Chen et al., TPAMI 2022, Eq. 13",
    mines=True,
)
_add(
    "siamese_cirtorch", "pair_losses:SiameseCirtorch", "Siamese of cirtorch", "Radenović et al., TPAMI 2019", mines=True
)
_add("double", "pair_losses:DoubleMargin", "Siamese with two margins", "Chen et al., TPAMI 2022, Eq. 16", mines=True)
_add("triplet", "library:triplet", "Triplet", "Schroff et al., CVPR 2015; Hermans et al. 2017", mines=True)
_add("lifted", "library:lifted", "Lifted structure", "Oh Song et al., CVPR 2016", mines=True)
_add("npairs", "library:npairs", "N-pair", "Sohn, NeurIPS 2016")
_add("angular", "library:angular", "Angular", "Wang et al., ICCV 2017")
_add("circle", "library:circle", "Circle", "Sun et al., CVPR 2020", mines=True)
_add("ntxent", "library:ntxent", "NT-Xent", "Chen et al., ICML 2020", mines=True)
_add("smoothap", "ap_losses:SmoothAP", "Smooth AP", "Brown et al., ECCV 2020")
_add("binnedap", "ap_losses:BinnedAP", "Binned AP", "Revaud et al., ICCV 2019")
_add("fastap", "library:fastap", "FastAP", "Cakir et al., CVPR 2019")
_add("ce", "class_losses:CrossEntropy", "Cross-entropy of a classifier", "Babenko et al., ECCV 2014", proxies=True)
_add("softmax", "library:softmax", "Normalised softmax", "Zhai and Wu, BMVC 2019", proxies=True)
_add("cosface", "library:cosface", "CosFace", "Wang et al., CVPR 2018", proxies=True)
_add("arcface", "class_losses:ArcFace", "ArcFace", "Deng et al., CVPR 2019", proxies=True)
_add("proxynca", "class_losses:ProxyNCA", "Proxy-NCA", "Movshovitz-Attias et al., ICCV 2017", proxies=True)
_add("proxyanchor", "library:proxyanchor", "Proxy-anchor", "Kim et al., CVPR 2020", proxies=True)
_add(
    "joint",
    "library:joint",
    "Triplet and normalised softmax",
    "Chen et al., TPAMI 2022, Eq. 15",
    proxies=True,
    mines=True,
)


class Loss(Method):
    """A loss with its parameters, as trainings name it.

    >>> Loss.parse("multisim(beta=40)").key
    'multisim(beta=40)'
    >>> Loss("triplet", {"margin": 0.1}).key
    'triplet'
    """

    registry: ClassVar[Registry[Any]] = LOSSES
    terse: ClassVar[bool] = True

    def make(self, classes: int, width: int) -> nn.Module:
        """The loss, the same at each call: random class weights come from a seed of their own.

        Its `forward` takes rows (B, D), L2-normalised, labels (B,) int64 and perhaps mined pairs: indices (anchor,
        match, other) or (anchor, match, anchor, other). It returns one number; 0 for a batch from which nothing can be
        learnt. The labels of a loss with class weights lie in 0 .. classes - 1; its `start_at` sets the weights to the
        means of the classes.

        Parameters
        ----------
        classes, width : how many classes there are, and D; only losses with class weights read them.

        Raises
        ------
        ImportError : the library of the loss is not installed.
        ValueError : fewer than two classes for a loss with class weights, or no dimension.
        """
        import torch

        check_installed(f"loss {self.name!r}", self.fact("requires", ""))
        sizes = (classes, width) if self.fact("proxies", False) else ()
        if sizes and (classes < 2 or width < 1):
            raise ValueError(
                f"loss {self.name!r}: it needs at least 2 classes and 1 dimension, got {classes} and {width}."
            )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return self.target()(*sizes, **self.parameters)


def check_installed(owner: str, module: str) -> None:
    """Nothing, if `module` can be imported; "" is no module.

    Raises
    ------
    ImportError : it is not installed; says how to install it.
    """
    if module and find_spec(module) is None:
        raise ImportError(f"{owner} needs {EXTRAS.get(module, module)}.")
