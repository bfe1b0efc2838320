"""One table per driving choice of the survey, on Toytown; and its first question on photographs too.

    python data/results/choices.py --weights FOLDER --photographs FOLDER [--table NAME ...] > data/results/tables.md

Networks other than the bundled one are shown where FOLDER holds their weights. README.md says how it is measured and
what came out.
"""

from __future__ import annotations

import argparse
import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from os.path import commonpath
from pathlib import Path
from typing import Any

import pandas as pd
from engines import engines
from lab import (
    HAND_CRAFTED,
    LITE,
    OTHERS,
    RANDOM,
    RENDERED,
    TOYNET,
    Lab,
    difference,
    drawn,
    listing,
    main_level,
    markdown,
    networks,
    on_the_other_half,
    photographs,
    score,
    summary,
)
from reranking import reranking

from cbirlab import ATTENTIONS, FUSIONS, Dataset, Fusion, Recipe, complementarity, load_dataset, run_fusion, versus
from cbirlab.aggregation import Aggregation
from cbirlab.base.methods import Method
from cbirlab.datasets.base import HELD_OUT
from cbirlab.fusion import fused_row
from cbirlab.study.code_table import ASYMMETRIC, RESCORED, SYMMETRIC, compare_codes
from cbirlab.whitening import Whitening

GEM = "gem(p=3)"
DEEPEST = "layer4"
PLAIN_OR_PCA = ["none", "pca"]
SHOWN_POOLINGS = ["mac", "spoc", GEM, "rmac", "crow"]
POOLINGS = ["mac", "spoc", GEM, "rmac", "crow", "scda", "pwa", "cam"]
LEARNED = ["rmac(learned=True)", "pwa(learned=True)", "cam(learned=True)"]
WHITENINGS = ["none", "pca", "pca(power=0.25)", "shrinkage", "zca", "lw"]
PUBLISHED = "lw(form='published')"
NARROW = ["mac", "spoc", GEM, "rmac", "crow", "cam"]
"""Poolings whose width the matching pairs of Toytown's train split span, which Lw as published needs."""
TEMPERED = ["pca", "pca(power=0.25)", "shrinkage"]
SETS = [RENDERED, HELD_OUT]
DRAWN, DRAWS = [12, 20, 30, 50], 3
ENCODINGS = ["bow", "vlad", "fisher", "netvlad", "asmk"]
CODEBOOKS_OF_SIFT = ["bow", "vlad", "fisher", "asmk"]
FEW = 64  # dimensions
PASSES: dict[str, dict[str, Any]] = {
    "single": {},
    "single, at twice the size": {"scales": (2.0,)},
    "scales 1, 1/√2, 1/2, mean": {"scales": "down"},
    "scales 1, 1/√2, 1/2, GeM": {"scales": "down", "scale_pooling": "gem"},
    "scales 1, √2, 1/√2, mean": {"scales": "up_down"},
    "scales 1, √2, 1/√2, GeM": {"scales": "up_down", "scale_pooling": "gem"},
    "rigid grid, max": {"passes": "grid"},
    "rigid grid, sum": {"passes": "grid(combine='sum')"},
    "rigid grid, patches matched": {"passes": "grid(combine='match')"},
    "rigid grid, not magnified, max": {"passes": "grid(magnify=1)"},
    "rigid grid, not magnified, patches matched": {"passes": "grid(combine='match', magnify=1)"},
    "spatial pyramid, max": {"passes": "spm"},
    "spatial pyramid, sum": {"passes": "spm(combine='sum')"},
    "sliding windows, max": {"passes": "windows"},
    "sliding windows, sum": {"passes": "windows(combine='sum')"},
    "CNNaug-ss, 3 levels, patches matched": {"passes": "cnnaug(levels=3)"},
}
PROPOSALS: dict[str, dict[str, Any]] = {
    "single": {},
    "10 by Ward's clustering, max": {"passes": "proposals(most=10)"},
    "10 by Ward's clustering, sum": {"passes": "proposals(most=10, combine='sum')"},
    "10 by Ward's clustering, matched": {"passes": "proposals(most=10, combine='match')"},
    "10 by MSER, max": {"passes": "proposals(most=10, method='mser')"},
    "10 by MSER, matched": {"passes": "proposals(most=10, method='mser', combine='match')"},
}
SHOWN_WINS = 10
BITS, SEEDS, SHORTLIST = (32, 64, 128), 4, 100
BINARY = ("lsh", "pcah", "pca_rr", "itq", "sh")
OTHER_CODES = (
    *(
        "rabitq",
        "float16",
        "sq(bits=8)",
        "sq(bits=4)",
        "truncate(dimensions=64)",
        "binary",
        "pq(m=16, bits=4)",
        "pq(m=8, bits=8)",
    ),
    *("pq(m=32, bits=4)", "pq(m=16, bits=8)", "opq(m=16, bits=4)"),
)

