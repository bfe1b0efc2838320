"""Training a network: what moves and what does not, the same bits again, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cbirlab import Recipe, load_backbone, run
from cbirlab.adaptation import Training, find_trained, running, train
from cbirlab.adaptation.learning import LearningPictures
from cbirlab.adaptation.network import Moving, cut
from cbirlab.adaptation.steps import Loop
from cbirlab.adaptation.supervision import Drawn, Supervision
from cbirlab.adaptation.views import change, shape_for
from cbirlab.adaptation.work import Work
from cbirlab.backbones import taps
from cbirlab.backbones.names import choices_of
from cbirlab.backbones.trained import aliases, folder_of
from cbirlab.base.progress import Cancelled, listening
from cbirlab.cli import main
from cbirlab.datasets import Dataset
from cbirlab.store import Store, StoreUnwritable

SIZE = 64


def small(pictures: Path, **fields: object) -> Training:
    """A short training on the drawn pictures, from random weights."""
    usual = {"on": f"{pictures}/images", "leak": True, "weights": "random", "image_size": SIZE, "moves": "layer4"}
    return Training(**(usual | {"steps": 4, "rate": 1e-3, "precision": "float32"} | fields))


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CBIRLAB_TRAINED", str(tmp_path / "trained"))
    return tmp_path / "trained"


def loop_of(training: Training, store: Store) -> Loop:
    return Work.of(training, store).begin(resume=False)


# the part that moves

CUTS = {
    "toynet": "layer4",
    "resnet18": "layer4",
    "mobilenet_v2": "last",
    "squeezenet1_1": "fire9",
    "efficientnet_lite0": "last",
}
CUTS |= {"efficientnet_b0": "last", "densenet121": "block4", "googlenet": "inception5b", "alexnet": "conv5"}


@pytest.mark.parametrize("name", CUTS)
def test_maps_at_the_entrance_give_what_the_whole_network_gives(name: str) -> None:
    backbone = load_backbone(name, "random")
    tap = CUTS[name] if CUTS[name] in backbone.taps else backbone.default_tap
    network = Moving(
        backbone, Training(backbone=name, moves=tap, tap=tap, precision="float32", batch="pk", image_size=96)
    )
    assert network.entrance is not None
    batch = torch.rand(2, 3, 96, 128)
    whole = taps.forward(network.backbone, batch, [network.entrance, tap])
    assert network.tail is not None
    assert torch.equal(network.tail(whole[network.entrance]), whole[tap])
    still = [one for key, one in network.module.named_parameters() if key not in network.moving]
    assert not any(one.requires_grad for one in still)
    assert all(one.requires_grad for one in network.moving.values())


class Around(torch.nn.Module):
    """A shortcut around the first part: its output is not all that enters the second."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = torch.nn.Conv2d(3, 3, 1), torch.nn.Conv2d(3, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(self.one(x) + x)


