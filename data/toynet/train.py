"""Train toynet, the bundled backbone.

    python data/toynet/train.py --images FOLDER

FOLDER holds the rendered `network` set (``python data/toytown/make.py network``). The same command with the same --out
goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from toynet_training.collage import make_collages
from toynet_training.loop import Schedule, Trainer, native_bfloat16, train
from toynet_training.pictures import join, read_network_set

QUICK = {"iterations": 800, "batch": 32, "sizes": (96,)}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 done, 2 wrong usage, 1 failed."""
    options = parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        print(run(options))
    except (ValueError, OSError) as problem:
        print(f"train.py: {problem}", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> Path:
    """Read the pictures, train, and write the classes' names beside the weights."""
    device = choose_device(options.device)
    schedule = choose_schedule(options, device)
    pictures = read_network_set(options.images)
    if options.collages:
        pictures = join(pictures, make_collages(options.collages, seed=schedule.seed))
    print(f"{len(pictures)} pictures of {len(pictures.classes)} classes; {schedule}", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "classes.json").write_text(json.dumps(pictures.classes))
    return train(Trainer(pictures, schedule, device), options.out, progress=sys.stderr.isatty())


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" is the first GPU, or the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def choose_schedule(options: argparse.Namespace, device: torch.device) -> Schedule:
    """The default schedule, or the quick one, with what the command line says put over it."""
    given = {"iterations": options.iterations, "batch": options.batch}
    precision = options.precision
    if precision == "auto":
        precision = "bfloat16" if native_bfloat16(device) else "float32"
    changes = (QUICK if options.quick else {}) | {name: value for name, value in given.items() if value is not None}
    return Schedule(**changes, seed=options.seed, precision=precision)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--images", type=Path, required=True, help="folder of the rendered network set")
    made.add_argument("--out", type=Path, default=Path("toynet-run"), help="checkpoints, log and weights (toynet-run)")
    made.add_argument("--collages", type=int, default=100, help="flat collages to learn besides, 6 views each (100)")
    made.add_argument("--iterations", type=int, help="length of the training (8000)")
    made.add_argument("--batch", type=int, help="pictures per iteration (48)")
    made.add_argument("--quick", action="store_true", help="about three minutes on one core, to try the script")
    made.add_argument("--threads", type=int, default=1, help="threads of the CPU (1)")
    made.add_argument("--device", default="auto", help="auto, cpu or cuda (auto)")
    made.add_argument("--precision", choices=("auto", "bfloat16", "float32"), default="auto")
    made.add_argument("--seed", type=int, default=0)
    return made


if __name__ == "__main__":
    raise SystemExit(main())
