# SPDX-License-Identifier: Apache-2.0
"""Store.calibrate and `trivium build --target-recall`: the beam width that a recall needs."""

import numpy as np
import pytest

import trivium

ROWS, DIMENSION = 6000, 64


def clustered(rows, seed):
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(0).standard_normal((40, DIMENSION))
    return (centers[rng.integers(0, 40, rows)] + 0.7 * rng.standard_normal((rows, DIMENSION))).astype(
        np.float32
    )


@pytest.fixture
def store(tmp_path):
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("dense", dimension=DIMENSION)
        store.add_expert("dense", space="dense")
        store.upsert([f"d{i}" for i in range(ROWS)], vectors={"dense": clustered(ROWS, 1)})
        store.build()
        yield store


def recall(store, queries, **options):
    found = store.search_batch(queries, k=10, **options).ids
    true = store.search_batch(queries, k=10, index="exact").ids
    return np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, true)])


def test_the_chosen_beam_reaches_the_target_and_becomes_the_default(store):
    sample, held_back = clustered(200, 2), clustered(300, 3)
    report = store.calibrate(sample, target_recall=0.97)
    (space,) = report.spaces
    assert space.space == "dense" and space.reached and space.queries == 200
    assert space.recall >= 0.97
    assert store.inspect().spaces[0].beam_width == space.beam_width
    assert store.inspect().spaces[0].target_recall == 0.97
    assert recall(store, held_back, index="graph") >= 0.95
    one = store.search(held_back[0], index="graph", explain=True).trace
    same = store.search(held_back[0], index="graph", beam_width=space.beam_width, explain=True).trace
    assert one.hops == same.hops


def test_a_higher_target_needs_a_wider_beam_and_more_hops(store):
    queries = clustered(200, 2)
    low = store.calibrate(queries, target_recall=0.6).spaces[0]
    hops_low = store.search(queries[0], index="graph").trace.hops
    high = store.calibrate(queries, target_recall=0.995).spaces[0]
    hops_high = store.search(queries[0], index="graph").trace.hops
    assert low.beam_width < high.beam_width
    assert hops_low < hops_high


def test_without_queries_the_space_asks_its_own_vectors(store):
    (space,) = store.calibrate().spaces
    assert space.queries == 200 and space.reached


def test_what_was_chosen_survives_closing(store):
    width = store.calibrate(clustered(50, 2), target_recall=0.9).spaces[0].beam_width
    store.close()
    with trivium.open(store.path, read_only=True) as again:
        assert again.inspect().spaces[0].beam_width == width


def test_bad_input_is_refused_and_changes_nothing(store):
    with pytest.raises(trivium.InvalidArgument, match="target_recall: 1.5, expected between 0 and 1"):
        store.calibrate(target_recall=1.5)
    with pytest.raises(trivium.InvalidArgument, match="k: 0, expected 1 to 1000"):
        store.calibrate(k=0)
    with pytest.raises(trivium.InvalidArgument, match="dimension"):
        store.calibrate(np.ones((3, 5), np.float32))
    with pytest.raises(trivium.NotFound, match="nowhere"):
        store.calibrate({"nowhere": clustered(3, 1)})
    assert store.inspect().spaces[0].beam_width == 0
