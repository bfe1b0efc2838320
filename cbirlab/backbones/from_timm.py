"""timm: any of its networks by name, "timm:resnet50d" or "timm:resnet50.a1_in1k" (one of its sets of weights)."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from cbirlab.backbones.catalogue import Source
from cbirlab.backbones.modules import add_traced
from cbirlab.backbones.tracing import trace
from cbirlab.registry import UnknownName
from cbirlab.weights import FOLDER_VARIABLE, WeightsError

if TYPE_CHECKING:
    from torch import nn

PREFIX = "timm:"
SIDE = 224
"""Side in pixels at which a network is run that takes any; divided by the patches of 7, 8, 14, 16, 28 and 32 pixels."""


def register(name: str) -> None:
    """Enter "timm:NAME" in the catalogue; the network is built, without its weights, and run on noise.

    Raises
    ------
    ImportError : timm is not installed.
    UnknownName : timm has no network, or no set of weights, of that name.
    """
    config = _config(name)
    module = _built(name)
    parameters = sum(part.numel() for part in module.parameters())
    published = bool(config.has_weights)
    size = f"{4 * parameters / 2**20:.0f} MB"
    add_traced(
        name,
        lambda: _built(name),
        trace(module, SIDE if _any_size(module) else tuple(config.input_size[1:])),
        title=f"{name.removeprefix(PREFIX)} (timm)",
        reference=_reference(config),
        mean=tuple(config.mean),
        std=tuple(config.std),
        licence=(config.license or "not said") + " (the published weights)" if published else "",
        parameters=parameters,
        classifier=_classifier(module),
        source=Source(
            lambda: _pretrained(name),
            f"{config.architecture}.{config.tag}" if config.tag else config.architecture,
            here=lambda: _cached(config),
            takes=f"a download of about {size}" if published else "a file of yours",
        ),
    )


def _timm(name: str) -> Any:
    try:
        import timm
    except ImportError as error:
        raise ImportError(f"{name}: networks of timm need it: pip install 'cbirlab[timm]'.") from error
    return timm


def _config(name: str) -> Any:
    """What timm knows of a network and its weights."""
    timm, model = _timm(name), name.removeprefix(PREFIX)
    known = [*timm.list_models(), *timm.list_pretrained()]
    if model not in known:
        near = get_close_matches(model, known, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(repr(PREFIX + one) for one in near)}?" if near else ""
        raise UnknownName(f"Unknown backbone {name!r}: timm {timm.__version__} has no such network.{hint}")
    return timm.models.get_pretrained_cfg(model)


def _built(name: str, *, pretrained: bool = False) -> nn.Module:
    """The network; where it looks at patches, the form of it that takes images of any size."""
    timm, model = _timm(name), name.removeprefix(PREFIX)
    try:
        return timm.create_model(model, pretrained=pretrained, dynamic_img_size=True)
    except TypeError:  # a convolutional network has no such option and needs none
        return timm.create_model(model, pretrained=pretrained)


def _pretrained(name: str) -> nn.Module:
    try:
        return _built(name, pretrained=True)
    except Exception as error:  # timm and the hub behind it raise many kinds
        page, file = _config(name).hf_hub_id, f"{name.replace(':', '_')}.safetensors"
        wanted = (
            f"get model.safetensors of {page} on the Hugging Face hub and put it as {file}" if page else f"put {file}"
        )
        raise WeightsError(
            f"{name}: its weights are not on this machine and could not be fetched ({type(error).__name__}: {error}); "
            f"{wanted} into the folder that {FOLDER_VARIABLE} names, or pass weights='random' or the path of a file."
        ) from error


def _any_size(module: nn.Module) -> bool:
    """Whether it takes images of many sizes: a network without patches, or one told to."""
    patches = getattr(module, "patch_embed", None)
    return not getattr(patches, "strict_img_size", False)


def _classifier(module: nn.Module) -> str:
    """Path of the linear layer that gives class scores; "" where there is none."""
    from torch import nn

    path = getattr(module, "pretrained_cfg", {}).get("classifier") or ""
    found = dict(module.named_modules()).get(path) if isinstance(path, str) else None
    return path if isinstance(found, nn.Linear | nn.Conv2d) else ""


def _reference(config: Any) -> str:
    """The papers that timm names, where it names any."""
    papers = [config.paper_ids] if isinstance(config.paper_ids, str) else [*(config.paper_ids or ())]
    return ", ".join(papers) or config.paper_name or "timm (Wightman, 2019)"


def _cached(config: Any) -> bool:
    """Whether the hub's cache has the weights."""
    from huggingface_hub import try_to_load_from_cache

    if not config.hf_hub_id:
        return False
    file = config.hf_hub_filename
    names = [file] if file else ["model.safetensors", "pytorch_model.bin"]
    return any(isinstance(try_to_load_from_cache(config.hf_hub_id, one), str) for one in names)