WEIGHTS = {"equal": None, "learned": "learned"}

Blocks = Iterator[str]


def layer(lab: Lab) -> Blocks:
    """Every tap of every network, and the two deepest maps concatenated."""
    frames = []
    for network in (TOYNET, *lab.networks):
        maps = network.taps("map")
        taps = [*maps, "+".join(maps[-2:]), *network.taps("vector")]
        frames.append(lab.compare(network, taps=taps, aggregations=["spoc", GEM], whitenings=PLAIN_OR_PCA))
    frame = _named(pd.concat(frames))
    yield summary(frame, ["network", "tap"], ["aggregation", "whitening"])
    yield listing(frame, ["network", "tap", "aggregation", "whitening"])


def feedforward(lab: Lab) -> Blocks:
    """Single pass, scales and patches; each less the single pass."""
    yield _less_single(lab, PASSES)


def proposals(lab: Lab) -> Blocks:
    """Region proposals, the whole image among them; each less the single pass."""
    yield _less_single(lab, PROPOSALS)


def _less_single(lab: Lab, schemes: dict[str, dict[str, Any]]) -> str:
    options = {"taps": DEEPEST, "aggregations": GEM, "whitenings": PLAIN_OR_PCA, "dimensions": FEW}
    frames = [lab.compare(TOYNET, **options, **change).assign(scheme=name) for name, change in schemes.items()]
    frame = _named(pd.concat(frames, ignore_index=True))
    runs = [lab.run(row) for _, row in frame.iterrows()]
    single = dict(zip(frame["whitening"], runs[:2], strict=False))
    frame["less single"] = [
        difference(run, single[whitening]) for run, whitening in zip(runs, frame["whitening"], strict=True)
    ]
    return listing(lab.timed(frame), ["scheme", "whitening"], ["less single"], costs=True)


def pooling(lab: Lab) -> Blocks:
    """All poolings, those that learn in both forms, by all whitenings at full width and cut; Lw also as published."""
    shared = {"taps": DEEPEST, "dimensions": [None, FEW]}
    frame = lab.compare(TOYNET, aggregations=[*POOLINGS, *LEARNED], whitenings=WHITENINGS, **shared)
    frame = _named(pd.concat([frame, lab.compare(TOYNET, aggregations=NARROW, whitenings=PUBLISHED, **shared)]))
    yield summary(frame, ["aggregation"], ["whitening"])
    yield listing(frame, ["aggregation", "whitening"])


def embedding(lab: Lab) -> Blocks:
    """Codebooks over columns of maps and over RootSIFT, beside poolings of the same maps."""
    shared = {"encodings": ENCODINGS, "whitenings": PLAIN_OR_PCA, "dimensions": [None, FEW]}
    deep = lab.compare(TOYNET, taps=["layer3", DEEPEST], aggregations=["spoc", GEM], **shared)
    frame = _named(pd.concat([deep, lab.compare(HAND_CRAFTED, taps="rootsift", aggregations=(), **shared)]))
    yield summary(frame, ["tap", "aggregation"], ["whitening"])
    yield listing(frame, ["network", "tap", "aggregation", "whitening"])


def attention(lab: Lab) -> Blocks:
    """Non-parametric attention before a pooling, less the same pooling without it."""
    before = ["none", *ATTENTIONS, "crow_spatial > crow_channel"]
    options = {"aggregations": ["spoc", GEM, "mac"], "attentions": before, "whitenings": PLAIN_OR_PCA}
    for network in (TOYNET, *lab.networks[:1]):
        frame = _named(lab.compare(network, taps=network.taps("map")[-1], **options))
        parts = frame["aggregation"].str.rpartition(" > ")
        frame["attention"], frame["pooling"] = parts[0].where(parts[0] != "", "none"), parts[2]
        runs = {(row.attention, row.pooling, row.whitening): lab.run(row._asdict()) for row in frame.itertuples()}
        frame["less none"] = [difference(run, runs["none", *key[1:]]) for key, run in runs.items()]
        yield f"{network.title}, {frame['tap'].iloc[0]}"
        yield summary(frame, ["attention"], ["pooling", "whitening"])
        yield listing(frame, ["attention", "pooling", "whitening"], ["less none"])


