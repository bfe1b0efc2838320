"""toynet: its shape, and the training script on a few synthetic pictures."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from PIL import Image  # noqa: E402

from cbirlab.backbones.networks.toynet import CHANNELS, STRIDES, TAPS, ToyNet, load_weights, save_weights  # noqa: E402

SCRIPTS = Path(__file__).resolve().parents[1] / "data" / "toynet"
if not SCRIPTS.exists():
    pytest.skip("the training script lies in the repository, not in the installed package", allow_module_level=True)
sys.path.insert(0, str(SCRIPTS))

from toynet_training import augment, loop, pictures  # noqa: E402

BOX = [10.0, 10.0, 50.0, 40.0]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Six landmarks, four pictures each, told apart by colours and stripes, with metadata as the renderer writes."""
    made = tmp_path_factory.mktemp("network")
    (made / "images").mkdir()
    (made / ".work").mkdir()
    rng = np.random.default_rng(0)
    for landmark in range(6):
        colours = rng.integers(40, 255, (2, 3))
        for shot in range(4):
            height, width = (60, 80) if shot % 2 else (80, 60)
            stripes = (np.arange(width)[None, :, None] + 3 * shot) // (4 + 3 * landmark) % 2
            pixels = np.where(stripes, colours[0], colours[1]) * np.ones((height, 1, 1)) + rng.normal(
                0, 8, (height, width, 3)
            )
            name = f"network_{landmark:04d}_{shot:02d}"
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(made / "images" / f"{name}.jpg")
            row = {"name": name, "landmark": landmark, "measured": {"fraction": 0.3, "visible": 0.9, "bbx": BOX}}
            (made / ".work" / f"{name}.json").write_text(json.dumps(row))
    return made


@pytest.fixture(scope="module")
def some_pictures(folder):
    return pictures.read_network_set(folder, canvas=80, progress=False)


def schedule(**changes):
    small = {"iterations": 12, "batch": 12, "sizes": (32, 48), "learning_rate": 3e-3, "margin": 0.0, "seed": 3}
    return loop.Schedule(**{**small, **changes})


@pytest.mark.parametrize(("height", "width"), [(240, 320), (97, 65), (32, 32), (1, 1)])
def test_every_tap_has_the_channels_and_stride_it_declares(height, width):
    with torch.inference_mode():
        maps = ToyNet().eval().features(torch.zeros(2, 3, height, width))
    assert tuple(maps) == TAPS
    for name, found in maps.items():
        size = (-(-height // STRIDES[name]), -(-width // STRIDES[name]))
        assert found.shape == (2, CHANNELS[name], *size)
        assert float(found.min()) >= 0


def test_size_is_as_promised():
    network = ToyNet(n_classes=500)
    assert 0.8e6 < sum(parameter.numel() for parameter in network.parameters()) < 1.1e6
    counted = []
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(
                lambda m, _, out: counted.append(out[0].numel() * m.in_channels * m.kernel_size[0] * m.kernel_size[1])
            )
    network.eval()(torch.zeros(1, 3, 240, 320))
    assert 0.3e9 < sum(counted) < 0.36e9


def test_nothing_is_computed_beyond_the_last_tap_wanted():
    network = ToyNet()
    network.layer3 = None
    assert tuple(network.features(torch.zeros(1, 3, 32, 32), last="layer2")) == ("stem", "layer1", "layer2")


def test_class_activation_map_averages_to_the_score():
    torch.manual_seed(0)
    network = ToyNet(5).eval()
    images = torch.randn(2, 3, 64, 48)
    with torch.no_grad():
        maps = network.features(images)["layer4"]
        activation = torch.einsum("bchw,nc->bnhw", maps, network.head.weight)
        torch.testing.assert_close(activation.mean((2, 3)) + network.head.bias, network(images))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ToyNet(0), "n_classes must be at least 1, got 0"),
        (lambda: ToyNet().features(torch.zeros(3, 32, 32)), r"must be \(B, 3, H, W\), got \(3, 32, 32\)"),
        (lambda: ToyNet().features(torch.zeros(1, 3, 32, 32), last="layer5"), "last must be one of stem.*'layer5'"),
    ],
)
def test_wrong_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_weights_survive_the_file(tmp_path):
    torch.manual_seed(1)
    network = ToyNet(7)
    network.features(torch.randn(4, 3, 32, 32))  # batch statistics other than those of a new network
    save_weights(network, tmp_path / "weights.safetensors", note="a test")
    again = load_weights(tmp_path / "weights.safetensors")
    assert again.n_classes == 7
    assert not again.training
    for name, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_weights_of_another_architecture_are_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"head.bias": torch.zeros(2)}, tmp_path / "other.safetensors", metadata={"architecture": "other"})
    with pytest.raises(ValueError, match=r"must hold 'toynet-1', got 'other'"):
        load_weights(tmp_path / "other.safetensors")


