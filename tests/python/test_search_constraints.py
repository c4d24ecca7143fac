# SPDX-License-Identifier: Apache-2.0
"""Who may be asked, where documents may be found, and what an answer may cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import trivium
from support import letter_encoder, make_collection

DIMENSION = 16
DOMAINS = ["law", "medicine", "physics", "sailing"]
SIZES = [120, 60, 90, 30]


@pytest.fixture
def world(tmp_path: Path, rng: np.random.Generator):
    """A partition and an expert for each domain, and judged queries."""
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("text", DIMENSION)
        queries, qrels, groups = [], [], []
        for number, (domain, size) in enumerate(zip(DOMAINS, SIZES)):
            data = make_collection(rng, size, DIMENSION)
            data.vectors[:, number] += 2.5
            store.upsert(data.ids, data.vectors, data.texts, data.metadata, partition=domain)
            store.add_expert(domain, space="text", partition=domain, cost=number + 1)
            rows = rng.choice(size, 30, replace=False)
            queries.append(data.vectors[rows] + 0.4 * rng.standard_normal((30, DIMENSION), dtype=np.float32))
            qrels += [{(domain, data.ids[row]): 1} for row in rows]
            groups += [domain] * 30
        yield store, np.concatenate(queries), qrels, groups


@pytest.fixture
def trained(world):
    store, queries, qrels, groups = world
    store.train_dispatch(queries, qrels, groups=groups)
    return world


def reasons(route: trivium.Route) -> dict[str, str]:
    return {expert.expert: expert.reason for expert in route.experts}


def same(one: trivium.Hits, other: trivium.Hits) -> bool:
    return (one.partitions, one.ids, one.scores.tolist()) == (
        other.partitions,
        other.ids,
        other.scores.tolist(),
    )


# Constraints


def test_only_allowed_experts_are_asked(trained) -> None:
    store, queries, _, _ = trained
    for query in queries[::7]:
        for options in ({"router": "knn_utility"}, {"experts": "all"}):
            hits = store.search(query, allowed_experts=["physics", "law"], explain=True, **options)
            assert set(hits.route.chosen) <= {"physics", "law"} and hits.route.chosen
            assert set(hits.partitions) <= {"physics", "law"}
            why = reasons(hits.route)
            assert why["medicine"] == why["sailing"] == "not allowed" != why["law"]
            shares = {expert.expert: expert.probability for expert in hits.route.experts}
            assert shares["medicine"] == shares["sailing"] == 0
            assert shares["law"] + shares["physics"] == pytest.approx(1, abs=1e-5)


def test_allowing_all_changes_nothing(trained) -> None:
    store, queries, _, _ = trained
    for query in queries[::9]:
        assert same(store.search(query, allowed_experts=DOMAINS), store.search(query))
        assert same(store.search(query, partitions=DOMAINS, k=5), store.search(query, k=5))


def test_partitions_limit_what_is_found_whoever_is_asked(world) -> None:
    store, queries, _, _ = world
    store.add_expert("everything", space="text")
    for experts in ("all", ["everything"], ["everything", "law"]):
        found = store.search(queries[0], k=300, experts=experts, partitions=["law", "sailing"])
        assert set(found.partitions) == ({"law", "sailing"})
        assert len(found) == 150 and found.trace.distance_computations == 150
        assert found.trace.vector_sets == 2
    everywhere = store.search(queries[0], k=300, experts=["everything"])
    inside = [i for i, partition in enumerate(everywhere.partitions) if partition in ("law", "sailing")]
    found = store.search(queries[0], k=300, experts=["everything"], partitions=["law", "sailing"])
    assert found.ids == [everywhere.ids[i] for i in inside]
    assert found.scores.tolist() == everywhere.scores[inside].tolist()


def test_experts_without_the_partitions_are_not_allowed(trained) -> None:
    store, queries, _, _ = trained
    store.add_expert("everything", space="text")
    hits = store.search(queries[0], partitions=["sailing"], explain=True)
    assert set(hits.route.chosen) <= {"everything", "sailing"}
    assert {reasons(hits.route)[name] for name in DOMAINS[:3]} == {"not allowed"}
    with pytest.raises(trivium.InvalidArgument, match="expert: 'law', expected one of those allowed"):
        store.search(queries[0], experts=["law"], partitions=["sailing"])
    with pytest.raises(trivium.InvalidArgument, match="expert: 'law', expected one of those allowed"):
        store.search(queries[0], experts=["physics", "law"], allowed_experts=["physics"])
    with pytest.raises(trivium.InvalidArgument, match="allowed experts: none that holds a partition"):
        store.search(queries[0], allowed_experts=["law", "medicine"], partitions=["sailing"])


def test_partitions_compose_with_filters_and_leave_k_hits(trained) -> None:
    store, queries, _, _ = trained
    even = {"field": "even", "op": "==", "value": True}
    for query in queries[::11]:
        hits = store.search(query, k=60, partitions=["law", "sailing"], filter=even)
        assert len(hits) == 60 and set(hits.partitions) <= {"law", "sailing"}
        assert all(hit.metadata["even"] for hit in hits)
        assert len(store.search(query, k=140, partitions=["law", "sailing"], max_experts=1)) == 140


def test_built_stores_and_batches_are_constrained_alike(trained) -> None:
    store, queries, _, _ = trained
    store.build()
    for options in (
        {"allowed_experts": ["law", "physics"]},
        {"partitions": ["medicine"], "experts": "all"},
        {"partitions": ["medicine", "law"], "allowed_experts": ["law", "sailing"]},
        {"cost": 0.3},
        {"budget": 100},
    ):
        batch = store.search_batch(queries, **options)
        assert batch.ids == [store.search(query, **options).ids for query in queries]


def test_words_are_looked_for_in_the_partitions_alone(tmp_path: Path) -> None:
    with trivium.open(tmp_path / "kb", encoders={"letters": letter_encoder}) as store:
        store.add_space("text", 27, encoder="letters")
        store.add_expert("words", kind="lexical")
        for partition in ("a", "b"):
            ids = [f"{partition}{row}" for row in range(20)]
            texts = [f"sail wind {partition * 3} {'x' * (row + 1)}" for row in range(20)]
            store.upsert(ids, texts=texts, partition=partition)
        for experts in ("all", ["words"]):
            hits = store.search("wind", k=40, experts=experts, partitions=["b"])
            assert set(hits.partitions) == {"b"} and len(hits) == 20
        # Only the texts there count: as in a store that has no others.
        with trivium.open(tmp_path / "one") as one:
            one.add_expert("words", kind="lexical")
            texts = [f"sail wind bbb {'x' * (row + 1)}" for row in range(20)]
            one.upsert([f"b{row}" for row in range(20)], texts=texts, partition="b")
            alone = one.search("wind bbb", experts=["words"])
        there = store.search("wind bbb", experts=["words"], partitions=["b"])
        assert same(alone, there)


def test_evaluation_is_constrained(trained) -> None:
    store, queries, qrels, groups = trained
    report = store.evaluate(queries, qrels, groups=groups, partitions=["law"], keep_runs=True, depth=20)
    assert {p for one in report.sets for outcome in one.outcomes for p in outcome.partitions} == {"law"}
    by_name = {one.name: one for one in report.sets}
    assert by_name["law"].ndcg_at_10 > 0.5 and by_name["medicine"].ndcg_at_10 == 0
    compared = store.evaluate(queries, qrels, groups=groups, allowed_experts=["law"], compare=True)
    rows = {row.name: row for row in compared.macro.compare}
    alone = store.evaluate(queries, qrels, groups=groups, experts=["law"]).macro.ndcg_at_10
    for name in ("auto", "all", "domain_oracle", "instance_oracle", "knn_utility"):
        assert rows[name].ndcg_at_10 == pytest.approx(alone, abs=1e-9)


@pytest.mark.parametrize(
    ("options", "error", "mention"),
    [
        ({"allowed_experts": ["surgery"]}, trivium.NotFound, "allowed expert: 'surgery', .* law, medicine"),
        ({"experts": ["surgery"]}, trivium.NotFound, "expert: 'surgery', expected one of the store's 4: law"),
        (
            {"partitions": ["attic"]},
            trivium.NotFound,
            "partition: 'attic', .* law, medicine, physics, sailing",
        ),
        ({"allowed_experts": []}, trivium.InvalidArgument, "allowed_experts: an empty list"),
        ({"partitions": []}, trivium.InvalidArgument, "partitions: an empty list"),
        ({"partitions": "law"}, TypeError, "partitions"),
        ({"cost": -0.1}, trivium.InvalidArgument, "cost: -0.1, expected 0"),
        ({"cost": 1.5}, trivium.InvalidArgument, "cost: 1.5, expected 0"),
        ({"cost": float("nan")}, trivium.InvalidArgument, "cost: nan"),
        ({"budget": 0}, trivium.InvalidArgument, "budget: 0, expected 1"),
        ({"budget": -3}, trivium.InvalidArgument, "budget: -3"),
        ({"cost": 0.5, "budget": 9}, trivium.InvalidArgument, "cost: given with a budget, expected one"),
        ({"cost": 0.5, "experts": "all"}, trivium.InvalidArgument, "cost: given with experts"),
        ({"budget": 5, "experts": ["law"]}, trivium.InvalidArgument, "budget: given with experts"),
        ({"cost": 0.5, "top_p": 0.5}, trivium.InvalidArgument, "cost: given with top_p"),
        ({"budget": 5, "max_experts": 2}, trivium.InvalidArgument, "budget: given with max_experts"),
    ],
)
def test_bad_limits_are_named(world, options, error, mention) -> None:
    store, queries, _, _ = world
    with pytest.raises(error, match=mention):
        store.search(queries[0], **options)


# Dial


def test_a_higher_dial_only_adds_experts(trained) -> None:
    store, queries, _, _ = trained
    cheapest = 0
    for query in queries[::3]:
        for dial in ("cost", "budget"):
            steps = [0, 0.1, 0.25, 0.5, 0.75, 1] if dial == "cost" else [1, 60, 100, 150, 210, 300]
            before: list[str] = []
            for step in steps:
                hits = store.search(query, router="knn_utility", explain=True, **{dial: step})
                chosen = hits.route.chosen
                assert chosen[: len(before)] == before and chosen
                # The most probable ones, whose costs fit.
                ranked = sorted(hits.route.experts, key=lambda e: -e.probability)
                assert {e.expert for e in ranked[: len(chosen)]} == set(chosen)
                if dial == "cost" and len(chosen) > 1:
                    spent = sum(e.cost for e in hits.route.experts if e.chosen)
                    assert spent <= step * 10 + 1e-6
                if dial == "budget" and len(chosen) > 1:
                    assert hits.trace.distance_computations <= step
                if step == steps[0]:
                    assert len(chosen) == 1
                    cheapest += hits.route.router == "knn_utility"
                before = chosen
            assert set(before) == set(DOMAINS)
    assert cheapest == 2 * len(queries[::3])


def test_without_a_router_the_dial_asks_those_with_most_documents(world) -> None:
    store, queries, _, _ = world
    ranked = ["law", "physics", "medicine", "sailing"]
    for cost, count in ((0, 1), (0.1, 1), (0.4, 2), (0.6, 3), (0.99, 3), (1, 4)):
        hits = store.search(queries[0], cost=cost, explain=True)
        assert set(hits.route.chosen) == set(ranked[:count]), cost
        assert {r for e, r in reasons(hits.route).items() if e in ranked[:count]} == {
            "within the limit of cost"
        }
        assert count == 4 or reasons(hits.route)["sailing"] == "limit of cost reached"
    for budget, count in ((1, 1), (120, 1), (209, 1), (210, 2), (270, 3), (300, 4)):
        hits = store.search(queries[0], budget=budget)
        assert len(hits.route.chosen) == count and set(hits.route.chosen) == set(ranked[:count])
        assert hits.trace.distance_computations <= max(budget, 120)
    assert same(store.search(queries[0], cost=1), store.search(queries[0]))


def test_the_dial_is_a_share_of_what_is_allowed(world) -> None:
    store, queries, _, _ = world
    hits = store.search(queries[0], cost=0.5, allowed_experts=["sailing", "medicine", "physics"])
    assert hits.route.chosen == ["physics"]  # 3 of 9; with medicine, 2, more than half
    assert store.search(queries[0], budget=20, partitions=["sailing", "medicine"]).route.chosen == [
        "medicine"
    ]
    even = {"field": "even", "op": "==", "value": True}
    assert len(store.search(queries[0], budget=110, filter=even).route.chosen) == 2  # half of 210 rows


def test_free_experts_are_not_asked_at_cost_zero(tmp_path: Path, rng: np.random.Generator) -> None:
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("text", DIMENSION)
        for name in ("a", "b"):
            data = make_collection(rng, 20, DIMENSION)
            store.upsert(data.ids, data.vectors, partition=name)
            store.add_expert(name, space="text", partition=name, cost=0)
        query = rng.standard_normal(DIMENSION, dtype=np.float32)
        assert len(store.search(query, cost=0).route.chosen) == 1
        assert len(store.search(query, cost=0.01).route.chosen) == 2


def test_the_dial_does_not_pay_for_words_that_are_not_there(trained) -> None:
    store, queries, _, _ = trained
    store.add_expert("words", kind="lexical", cost=0)
    for router in (None, "knn_utility"):
        hits = store.search(queries[0], cost=0, router=router, explain=True)
        assert len(hits.route.chosen) == 1 and "words" not in hits.route.chosen
