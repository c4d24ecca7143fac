# SPDX-License-Identifier: Apache-2.0
"""Trained graphs as rows and queries come and go: kept training, fine-tuning, drift, traced walks."""

# ruff: noqa: F811  (fixtures that are imported are parameters, too)

import asyncio
import math

import numpy as np
import pytest
from taught_graphs import (  # noqa: F401
    DIMENSION,
    OTHERS,
    QUESTIONS,
    ROWS,
    SMALL,
    hops_at_recall,
    index,
    refuse,
    saved,
)

import trivium

KEPT = ROWS // 8  # of the 600 questions


@pytest.fixture(scope="module")
def trained_files(tmp_path_factory):
    """Snapshot of a store of one trained segment."""
    folder = tmp_path_factory.mktemp("trained")
    with trivium.open(folder / "kb") as store:
        store.add_space("dense", DIMENSION)
        store.add_expert("one", "dense", "main")
        store.upsert([f"d{row}" for row in range(ROWS)], {"dense": SMALL.rows})
        store.build()
        assert store.train_graph(QUESTIONS).graphs[0].training.enabled
        store.snapshot(folder / "snapshot")
    return folder / "snapshot"


@pytest.fixture
def store(trained_files, tmp_path):
    trivium.restore(trained_files, tmp_path / "kb")
    with trivium.open(tmp_path / "kb") as opened:
        yield opened


def trainings(store):
    return [training for vectors in store.inspect().vector_sets for training in vectors.training]


def hops(store):
    return sum(store.search(query, index="graph").trace.hops for query in OTHERS[:50])


def test_compact_teaches_the_new_graph_again(store):
    (before,) = trainings(store)
    store.delete(ids=[f"d{row}" for row in range(0, ROWS, 10)])
    report = store.compact()
    assert (report.graphs_taught, report.graphs_left_untaught) == (1, 0)
    (after,) = trainings(store)
    assert after["rows"] == ROWS * 9 // 10 and before["rows"] == ROWS
    assert after["training_queries"] + after["validation_queries"] <= KEPT
    assert after["hop_ratio"][1] < 1
    (drift,) = store.graph_drift()
    assert drift.drift.hop_ratio == after["hop_ratio"][0] and not drift.drift.train_again
    store.close()
    with trivium.open(store.path) as again:
        assert trainings(again) == [after]
        again.verify()
        # And so on, from what is kept of what was kept.
        assert again.compact().graphs_taught == 0  # nothing to do
        again.upsert(["new"], {"dense": SMALL.rows[:1]})
        assert again.compact().graphs_taught == 1


def test_build_teaches_new_segments_of_the_set_and_no_others(store):
    more = SMALL.rows[:2200] + np.float32(0.01)
    store.upsert([f"m{row}" for row in range(2200)], {"dense": more}, partition="side")
    assert store.build().to_dict()["graphs_taught"] == 0  # another vector set
    store.upsert([f"n{row}" for row in range(1000)], {"dense": more[:1000]})
    report = store.build()
    assert (report.graphs_taught, report.graphs_left_untaught) == (0, 1)  # too small
    store.upsert([f"o{row}" for row in range(2200)], {"dense": more})
    report = store.build()  # everything of the set becomes one segment
    assert (report.graphs_taught, report.graphs_left_untaught) == (1, 0)
    assert sorted(t is not None for t in trainings(store)) == [False, True]


def test_a_teaching_that_is_cancelled_leaves_the_store_as_it_was(store):
    store.delete(ids=["d1", "d2"])
    before = trainings(store), store.count(), hops(store)

    def stop(stage, done, total):
        if stage == "edges":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.compact(progress=stop)
    assert (trainings(store), store.count(), hops(store)) == before
    assert store.compact().graphs_taught == 1


def test_fine_tuning_asks_the_kept_queries_again(store, index):
    log = SMALL.ask(100, seed=8)
    (graph,) = store.train_graph(log, fine_tune=True, ignore_gate=True).graphs
    assert graph.training.validation_queries == (KEPT + 100) // 5
    assert 0.5 < graph.training.former_hop_ratio < 2
    (graph,) = store.train_graph(None, fine_tune=True, ignore_gate=True).graphs
    assert graph.training.validation_queries == KEPT // 5
    store.close()
    assert math.isnan(index.train_graph(QUESTIONS).former_hop_ratio)
    once = hops_at_recall(index, OTHERS)
    assert index.train_graph(log, fine_tune=True, ignore_gate=True).former_hop_ratio > 0
    assert hops_at_recall(index, OTHERS) < 1.3 * once
    assert index.memory_bytes()["training"] > KEPT * DIMENSION * 4