def test_pictures_are_read_with_their_labels(some_pictures):
    assert len(some_pictures) == 24
    assert some_pictures.classes[5] == "landmark-0005"
    assert some_pictures.labels.tolist() == [number // 4 for number in range(24)]
    assert some_pictures.extents[:2].tolist() == [[60, 80], [80, 60]]
    assert some_pictures.subjects[0].tolist() == BOX
    assert some_pictures.pixels.shape == (24, 3, 80, 80)
    assert torch.equal(some_pictures.pixels[1, :, 60:], some_pictures.pixels[1, :, 40:60].flip(1))


def test_pictures_that_show_too_little_are_left_out(folder, tmp_path):
    (tmp_path / "images.jsonl").write_text(
        "\n".join(
            json.dumps({"name": f"network_0000_0{shot}", "landmark": landmark, "measured": measured})
            for shot, (landmark, measured) in enumerate(
                [
                    (0, {"fraction": 0.02, "visible": 1.0}),
                    (0, {"fraction": 0.5, "visible": 0.1}),
                    (None, None),
                    (0, {"fraction": 0.5, "visible": 0.5, "bbx": BOX}),
                ]
            )
        )
    )
    (tmp_path / "images").symlink_to(folder / "images")
    for path in (folder / "images").glob("network_0000_*.jpg"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert len(pictures.read_network_set(tmp_path, progress=False)) == 1


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"images must be a folder with rendered \.jpg files"):
        pictures.read_network_set(tmp_path, progress=False)


def test_joined_classes_keep_apart(some_pictures):
    both = pictures.join(some_pictures, some_pictures)
    assert both.labels.tolist() == [number // 4 for number in range(24)] + [6 + number // 4 for number in range(24)]
    assert len(both.classes) == 12


def test_a_straight_crop_at_its_own_size_is_the_pixels(some_pictures):
    box = torch.tensor([[40.0, 30.0, 32.0, 32.0]])
    cut = augment.crop(some_pictures.pixels[1:2], box, 32)
    torch.testing.assert_close(cut, some_pictures.pixels[1:2, :, 14:46, 24:56] / 255, atol=1e-4, rtol=0)


def test_a_turned_crop_agrees_with_torch_affine_grid(some_pictures):
    box, angle, shear = torch.tensor([[40.0, 30.0, 24.0, 30.0]]), torch.tensor([0.3]), torch.tensor([[0.1, -0.05]])
    width, height = 24 / 80, 30 / 80
    cosine, sine = np.cos(0.3), np.sin(0.3)
    theta = torch.tensor(
        [
            [width * cosine, -height * sine + 0.1 * width, 40 / 80 * 2 - 1],
            [width * sine - 0.05 * height, height * cosine, 30 / 80 * 2 - 1],
        ],
        dtype=torch.float32,
    )
    grid = torch.nn.functional.affine_grid(theta[None], [1, 3, 20, 20], align_corners=False)
    wanted = torch.nn.functional.grid_sample(
        some_pictures.pixels[1:2] / 255, grid, padding_mode="reflection", align_corners=False
    )
    torch.testing.assert_close(
        augment.crop(some_pictures.pixels[1:2], box, 20, angle, shear), wanted, atol=1e-5, rtol=0
    )


def test_boxes_lie_inside_their_pictures():
    extents = torch.tensor([[160.0, 120.0], [120.0, 160.0]]).repeat(200, 1)
    subjects = torch.tensor([[100.0, 60.0, 140.0, 90.0], [0.0, 0.0, 20.0, 160.0]]).repeat(200, 1)
    boxes = augment.sample_boxes(extents, subjects, torch.Generator().manual_seed(0))
    low, high = boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2
    assert float(low.min()) >= -1e-3
    assert bool((high <= extents + 1e-3).all())
    assert bool((low < subjects[:, 2:]).all())
    assert bool((high > subjects[:, :2]).all())
    assert float(boxes[:, 2].std()) > 5


def test_exposure_keeps_the_range_and_is_decided_by_the_generator():
    photographer = augment.Photographer(0, CPU)
    images = torch.rand(8, 3, 40, 48, generator=torch.Generator().manual_seed(1))
    one, two, other = (
        photographer.occlude(photographer.expose(images.clone(), generator), generator)
        for generator in (torch.Generator().manual_seed(seed) for seed in (5, 5, 6))
    )
    assert one.shape == images.shape
    assert 0 <= float(one.min()) < float(one.max()) <= 1
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_average_filter_is_the_mean_over_a_repeated_border():
    images = torch.rand(2, 3, 7, 9, generator=torch.Generator().manual_seed(0))
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1), mode="replicate")
    torch.testing.assert_close(augment._average(images), torch.nn.functional.avg_pool2d(padded, 3, 1))


