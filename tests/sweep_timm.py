"""The default tap of one network per family of timm, with random weights: a map of most of the network, not its scores.

``python tests/sweep_timm.py`` tries all of them (an hour of one core, 6 GB), followed by names those alone.
`test_tracing.py` tries some.
"""

from __future__ import annotations

import sys
import time
import traceback
import warnings
from typing import Any

import torch

from cbirlab.backbones import BACKBONES, load_backbone, taps

# A family is a module of timm; the network is one of its small ones.
FAMILIES = {
    "beit": "beit_base_patch16_224",
    "byoanet": "halonet26t",
    "byobnet": "repvgg_a0",
    "cait": "cait_xxs24_224",
    "coat": "coat_lite_tiny",
    "convit": "convit_tiny",
    "convmixer": "convmixer_768_32",
    "convnext": "convnext_atto",
    "cpubone": "cpubone_b0_bfrobust",
    "crossvit": "crossvit_9_240",
    "csatv2": "csatv2",
    "cspnet": "cs3darknet_s",
    "cspnext": "cspnext_tiny",
    "davit": "davit_tiny",
    "deepseek_vit": "deepseek_vit_412m",
    "deit": "deit3_small_patch16_224",
    "densenet": "densenet121",
    "dla": "dla46_c",
    "dpn": "dpn48b",
    "edgenext": "edgenext_xx_small",
    "efficientformer": "efficientformer_l1",
    "efficientformer_v2": "efficientformerv2_s0",
    "efficientnet": "efficientnet_b0",
    "efficientvim": "efficientvim_m1",
    "efficientvit_mit": "efficientvit_b0",
    "efficientvit_msra": "efficientvit_m0",
    "eva": "eva02_tiny_patch14_224",
    "fasternet": "fasternet_t0",
    "fastvit": "fastvit_t8",
    "focalnet": "focalnet_tiny_srf",
    "gcvit": "gcvit_xxtiny",
    "gemma4_vit": "gemma4_vit_167m",
    "ghostnet": "ghostnet_050",
    "hardcorenas": "hardcorenas_a",
    "hgnet": "hgnetv2_b0",
    "hiera": "hiera_tiny_224",
    "hieradet_sam2": "sam2_hiera_tiny",
    "hrnet": "hrnet_w18_small",
    "iformer": "iformer_s",
    "inception_next": "inception_next_atto",
    "inception_resnet_v2": "inception_resnet_v2",
    "inception_v3": "inception_v3",
    "inception_v4": "inception_v4",
    "lcnetv2": "lcnetv2_small",
    "levit": "levit_128s",
    "lowformer": "lowformer_b0",
    "mambaout": "mambaout_femto",
    "maxxvit": "maxvit_rmlp_pico_rw_256",
    "metaformer": "poolformer_s12",
    "mlp_mixer": "mixer_s32_224",
    "mobilenetv3": "mobilenetv3_small_050",
    "mobilenetv5": "mobilenetv5_base",
    "mobilevit": "mobilevit_xxs",
    "mvitv2": "mvitv2_tiny",
    "naflexvit": "naflexvit_base_patch16_gap",
    "nasnet": "nasnetalarge",
    "nest": "nest_tiny",
    "nextvit": "nextvit_small",
    "nfnet": "nfnet_l0",
    "pit": "pit_ti_224",
    "pnasnet": "pnasnet5large",
    "pvt_v2": "pvt_v2_b0",
    "qwen3_vit": "qwen3_vit_88m",
    "rdnet": "rdnet_tiny",
    "regnet": "regnetx_002",
    "repghost": "repghostnet_050",
    "repvit": "repvit_m0_9",
    "res2net": "res2net50_26w_4s",
    "resnest": "resnest14d",
    "resnet": "resnet18",
    "resnetv2": "resnetv2_18",
    "rexnet": "rexnet_100",
    "selecsls": "selecsls42",
    "senet": "legacy_seresnet18",
    "sequencer": "sequencer2d_s",
    "shvit": "shvit_s1",
    "sknet": "skresnet18",
    "starnet": "starnet_s050",
    "swiftformer": "swiftformer_xs",
    "swin_transformer": "swin_tiny_patch4_window7_224",
    "swin_transformer_v2": "swinv2_tiny_window8_256",
    "swin_transformer_v2_cr": "swinv2_cr_tiny_ns_224",
    "tiny_vit": "tiny_vit_5m_224",
    "tnt": "tnt_s_patch16_224",
    "tresnet": "tresnet_m",
    "twins": "twins_svt_small",
    "vgg": "vgg11",
    "visformer": "visformer_tiny",
    "vision_transformer": "vit_tiny_patch16_224",
    "vision_transformer_hybrid": "vit_tiny_r_s16_p8_224",
    "vision_transformer_relpos": "vit_relpos_small_patch16_224",
    "vision_transformer_sam": "samvit_base_patch16_224",
    "vitamin": "vitamin_small_224",
    "volo": "volo_d1_224",
    "vovnet": "ese_vovnet19b_slim",
    "xception": "legacy_xception",
    "xception_aligned": "xception41",
    "xcit": "xcit_nano_12_p16_224",
}
MORE = (
    "beitv2_base_patch16_224",
    "caformer_s18",
    "coat_tiny",
    "coatnet_pico_rw_224",
    "gmlp_ti16_224",
    "levit_conv_128s",
    "maxxvitv2_nano_rw_256",
    "mvitv2_small_cls",
    "resmlp_12_224",
    "vit_small_patch16_dinov3",
    "vit_medium_patch16_reg4_gap_256",
)
"""Networks that are built otherwise than the one of their family."""
BRIEF = ("hiera_tiny_224", "levit_128s", "mixer_s32_224", "mobilenetv3_small_050", "pit_ti_224")
"""Small ones of families as different as can be."""
NOT_HAD: dict[str, str] = {}
"""Networks without such a default tap, and what it takes to have one."""
MOST = 0.5
"""Share of the parameters behind what timm calls a network's features that the default tap must depend on."""