def fusion(lab: Lab) -> Blocks:
    """Layers of one network and different models, by every method, with equal and learned weights."""
    for whitening in PLAIN_OR_PCA:
        deep = Recipe(tap=DEEPEST, aggregation=GEM, whitening=whitening)
        partners = {
            "toynet layer3": replace(deep, tap="layer3"),
            "RootSIFT VLAD": replace(deep, backbone="handcrafted", tap="rootsift", aggregation="vlad"),
            **{one.title: replace(deep, backbone=one.backbone, weights=one.weights, tap=None) for one in lab.networks},
        }
        rows, runs = [], {}
        for name, partner in partners.items():
            for method, weights in itertools.product(FUSIONS, ("equal", "learned")):
                done = _fused(lab, Fusion(members=(deep, partner), method=method, weights=WEIGHTS[weights]))
                runs["toynet layer4"], runs[name] = done.members
                rows.append({"with": name, **_fused_row(done), "fusion": method, "weights": weights})
        frame = pd.DataFrame(rows)
        names = ["with", "fusion", "weights"]
        yield f"Members with whitening {whitening!r}; toynet layer4 with"
        yield summary(frame, names[:1], names[1:])
        yield listing(frame, names, ["shares", "less better member"], costs=True)
        yield "The members query by query; the oracle takes the better one for each query"
        yield _complementarity(runs)


def hand_crafted(lab: Lab) -> Blocks:
    """Hand-crafted descriptors beside networks; where the best hand-crafted one wins."""
    shared = {"whitenings": PLAIN_OR_PCA, "dimensions": [None, FEW]}
    vectors = HAND_CRAFTED.taps("vector")
    ours = [lab.compare(HAND_CRAFTED, taps=tap, aggregations="spoc", **shared) for tap in vectors]
    ours.append(lab.compare(HAND_CRAFTED, taps="rootsift", aggregations=(), encodings=CODEBOOKS_OF_SIFT, **shared))
    deep = [
        lab.compare(one, taps=one.image_taps(), aggregations=GEM, **shared) for one in (RANDOM, TOYNET, *lab.networks)
    ]
    frame = _named(lab.timed(pd.concat([*ours, *deep], ignore_index=True)))
    frame.loc[frame["tap"].isin(vectors), "aggregation"] = ""
    names = ["network", "tap", "aggregation", "whitening"]
    yield summary(frame, names[:3], names[3:])
    yield listing(frame, names, costs=True)
    made = frame["network"] == HAND_CRAFTED.title
    bar = frame.loc[frame[made][main_level(frame)].idxmax()]
    yield from _against(lab, bar, frame[~made], names)


def photograph(lab: Lab) -> Blocks:
    """The same question on photographs."""
    for dataset in lab.photographs:
        yield f"### {dataset.name}: {len(dataset.images)} images, {len(dataset.queries)} queries"
        yield from hand_crafted(replace(lab, dataset=dataset))


def network(lab: Lab) -> Blocks:
    """All networks at the tap that stands for an image, by pooling and whitening, beside RootSIFT's VLAD."""
    for dataset in (lab.dataset, *lab.photographs):
        here = replace(lab, dataset=dataset)
        frames = [
            here.compare(one, taps=one.image_taps(), aggregations=SHOWN_POOLINGS, whitenings=PLAIN_OR_PCA)
            for one in (*lab.networks, *lab.others, TOYNET, RANDOM)
        ]
        sift = {"taps": "rootsift", "aggregations": (), "encodings": CODEBOOKS_OF_SIFT[1:2], "whitenings": PLAIN_OR_PCA}
        frame = _named(pd.concat([*frames, here.compare(HAND_CRAFTED, **sift)]))
        level = main_level(frame)
        yield f"### {dataset.name}: {len(dataset.images)} images, {len(dataset.queries)} queries"
        yield summary(
            frame, ["network", "tap", "aggregation"], ["whitening"], lambda row, level=level: score(row, level)
        )


def learning_set(lab: Lab) -> Blocks:
    """Where a whitening of photographs is learned: on Toytown's renderings, or on half of them; the rest is judged."""
    for dataset in lab.photographs:
        frame, held = _learned(replace(lab, dataset=dataset)), dataset.held_out
        judged = sum(map(bool, held.judged.labels))
        sizes = f"{held.kinds} kinds with {len(held.learning.train)} images are held out"
        yield f"### {dataset.name}: {sizes}, {judged} of {len(dataset.queries)} queries are judged"
        yield summary(frame, ["network", "tap"], ["whitening", "learned on"])
        counts = [count for count in DRAWN if count < len({*dataset.instances})]
        if counts[1:]:
            yield f"#### Some of the {len({*dataset.instances})} kinds: means over networks and {DRAWS} draws"
            yield summary(_of_few(lab, dataset, counts), ["kinds", "held out"], ["whitening", "learned on"])