def test_a_few_iterations_lower_the_loss(some_pictures):
    trainer = loop.Trainer(some_pictures, schedule(iterations=40), CPU)
    rows = [trainer.step() for _ in range(40)]
    first, last = (np.mean([row["labels"] for row in part]) for part in (rows[:6], rows[-6:]))
    assert last < 0.8 * first
    assert np.mean([row["head"] for row in rows[-6:]]) < np.mean([row["head"] for row in rows[:6]])


def test_a_stopped_run_goes_on_to_the_same_weights(some_pictures, tmp_path):
    def run(name, stop=None):
        trainer = loop.Trainer(some_pictures, schedule(), CPU)
        if stop is None:
            return loop.train(trainer, tmp_path / name, save_every=5, progress=False)
        for _ in range(stop):
            trainer.step()
        (tmp_path / name).mkdir()
        loop.save(trainer, tmp_path / name)
        return None

    whole = load_weights(run("whole")).state_dict()
    run("parts", stop=5)
    resumed = load_weights(run("parts")).state_dict()
    for name, value in whole.items():
        assert torch.equal(value, resumed[name]), name


def test_a_checkpoint_of_another_schedule_is_refused(some_pictures):
    state = loop.Trainer(some_pictures, schedule(), CPU).state()
    other = loop.Trainer(some_pictures, dataclasses.replace(schedule(), batch=6), CPU)
    with pytest.raises(ValueError, match="checkpoint's schedule must be this run's"):
        other.restore(state)


def test_every_picture_is_seen_once_per_epoch(some_pictures):
    trainer = loop.Trainer(some_pictures, schedule(batch=12), CPU)
    seen = []
    for _ in range(2):
        seen += trainer._next_pictures().tolist()
        trainer.iteration += 1
    assert sorted(seen) == [*range(24)]
    assert seen != sorted(seen)


def test_rate_warms_up_stays_and_falls():
    rates = [loop.Schedule(iterations=1000).rate(iteration) for iteration in (0, 200, 400, 700, 999)]
    assert rates[0] < 0.1 * rates[1]
    assert rates[1] == rates[2] == pytest.approx(4e-3)
    assert rates[2] > rates[3] > rates[4] == pytest.approx(4e-3 * 0.02, rel=0.01)


def test_the_command_trains(folder, tmp_path, capsys):
    import train

    line = f"--images {folder} --out {tmp_path} --iterations 2 --batch 8 --collages 0 --precision float32"
    assert train.main(line.split()) == 0
    assert load_weights(tmp_path / "toynet.safetensors").n_classes == 6
    assert json.loads((tmp_path / "log.jsonl").read_text())["iteration"] == 2
    capsys.readouterr()
    assert train.main(["--images", str(tmp_path / "nowhere")]) == 1
    assert "images must be a folder" in capsys.readouterr().err
