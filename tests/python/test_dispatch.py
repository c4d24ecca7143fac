# SPDX-License-Identifier: Apache-2.0
"""Training and evaluating dispatch in the three shapes: shared, replicated and federated."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import trivium
from support import make_collection

DIMENSION = 16
DOMAINS = ["law", "medicine", "physics"]


def rotation(rng: np.random.Generator) -> np.ndarray:
    q, _ = np.linalg.qr(rng.standard_normal((DIMENSION, DIMENSION)))
    return q.astype(np.float32)


def near(rng: np.random.Generator, vectors: np.ndarray, noise: float) -> np.ndarray:
    return vectors + noise * rng.standard_normal(vectors.shape, dtype=np.float32)


@pytest.fixture
def federated(tmp_path: Path, rng: np.random.Generator):
    """S3: one space, a partition and an expert for each domain; ids repeat between partitions."""
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("text", DIMENSION)
        queries, qrels, groups = [], [], []
        for number, domain in enumerate(DOMAINS):
            data = make_collection(rng, 120, DIMENSION)
            data.vectors[:, number] += 4
            store.upsert(data.ids, data.vectors, data.texts, partition=domain)
            store.add_expert(domain, space="text", partition=domain, description=f"questions about {domain}")
            rows = rng.choice(120, 60, replace=False)
            queries.append(near(rng, data.vectors[rows], 0.3))
            qrels += [{(domain, data.ids[row]): 1} for row in rows]
            groups += [domain] * 60
        yield store, np.concatenate(queries), qrels, groups


def test_s3_dispatch_sends_queries_to_their_domain(federated) -> None:
    store, queries, qrels, groups = federated
    report = store.train_dispatch(queries, qrels, groups=groups, seed=3)
    assert report.queries == report.validation_queries == 180
    assert report.unknown_judgements == 0
    assert report.router in {row.name for row in report.rows}
    assert {"static_best", "mean_pilot", "max_pilot", "knn_utility", "linear", "logistic", "all"} <= {
        row.name for row in report.rows
    }
    assert report.gain_low <= report.gain <= report.gain_high and report.reason
    assert store.inspect().dispatch.trained and store.inspect().dispatch.enabled == report.enabled
    result = store.evaluate(queries, qrels, groups=groups)
    everything = store.evaluate(queries, qrels, groups=groups, experts="all")
    assert [one.name for one in result.sets] == DOMAINS
    assert everything.macro.experts_per_query == 3
    if report.enabled:
        assert result.macro.experts_per_query < 2
    assert result.macro.ndcg_at_10 >= everything.macro.ndcg_at_10 - 0.02


def test_s3_route_explains_the_choice(federated) -> None:
    store, queries, qrels, groups = federated
    store.train_dispatch(queries, qrels, groups=groups)
    hits = store.search(queries[0], explain=True)
    assert {expert.expert for expert in hits.route.experts} == set(DOMAINS)
    assert hits.route.chosen and set(hits.route.chosen) <= set(DOMAINS)
    for expert in hits.route.experts:
        assert 0 <= expert.probability <= 1 and expert.reason
    chosen_only = store.search(queries[0]).route
    assert [expert.expert for expert in chosen_only.experts] == hits.route.chosen
    only = store.search(queries[0], experts=["law", "physics"])
    assert set(only.partitions) <= {"law", "physics"} and only.trace.vector_sets == 2


def test_a_trained_router_answers_when_asked_by_name(federated) -> None:
    store, queries, qrels, groups = federated
    with pytest.raises(trivium.NotFound, match="router: 'linear'"):
        store.search(queries[0], router="linear")
    store.train_dispatch(queries, qrels, groups=groups)
    for router in ("static_best", "mean_pilot", "max_pilot", "knn_utility", "linear", "logistic"):
        assert store.search(queries[0], router=router).route.router in (router, "")  # "": it knew nothing
    assert store.search(queries[0], router="linear").route.router == "linear"
    with pytest.raises(trivium.NotFound, match="router: 'oracle'"):
        store.search(queries[0], router="oracle")


def test_a_router_for_many_experts_is_trained_among_few_only_if_named(federated) -> None:
    store, queries, qrels, groups = federated
    report = store.train_dispatch(queries, qrels, groups=groups)
    assert "bilevel" not in {row.name for row in report.rows}
    assert store.train_dispatch(queries, qrels, groups=groups, routers=["bilevel"]).router == "bilevel"
    answers = [store.search(query, router="bilevel").route for query in queries]
    right = sum(route.chosen[0] == group for route, group in zip(answers, groups))
    assert {route.router for route in answers} == {"bilevel"} and right > 0.9 * len(groups)


def test_s3_adding_an_expert_keeps_the_training(federated, rng: np.random.Generator) -> None:
    store, queries, qrels, groups = federated
    store.train_dispatch(queries, qrels, groups=groups)
    store.add_expert("art", space="text", partition="art")
    store.upsert(["a1"], near(rng, queries[:1], 0.1), partition="art")
    assert store.inspect().dispatch.trained
    assert len(store.search(queries[0], k=5)) == 5
    store.remove_expert("law")
    assert not store.has_expert("law") and store.count(partition="law") == 120
    assert len(store.search(queries[0], k=5)) == 5


@pytest.mark.parametrize("router", ["logistic", "knn_utility", "linear"])
def test_s3_an_expert_without_judged_queries_is_asked_and_found(federated, router: str) -> None:
    store, queries, qrels, groups = federated
    taught = [row for row, domain in enumerate(groups) if domain != "physics"]
    rest = [row for row, domain in enumerate(groups) if domain == "physics"]
    store.train_dispatch(
        queries[taught], [qrels[row] for row in taught], groups=[groups[row] for row in taught]
    )
    others = {"queries": queries[rest], "qrels": [qrels[row] for row in rest]}
    assert math.isnan(
        {
            one.expert: one.utility
            for one in store.search(queries[rest[0]], router=router, explain=True).route.experts
        }["physics"]
    )
    alone = store.evaluate(**others, experts=["physics"]).macro.ndcg_at_10
    assert store.evaluate(**others, router=router).macro.ndcg_at_10 > 0.95 * alone > 0.5


def test_training_is_deterministic_for_a_seed(federated) -> None:
    store, queries, qrels, groups = federated
    reports = [store.train_dispatch(queries, qrels, groups=groups, seed=5).to_dict() for _ in range(2)]
    for report in reports:
        report.pop("seconds")
    assert [report.pop("first_expert_changed") for report in reports] == [None, 0.0]  # against the one before
    assert reports[0] == reports[1]


def test_validation_may_be_given(federated) -> None:
    store, queries, qrels, groups = federated
    train, held_out = list(range(0, 180, 2)), list(range(1, 180, 2))

    def pick(items, rows):
        return [items[row] for row in rows]

    report = store.train_dispatch(
        queries[train],
        pick(qrels, train),
        validation=(queries[held_out], pick(qrels, held_out), pick(groups, held_out)),
        routers=["knn_utility", "linear"],
    )
    assert (report.queries, report.validation_queries) == (180, 90)
    assert "mean_pilot" not in {row.name for row in report.rows}
    with pytest.raises(trivium.InvalidArgument, match="validation: 1 items"):
        store.train_dispatch(queries, qrels, validation=(queries,))


def test_bad_training_keeps_the_dispatch(federated) -> None:
    store, queries, qrels, groups = federated
    store.train_dispatch(queries, qrels, groups=groups)
    before = store.inspect().dispatch.to_dict()
    with pytest.raises(trivium.InvalidArgument):
        store.train_dispatch(queries[:, :5], qrels, groups=groups)
    with pytest.raises(trivium.InvalidArgument):
        store.train_dispatch(queries, [{} for _ in qrels])
    assert store.inspect().dispatch.to_dict() == before


def test_evaluation_compares_and_keeps_runs(federated) -> None:
    store, queries, qrels, groups = federated
    store.train_dispatch(queries, qrels, groups=groups)
    ids = [f"q{row}" for row in range(len(qrels))]
    report = store.evaluate(
        queries, qrels, groups=groups, experts="all", compare=True, keep_runs=True, query_ids=ids, depth=50
    )
    names = {row.name for row in report.macro.compare}
    assert {"static_best", "knn_utility", "all", "all_rrf", "domain_oracle", "instance_oracle"} <= names
    oracle = {row.name: row.ndcg_at_10 for row in report.macro.compare}
    assert oracle["instance_oracle"] >= oracle["domain_oracle"] - 1e-9 >= 0
    outcome = report.sets[1].outcomes[0]
    assert outcome.id == "q60" and len(outcome.ids) == len(outcome.partitions) == len(outcome.scores) == 50


def test_evaluation_has_the_names_of_the_command_line(federated) -> None:
    store, queries, qrels, groups = federated
    report = store.evaluate(queries, qrels, groups=groups, experts="all")
    macro = report["macro"]
    assert macro["ndcg@10"] == report.macro.ndcg_at_10
    for name in (
        "queries",
        "recall@10",
        "recall@100",
        "mrr@10",
        "experts_per_query",
        "distances",
        "distance_computations_per_query",
        "bytes_read_per_query",
        "searches_per_query",
        "encoder_calls_per_query",
    ):
        assert name in macro
    assert set(macro["latency_us"]) == {"p50", "p95", "p99"}
    again = json.loads(json.dumps(report.to_dict()))
    assert again["sets"][0]["name"] == "law" and again["macro"]["queries"] == 180
    assert "ndcg_at_10" not in again["macro"]
    with pytest.raises(KeyError):
        report["nothing"]


def test_metrics_match_a_plain_computation(store: trivium.Store, collection) -> None:
    queries = collection.vectors[:3]
    qrels = [{"d0": 1}, {"d5": 2, store.search(queries[1], k=3).ids[2]: 1}, {"d2": 0}]
    report = store.evaluate(queries, qrels)
    assert (report.macro.queries, report.macro.skipped_queries) == (2, 1)
    rank = (
        store.search(queries[1], k=10).ids.index("d5") if "d5" in store.search(queries[1], k=10).ids else None
    )
    gains = 1 / np.log2(3 + 1) + (0 if rank is None else 2 / np.log2(rank + 2))
    ideal = 2 / np.log2(2) + 1 / np.log2(3)
    assert report.macro.ndcg_at_10 == pytest.approx((1 + gains / ideal) / 2, abs=1e-6)
    dropped = store.evaluate(queries[:1], [{"d0": 1}], query_ids=["d0"], drop_self=True)
    assert dropped.macro.ndcg_at_10 == 0


def test_drop_self_may_name_sets(store: trivium.Store, collection) -> None:
    qrels = [{"d0": 1}, {"d1": 1}]
    report = store.evaluate(
        collection.vectors[:2], qrels, groups=["a", "b"], query_ids=["d0", "d1"], drop_self=["b"]
    )
    assert [one.ndcg_at_10 for one in report.sets] == [1, 0]


def test_s1_adapters_read_the_query_their_own_way(tmp_path: Path, rng: np.random.Generator) -> None:
    """Two experts over one partition; queries of a domain are rotated, its adapter turns them back."""
    data = make_collection(rng, 200, DIMENSION)
    turns = [rotation(rng), rotation(rng)]
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("text", DIMENSION)
        store.upsert(data.ids, data.vectors)
        for number, turn in enumerate(turns):
            store.add_expert(f"expert{number}", space="text", partition="main", adapter=turn.T.copy())
        assert all(expert.adapter for expert in store.inspect().experts)
        row = 17
        for number, turn in enumerate(turns):
            query = turn @ data.vectors[row]
            hits = store.search(query, k=1, experts=[f"expert{number}"])
            assert hits.ids == ["d17"] and hits[0].similarity == pytest.approx(1, abs=1e-5)
        both = store.search(turns[0] @ data.vectors[row], k=5, experts=["expert0", "expert1"])
        assert both.trace.vector_sets == 1
        assert both.ids[0] == "d17" and len(set(both.ids)) == 5
        domain = rng.integers(0, 2, 120)
        rows = rng.integers(0, 200, 120)
        queries = np.stack(
            [turns[d] @ data.vectors[r] + 3 * (2 * d - 1) * turns[d][:, 0] * 0 for d, r in zip(domain, rows)]
        )
        report = store.train_dispatch(
            queries.astype(np.float32), [{data.ids[r]: 1} for r in rows], groups=[f"g{d}" for d in domain]
        )
        assert report.queries == 120
        assert store.evaluate(queries, [{data.ids[r]: 1} for r in rows]).macro.queries == 120


def test_s1_adapter_survives_reopening(tmp_path: Path, rng: np.random.Generator) -> None:
    data = make_collection(rng, 60, DIMENSION)
    turn = rotation(rng)
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("text", DIMENSION)
        store.add_expert("turned", space="text", adapter=turn.T.copy(), cost=2.5)
        store.upsert(data.ids, data.vectors)
    with trivium.open(tmp_path / "kb", read_only=True) as store:
        assert store.search(turn @ data.vectors[3], k=1, experts=["turned"]).ids == ["d3"]
        assert store.inspect().experts[0].cost == 2.5


def test_s2_two_spaces_over_the_same_documents(tmp_path: Path, rng: np.random.Generator) -> None:
    """Either encoder reads one half of the documents well; its vectors of the other half are noise."""
    truth = make_collection(rng, 400, DIMENSION)
    odd = np.arange(400) % 2 == 1
    truth.vectors[odd, 1] += 5
    noise = make_collection(rng, 400, DIMENSION).vectors
    seen = {
        "first": np.where(odd[:, None], noise, truth.vectors),
        "second": np.where(odd[:, None], truth.vectors, noise),
    }
    with trivium.open(tmp_path / "kb") as store:
        for space in seen:
            store.add_space(space, DIMENSION)
            store.add_expert(space, space=space)
        store.upsert(truth.ids, seen, truth.texts)
        store.build()
        query = {"first": truth.vectors[4], "second": truth.vectors[4]}
        hits = store.search(query, k=5)
        assert hits.route.fusion == "rrf" and hits.trace.vector_sets == 2
        assert len(set(hits.ids)) == 5
        assert store.search(query, k=1, experts=["first"]).ids == ["d4"]
        assert store.search({"first": truth.vectors[4]}, k=1, experts=["first"]).ids == ["d4"]
        with pytest.raises(trivium.InvalidArgument, match="space"):
            store.search(truth.vectors[4])
        with pytest.raises(trivium.TriviumError, match="second"):
            store.search({"first": truth.vectors[4]}, experts=["second"])

        queries = {"first": truth.vectors[:160], "second": truth.vectors[:160]}
        qrels = [{id: 1} for id in truth.ids[:160]]
        groups = ["odd" if row % 2 else "even" for row in range(160)]
        report = store.train_dispatch(queries, qrels, groups=groups)
        rows = {row.name: row.ndcg_at_10 for row in report.rows}
        assert report.enabled and rows[report.router] > rows["all"]
        everything = store.evaluate(queries, qrels, groups=groups, experts="all").macro
        routed = store.evaluate(queries, qrels, groups=groups).macro
        assert routed.ndcg_at_10 > everything.ndcg_at_10 and routed.experts_per_query < 2
        assert store.search_batch(queries, k=3, experts="all").scores.shape == (160, 3)


def test_dispatch_survives_reopening(federated) -> None:
    store, queries, qrels, groups = federated
    store.train_dispatch(queries, qrels, groups=groups)
    expected = store.search(queries[5], explain=True)
    path = store.path
    store.close()
    with trivium.open(path) as again:
        hits = again.search(queries[5], explain=True)
        assert hits.ids == expected.ids and hits.route.chosen == expected.route.chosen
        np.testing.assert_allclose(
            [expert.probability for expert in hits.route.experts],
            [expert.probability for expert in expected.route.experts],
            rtol=1e-5,
        )


def test_a_filter_under_dispatch_still_leaves_k_hits(federated) -> None:
    store, queries, qrels, groups = federated
    store.train_dispatch(queries, qrels, groups=groups)
    assert store.inspect().dispatch.enabled
    marked = [f"d{number}" for number in range(20)]
    store.update_metadata(marked, [{"marked": True}] * 20, partition=DOMAINS[2])
    only_marked = {"field": "marked", "op": "exists", "value": True}
    for query in (queries[0], queries[70], queries[150]):
        hits = store.search(query, filter=only_marked)
        assert len(hits) == 10 and set(hits.partitions) == {DOMAINS[2]}
        assert len(store.search(query, k=50, filter=only_marked)) == 20


def test_s1_gate_compares_with_the_answer_an_untrained_store_gives(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """One expert reads queries plainly, one undoes a rotation; half the queries need each."""
    rotation = np.linalg.qr(rng.normal(size=(DIMENSION, DIMENSION)))[0].astype(np.float32)
    data = make_collection(rng, 300, DIMENSION)
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("text", DIMENSION)
        store.upsert(data.ids, data.vectors)
        store.add_expert("plain", space="text", partition="main")
        store.add_expert("turned", space="text", partition="main", adapter=rotation)
        rows = rng.permutation(300)[:200]
        queries = near(rng, data.vectors[rows], 0.1)
        queries[100:] = queries[100:] @ rotation + np.eye(DIMENSION, dtype=np.float32)[0] * 2
        queries[:100] -= np.eye(DIMENSION, dtype=np.float32)[0] * 2
        qrels = [{data.ids[row]: 1} for row in rows]
        report = store.train_dispatch(queries, qrels)
        plain = store.evaluate(queries, qrels, experts="all").macro
        everybody = next(row for row in report.rows if row.name == "all")
        assert everybody.ndcg_at_10 == pytest.approx(plain.ndcg_at_10, abs=0.02)
        if report.enabled:
            assert store.evaluate(queries, qrels).macro.ndcg_at_10 >= plain.ndcg_at_10 - 0.02


def test_static_best_asks_one_expert(federated) -> None:
    store, queries, qrels, groups = federated
    store.train_dispatch(queries, qrels, groups=groups)
    assert store.evaluate(queries, qrels, groups=groups, router="static_best").macro.experts_per_query == 1
