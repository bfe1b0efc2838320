"""What training costs, as ratios of one run: three passes, a head, a slider beside it, half precision.

    python tests/benchmarks/bench_training.py [--networks mobilenet_v2 toynet] [--weights FILE] [--moves 120]

1. A step in three passes against one with the graph of the whole batch: how far the gradients are apart, how much the
   peak of resident memory grows (each in a process of its own), and processor time.
2. Sixty steps of a head over descriptors against describing the same pictures once.
3. A moved slider of a workbench, its callback in the kernel, while a training runs as `TrainingPanel` runs it, against
   the same while that training is paused, in turns.
4. A step in float32 against one in bfloat16, in processor time.

Weights are random unless `--weights` names a file of the first network; toynet has its own. Printed is a table. Exit
status 1 if the slider's 95th percentile is above `--limit` times the idle one, or if the gradients differ.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

NETWORKS = ["mobilenet_v2", "toynet"]
SIDE, BATCH = 224, "pk(classes=4, each=4)"
APART = 1e-3
"""Largest distance of two gradients over the length of one: they differ by rounding alone."""

BLOCKS = 4
STEPS = 1000
"""Of the training that runs beside the slider: more than it takes."""


def main() -> int:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--networks", nargs="*", default=NETWORKS, help="for 1 and 4")
    options.add_argument("--weights", metavar="FILE", help="of the first network")
    options.add_argument("--moves", type=int, default=120, help="of the slider, for each of idle and busy; 0: leave it")
    options.add_argument("--steps", type=int, default=3, help="of which the fastest counts")
    options.add_argument("--limit", type=float, default=2.0, help="largest ratio of the slider's 95th percentiles")
    options.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = options.parse_args()
    warnings.simplefilter("ignore")
    if given.one:
        way, network, scratch = given.one
        one_step(way, network, given.weights, Path(scratch), given.steps)
        return 0
    print("| what | against | ratio | measured |\n| --- | --- | --- | --- |", flush=True)
    weights = {name: given.weights if place == 0 else None for place, name in enumerate(given.networks)}
    apart = max([passes(name, weights[name], given.steps) for name in given.networks], default=0.0)
    head()
    ratio = slider(given.moves) if given.moves else 0.0
    for name in given.networks:
        precisions(name, weights[name], given.steps)
    return int(ratio > given.limit or apart > APART)


def row(what: str, against: str, ratio: float, measured: str) -> None:
    """Print a row of the table."""
    print(f"| {what} | {against} | {ratio:.2f} | {measured} |", flush=True)


def loop_of(network: str, weights: str | None, **fields: Any) -> Any:
    """A loop over all layers, on Toytown's renderings, before its first step."""
    from cbirlab import Training
    from cbirlab.adaptation.work import Work
    from cbirlab.store import Store

    usual = {"moves": "all", "batch": BATCH, "image_size": SIDE, "hold_out": 0.0, "precision": "float32", "threads": 1}
    weights = weights or (None if network == "toynet" else "random")
    training = Training(backbone=network, weights=weights, **(usual | fields))
    return Work.of(training, Store()).begin(resume=False)


def seconds_of(work: Callable[[], object], times: int) -> float:
    """Least processor seconds of a few times, after one that does not count."""
    work()
    found = []
    for _ in range(times):
        started = time.process_time()
        work()
        found.append(time.process_time() - started)
    return min(found)


# 1. Three passes


def passes(network: str, weights: str | None, times: int) -> float:
    """Print the rows of a network; how far the gradients are apart."""
    import torch

    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for way in ("three", "whole"):
            command = [sys.executable, __file__, "--steps", str(times), "--one", way, network, scratch]
            command += ["--weights", weights] if weights else []
            said = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()
            found[way] = (*map(float, said[-2:]), torch.load(Path(scratch) / f"{way}.pt"))
    (grown, spent, gradient), (whole_grown, whole_spent, whole) = found["three"], found["whole"]
    apart = float((gradient - whole).norm() / whole.norm())
    against = f"one with the whole batch, {network}"
    print(f"| gradient of three passes | {against} | | {apart:.1e} of its length apart |", flush=True)
    row("memory of three passes", against, grown / whole_grown, f"+{grown:.0f} MB, +{whole_grown:.0f} MB")
    row("a step in three passes", against, spent / whole_spent, f"{1000 * spent:.0f} ms, {1000 * whole_spent:.0f} ms")
    return apart


def one_step(way: str, network: str, weights: str | None, scratch: Path, times: int) -> None:
    """In a process of its own: print the growth of the peak in MB and the seconds of a step; write the gradient."""
    import torch

    from cbirlab.adaptation.views import by_shape

    loop = loop_of(network, weights)
    loop.descent.clip = None
    drawn = loop.supervision.draw(0)
    entering = loop._batch(drawn, 0)
    if network != "toynet" and not weights:
        settle(loop.network.module, torch.stack([entering[place] for place in by_shape(entering, len(entering))[0]]))
    loop._batch = lambda _drawn, _step: entering  # both ways are measured without their pictures
    loop.supervision.draw = lambda _step: drawn
    step = loop.step if way == "three" else lambda: whole_step(loop, entering, drawn)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    step()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    torch.save(torch.cat([one.grad.flatten() for one in loop.network.learned().values()]), scratch / f"{way}.pt")
    print(grown, seconds_of(step, times))


