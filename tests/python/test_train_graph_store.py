# SPDX-License-Identifier: Apache-2.0
"""Store.train_graph: graphs of a store taught from questions that lie apart from the rows."""

# ruff: noqa: F811  (fixtures that are imported are parameters, too)

import asyncio
import pathlib
import tempfile

import numpy as np
import pytest
from taught_graphs import (
    BAD_TRAINING,
    DIMENSION,
    LARGE,
    OTHERS,
    QUESTIONS,
    ROWS,
    SMALL,
    WIDTHS,
    QuestionsApart,
    check_progress,
    index,  # noqa: F401
    learned,
    refuse,
    saved,  # noqa: F401
)

import trivium
from support import contents


def fill(store, data=SMALL, space="dense", partition="main", prefix="d"):
    ids = [f"{prefix}{row}" for row in range(len(data.rows))]
    store.upsert(ids, {space: data.rows}, partition=partition)


@pytest.fixture(scope="module")
def store_files():
    """Snapshot of a store of one segment."""
    with tempfile.TemporaryDirectory() as folder:
        with trivium.open(folder + "/kb") as store:
            store.add_space("dense", DIMENSION)
            store.add_expert("one", "dense", "main")
            fill(store)
            store.build()
            store.snapshot(folder + "/snapshot")
        yield folder + "/snapshot"


@pytest.fixture
def store(store_files, tmp_path):
    trivium.restore(store_files, tmp_path / "kb")
    with trivium.open(tmp_path / "kb") as opened:
        yield opened


def seen(store, queries=OTHERS[:20], **options):
    """All that a search of the store and `inspect` show, walks and their hops included."""
    hits = []
    for method in ("graph", "exact"):
        batch = store.search_batch(queries, index=method, **options)
        hits.append((batch.ids, np.asarray(batch.scores).tolist()))
    hops = [store.search(query, index="graph").trace.hops for query in queries]
    return contents(store), store.inspect().to_dict(), hits, hops


def store_hops(store, queries=OTHERS):
    recalls, hops = [], []
    true = store.search_batch(queries, index="exact").ids
    for width in WIDTHS:
        found = [store.search(query, index="graph", beam_width=width) for query in queries]
        recalls.append(np.mean([len(set(a.ids) & set(b)) / 10 for a, b in zip(found, true)]))
        hops.append(np.mean([each.trace.hops for each in found]))
    return float(np.interp(0.95, np.maximum.accumulate(recalls), hops))


def trained_sets(store):
    """{(space, partition): for each segment, whether it was trained}"""
    return {(s.space, s.partition): [t is not None for t in s.training] for s in store.inspect().vector_sets}


def test_a_trained_store_stays_trained(store):
    before, exact = store_hops(store), store.search_batch(OTHERS, index="exact").ids
    size = store.inspect().vector_sets[0].bytes
    assert trained_sets(store) == {("dense", "main"): [False]}
    report = store.train_graph(QUESTIONS)
    (graph,) = report.graphs
    assert (graph.space, graph.partition, graph.rows) == ("dense", "main", ROWS)
    assert report.too_small == 0 and 0 < graph.training.seconds <= report.seconds
    assert graph.training.enabled and graph.training.hop_ratio_interval[1] < 1
    (vectors,) = store.inspect().vector_sets
    (training,) = vectors.training
    assert training["hops_after"] == graph.training.hops_after and training["seed"] == 0
    assert size < vectors.bytes < 1.15 * size  # the queries are kept beside the graph
    after = seen(store)
    assert store_hops(store) < 0.6 * before
    assert store.search_batch(OTHERS, index="exact").ids == exact
    assert store.verify().vectors == ROWS
    store.close()
    for read_only in (True, False):
        with trivium.open(store.path, read_only=read_only) as again:
            assert seen(again) == after
            assert again.verify().vectors == ROWS
    (segment,) = (pathlib.Path(store.path) / "segments").iterdir()  # the one it replaced is gone


def test_the_same_as_an_index_learns(store, index):
    assert learned(store.train_graph(QUESTIONS).graphs[0].training) == learned(index.train_graph(QUESTIONS))


def test_a_store_gives_the_same_for_any_number_of_threads(store_files, tmp_path):
    results = []
    for threads in (1, 2):
        trivium.restore(store_files, tmp_path / str(threads))
        with trivium.open(tmp_path / str(threads)) as store:
            graphs = store.train_graph({"dense": QUESTIONS}, seed=5, threads=threads).graphs
            document, info, *found = seen(store)
            results.append(([learned(graph.training) for graph in graphs], info["vector_sets"], found))
    assert results[0] == results[1]