def codes(lab: Lab) -> Blocks:
    """Codes of toynet's unwhitened GeM: mAP by bytes, by distance, and with the first 100 results scored again."""
    for dataset in (lab.dataset, *lab.photographs):
        options = {"taps": DEEPEST, **replace(lab, dataset=dataset).asked(TOYNET)}
        frame = compare_codes(dataset, [*BINARY, *OTHER_CODES], BITS, seeds=range(SEEDS), rescore=SHORTLIST, **options)
        yield f"### {dataset.name}: {len(dataset.images)} images, {len(dataset.queries)} queries"
        yield _by_code(frame, main_level(frame))


def _by_code(frame: pd.DataFrame, level: str) -> str:
    """A row for each code, its bytes, and the mean over seeds of each way with the smallest and largest value."""
    again, rows = f"{SHORTLIST} scored again", []
    full = frame.iloc[0]
    rows.append(["none", str(full["bytes_per_image"]), "", *[_over_seeds(full, level)] * 2, f"{full['recall@10']:.3f}"])
    groups = [*frame[1:].groupby(["code", "bits"], sort=False)]
    swept = [one for one in groups if one[0][0] in BINARY]
    for (code, bits), group in sorted(swept, key=lambda one: one[0][1]) + [one for one in groups if one not in swept]:
        ways = {row["way"]: _over_seeds(row, level) for _, row in group.iterrows()}
        cells = [ways.get(way, "") for way in (SYMMETRIC, ASYMMETRIC, RESCORED)]
        name = f"{code}(bits={bits})" if code in BINARY else code
        rows.append([name, str(group["bytes_per_image"].iloc[0]), *cells, f"{group['recall@10'].iloc[0]:.3f}"])
    return markdown(["code", "bytes", SYMMETRIC, ASYMMETRIC, again, "recall@10"], rows)


def _over_seeds(row: pd.Series, level: str) -> str:
    spread = f" ({row[f'{level}_least']:.3f}-{row[f'{level}_most']:.3f})" if row["seeds"] > 1 else ""
    return f"{row[level]:.3f}{spread}"


def _learned(lab: Lab) -> pd.DataFrame:
    """A row for each network, whitening and what it is learned on, all judged on the same half of the photographs."""
    frames = [
        lab.compare(one, taps=one.image_taps()[-1], aggregations=GEM, whitenings=kind, whitening_set=name)
        for one in (*lab.networks, *lab.others, TOYNET)
        for kind, name in (("none", HELD_OUT), *((kind, name) for kind in TEMPERED for name in SETS))
    ]
    frame = _named(pd.concat(frames, ignore_index=True))
    frame["learned on"] = ["own" if HELD_OUT in name else "Toytown" * (name != "") for name in frame["whitening_set"]]
    frame.loc[frame["whitening"] == "none", "learned on"] = ""
    frame["map"] = [on_the_other_half(lab.run(row), lab.dataset.held_out) for _, row in frame.iterrows()]
    return frame


def _of_few(lab: Lab, dataset: Dataset, counts: Sequence[int]) -> pd.DataFrame:
    """The same of random draws of a few kinds: mean mAP by their number, whitening and what it is learned on."""
    frames = []
    for count, seed in itertools.product(counts, range(DRAWS)):
        some = drawn(dataset, count, seed)
        held = f"{some.held_out.kinds} with {len(some.held_out.learning.train)} images"
        frames.append(_learned(replace(lab, dataset=some)).assign(**{"kinds": count, "held out": held}))
    names = ["kinds", "held out", "whitening", "learned on"]
    return pd.concat(frames).groupby(names, sort=False, as_index=False)["map"].mean()


TABLES: dict[str, Callable[[Lab], Blocks]] = {
    "layer": layer,
    "pass": feedforward,
    "proposals": proposals,
    "pooling": pooling,
    "embedding": embedding,
    "attention": attention,
    "fusion": fusion,
    "hand-crafted": hand_crafted,
    "photographs": photograph,
    "networks": network,
    "learning set": learning_set,
    "codes": codes,
    "reranking": reranking,
    "engines": engines,
}


