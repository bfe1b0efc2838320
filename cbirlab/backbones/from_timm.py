"""timm: any of its networks by name, "timm:resnet50d" or "timm:resnet50.a1_in1k" (one of its sets of weights)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cbirlab.backbones.catalogue import Source
from cbirlab.backbones.modules import add_traced
from cbirlab.backbones.running import digests, evaluating
from cbirlab.backbones.tap_shapes import Size
from cbirlab.backbones.tracing import trace
from cbirlab.backbones.weights import FOLDER_VARIABLE, WeightsError
from cbirlab.base import downloads
from cbirlab.base.registry import UnknownName
from cbirlab.base.text import did_you_mean

if TYPE_CHECKING:
    from torch import nn

PREFIX = "timm:"
SIDE = 224
"""Side in pixels at which a network that takes any size is run; patches of 7, 8, 14, 16, 28 and 32 pixels divide it."""

FILES = ("model.safetensors", "pytorch_model.bin")
KNOCK_SECONDS = 5


def register(name: str) -> None:
    """Register "timm:NAME": build the network without its weights and run it on noise.

    Raises
    ------
    ImportError : timm is not installed.
    UnknownName : timm has no network, or no set of weights, of that name.
    """
    model = name.removeprefix(PREFIX)
    config = _config(model)
    module = built(model)
    parameters = sum(part.numel() for part in module.parameters())
    add_traced(
        name,
        lambda: built(model),
        trace(module, _size(module, config), scores=_scores(module)),
        title=f"{model} (timm)",
        reference=_reference(config),
        mean=tuple(config.mean),
        std=tuple(config.std),
        licence=f"{config.license or 'not said'} (the published weights)" if config.has_weights else "",
        parameters=parameters,
        classifier=_classifier(module),
        source=source(name, model, config.hf_hub_id or "", parameters if config.has_weights else 0),
    )


def source(name: str, model: str, repository: str, parameters: int) -> Source:
    """Where the weights of a network come from.

    Parameters
    ----------
    name, model : its names in the catalogue and in timm.
    repository : "owner/name" of its weights on the hub.
    parameters : how many there are to download; 0 if none are published.
    """
    return Source(
        lambda: _pretrained(name, model, repository),
        model,
        here=lambda: cached(repository) is not None,
        takes=f"a download of about {4 * parameters / 2**20:.0f} MB" if parameters else "a file of yours",
    )


def cached(repository: str) -> Path | None:
    """The weights in the hub's cache on this machine, None if they are not there; found without the hub's client.

    >>> cached("nobody/nothing") is None
    True
    """
    home = os.environ.get("HF_HOME", os.environ.get("XDG_CACHE_HOME", "~/.cache") + "/huggingface")
    hub = os.environ.get("HF_HUB_CACHE", os.environ.get("HUGGINGFACE_HUB_CACHE", f"{home}/hub"))
    folder = Path(os.path.expandvars(hub)).expanduser() / f"models--{repository.replace('/', '--')}"
    main = folder / "refs" / "main"
    if not repository or not main.is_file():
        return None
    snapshot = folder / "snapshots" / main.read_text().strip()
    return next((snapshot / file for file in FILES if (snapshot / file).is_file()), None)


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise ImportError("Networks named 'timm:...' need timm: pip install 'cbirlab[timm]'.") from error
    return timm


def _config(model: str) -> Any:
    """What timm knows about a network and its weights."""
    timm = _timm()
    known = [*timm.list_models(), *timm.list_pretrained()]
    if model not in known:
        hint = did_you_mean(PREFIX + model, (PREFIX + one for one in known), most=3, cutoff=0.7)
        raise UnknownName(f"Unknown backbone {PREFIX + model!r}: timm {timm.__version__} has no such network.{hint}")
    return timm.models.get_pretrained_cfg(model)


def built(model: str, **options: Any) -> nn.Module:
    """The network; if it looks at patches, in the form that takes images of any size."""
    timm = _timm()
    try:
        return timm.create_model(model, dynamic_img_size=True, **options)
    except TypeError:  # a convolutional network has no such option and needs none
        return timm.create_model(model, **options)


def _pretrained(name: str, model: str, repository: str) -> nn.Module:
    """The network with its weights, from the cache of the hub, or fetched."""
    file = cached(repository)
    if file is None:
        downloads.check(f"{name}: the file of its weights", WeightsError)
    try:
        if file is not None:
            return built(model, pretrained=True, pretrained_cfg_overlay={"file": str(file)})
        _knock()
        return built(model, pretrained=True)
    except Exception as error:  # timm and the hub that it uses raise many kinds
        own = f"{name.replace(':', '_')}.safetensors"
        get = (
            f"get {FILES[0]} of {repository} on the Hugging Face hub and put it as {own}"
            if repository
            else f"put {own}"
        )
        raise WeightsError(
            f"{name}: its weights are not on this machine and could not be fetched ({type(error).__name__}: {error}); "
            f"{get} into the folder that {FOLDER_VARIABLE} names, or pass weights='random' or the path of a file."
        ) from error


def _knock() -> None:
    """Fail at once if there is no internet connection: the hub's own client tries for a minute."""
    from urllib.error import HTTPError
    from urllib.request import Request, urlopen

    from huggingface_hub.constants import ENDPOINT

    try:
        urlopen(Request(ENDPOINT, method="HEAD"), timeout=KNOCK_SECONDS).close()
    except HTTPError:  # it answers
        return


def _size(module: nn.Module, config: Any) -> Size:
    """The usual size for a network that takes many sizes, by itself or on request; otherwise its own size."""
    patches = getattr(module, "patch_embed", None)
    free = not (getattr(patches, "strict_img_size", False) or config.fixed_input_size)
    with evaluating(module):
        return (SIDE, SIDE) if free and digests(module, (SIDE, SIDE)) else tuple(config.input_size[1:])


def _scores(module: nn.Module) -> list[str]:
    """Paths of the parts that give class scores; some networks have several."""
    paths = getattr(module, "pretrained_cfg", {}).get("classifier") or ()
    known = dict(module.named_modules())
    return [path for path in ([paths] if isinstance(paths, str) else paths) if path in known]


def _classifier(module: nn.Module) -> str:
    """Path of the one linear layer that gives class scores; "" if there is none, or several."""
    from torch import nn

    paths = _scores(module)
    alone = len(paths) == 1 and isinstance(module.get_submodule(paths[0]), nn.Linear | nn.Conv2d)
    return paths[0] if alone else ""


def _reference(config: Any) -> str:
    """The papers that timm names, if it names any."""
    papers = [config.paper_ids] if isinstance(config.paper_ids, str) else [*(config.paper_ids or ())]
    return ", ".join(papers) or config.paper_name or "timm (Wightman, 2019)"
