# SPDX-License-Identifier: Apache-2.0
"""What the chosen experts find revises the route, and may have more of them asked."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import trivium
from support import unit

DIMENSION, EXPERTS, DOCUMENTS, QUERIES = 24, 6, 200, 60


def fill(store: trivium.Store, rng: np.random.Generator):
    """Partitions in the same directions, one of which has something near to every query; what is found tells whose
    a query is better than where it lies."""
    store.add_space("text", DIMENSION)
    common = unit(rng.standard_normal((1, DIMENSION), dtype=np.float32))
    queries, qrels, groups = [], [], []
    for expert in range(EXPERTS):
        name = f"part{expert}"
        vectors = unit(rng.standard_normal((DOCUMENTS, DIMENSION), dtype=np.float32))
        vectors[:, expert] += 0.15  # a hint
        vectors += (1.5 if expert == 0 else 0.5) * common
        ids = [f"{name}-{row}" for row in range(DOCUMENTS)]
        store.upsert(ids, vectors, partition=name)
        store.add_expert(name, space="text", partition=name)
        rows = rng.choice(DOCUMENTS, QUERIES, replace=False)
        queries.append(vectors[rows] + 0.12 * rng.standard_normal((QUERIES, DIMENSION), dtype=np.float32))
        qrels += [{(name, ids[row]): 1} for row in rows]
        groups += [name] * QUERIES
    store.build()
    return np.concatenate(queries), qrels, groups


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory):
    """Not to be written to."""
    path: Path = tmp_path_factory.mktemp("look") / "kb"
    with trivium.open(path) as store:
        queries, qrels, groups = fill(store, np.random.default_rng(3))
        half = np.arange(len(queries)) % 2 == 0
        train = (queries[half], [q for q, h in zip(qrels, half) if h], [g for g, h in zip(groups, half) if h])
        test = (
            queries[~half],
            [q for q, h in zip(qrels, half) if not h],
            [g for g, h in zip(groups, half) if not h],
        )
        # `linear` knows pilots alone; `logistic` would know from the documents what the look finds here.
        report = store.train_dispatch(*train[:2], groups=train[2], routers=["linear"])
        yield store, report, test, path


def test_training_learns_it_and_tells(world) -> None:
    store, report, _, _ = world
    look = report.second_look
    assert (
        look["score_weight"] > 0 and look["prior_weight"] >= 0 and look["max_experts"] >= report.max_experts
    )
    assert store.inspect().dispatch.second_look == look


def test_it_survives_closing(world) -> None:
    store, _, (queries, _, _), path = world
    with trivium.open(path, read_only=True) as reader:
        assert reader.inspect().dispatch.second_look == store.inspect().dispatch.second_look
        assert reader.search(queries[0], router="linear").scores.tolist() == (
            store.search(queries[0], router="linear").scores.tolist()
        )


def test_it_answers_held_out_queries_better(world) -> None:
    store, _, (queries, qrels, groups), _ = world
    with_look = store.evaluate(queries, qrels, groups, router="linear").macro
    without = store.evaluate(queries, qrels, groups, router="linear", second_look=False).macro
    assert with_look.ndcg_at_10 > without.ndcg_at_10 + 0.1
    assert with_look.experts_per_query < without.experts_per_query + 1  # more only where it is not sure


def test_the_route_shows_it(world) -> None:
    store, report, (queries, qrels, _), _ = world
    right = {True: 0, False: 0}
    widened = 0
    for query, grades in zip(queries, qrels):
        route = store.search(query, router="linear", explain=True).route
        chosen = [expert for expert in route.experts if expert.chosen]
        assert all(math.isnan(expert.revised) for expert in route.experts if not expert.chosen)
        assert sum(expert.revised for expert in chosen) == pytest.approx(
            sum(expert.probability for expert in chosen), rel=1e-4
        )
        assert route.prior_weight == pytest.approx(report.second_look["prior_weight"])
        ((owner, _),) = grades
        right[False] += max(chosen, key=lambda expert: expert.probability).expert == owner
        right[True] += max(chosen, key=lambda expert: expert.revised).expert == owner
        widened += route.widened
        plain = store.search(query, router="linear", second_look=False).route
        assert not plain.widened and all(math.isnan(expert.revised) for expert in plain.experts)
        assert set(plain.chosen) <= set(route.chosen)
        if not route.widened:
            assert plain.chosen == route.chosen
    assert right[True] > right[False]
    assert 0 < widened < len(queries)


def test_a_route_taken_again_has_the_same_hits(world) -> None:
    store, _, (queries, _, _), _ = world
    for query in queries[::7]:
        first = store.search(query, router="linear")
        again = store.search(query, route=json.dumps(first.route.to_dict()))
        assert again.scores.tolist() == first.scores.tolist() and again.ids == first.ids
        assert again.route.widened == first.route.widened


def test_a_batch_answers_as_single_queries_do(world) -> None:
    store, _, (queries, _, _), _ = world
    batch = store.search_batch(queries, router="linear", threads=2)
    for row, query in enumerate(queries):
        assert batch.ids[row] == store.search(query, router="linear").ids


def test_limits_of_the_caller_are_not_widened(world) -> None:
    store, _, (queries, _, _), _ = world
    for query in queries[:40]:
        for limit in ({"max_experts": 1}, {"top_p": 0.3}, {"cost": 0.2}):
            hits = store.search(query, router="linear", **limit)
            assert not hits.route.widened
            assert "max_experts" not in limit or len(hits.route.chosen) == 1
        allowed = ["part0", "part3"]
        assert set(store.search(query, router="linear", allowed_experts=allowed).route.chosen) <= set(allowed)


def test_with_an_expert_added_later(world, tmp_path: Path) -> None:
    _, _, (queries, _, _), path = world
    import shutil

    shutil.copytree(path, tmp_path / "kb")
    with trivium.open(tmp_path / "kb") as store:
        store.upsert(["new"], queries[:1], partition="later")
        store.add_expert("later", space="text", partition="later")
        store.remove_expert("part1")
        hits = store.search(queries[0], router="linear")
        assert "later" in hits.route.chosen and hits.ids[0] == "new"  # asked, and nothing is held against it


def test_compare_takes_it_too(world) -> None:
    store, _, (queries, qrels, groups), _ = world
    report = store.evaluate(queries, qrels, groups, router="linear", compare=True)
    row = next(row for row in report.macro.compare if row.name == "linear")
    assert row.ndcg_at_10 == pytest.approx(report.macro.ndcg_at_10)
    assert row.experts_per_query == pytest.approx(report.macro.experts_per_query)