def test_the_gate_of_a_store(store):
    before = seen(store)
    files = sorted((pathlib.Path(store.path) / "segments").iterdir())
    report = store.train_graph(QUESTIONS, edges=False)
    assert [graph.training.enabled for graph in report.graphs] == [False]
    assert seen(store) == before
    assert sorted((pathlib.Path(store.path) / "segments").iterdir()) == files
    report = store.train_graph(QUESTIONS, edges=False, ignore_gate=True)
    assert [graph.training.enabled for graph in report.graphs] == [True]
    assert trained_sets(store) == {("dense", "main"): [True]}


def test_deletes_and_later_writes_outlive_training(store):
    gone = [f"d{row}" for row in range(0, ROWS, 10)]
    store.delete(ids=gone)
    store.upsert(["late", "d1"], {"dense": OTHERS[:2]}, partition="main")
    before = contents(store)
    exact = store.search_batch(OTHERS, index="exact").ids
    assert exact[0][0] == "late" and exact[1][0] == "d1"
    assert store.train_graph(QUESTIONS).graphs[0].training.enabled
    for step in ("trained", "reopened"):
        if step == "reopened":
            store.close()
            store = trivium.open(store.path)
        assert contents(store) == before
        assert store.search_batch(OTHERS, index="exact").ids == exact
        found = store.search_batch(OTHERS, index="graph", beam_width=192).ids
        assert not {id for ids in found for id in ids} & set(gone)
        assert found[0][0] == "late" and found[1][0] == "d1"
        store.verify()
    store.close()


def test_compact_keeps_the_segment_trained_and_right(store):
    assert store.train_graph(QUESTIONS).graphs[0].training.enabled
    store.delete(ids=["d0", "d1"])
    exact = store.search_batch(OTHERS, index="exact").ids
    store.compact()
    assert trained_sets(store) == {("dense", "main"): [True]}
    assert store.search_batch(OTHERS, index="exact").ids == exact
    found = store.search_batch(OTHERS, index="graph", beam_width=192).ids
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, exact)]) > 0.95
    assert store.train_graph(QUESTIONS).graphs[0].training.enabled


def test_small_segments_are_left_as_they_are(store):
    store.upsert([f"x{row}" for row in range(300)], {"dense": SMALL.rows[:300] + 1}, partition="main")
    store.build()
    report = store.train_graph(QUESTIONS)
    assert len(report.graphs) == 1 and report.too_small == 1
    assert sorted(trained_sets(store)["dense", "main"]) == [False, True]


def test_one_expert_of_two(store):
    fill(store, QuestionsApart(ROWS, DIMENSION, seed=1), partition="side", prefix="s")
    store.add_expert("two", "dense", "side")
    store.build()
    report = store.train_graph(QUESTIONS, "two", ignore_gate=True)
    assert [(graph.space, graph.partition) for graph in report.graphs] == [("dense", "side")]
    assert trained_sets(store) == {("dense", "main"): [False], ("dense", "side"): [True]}
    report = store.train_graph(QUESTIONS, expert="one")
    assert [(graph.space, graph.partition) for graph in report.graphs] == [("dense", "main")]
    assert trained_sets(store) == {("dense", "main"): [True], ("dense", "side"): [True]}
    assert {graph.partition for graph in store.train_graph(QUESTIONS, ignore_gate=True).graphs} == {
        "main",
        "side",
    }
    store.verify()


def test_two_spaces_take_an_array_each(store):
    store.add_space("wide", 96)
    store.upsert([f"w{row}" for row in range(3000)], {"wide": LARGE.rows[:3000]}, partition="main")
    store.build()
    both = {"dense": QUESTIONS, "wide": LARGE.ask(600, seed=1)}
    refuse(lambda: store.train_graph({"dense": QUESTIONS}), trivium.FailedPrecondition, "space 'wide'")
    refuse(
        lambda: store.train_graph({**both, "wide": both["wide"][:300]}),
        trivium.InvalidArgument,
        "'wide': 300 rows, expected 600",
    )
    refuse(lambda: store.train_graph(QUESTIONS), trivium.InvalidArgument, "space: not named")
    assert trained_sets(store) == {("dense", "main"): [False], ("wide", "main"): [False]}
    report = store.train_graph(both, ignore_gate=True)
    assert {graph.space for graph in report.graphs} == {"dense", "wide"}
    assert trained_sets(store) == {("dense", "main"): [True], ("wide", "main"): [True]}