class Asks(Around):
    """Its code asks for values, which cannot be traced."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.two(self.one(x) if x.sum() > 0 else x)


@pytest.mark.parametrize("kind", [Around, Asks])
def test_a_network_that_cannot_be_cut_there_is_not_cut(kind: type[Around]) -> None:
    assert cut(kind(), "one", "two") is None


def test_only_the_part_from_the_tap_on_changes_and_no_statistics(pictures: Path, store: Store) -> None:
    done = train(small(pictures, moves="layer3", tap="layer4"), store=store, progress=False)
    before, after = load_backbone("toynet", "random").module.state_dict(), done.state_dict()
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert changed
    assert {name.split(".")[0] for name in changed} == {"layer3", "layer4"}
    assert not any("running" in name for name in changed)


def test_the_weights_are_a_plain_state_dict(pictures: Path, store: Store) -> None:
    from safetensors.torch import load_file
    from torchvision.models import squeezenet1_1

    training = small(pictures, backbone="squeezenet1_1", moves="fire9", steps=1)
    done = train(training, store=store, progress=False)
    network = squeezenet1_1()
    assert not network.load_state_dict(load_file(done.path), strict=False).unexpected_keys
    loaded = load_backbone("squeezenet1_1", done.weights)
    batch = torch.rand(1, 3, 64, 64)
    assert torch.allclose(network.eval().features(batch), taps.forward(loaded, batch, ["fire9"])["fire9"], atol=1e-6)


# one step


@pytest.mark.parametrize("moves", ["layer4", "all"])
def test_three_passes_give_the_gradient_of_the_whole_batch(
    moves: str, pictures: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cbirlab.adaptation.steps.GROUP", 3)
    monkeypatch.setattr("cbirlab.adaptation.steps.GROUP_OF_MAPS", 3)
    loop = loop_of(small(pictures, moves=moves, loss="supcon"), store)
    drawn = loop.supervision.draw(0)
    entering = loop._batch(drawn, 0)
    rows = loop.described(entering).requires_grad_()
    loop.supervision.loss(loop.loss, rows, drawn).backward()
    loop.descent.begin()
    loop._push(entering, rows.grad)
    found = {name: one.grad.clone() for name, one in loop.network.learned().items()}
    loop.descent.begin()
    whole = torch.stack([loop.network(one[None])[0] for one in entering])
    loop.supervision.loss(loop.loss, whole, drawn).backward()
    for name, one in loop.network.learned().items():
        assert torch.allclose(found[name], one.grad, atol=1e-5 + 1e-3 * float(one.grad.abs().max())), name


def test_views_follow_from_their_seeds_whatever_their_batch() -> None:
    pictures = torch.rand(3, 3, 20, 30)
    seeds = [(0, 1, 4), (0, 2, 4), (0, 1, 5)]
    together = change(pictures, seeds)
    assert torch.allclose(together[1:2], change(pictures[1:2], seeds[1:2]), atol=1e-6)
    assert ((together >= 0) & (together <= 1)).all()
    assert not torch.allclose(together, pictures, atol=0.05)
    assert shape_for(300, 400, 224) == (168, 224)
    assert shape_for(400, 300, 224) == (224, 168)
    assert shape_for(100, 105, 224) == (192, 192)


def test_two_rows_of_one_picture_are_two_views(pictures: Path, store: Store) -> None:
    loop = loop_of(small(pictures, labels="views", batch="pk(classes=8, each=3)"), store)
    drawn = loop.supervision.draw(3)
    for row in np.unique(drawn.rows):
        assert sorted(drawn.views[drawn.rows == row]) == [1, 2, 3]
    again = loop.supervision.draw(3)
    assert np.array_equal(drawn.rows, again.rows)
    assert np.array_equal(drawn.views, again.views)


def test_the_memory_never_holds_the_pictures_of_the_batch_beside_it(pictures: Path, store: Store) -> None:
    loop = loop_of(small(pictures, memory=16, loss="supcon", steps=14), store)
    seen: list[tuple[int, int]] = []
    supervision: Supervision = loop.supervision

    class Spy(torch.nn.Module):
        def forward(self, rows: torch.Tensor, labels: torch.Tensor, mined: object) -> torch.Tensor:
            seen.append((len(rows), len(labels)))
            distances = torch.cdist(rows[:32], rows[32:]) if len(rows) > 32 else torch.ones(1)
            assert (distances > 1e-4).all() or not distances.numel()
            return rows.square().sum()

    loop.loss = Spy()
    for _ in loop.run():
        pass
    assert all(rows == labels for rows, labels in seen)
    kept = supervision.state()
    assert len(kept["0"]) == len(kept["1"]) == len(kept["2"]) == 16


def test_a_heavy_hold_on_the_old_descriptors_keeps_them(pictures: Path, store: Store) -> None:
    far: dict[float, float] = {}
    for weight in (0.0, 1000.0):
        loop = loop_of(small(pictures, keep_old=weight, steps=8), store)
        rows = loop.split.learn
        before = loop._clean(rows) if not loop._whole and (int(rows[0]), 0) in loop._entered else None
        entering = loop._batch(Drawn(rows, np.ones(len(rows), np.int64), torch.zeros(1)), 0)
        start = loop.described(entering)
        for _ in loop.run():
            pass
        far[weight] = float((loop.described(entering) - start).norm(dim=1).mean())
        assert before is None or len(before) == len(rows)
    assert far[1000.0] < 0.5 * far[0.0]


@pytest.mark.parametrize("loss", ["softmax", "proxynca"])
def test_class_weights_start_at_the_class_means(loss: str, pictures: Path, store: Store) -> None:
    loop = loop_of(small(pictures, loss=loss), store)
    random = [one.detach().clone() for one in loop.loss.parameters()]
    next(iter(loop.run()))
    assert any(not torch.equal(one, other) for one, other in zip(random, loop.loss.parameters(), strict=True))
    assert len(loop.descent.optimiser.param_groups) == 3, "the network, the exponent, the class weights"


# kills, stops and failures


def weights_of(folder: Path) -> bytes:
    (found,) = folder.rglob("*.safetensors")
    return found.read_bytes()[8:]


KILLED = """
import os, signal, sys
from cbirlab.adaptation import Training, running, train
running.CHECKPOINT_SECONDS = 0.0
last = int(sys.argv[2])
def told(step):
    if step.step == last:
        os.kill(os.getpid(), signal.SIGKILL)
