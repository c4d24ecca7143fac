# SPDX-License-Identifier: Apache-2.0
"""Stores whose vectors are compressed."""

import numpy as np
import pytest

import trivium

ROWS, DIMENSION = 4000, 128


def clustered(rows, seed):
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(0).standard_normal((40, DIMENSION))
    return (centers[rng.integers(0, 40, rows)] + 0.7 * rng.standard_normal((rows, DIMENSION))).astype(
        np.float32
    )


def filled(path):
    store = trivium.open(path)
    store.add_space("dense", dimension=DIMENSION)
    store.add_expert("dense", space="dense")
    store.upsert([f"d{i}" for i in range(ROWS)], vectors={"dense": clustered(ROWS, 1)})
    return store


def folder_bytes(path):
    return sum(file.stat().st_size for file in (path / "segments").iterdir())


@pytest.fixture(scope="module")
def truth():
    rows, queries = clustered(ROWS, 1), clustered(100, 2)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    nearest = np.argsort(-(queries @ unit.T), axis=1)[:, :10]
    return queries, [{f"d{i}" for i in row} for row in nearest]


def recall(store, truth, **options):
    queries, nearest = truth
    found = store.search_batch(queries, k=10, **options).ids
    return np.mean([len(set(ids) & true) / 10 for ids, true in zip(found, nearest)])


def test_smaller_profiles_take_less_room_and_still_find_the_neighbours(tmp_path, truth):
    sizes = {}
    for profile in ("speed", "balanced", "small"):
        with filled(tmp_path / profile) as store:
            store.build(profile=profile)
            assert store.inspect().spaces[0].profile == profile
            assert recall(store, truth, index="exact") >= 0.98
            assert recall(store, truth, index="graph", beam_width=128) >= 0.95
        sizes[profile] = folder_bytes(tmp_path / profile)
        with trivium.open(tmp_path / profile, read_only=True) as again:
            assert recall(again, truth, index="graph", beam_width=128) >= 0.95
            assert again.verify() is not None
    assert sizes["small"] < 0.8 * sizes["balanced"]
    assert sizes["balanced"] < 0.5 * sizes["speed"]


def test_a_space_keeps_its_profile_and_compact_changes_it(tmp_path, truth):
    path = tmp_path / "kb"
    with filled(path) as store:
        store.build(profile="balanced")
        store.upsert(["more"], vectors={"dense": clustered(1, 5)})
        store.build()
        assert store.inspect().spaces[0].profile == "balanced"
        before = folder_bytes(path)
        store.compact(profile="small")
        assert folder_bytes(path) < 0.75 * before
        assert recall(store, truth, index="exact") >= 0.97
        with pytest.raises(trivium.InvalidArgument, match="tiny"):
            store.build(profile="tiny")