class Encoder:
    """Texts are row numbers of an array."""

    dimension = DIMENSION
    fingerprint = "rows:1"

    def __init__(self):
        self.calls = []

    def __call__(self, texts, kind):
        self.calls.append((len(texts), kind))
        return (SMALL.rows if kind == "document" else QUESTIONS)[[int(text) for text in texts]]


def test_texts_are_encoded_as_queries(tmp_path, index):
    encoder = Encoder()
    with trivium.open(tmp_path / "kb", encoders={"rows": encoder}) as store:
        store.add_space("dense", DIMENSION, encoder="rows")
        store.add_expert("one", "dense")
        fill(store)
        store.build()
        report = asyncio.run(store.atrain_graph([str(row) for row in range(len(QUESTIONS))]))
        assert {kind for _, kind in encoder.calls} == {"query"}
        assert sum(count for count, _ in encoder.calls) == len(QUESTIONS)
        assert learned(report.graphs[0].training) == learned(index.train_graph(QUESTIONS))
    with trivium.open(tmp_path / "kb") as store:
        assert list(trained_sets(store).values()) == [[True]]
        refuse(lambda: store.train_graph(["0"] * 200), trivium.FailedPrecondition, "encoder 'rows'")


def test_async_takes_the_same_arguments_and_raises_the_same(store):
    async def work():
        with pytest.raises(trivium.NotFound, match="nobody"):
            await store.atrain_graph(QUESTIONS, "nobody")
        return await store.atrain_graph(QUESTIONS, expert="one", entries=False, threads=1, seed=2)

    report = asyncio.run(work())
    assert report.graphs[0].training.enabled
    assert store.inspect().vector_sets[0].training[0]["seed"] == 2


BAD_STORE_TRAINING = {
    **BAD_TRAINING,
    "None": (lambda t: t(None), trivium.FailedPrecondition, "2500 documents without a text"),
    "a str": (lambda t: t("what is a graph?"), TypeError, "queries: a str"),
    "texts": (lambda t: t(["text"] * 200), trivium.FailedPrecondition, "space 'dense'"),
    "too few texts": (lambda t: t(["text"] * 99), trivium.InvalidArgument, "queries: 99"),
    "texts and more": (lambda t: t(["text", 3] * 100), trivium.InvalidArgument, "queries: dtype"),
    "expert": (lambda t: t(QUESTIONS, "nobody"), trivium.NotFound, "expert 'nobody'"),
    "space": (lambda t: t({"nowhere": QUESTIONS}), trivium.NotFound, "space: 'nowhere'"),
    "no space": (lambda t: t({}), trivium.InvalidArgument, "queries: 0"),
}


@pytest.fixture(scope="module")
def untouched(store_files):
    """(store, what is seen of it), for calls that change nothing."""
    with tempfile.TemporaryDirectory() as folder:
        trivium.restore(store_files, folder + "/kb")
        with trivium.open(folder + "/kb") as store:
            yield store, seen(store)


@pytest.mark.parametrize("name", BAD_STORE_TRAINING)
def test_bad_training_of_a_store_changes_nothing(untouched, name):
    store, before = untouched
    call, exception, message = BAD_STORE_TRAINING[name]
    refuse(lambda: call(store.train_graph), exception, message)
    assert seen(store) == before


def test_a_store_without_a_sealed_segment(tmp_path):
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("dense", DIMENSION)
        store.add_expert("one", "dense", "main")
        for _ in range(2):
            refuse(lambda: store.train_graph(QUESTIONS), trivium.FailedPrecondition, "no sealed.*build first")
            fill(store)
        assert trained_sets(store) == {("dense", "main"): []}
        store.delete(ids=[f"d{row}" for row in range(2047, ROWS)])
        store.build()
        refuse(lambda: store.train_graph(QUESTIONS), trivium.FailedPrecondition, "1 smaller")
        assert trained_sets(store) == {("dense", "main"): [False]}


def test_progress_of_a_store_is_told_and_may_raise(store):
    before = seen(store)
    files = sorted((pathlib.Path(store.path) / "segments").iterdir())

    def fail(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.train_graph(QUESTIONS, progress=fail)
    assert seen(store) == before
    assert sorted((pathlib.Path(store.path) / "segments").iterdir()) == files
    calls = []
    assert store.train_graph(QUESTIONS, progress=lambda *call: calls.append(call)).graphs[0].training.enabled
    check_progress(calls)


def test_a_store_that_may_not_be_written(store):
    store.close()
    refuse(lambda: store.train_graph(QUESTIONS), trivium.FailedPrecondition, "closed")
    with trivium.open(store.path, read_only=True) as again:
        refuse(lambda: again.train_graph(QUESTIONS), trivium.FailedPrecondition, "read-only")