def faults(name: str) -> list[str]:
    """What is wrong with the default tap of timm's network `name`; nothing if all is right."""
    backbone = load_backbone(f"timm:{name}", "random")
    tap, module = backbone.taps[backbone.default_tap], backbone.module
    height, width = backbone.fixed_size or (224 // backbone.multiple * backbone.multiple,) * 2
    image = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))
    said = []
    if tap.kind != "map":
        said.append(f"a {tap.kind}")
    if tap.channels == getattr(module, "num_classes", 0):
        said.append("the scores")
    found = taps.forward(backbone, image, [backbone.default_tap])[backbone.default_tap]
    rows = (round(height / max(1, tap.stride)), round(width / max(1, tap.stride)))
    if found.shape[1] != tap.channels or abs(found.shape[2] - rows[0]) > 2 or abs(found.shape[3] - rows[1]) > 2:
        said.append(f"shape {tuple(found.shape)} where the tap says {tap.channels} channels and stride {tap.stride}")
    whole, here = _behind(module, image, ""), _behind(module, image, tap.path)
    if here < MOST * whole:
        said.append(f"depends on {here / whole:.0%} of the parameters")
    with torch.no_grad():
        try:
            last: Any = module.forward_intermediates(image, intermediates_only=True)[-1]  # pyright: ignore
        except (AttributeError, TypeError, NotImplementedError):
            return said
    if isinstance(last, torch.Tensor) and not last.shape[2] <= found.shape[2] <= 2 * last.shape[2]:
        said.append(f"{tuple(found.shape[2:])} places where timm's last map has {tuple(last.shape[2:])}")
    return said


def _behind(module: Any, image: torch.Tensor, path: str) -> int:
    """How many numbers of the network are behind the output of a part; of "" behind its features."""
    module.requires_grad_(True)
    kept: list[Any] = []
    part = module.get_submodule(path) if path else None
    hook = part.register_forward_hook(lambda *given: kept.append(given[2])) if part is not None else None
    result = module.forward_features(image)
    if hook is not None:
        hook.remove()
        if not kept:  # it lies behind the features
            return 1 << 60
    stack = [one.grad_fn for one in _tensors(kept or result)]
    seen, total = set(), 0
    while stack:
        one = stack.pop()
        if one is None or one in seen:
            continue
        seen.add(one)
        total += getattr(one, "variable", torch.empty(0)).numel()
        stack += [before for before, _ in one.next_functions]
    module.requires_grad_(False)
    return total


def _tensors(given: Any) -> list[torch.Tensor]:
    if isinstance(given, torch.Tensor):
        return [given]
    values = given.values() if isinstance(given, dict) else given if isinstance(given, list | tuple) else []
    return [one for value in values for one in _tensors(value)]


def main(names: list[str]) -> int:
    """Try them, print what is found, and return how many are wrong without being known to be."""
    torch.set_num_threads(1)
    wrong = 0
    for name in names or [*FAMILIES.values(), *MORE]:
        started = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                said = faults(name)
            facts = BACKBONES.info(f"timm:{name}").facts
            tap = facts["taps"][facts["default_tap"]]
            shown = f"{facts['default_tap']} ({tap.path}), {tap.channels} x stride {tap.stride} {tap.layout}"
        except Exception:
            said, shown = [traceback.format_exc().splitlines()[-1]], "-"
        if f"timm:{name}" in list(BACKBONES):
            BACKBONES.remove(f"timm:{name}")
        known = NOT_HAD.get(name, "")
        wrong += bool(said) and not known
        verdict = "; ".join(said) + (f" [known: {known}]" if known else "") if said else "right"
        print(f"{name:36} {shown:60} {time.perf_counter() - started:5.0f} s  {verdict}", flush=True)
    print(f"{wrong} wrong")
    return wrong


if __name__ == "__main__":
    sys.exit(bool(main(sys.argv[1:])))
