# SPDX-License-Identifier: Apache-2.0
"""Metrics against pytrec_eval, to 1e-6."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import trivium
from support import make_collection

pytrec_eval = pytest.importorskip("pytrec_eval")

MEASURES = {"ndcg_cut_10": "ndcg_at_10", "recall_10": "recall_at_10", "recall_100": "recall_at_100"}


def by_pytrec_eval(
    qrels: dict[str, dict[str, int]], ranked: dict[str, list[str]]
) -> dict[str, dict[str, float]]:
    """By query; zeros for those with judgements and no hits, which pytrec_eval leaves out."""
    run = {query: {id: -float(rank) for rank, id in enumerate(ids)} for query, ids in ranked.items() if ids}
    first = {query: {id: run[query][id] for id in ids[:10]} for query, ids in ranked.items() if ids}
    figures = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "recall.10,100"}).evaluate(run)
    reciprocal = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(first)
    return {
        query: {
            **{ours: figures.get(query, {}).get(theirs, 0.0) for theirs, ours in MEASURES.items()},
            "mrr_at_10": reciprocal.get(query, {}).get("recip_rank", 0.0),
        }
        for query in qrels
    }


def graded(rng: np.random.Generator, ids: list[str], count: int) -> list[dict[str, int]]:
    """Grades 0 to 3 of 1 to 15 documents a query, some of which no store holds; one of them above 0."""
    judged = []
    for _ in range(count):
        chosen = rng.choice(len(ids) + 20, size=rng.integers(1, 16), replace=False)
        grades = {ids[row] if row < len(ids) else f"missing{row}": int(rng.integers(0, 4)) for row in chosen}
        grades[next(iter(grades))] = int(rng.integers(1, 4))
        judged.append(grades)
    return judged


@pytest.mark.parametrize(
    "filter",
    [None, {"field": "tag", "op": "==", "value": "a"}, {"field": "no", "op": "exists", "value": True}],
)
def test_metrics_are_those_of_pytrec_eval(tmp_path: Path, rng: np.random.Generator, filter) -> None:
    """Graded qrels, ties (every third vector is that of its neighbour), missing documents, few hits and none."""
    data = make_collection(rng, 300, 12)
    data.vectors[1::3] = data.vectors[::3]
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("text", 12)
        store.upsert(data.ids, data.vectors, metadata=data.metadata)
        qrels = graded(rng, data.ids, 80)
        queries = rng.standard_normal((80, 12), dtype=np.float32)
        for query, grades in zip(queries[::2], qrels[::2]):  # half of them ask near a judged document
            query += 3 * next((data.vectors[data.ids.index(id)] for id in grades if id in data.ids), 0)
        names = [f"q{row}" for row in range(80)]
        groups = ["even" if row % 2 == 0 else "odd" for row in range(80)]
        report = store.evaluate(
            queries, qrels, groups=groups, query_ids=names, keep_runs=True, filter=filter, index="exact"
        )
        outcomes = {outcome.id: outcome for one in report.sets for outcome in one.outcomes}
        expected = by_pytrec_eval(
            dict(zip(names, qrels)), {name: outcome.ids for name, outcome in outcomes.items()}
        )
        assert set(outcomes) == set(names)
        if filter is None:
            assert sum(figures["ndcg_at_10"] > 0 for figures in expected.values()) > 40
        for name, figures in expected.items():
            for metric, value in figures.items():
                assert getattr(outcomes[name], metric) == pytest.approx(value, abs=1e-6), (name, metric)
        for metric in ("ndcg_at_10", "recall_at_10", "recall_at_100", "mrr_at_10"):
            means = [
                np.mean([expected[name][metric] for name, group in zip(names, groups) if group == one])
                for one in ("even", "odd")
            ]
            assert getattr(report.macro, metric) == pytest.approx(np.mean(means), abs=1e-6)