def test_training_anew_is_as_training_at_first(saved):
    once, twice = saved(), saved()
    twice.train_graph(SMALL.ask(300, seed=4), ignore_gate=True)
    once.train_graph(QUESTIONS)
    twice.train_graph(QUESTIONS, ignore_gate=True)
    for width in (10, 48):
        a, b = (each.search_batch(OTHERS, index="graph", beam_width=width) for each in (once, twice))
        assert a.labels.tolist() == b.labels.tolist() and a.hops == b.hops


def test_drift_of_an_index_and_of_a_store(store, index):
    refuse(lambda: index.graph_drift(), trivium.FailedPrecondition, "not trained")
    report = index.train_graph(QUESTIONS)
    drift = index.graph_drift(vertices=4)
    assert drift.queries == report.validation_queries and drift.hop_ratio == report.hop_ratio
    assert not drift.train_again and drift.edges_kept == 1
    assert len(drift.helpful) == 4 and all(0 <= use.id < ROWS for use in drift.helpful)
    (of_store,) = store.graph_drift(vertices=4)
    assert (of_store.space, of_store.partition) == ("dense", "main")
    assert of_store.drift.hop_ratio == drift.hop_ratio
    assert [use.id for use in of_store.drift.helpful] == [f"d{use.id}" for use in drift.helpful]
    # Queries that are like the rows gain nothing: what was learned is not for them.
    other = index.graph_drift(SMALL.rows[:300], recall=0.9)
    assert other.queries == 300 and other.hop_ratio > drift.hop_ratio
    store.delete(ids=[of_store.drift.helpful[0].id])
    assert store.graph_drift(expert="one")[0].drift.helpful[0].id is None
    refuse(lambda: store.graph_drift(OTHERS[:, :5]), trivium.InvalidArgument, "dimension: 5, expected 48")
    refuse(lambda: store.graph_drift(expert="nobody"), trivium.NotFound, "nobody")
    refuse(lambda: store.graph_drift(vertices=-1), trivium.InvalidArgument, "vertices: -1")
    assert asyncio.run(store.agraph_drift(OTHERS))[0].drift.queries == len(OTHERS)


def test_walks_are_traced(store, index):
    query = OTHERS[3]
    trace = index.trace_walk(query, beam_width=16)
    assert trace.untaught is None and trace.walk.hops == len(trace.walk.vertices)
    index.train_graph(QUESTIONS)
    (walk,) = store.trace_walks(query, beam_width=16)
    trace = index.trace_walk(query, beam_width=16)
    assert walk.rows == ROWS and walk.untaught.hops == trace.untaught.hops
    assert [v.id for v in walk.walk.vertices] == [f"d{v.id}" for v in trace.walk.vertices]
    assert trace.walk.found == index.search(query, index="graph", beam_width=16).labels.tolist()
    hits = store.search(query, index="graph", beam_width=16)
    assert walk.walk.found == list(hits.ids)
    assert walk.walk.hops == hits.trace.hops
    scores = {v.id: v.score for v in walk.walk.vertices}
    assert hits[0].id in scores and scores[hits[0].id] == pytest.approx(hits[0].score, abs=1e-5)
    assert {v.origin for v in walk.walk.vertices if v.origin >= 0} <= set(range(walk.walk.hops))
    plain = walk.to_dict()
    assert plain["untaught"]["vertices"][0]["origin"] == -1
    refuse(lambda: store.trace_walks("a text"), trivium.FailedPrecondition, "encoder")
    refuse(lambda: store.trace_walks(query, k=0), trivium.InvalidArgument, "k: 0")
    refuse(lambda: store.trace_walks(query, expert="nobody"), trivium.NotFound, "nobody")
    refuse(lambda: index.trace_walk(query[:4]), trivium.InvalidArgument, "dimension: 4")
    with trivium.open(store.path + "-empty") as empty:
        empty.add_space("dense", DIMENSION)
        refuse(lambda: empty.trace_walks(query), trivium.FailedPrecondition, "build first")
        refuse(lambda: empty.graph_drift(), trivium.FailedPrecondition, "train graphs first")
