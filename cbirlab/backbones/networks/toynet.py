"""toynet, the bundled backbone: a narrow residual network, quick on a CPU, with five taps and a classifier head.

Residual blocks after He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, equations 1 and 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

MEAN = (0.45, 0.45, 0.45)
STD = (0.25, 0.25, 0.25)
CHANNELS = {"stem": 16, "layer1": 24, "layer2": 48, "layer3": 96, "layer4": 192}
STRIDES = {"stem": 2, "layer1": 4, "layer2": 8, "layer3": 16, "layer4": 16}
TAPS = tuple(CHANNELS)
ARCHITECTURE = "toynet-1"


class ResidualBlock(nn.Module):
    """relu(bn(conv3x3(relu(bn(conv3x3(x))))) + shortcut(x)), the shortcut a 1x1 convolution where the shape changes.

    Parameters
    ----------
    inputs, hidden, outputs : channels before, between and after the two convolutions.
    stride : of the first convolution and of the shortcut.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, hidden, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        same_shape = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same_shape else _projection(inputs, outputs, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """Map (B, inputs, H, W) to (B, outputs, ceil(H / stride), ceil(W / stride)), values >= 0."""
        hidden = functional.relu(self.bn1(self.conv1(maps)), inplace=True)
        return functional.relu(self.bn2(self.conv2(hidden)) + self.shortcut(maps), inplace=True)


class ToyNet(nn.Module):
    """A residual network of about 0.9 million parameters and 0.36 billion multiply-adds for an image of 320 x 240.

    Input: RGB in 0..1, minus `MEAN`, divided by `STD`. The taps are the outputs of `stem` and `layer1` to `layer4`, all
    after the ReLU, at strides 2, 4, 8, 16, 16. The last stage keeps stride 16: a finer map makes better regions and
    class activation maps.

    Parameters
    ----------
    n_classes : outputs of the linear `head`, which sits on the average of the `layer4` map. The map weighted by row c
        of ``head.weight`` is therefore the class activation map of class c (Zhou et al., CVPR 2016, equation 2).
    """

    def __init__(self, n_classes: int = 1) -> None:
        super().__init__()
        if n_classes < 1:
            raise ValueError(f"ToyNet: n_classes must be at least 1, got {n_classes}.")
        stem, one, two, three, four = CHANNELS.values()
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 3, 2, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU(inplace=True))
        self.layer1 = ResidualBlock(stem, one, one, stride=2)
        self.layer2 = nn.Sequential(ResidualBlock(one, two, two, stride=2), ResidualBlock(two, two, two))
        self.layer3 = nn.Sequential(ResidualBlock(two, three, three, stride=2), ResidualBlock(three, three, three))
        self.layer4 = ResidualBlock(three, 160, four)
        self.head = nn.Linear(four, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    @property
    def n_classes(self) -> int:
        """Number of outputs of the head."""
        return self.head.out_features

    def features(self, images: Tensor, last: str = "layer4") -> dict[str, Tensor]:
        """Maps of all taps up to `last`, in order, from one forward pass.

        Parameters
        ----------
        images : (B, 3, H, W), normalised.
        last : deepest tap wanted; nothing beyond it is computed.

        Raises
        ------
        ValueError : `images` does not have four axes and three channels, or `last` is no tap.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"ToyNet: images must be (B, 3, H, W), got {tuple(images.shape)}.")
        if last not in TAPS:
            raise ValueError(f"ToyNet: last must be one of {', '.join(TAPS)}, got {last!r}.")
        taps, maps = {}, images
        for name in TAPS[: TAPS.index(last) + 1]:
            maps = taps[name] = getattr(self, name)(maps)
        return taps

    def classify(self, maps: Tensor) -> Tensor:
        """Class scores (B, n_classes) from the maps (B, C, H, W) of `layer4`."""
        return self.head(maps.mean(dim=(-2, -1)))

    def forward(self, images: Tensor) -> Tensor:
        """Class scores (B, n_classes) of normalised images (B, 3, H, W)."""
        maps = images
        for name in TAPS:  # without the checks of `features`, so that torch.fx can trace the network
            maps = getattr(self, name)(maps)
        return self.classify(maps)


def save_weights(weights: ToyNet | Mapping[str, Tensor], path: str | Path, **notes: str) -> None:
    """Write the weights as safetensors, in float32, with `notes` in the file's header."""
    state = weights.state_dict() if isinstance(weights, ToyNet) else weights
    tensors = {name: _storable(value) for name, value in state.items()}
    save_file(tensors, path, metadata={"architecture": ARCHITECTURE, **notes})


def load_weights(path: str | Path) -> ToyNet:
    """Build the network from the safetensors file `path`, with a head of the size stored there; evaluation mode.

    Raises
    ------
    ValueError : the file holds weights of another architecture.
    """
    with safe_open(path, "pt") as file:
        notes = file.metadata() or {}
    if notes.get("architecture") != ARCHITECTURE:
        raise ValueError(f"load_weights: {path} must hold {ARCHITECTURE!r}, got {notes.get('architecture')!r}.")
    state = load_file(path)
    network = ToyNet(n_classes=len(state["head.bias"]))
    network.load_state_dict(state, strict=True)
    return network.eval()


def _projection(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


def _storable(value: Tensor) -> Tensor:
    value = value.detach().cpu().contiguous()
    return value.float() if value.is_floating_point() else value
