# SPDX-License-Identifier: Apache-2.0
"""What an evaluation compares, and the clean queries."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

import trivium
from support import letter_encoder, make_collection, unit

DIMENSION = 16
DOMAINS = ["law", "medicine", "physics"]


class Federated:
    """Three partitions with an expert each; 40 training and 20 test queries of each, half of which are twins."""

    def __init__(self, path: Path, rng: np.random.Generator) -> None:
        self.store = trivium.open(path)
        self.store.add_space("text", DIMENSION)
        self.train: tuple[list, list, list] = ([], [], [])
        self.test: tuple[list, list, list] = ([], [], [])
        for number, domain in enumerate(DOMAINS):
            data = make_collection(rng, 150, DIMENSION)
            data.vectors[:, number] += 1.5
            self.store.upsert(data.ids, data.vectors, partition=domain)
            self.store.add_expert(domain, space="text", partition=domain)
            rows = rng.choice(150, 60, replace=False)
            queries = data.vectors[rows] + 1.3 * rng.standard_normal((60, DIMENSION), dtype=np.float32)
            queries[40:50] = queries[:10] + 0.01  # twins of training queries; of other documents
            rows[50:55] = rows[10:15]  # the same documents as training queries have
            for split, chosen in ((self.train, slice(0, 40)), (self.test, slice(40, 60))):
                split[0].extend(queries[chosen])
                split[1].extend({(domain, data.ids[row]): 1} for row in rows[chosen])
                split[2].extend([domain] * len(rows[chosen]))
        self.store.train_dispatch(np.array(self.train[0]), self.train[1], groups=self.train[2])

    def evaluate(self, **options):
        queries, qrels, groups = self.test
        return self.store.evaluate(np.array(queries), qrels, groups=groups, **options)

    def clean(self) -> list[bool]:
        """As defined, slowly."""
        similar = unit(np.array(self.test[0])) @ unit(np.array(self.train[0])).T
        known = {document for grades in self.train[1] for document in grades}
        return [row.max() < 0.95 and known.isdisjoint(grades) for row, grades in zip(similar, self.test[1])]


@pytest.fixture
def federated(tmp_path: Path, rng: np.random.Generator):
    world = Federated(tmp_path / "kb", rng)
    with world.store:
        yield world


def test_rows_have_gains_with_intervals(federated: Federated) -> None:
    report = federated.evaluate(compare=True)
    for one in [*report.sets, report.macro]:
        rows = {row.name: row for row in one.compare}
        assert {"knn_utility", "auto", "all", "all_rrf", "domain_oracle", "instance_oracle"} <= set(rows)
        for row in one.compare:
            assert row.gain == pytest.approx(row.ndcg_at_10 - rows["all"].ndcg_at_10)
            assert row.gain_interval[0] <= row.gain + 1e-9 and row.gain - 1e-9 <= row.gain_interval[1]
            assert row.clean is None
        assert rows["all"].gain_interval == (0, 0)
        assert rows["instance_oracle"].ndcg_at_10 >= rows["domain_oracle"].ndcg_at_10 - 1e-9
        if rows["instance_oracle"].gain == 0:
            assert math.isnan(rows["auto"].oracle_share)  # there is nothing to have a share of
            continue
        assert rows["instance_oracle"].oracle_share == pytest.approx(1)
        share = rows["auto"].gain / rows["instance_oracle"].gain
        assert rows["auto"].oracle_share == pytest.approx(share)
    assert report.macro.compare[-1].gain > 0.01
    assert report.macro.compare[0].ndcg_at_10 == pytest.approx(
        np.mean([one.compare[0].ndcg_at_10 for one in report.sets])
    )


def test_the_interval_is_that_of_a_bootstrap_within_sets(federated: Federated) -> None:
    report = federated.evaluate(compare=True)
    position = [row.name for row in report.macro.compare].index("auto")
    everybody = [row.name for row in report.macro.compare].index("all")
    rng = np.random.default_rng(1)
    means = []
    for one in report.sets:
        differences = np.array([o.compared[position] - o.compared[everybody] for o in one.outcomes])
        draws = rng.integers(0, len(differences), (4000, len(differences)))
        means.append(differences[draws].mean(axis=1))
    low, high = np.percentile(np.mean(means, axis=0), [2.5, 97.5])
    row = report.macro.compare[position]
    assert row.gain_interval == pytest.approx((low, high), abs=0.012)


def test_the_row_auto_is_what_was_measured(federated: Federated) -> None:
    for options in ({}, {"router": "mean_pilot"}, {"router": "linear", "max_experts": 1}):
        report = federated.evaluate(compare=True, **options)
        row = next(row for row in report.macro.compare if row.name == "auto")
        assert row.ndcg_at_10 == pytest.approx(report.macro.ndcg_at_10)
        assert row.experts_per_query == pytest.approx(report.macro.experts_per_query)
    assert "auto" not in [row.name for row in federated.evaluate(compare=True, experts="all").macro.compare]
    named = federated.evaluate(compare=True, experts=["law", "physics"])
    row = next(row for row in named.macro.compare if row.name == "named")
    assert row.ndcg_at_10 == pytest.approx(named.macro.ndcg_at_10) and row.experts_per_query == 2


def test_budgets_are_what_a_search_with_them_answers(federated: Federated) -> None:
    report = federated.evaluate(compare=True)
    router = next(router for router in report.routers if router.name == "linear")
    rows = {row.name: row for row in router.budgets}
    assert list(rows) == ["max_experts=1", "max_experts=2", "max_experts=all", "top_p=0.5", "top_p=0.8", "top_p=0.9", "top_p=0.95"]  # fmt: skip
    for name, options in (
        ("max_experts=1", {"max_experts": 1, "top_p": 1.0}),
        ("max_experts=2", {"max_experts": 2, "top_p": 1.0}),
        ("top_p=0.8", {"max_experts": 3, "top_p": 0.8}),
    ):
        searched = federated.evaluate(router="linear", **options).macro
        assert rows[name].ndcg_at_10 == pytest.approx(searched.ndcg_at_10)
        assert rows[name].experts_per_query == pytest.approx(searched.experts_per_query)


def slow_area(points: list[tuple[float, float]], budget: float) -> float:
    """The best mixture of two points at each of many costs."""
    points = [(0.0, 0.0), *points]
    total = 0.0
    for cost in (np.arange(500) + 0.5) / 500 * budget:
        best = max(quality for c, quality in points if c <= cost)
        for a, qa in points:
            for b, qb in points:
                if a <= cost < b:
                    best = max(best, qa + (qb - qa) * (cost - a) / (b - a))
        total += best
    return total / 500


def test_aiq_is_the_area_under_the_hull(federated: Federated) -> None:
    report = federated.evaluate(compare=True)
    rows = {row.name: row for row in report.macro.compare}
    for router in report.routers:
        points = [rows[router.name], *router.budgets]
        for name, cost in (
            ("distances", "distance_computations_per_query"),
            ("experts", "experts_per_query"),
        ):
            expected = slow_area(
                [(getattr(row, cost), row.ndcg_at_10) for row in points], getattr(rows["all"], cost)
            )
            assert router.aiq[name] == pytest.approx(expected, abs=1e-3)


def test_calibration_and_first_experts(federated: Federated) -> None:
    report = federated.evaluate(compare=True)
    queries, qrels, groups = federated.test
    for router in report.routers:
        probabilities, holds = [], []
        for query, group in zip(queries, groups):
            route = federated.store.search(query, router=router.name, explain=True).route
            if route.router != router.name:
                continue
            first = next(expert for expert in route.experts if expert.expert == route.chosen[0])
            probabilities.append(first.probability)
            holds.append(first.expert == group)
        assert router.queries == len(holds)
        assert router.first_expert["holds_relevant"] == pytest.approx(np.mean(holds))
        order = np.argsort(probabilities, kind="stable")
        if len(set(probabilities)) == len(probabilities):  # without ties bins are easily told
            edges = [len(order) * bin // 15 for bin in range(16)]
            error = sum(
                abs(sum(probabilities[i] - holds[i] for i in order[a:b])) for a, b in zip(edges, edges[1:])
            )
            assert router.calibration_error["holds_relevant"] == pytest.approx(error / len(order), abs=1e-5)
        assert 0 <= router.calibration_error["best"] <= 1
        assert 0 < router.first_expert["best"] <= 1
        assert math.isnan(router.route_flips)  # vectors have no typos
    assert json.loads(json.dumps(report.to_dict()))["routers"][0]["route_flips"] is None


def test_clean_queries_share_nothing_with_training(federated: Federated) -> None:
    expected = federated.clean()
    assert 5 < sum(expected) <= 15 and len(expected) == 60
    plain = federated.evaluate()
    assert plain.macro.clean is None and plain.sets[0].outcomes[0].clean is None
    training = (np.array(federated.train[0]), federated.train[1], federated.train[2])
    report = federated.evaluate(training=training, compare=True)
    assert report.macro.ndcg_at_10 == plain.macro.ndcg_at_10
    outcomes = [outcome for one in report.sets for outcome in one.outcomes]
    assert [outcome.clean for outcome in outcomes] == expected
    for one in report.sets:
        clean = [outcome for outcome in one.outcomes if outcome.clean]
        assert one.clean.queries == len(clean) and one.clean.sets == int(bool(clean))
        for metric in ("ndcg_at_10", "recall_at_10", "recall_at_100", "mrr_at_10"):
            mean = np.mean([getattr(outcome, metric) for outcome in clean]) if clean else 0
            assert getattr(one.clean, metric) == pytest.approx(mean)
        for position, row in enumerate(one.compare):
            mean = np.mean([outcome.compared[position] for outcome in clean]) if clean else 0
            assert row.clean.ndcg_at_10 == pytest.approx(mean)
    with_clean = [one.clean for one in report.sets if one.clean.queries > 0]
    assert report.macro.clean.sets == len(with_clean)
    assert report.macro.clean.queries == sum(expected)
    assert report.macro.clean.ndcg_at_10 == pytest.approx(np.mean([one.ndcg_at_10 for one in with_clean]))
    rows = {row.name: row.clean for row in report.macro.compare}
    assert rows["auto"].gain == pytest.approx(rows["auto"].ndcg_at_10 - rows["all"].ndcg_at_10)
    assert rows["auto"].gain_interval[0] <= rows["auto"].gain <= rows["auto"].gain_interval[1]


def test_bad_training_queries_are_refused(federated: Federated) -> None:
    queries, qrels, groups = federated.train
    with pytest.raises(trivium.InvalidArgument, match="training: 1 items"):
        federated.evaluate(training=(queries,))
    with pytest.raises(trivium.InvalidArgument, match="training queries: vectors in no space"):
        federated.evaluate(training=(["a text"] * len(qrels), qrels))
    with pytest.raises(trivium.InvalidArgument, match="typos"):
        federated.evaluate(typos=-1)


def test_probabilities_are_those_of_the_experts(federated: Federated) -> None:
    report = federated.evaluate(router="linear")
    for query, outcome in zip(federated.test[0], (o for one in report.sets for o in one.outcomes)):
        route = federated.store.search(query, router="linear", explain=True).route
        by_name = {expert.expert: expert.probability for expert in route.experts}
        assert outcome.experts and len(outcome.experts) == len(outcome.probabilities)
        assert outcome.probabilities == pytest.approx([by_name[name] for name in outcome.experts])


def test_typos_flip_routes_of_encoded_texts(tmp_path: Path, rng: np.random.Generator) -> None:
    """Experts for texts of vowels and of consonants; an edit often adds a letter of the other kind."""
    letters = {"vowels": "aeiou", "consonants": "bcdfg"}

    def text(kind: str) -> str:
        return "".join(rng.choice(list(letters[kind]), 4))

    with trivium.open(tmp_path / "kb", encoders={"letters": letter_encoder}) as store:
        store.add_space("text", 27, encoder="letters")
        queries, qrels, groups = [], [], []
        for kind in letters:
            store.add_expert(kind, space="text", partition=kind)
            texts = [text(kind) for _ in range(60)]
            store.upsert([f"d{row}" for row in range(60)], texts=texts, partition=kind)
            queries += texts[:40]
            qrels += [{(kind, f"d{row}"): 1} for row in range(40)]
            groups += [kind] * 40
        store.train_dispatch(queries, qrels, groups=groups)
        once = store.evaluate(queries, qrels, groups=groups, compare=True)
        again = store.evaluate(queries, qrels, groups=groups, compare=True)
        flips = {router.name: router.route_flips for router in once.routers}
        assert flips == {router.name: router.route_flips for router in again.routers}
        assert flips["static_best"] == 0
        many = store.evaluate(queries, qrels, groups=groups, compare=True, typos=8)
        assert 0 <= flips["knn_utility"] < {r.name: r.route_flips for r in many.routers}["knn_utility"] <= 1
        none = store.evaluate(queries, qrels, groups=groups, compare=True, typos=0)
        assert all(math.isnan(router.route_flips) for router in none.routers)
        vectors = letter_encoder(queries, "query")
        given = store.evaluate(vectors, qrels, groups=groups, compare=True)
        assert all(math.isnan(router.route_flips) for router in given.routers)


def test_ranks_of_two_spaces_are_fused_as_deep_as_a_search_does(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    count, dimension = 300, 16
    with trivium.open(tmp_path / "kb") as store:
        rows = {space: rng.standard_normal((count, dimension)).astype(np.float32) for space in ("one", "two")}
        for space in rows:
            store.add_space(space, dimension)
            store.add_expert(space, space=space)
        store.upsert([f"d{i}" for i in range(count)], rows)
        queries = {
            space: vectors[:60] + 1.5 * rng.standard_normal((60, dimension), dtype=np.float32)
            for space, vectors in rows.items()
        }
        report = store.evaluate(queries, [{f"d{i}": 1} for i in range(60)], experts="all", compare=True)
        row = next(row for row in report.macro.compare if row.name == "all")
        assert 0.1 < report.macro.ndcg_at_10 < 0.99
        assert row.ndcg_at_10 == pytest.approx(report.macro.ndcg_at_10)
