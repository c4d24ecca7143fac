# SPDX-License-Identifier: Apache-2.0
"""Answers remembered: what judged queries had relevant is found again by queries like them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import trivium

DIMENSION, TOPICS, ASKED = 32, 12, 12
DOMAINS = ["law", "physics"]


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def fill(store: trivium.Store, rng: np.random.Generator):
    """Queries about the same lie together, but their document anywhere in its domain."""
    store.add_space("text", DIMENSION)
    queries, qrels, groups = [], [], []
    for number, name in enumerate(DOMAINS):
        axis = np.eye(DIMENSION)[number]
        ids = [f"{name}-{topic}" for topic in range(TOPICS)]
        store.upsert(ids, unit(unit(rng.standard_normal((TOPICS, DIMENSION))) + axis), partition=name)
        store.add_expert(name, space="text", partition=name)
        topics = unit(unit(rng.standard_normal((TOPICS, DIMENSION))) + axis)
        for topic in range(TOPICS):
            queries.append(unit(topics[topic] + 0.3 * unit(rng.standard_normal((ASKED, DIMENSION)))))
            qrels += [{(name, ids[topic]): 1}] * ASKED
            groups += [name] * ASKED
    store.build()
    return np.concatenate(queries), qrels, groups


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory):
    """Not to be written to."""
    path: Path = tmp_path_factory.mktemp("memory") / "kb"
    with trivium.open(path) as store:
        queries, qrels, groups = fill(store, np.random.default_rng(3))
        half = np.arange(len(queries)) % 2 == 0

        def part(rows):
            return (
                queries[rows],
                [qrels[i] for i in np.flatnonzero(rows)],
                [groups[i] for i in np.flatnonzero(rows)],
            )

        report = store.train_dispatch(*part(half)[:2], groups=part(half)[2], routers=["linear"])
        yield store, report, part(~half), path


def test_training_learns_it_and_tells(world) -> None:
    store, report, (queries, _, _), path = world
    assert report.memory["experts"] == len(DOMAINS) and report.memory["weight"] > 0
    assert report.memory["queries"] == len(queries) and 0 < report.memory["threshold"] < 1
    assert store.inspect().dispatch.memory == report.memory
    with trivium.open(path, read_only=True) as reader:
        assert reader.inspect().dispatch.memory == report.memory


def test_it_answers_held_out_queries_better(world) -> None:
    store, _, test, _ = world
    remembering = store.evaluate(*test, router="linear").macro.ndcg_at_10
    forgetting = store.evaluate(*test, router="linear", memory=False).macro.ndcg_at_10
    assert remembering > forgetting + 0.2
    compared = store.evaluate(*test, router="linear", compare=True)
    (row,) = [one for one in compared.macro.compare if one.name == "linear"]
    assert row.ndcg_at_10 == pytest.approx(remembering, abs=1e-9)


def test_the_route_shows_it_and_can_be_taken_again(world) -> None:
    store, _, (queries, _, _), _ = world
    for query in queries[::9]:
        hits = store.search(query, k=3, router="linear")
        assert hits.route.remembered > 0
        assert store.search(query, k=3, router="linear", memory=False).route.remembered == 0
        assert store.search(query, k=3, experts="all").route.remembered == 0
        for hit in store.search(query, k=3, router="linear", include=["vectors"]):
            assert hit.similarity == pytest.approx(float(hit.vectors["text"] @ query), abs=2e-3)  # not raised
        again = store.search(query, k=3, route=hits.route.to_dict())
        assert [hit.id for hit in again] == [hit.id for hit in hits]
        assert again.scores.tolist() == pytest.approx(hits.scores.tolist())
    batch = store.search_batch(queries, k=3, router="linear")
    assert all(
        batch.ids[i] == [hit.id for hit in store.search(queries[i], k=3, router="linear")] for i in (0, 5, 9)
    )


def test_a_filter_still_filters(world) -> None:
    store, _, (queries, _, _), _ = world
    hits = store.search(queries[0], k=3, router="linear", partitions=["physics"])
    assert len(hits) == 3 and {hit.partition for hit in hits} == {"physics"}