train(Training.from_json(sys.argv[1]), progress=False, told=told if last >= 0 else None)
"""


def killed_and_resumed(training: Training, at: list[int], folder: Path, store: Path) -> None:
    """Kill a training at each of some steps, and let it end."""
    for last in [*at, -1]:
        environment = os.environ | {"CBIRLAB_TRAINED": str(folder), "CBIRLAB_STORE": str(store)}
        command = [sys.executable, "-W", "ignore", "-c", KILLED, training.to_json(), str(last)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == (-signal.SIGKILL if last >= 0 else 0), ended.stderr[-2000:]


def check_kills(pictures: Path, tmp_path: Path, kills: int) -> None:
    training = small(pictures, steps=kills + 6, loss="softmax", memory=16, keep_old=0.5)
    killed_and_resumed(training, [], tmp_path / "whole", tmp_path / "store")
    at = sorted(np.random.default_rng(0).permutation(kills + 5)[:kills].tolist())
    killed_and_resumed(training, at, tmp_path / "killed", tmp_path / "store")
    whole, killed = (next((tmp_path / one).rglob("*.safetensors")) for one in ("whole", "killed"))
    from safetensors.torch import load_file

    one, other = load_file(whole), load_file(killed)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not list((tmp_path / "killed").rglob("*.checkpoint"))


def test_killed_twice_it_ends_with_the_same_bits(pictures: Path, tmp_path: Path) -> None:
    check_kills(pictures, tmp_path, 2)


@pytest.mark.robustness
def test_killed_twenty_times_it_ends_with_the_same_bits(pictures: Path, tmp_path: Path) -> None:
    check_kills(pictures, tmp_path, 20)


def test_cancelled_it_leaves_only_a_checkpoint(
    pictures: Path, store: Store, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "CHECKPOINT_SECONDS", 0.0)

    def cancel(desc: str, done: int, total: int) -> None:
        if desc == "training" and done == 2:
            raise Cancelled

    with listening(cancel), pytest.raises(Cancelled):
        train(small(pictures), store=store)
    assert [path.suffix for path in own_folder.rglob("*.*")] == [".checkpoint"]
    heard: list[int] = []
    done = train(small(pictures), store=store, progress=False, told=lambda step: heard.append(step.step))
    assert heard[0] > 1, "it goes on where it was"
    assert len(done.curve) == 5
    again = train(small(pictures), store=store, progress=False, told=lambda step: heard.append(-1))
    assert again.key == done.key
    assert -1 not in heard, "finished weights are taken as they are"


def test_a_damaged_checkpoint_is_told_and_begun_anew(
    pictures: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running, "CHECKPOINT_SECONDS", 0.0)
    work = Work.of(small(pictures), store)
    work.paths[1].parent.mkdir(parents=True)
    work.paths[1].write_bytes(b"no checkpoint")
    with pytest.warns(UserWarning, match="the checkpoint is damaged, so training begins anew"):
        assert len(train(small(pictures), store=store, progress=False).curve) == 5


def test_a_folder_that_cannot_be_written_to_is_told_and_nothing_is_left(
    pictures: Path, store: Store, own_folder: Path
) -> None:
    own_folder.write_text("in the way")
    with pytest.raises(StoreUnwritable, match="set CBIRLAB_TRAINED to a folder"):
        train(small(pictures), store=store, progress=False)
    assert own_folder.read_text() == "in the way"


def test_an_exploding_loss_is_a_sentence_and_leaves_nothing(pictures: Path, store: Store, own_folder: Path) -> None:
    with pytest.raises(FloatingPointError, match="take a smaller rate"):
        train(small(pictures, rate=1.0, schedule="constant", steps=200, loss="ce"), store=store, progress=False)
    assert not list(own_folder.rglob("*.safetensors"))


def test_stopping_keeps_the_best_by_held_out_identities(pictures: Path, store: Store) -> None:
    loop = loop_of(small(pictures, hold_out=0.5, steps=20, rate=0.01), store)
    assert len(loop.split.ask)
    steps = list(loop.run())
    looked = [one for one in steps if one.held_out == one.held_out]
    best = max(looked, key=lambda one: one.held_out)
    assert loop.best[0] == best.step
    loop.finish()
    assert loop.look() == pytest.approx(best.held_out)


# names


def test_a_name_stands_for_the_hash_of_the_training(pictures: Path, store: Store) -> None:
    done = train(small(pictures), name="mine", store=store, progress=False)
    recipe = Recipe(backbone="toynet@mine")
    assert recipe.weights == done.weights == f"trained-{done.key[:16]}"
    assert "mine" not in recipe.to_json()
    assert Recipe.from_json(recipe.to_json()) == recipe == Recipe(backbone="toynet", weights="mine")
    assert "toynet@mine" in choices_of("toynet")
    assert aliases("toynet") == {"mine": done.weights}
    assert find_trained("toynet", "mine").key == done.key
    with pytest.raises(ValueError, match=r"stands for .* already"):
        train(small(pictures, seed=1), name="mine", store=store, progress=False)
    other = train(small(pictures, seed=1), name="mine", replacing=True, store=store, progress=False)
    assert Recipe(backbone="toynet@mine").weights == other.weights != done.weights


@pytest.mark.parametrize(
    ("backbone", "name", "said"),
    [
        ("resnet18", "IMAGENET1K_V1", "the label of other weights"),
        ("toynet", "random", "the label of other weights"),
        ("toynet", "trained-abc", "not begin with"),
        ("toynet", "a/b", "letters, digits"),
        ("toynet", "", "letters, digits"),
    ],
)
def test_names_that_are_refused(backbone: str, name: str, said: str, pictures: Path, store: Store) -> None:
    with pytest.raises(ValueError, match=said):
        train(small(pictures, backbone=backbone), name=name, store=store)


def test_evaluated_images_are_refused_and_told_where_asked_for(pictures: Path, store: Store) -> None:
    with pytest.raises(ValueError, match="on must not be what is evaluated"):
        train(small(pictures, leak=False), store=store)
    done = train(small(pictures), store=store, progress=False)
    judged = run(done.recipe(dataset=str(pictures), image_size=SIZE), store=store, progress=False)
    assert judged.leak == "network trained on 40 of the 40 evaluated images"
    other = run(Recipe(dataset=str(pictures), weights="random", image_size=SIZE), store=store, progress=False)
    assert other.leak == ""


def test_instances_of_one_name_in_two_datasets_are_no_leak(pictures: Path, tmp_path: Path, store: Store) -> None:
    from tests.conftest import draw

    for instance in range(40, 48):
        for view in range(3):
            path = tmp_path / "others" / f"thing{instance - 40}" / f"{view}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(instance, view).save(path)
    done = train(small(pictures), store=store, progress=False)
    judged = run(done.recipe(dataset=str(tmp_path / "others"), image_size=SIZE), store=store, progress=False)
    assert judged.leak == ""


def test_the_key_follows_what_decides_the_weights_and_not_the_machine(pictures: Path, store: Store) -> None:
    def key(**fields: object) -> str:
        return Work.of(small(pictures, **fields), store).key

    usual = key()
    assert key(threads=1) == usual == key(device="cpu")
    for changed in ({"seed": 1}, {"loss": "supcon"}, {"precision": "bfloat16"}, {"labels": "shuffled"}, {"steps": 5}):
        assert key(**changed) != usual


def test_auto_is_resolved_before_anything_is_hashed(pictures: Path, store: Store) -> None:
    done = train(small(pictures, precision="auto"), store=store, progress=False)
    assert done.training.precision in ("float32", "bfloat16")
    assert find_trained("toynet", done.weights).training.precision == done.training.precision
    assert train(small(pictures, precision="auto"), store=store, progress=False).key == done.key
    assert train(small(pictures, precision=done.training.precision), store=store, progress=False).key == done.key


def test_controls_are_the_same_training_on_shuffled_labels(pictures: Path, store: Store) -> None:
    done = train(small(pictures), control=True, store=store, progress=False)
    assert [one.training.labels for one in done.controls] == ["shuffled", "shuffled"]
    assert [one.training.seed for one in done.controls] == [0, 1]
    assert len({done.key, *(one.key for one in done.controls)}) == 3
    assert replace(done.controls[0].training, labels="given") == done.training


@pytest.mark.parametrize("labels", ["kmeans(each=4)", "mutual", "views", "knn(k=3)"])
def test_a_folder_without_labels_teaches_too(labels: str, pictures: Path, tmp_path: Path, store: Store) -> None:
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, path in enumerate(sorted(pictures.rglob("*.png"))):
        (flat / f"{number}.png").write_bytes(path.read_bytes())
    (flat / "broken.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match="1 file is skipped"):
        done = train(small(pictures, on=str(flat), leak=False, labels=labels), store=store, progress=False)
    assert np.isnan(done.label_precision)
    assert np.isnan(done.held_out[1])
    assert done.kept == 4, "without identities held out, the last step is kept"


def test_files_that_became_unreadable_are_left_out(things: Dataset, tmp_path: Path, store: Store) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    learning = LearningPictures("some", (things.images[0], broken, things.images[6]), np.array([0, 0, 1]), SIZE)
    with pytest.warns(UserWarning, match="leaves out 1 files of some, the first: .*broken.png"):
        kept = learning.readable(store)
    assert kept.paths == (things.images[0], things.images[6])
    assert kept.given.tolist() == [0, 1]
    assert kept.readable(store) is kept


def test_one_picture_of_each_instance_is_refused(tmp_path: Path, store: Store, things: Dataset) -> None:
    for number in range(6):
        (tmp_path / "single" / str(number)).mkdir(parents=True)
        (tmp_path / "single" / str(number) / "0.png").write_bytes(things.images[number * 5].read_bytes())
    with pytest.raises(ValueError, match="at least two groups of two"):
        train(small(tmp_path / "single"), store=store, progress=False)


WRONG = [
    ({"moves": "layer9"}, "moves must be 'head', 'pooling', 'all' or a tap"),
    ({"moves": "layer4", "tap": "layer2"}, "moves must be"),
    (
        {"moves": "avgpool", "tap": "avgpool", "backbone": "resnet18"},
        "moves 'avgpool' up to 'avgpool' has no parameters that could learn; let an earlier tap move, such as 'layer4'",
    ),
    ({"loss": "smoothap", "miner": "hard"}, "miner must be 'none'"),
    ({"aggregation": "vlad"}, "aggregation must be a pooling that learns nothing"),
    ({"steps": 0}, "steps must be a whole number in"),
    ({"labels": "views", "augment": "none"}, "needs augment 'views'"),
    ({"start": "lw"}, "start is that of a head"),
    ({"hold_out": 0.9}, r"hold_out must be in \[0, 0.5\]"),
]


@pytest.mark.parametrize(("fields", "said"), WRONG, ids=[next(iter(one)) for one, _ in WRONG])
def test_wrong_fields_are_sentences(fields: dict[str, object], said: str, pictures: Path, store: Store) -> None:
    with pytest.raises((ValueError, KeyError), match=said):
        train(small(pictures, **fields), store=store, progress=False)


def test_a_training_is_read_back_from_its_text() -> None:
    training = Training(
        moves="layer4", loss="multisim(beta=40)", labels="kmeans(each=5)", batch="pk(classes=4, each=2)"
    )
    assert Training.from_json(training.to_json()) == training
    with pytest.raises(TypeError, match="stepps"):
        Training.from_json('{"stepps": 3}')


@pytest.fixture
def trained_line(pictures: Path, store: Store) -> list[str]:
    fields = ["--on", f"{pictures}/images", "--leak", "on", "--weights", "random", "--image-size", str(SIZE)]
    return ["train", *fields, "--moves", "layer4", "--steps", "3", "--store", str(store.path), "--quiet"]


@pytest.mark.parametrize(
    ("moves", "option", "text"),
    [("layer4", "--backbone", "toynet@one"), ("pooling", "--aggregation", "trained:one"), ("head", "--whitening", "")],
)
def test_the_command_says_where_the_name_stands(
    trained_line: list[str], store: Store, capsys: pytest.CaptureFixture[str], moves: str, option: str, text: str
) -> None:
    line = [moves if word == "layer4" else word for word in trained_line]
    assert main([*line, "--name", "one"]) == 0
    said, named = capsys.readouterr().out, text or "trained:one"
    assert said.split()[:2] == [option.removeprefix("--"), named]
    assert main([*line, "--name", "one"]) == 2
    assert "choose another" in capsys.readouterr().err
    assert main(line) == 0
    label = capsys.readouterr().out.split()[1]
    assert main(["list", "trainings"]) == 0
    listed = [words.split() for words in capsys.readouterr().out.splitlines()]
    assert [words[:3] for words in listed] == [[option.removeprefix("--"), named, label.split("@")[-1].split(":")[-1]]]
    taken = ["run", option, named, "--weights", "random", "--image-size", "64", "--quiet", "--store", str(store.path)]
    assert main(taken[:3] + taken[3 + 2 * (moves == "layer4") :]) == 0


def test_the_command_trains_and_every_other_takes_the_name(
    trained_line: list[str], pictures: Path, store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main([*trained_line, "--name", "mine", "--out", str(tmp_path / "curve.csv")]) == 0
    said = capsys.readouterr().out
    assert "toynet@mine" in said
    assert (tmp_path / "curve.csv").read_text().startswith("step,loss,active,spread,held_out,p,seconds")
    assert main(["list", "trainings"]) == 0
    assert "toynet@mine" in capsys.readouterr().out
    line = ["run", "--dataset", str(pictures), "--backbone", "toynet@mine", "--image-size", str(SIZE), "--quiet"]
    assert main([*line, "--store", str(store.path)]) == 0
    assert "network trained on 40 of the 40 evaluated images" in capsys.readouterr().out
    assert main([*trained_line, "--name", "mine"]) == 2
    assert "choose another" in capsys.readouterr().err
    assert main([*trained_line, "--loss", "smoothap", "--miner", "hard"]) == 2
    assert folder_of("toynet").is_dir()