def settle(module: Any, pictures: Any) -> None:
    """Let batch normalisation know what it sees: without that, all descriptors of random weights are one."""
    import torch

    for one in module.modules():
        if isinstance(one, torch.nn.BatchNorm2d):
            one.reset_running_stats()
            one.momentum = None
    with torch.no_grad():
        module.train()(pictures)
    module.eval()


def whole_step(loop: Any, entering: list[Any], drawn: Any) -> None:
    """One step with the graph of all rows."""
    import torch

    from cbirlab.adaptation.views import by_shape

    loop.descent.begin()
    rows: list[Any] = [None] * len(entering)
    for group in by_shape(entering, len(entering)):
        made = loop.network(torch.stack([entering[place] for place in group]))
        for place, one in zip(group, made, strict=True):
            rows[place] = one
    loop.supervision.loss(loop.loss, torch.stack(rows), drawn).backward()
    loop.descent.step()


# 2. A head


def head() -> None:
    """Print the row of a head."""
    from cbirlab import load_backbone, load_dataset
    from cbirlab.aggregation import Aggregation
    from cbirlab.extract import extract
    from cbirlab.store import Store
    from cbirlab.whitening import learn

    dataset, backbone, spec = load_dataset("toytown"), load_backbone("toynet"), Aggregation.parse("gem")
    tap = backbone.default_tap
    with tempfile.TemporaryDirectory() as scratch:
        options = {"image_size": SIDE, "parts": ["train"], "store": Store(Path(scratch)), "progress": False}
        started = time.perf_counter()
        rows = extract(dataset, backbone, taps=[tap], aggregations=[spec], **options)[tap, spec.key]["train"]
        described = time.perf_counter() - started
    learn("head(steps=1)", rows, dataset.train_instances)
    started = time.perf_counter()
    learn("head(steps=60)", rows, dataset.train_instances)
    spent = time.perf_counter() - started
    against = f"describing its {len(rows)} pictures once, toynet"
    row("60 steps of a head", against, spent / described, f"{spent:.2f} s, {described:.2f} s")


# 3. A slider


def slider(moves: int) -> float:
    """Print the row of a slider; the ratio of its 95th percentiles."""
    from cbirlab import Training
    from cbirlab.live import Session
    from cbirlab.store import Store
    from cbirlab.widgets import TrainingPanel, Workbench

    with tempfile.TemporaryDirectory() as scratch:
        session = Session("toytown", "toynet", image_size=SIDE, store=Store(Path(scratch)))
        session.prepare(progress=False)
        session.learn_ahead()
        session.wait(600)
        bench = Workbench(session, backbones=["toynet"])
        bench.map.wait(600)
        panel = TrainingPanel("toytown", Training(moves="layer4", steps=STEPS))
        panel.train()
        live = panel.running
        until(lambda: len(live.steps) > 1)
        times: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(BLOCKS):
            for busy in (False, True):
                panel.pause()
                now = len(live.steps)
                until(lambda now=now: len(live.steps) > now) if busy else rest(live)
                times[busy] += [move(session, bench, number) for number in range(-(-moves // BLOCKS))]
        panel.stop()
        panel.wait(600)
        bench.close(), panel.close()
    idle, busy = ([percentile(times[one], share) for share in (50, 95)] for one in (False, True))
    written = ", ".join(f"{1000 * p50:.0f}/{1000 * p95:.0f} ms" for p50, p95 in (busy, idle))
    row("a slider while a network trains, p95", "the same while it waits", busy[1] / idle[1], f"p50/p95 {written}")
    return busy[1] / idle[1]


def until(reached: Callable[[], bool], seconds: float = 600) -> None:
    """Wait for something that a thread does."""
    end = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > end:
            raise TimeoutError("the training does not go on")
        time.sleep(0.05)


def rest(live: Any) -> None:
    """Wait until a paused training has ended its step."""
    done = -1
    while done != len(live.steps):
        done = len(live.steps)
        time.sleep(1.5)


def move(session: Any, bench: Any, number: int) -> float:
    """Seconds of the callback of a moved slider, rankings computed anew."""
    session._runs = type(session._runs)(256)
    state = bench.sides[0].state
    started = time.perf_counter()
    state.set_parameter("gem", "p", 1.0 + 0.5 * (number % 15))
    spent = time.perf_counter() - started
    if bench.error.value:
        raise RuntimeError(bench.error.value)
    time.sleep(0.1)
    return spent


def percentile(values: list[float], percent: int) -> float:
    """By nearest rank."""
    return sorted(values)[-(-len(values) * percent // 100) - 1]


# 4. Precision


def precisions(network: str, weights: str | None, times: int) -> None:
    """Print the row of half precision."""
    spent = {one: seconds_of(loop_of(network, weights, precision=one).step, times) for one in ("float32", "bfloat16")}
    written = ", ".join(f"{1000 * spent[one]:.0f} ms" for one in ("bfloat16", "float32"))
    row("a step in bfloat16", f"one in float32, {network}", spent["bfloat16"] / spent["float32"], written)


if __name__ == "__main__":
    sys.exit(main())