def _named(frame: pd.DataFrame) -> pd.DataFrame:
    """Aggregations and whitenings by short names, these with the number of dimensions that was asked for."""
    cut = frame["recipe"].str.contains(rf'"dimensions": {FEW}\b').map({True: f" to {FEW}", False: ""})
    whitening = frame["whitening"].map(lambda text: _short(Whitening.parse(text)))
    return frame.assign(whitening=whitening + cut, aggregation=frame["aggregation"].map(_short_aggregation))


def _short_aggregation(text: str) -> str:
    """Attention by its names, and the aggregation."""
    *before, last = text.split(" > ")
    return " > ".join([*(one.partition("(")[0] for one in before), _short(Aggregation.parse(last))])


def _short(method: Method) -> str:
    """A method with the parameters that are not at their default."""
    defaults = type(method).parse(method.name).parameters
    changed = [f"{name}={value}" for name, value in method.parameters.items() if value != defaults[name]]
    return f"{method.name}({', '.join(changed)})" if changed else method.name


def _fused(lab: Lab, wanted: Fusion) -> Any:
    return run_fusion(wanted, dataset=lab.dataset, store=lab.store, progress=False)


def _fused_row(done: Any) -> dict[str, Any]:
    """The row of a fusion with each member's share of the weights, and what it adds to the better member."""
    row = fused_row(done)
    del row["fusion_weights"]
    level = main_level(pd.DataFrame([row]))
    better = max(done.members, key=lambda run: run.metrics[level])
    shares = [f"{weight / sum(done.member_weights):.2f}" for weight in done.member_weights]
    return row | {"shares": " : ".join(shares), "less better member": difference(done, better)}


def _complementarity(runs: dict[str, Any]) -> str:
    frame = complementarity(runs)
    numbers = ["map_a", "map_b", "pearson", "a_wins", "b_wins", "oracle", "gain", "fused"]
    rows = [[row["a"], row["b"], *(f"{row[name]:.3f}" for name in numbers)] for _, row in frame.iterrows()]
    return markdown(["a", "b", *numbers[:-1], "fused by rrf"], rows)


def _against(lab: Lab, bar: pd.Series, deep: pd.DataFrame, names: Sequence[str]) -> Blocks:
    """The deep rows less the bar, how many queries each side wins, and the queries that the bar wins by most."""
    best, runs = lab.run(bar), [lab.run(row) for _, row in deep.iterrows()]
    tables = [versus(best, run) for run in runs]
    counts = [[str(won.attrs[name]) for name in ("a_wins", "b_wins", "queries")] for won in tables]
    rows = [
        [*(row[name] for name in names), difference(run, best), *count]
        for (_, row), run, count in zip(deep.iterrows(), runs, counts, strict=True)
    ]
    yield f"Less the best hand-crafted row ({_label(bar, names)}), and the queries that each side wins:"
    yield markdown([*names, "difference", "hand-crafted wins", "deep wins", "queries"], rows)
    shown = []
    trained = deep[deep["network"] != RANDOM.title]
    for place in trained.groupby("network", sort=False)[main_level(deep)].idxmax():
        wins = tables[list(deep.index).index(place)].query("difference > 0")
        listed = [
            f"{_query(lab, one.query)} ({one.ap_a:.2f} : {one.ap_b:.2f})" for one in wins.head(SHOWN_WINS).itertuples()
        ]
        shown.append(f"- against {_label(deep.loc[place], names)}: {len(wins)}; {', '.join(listed) or 'none'}")
    yield "Queries on which it wins over the best row of each network, largest wins first (its AP : the network's AP)"
    yield "\n".join(shown)


def _label(row: Any, names: Sequence[str]) -> str:
    return ", ".join(filter(None, (row[name] for name in names)))


def _query(lab: Lab, query: int) -> str:
    """Path of a query's image below the folder that holds all of them."""
    paths = [one.path for one in lab.dataset.queries]
    return paths[query].relative_to(commonpath([path.parent for path in paths])).as_posix()


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=Path, help="folder with weights of ImageNet networks, searched recursively")
    parser.add_argument("--photographs", type=Path, help="folder whose sub-folders have a groundtruth.csv")
    parser.add_argument("--dataset", default="toytown", help="name or folder")
    parser.add_argument("--table", nargs="+", choices=list(TABLES), default=list(TABLES), help="all if not given")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="compare: .* taps are left out")
    lab = Lab(
        load_dataset(options.dataset),
        networks(options.weights),
        photographs(options.photographs),
        others=(LITE, *networks(options.weights, OTHERS)),
    )
    for name in options.table:
        print(f"## {name}\n\n{TABLES[name].__doc__}\n", flush=True)
        for block in TABLES[name](lab):
            print(f"{block}\n", flush=True)


if __name__ == "__main__":
    main()
