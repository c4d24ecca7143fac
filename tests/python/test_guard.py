# SPDX-License-Identifier: Apache-2.0
"""The guard: queries that no expert serves are told from others, and answered as the caller wishes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import trivium
from support import letter_encoder, make_collection, unit

DIMENSION = 16
DOMAINS = ["law", "medicine", "physics"]


def near(rng: np.random.Generator, vectors: np.ndarray) -> np.ndarray:
    return vectors + 0.3 * rng.standard_normal(vectors.shape, dtype=np.float32)


def outside(rng: np.random.Generator, count: int) -> np.ndarray:
    """Away from all domains, which lie along the first axes."""
    vectors = rng.standard_normal((count, DIMENSION), dtype=np.float32)
    vectors[:, 8] += 5
    return vectors


@pytest.fixture
def world(tmp_path: Path, rng: np.random.Generator):
    """A partition and an expert for each domain, and judged queries."""
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("text", DIMENSION)
        queries, qrels, groups = [], [], []
        for number, domain in enumerate(DOMAINS):
            data = make_collection(rng, 120, DIMENSION)
            data.vectors[:, number] += 5
            store.upsert(data.ids, data.vectors, data.texts, partition=domain)
            store.add_expert(domain, space="text", partition=domain)
            rows = rng.choice(120, 60, replace=False)
            queries.append(near(rng, data.vectors[rows]))
            qrels += [{(domain, data.ids[row]): 1} for row in rows]
            groups += [domain] * 60
        yield store, np.concatenate(queries), qrels, groups


def files(store: trivium.Store) -> set[str]:
    return {path.name for path in (Path(store.path) / "segments").glob("*.pilots")}


def test_training_with_background_reports_a_guard(world, rng: np.random.Generator) -> None:
    store, queries, qrels, groups = world
    report = store.train_dispatch(queries, qrels, groups=groups, background=outside(rng, 90))
    guard = report.guard
    assert guard is not None and guard.enabled and guard.reason
    assert (guard.queries, guard.background) == (180, 90)
    assert guard.acceptance >= 0.95 and guard.rejection > 0.8
    assert 0.5 < guard.auroc_interval[0] <= guard.auroc <= guard.auroc_interval[1] <= 1
    assert report.to_dict()["guard"]["threshold"] == guard.threshold
    seen = store.inspect().dispatch.guard
    assert seen is not None and seen.to_dict() == guard.to_dict()


def test_a_query_out_of_domain_is_rejected(world, rng: np.random.Generator) -> None:
    store, queries, qrels, groups = world
    assert store.search(queries[0]).route.in_domain is None
    store.train_dispatch(queries, qrels, groups=groups, background=outside(rng, 90))
    threshold = store.inspect().dispatch.guard.threshold
    accepted = [store.search(query).route for query in queries]
    assert np.mean([route.rejected for route in accepted]) < 0.1
    routes = [store.search(query).route for query in outside(rng, 50)]
    assert np.mean([route.rejected for route in routes]) > 0.8
    for route in accepted + routes:
        assert route.mode == "auto" and 0 <= route.in_domain <= 1
        assert route.rejected == (route.in_domain < threshold)


def test_on_reject_says_what_is_answered(world, rng: np.random.Generator) -> None:
    store, queries, qrels, groups = world
    store.set_adapter(np.eye(DIMENSION, dtype=np.float32)[::-1].copy())  # of all domains: another answer
    store.train_dispatch(queries, qrels, groups=groups, background=outside(rng, 90))
    query = next(query for query in outside(rng, 50) if store.search(query).route.rejected)
    everybody = store.search(query)
    assert set(everybody.route.chosen) == set(DOMAINS) and everybody.route.reading == "adapted"
    assert len(everybody) == 10 and everybody.route.router == ""
    plain = store.search(query, on_reject="plain")
    assert plain.route.rejected and plain.route.reading == "plain"
    assert plain.ids == store.search(query, experts="all").ids != everybody.ids
    nothing = store.search(query, on_reject="nothing", explain=True)
    assert nothing.ids == [] and nothing.route.rejected and nothing.route.chosen == []
    assert nothing.route.fusion == "none" and nothing.trace.searches == 0
    assert {expert.reason for expert in nothing.route.experts} == {"query rejected"}
    served = next(query for query in queries if not store.search(query).route.rejected)
    assert len(store.search(served, on_reject="nothing")) == 10
    with pytest.raises(trivium.InvalidArgument, match="on_reject: 'none', expected all, plain or nothing"):
        store.search(query, on_reject="none")


def test_evaluation_counts_queries_that_need_no_retrieval(world, rng: np.random.Generator) -> None:
    store, queries, qrels, groups = world
    store.train_dispatch(queries, qrels, groups=groups, background=outside(rng, 90))
    needless = outside(rng, 30)
    rejected = sum(store.search(query).route.rejected for query in needless)
    mine = sum(store.search(query).route.rejected for query in queries)
    every, grades = np.concatenate([queries, needless]), qrels + [{}] * 30
    report = store.evaluate(every, grades, groups=groups + ["null"] * 30, on_reject="nothing")
    null = report.sets[-1]
    assert (null.name, null.queries, null.skipped_queries) == ("null", 0, 30)
    assert null.skipped_rejected_queries == rejected > 20
    assert (report.macro.rejected_queries, report.macro.skipped_rejected_queries) == (mine, rejected)
    assert report.macro.queries == 180 and report["macro"]["skipped_rejected_queries"] == rejected
    unguarded = store.evaluate(every, grades, experts="all")
    assert (unguarded.macro.rejected_queries, unguarded.macro.skipped_rejected_queries) == (0, 0)


def test_named_experts_and_all_are_not_guarded(world, rng: np.random.Generator) -> None:
    store, queries, qrels, groups = world
    store.train_dispatch(queries, qrels, groups=groups, background=outside(rng, 90))
    for query in outside(rng, 20):
        for experts in ("all", ["law"]):
            hits = store.search(query, experts=experts, on_reject="nothing")
            assert len(hits) == 10 and not hits.route.rejected and hits.route.in_domain is None


def test_a_batch_is_guarded_as_single_queries_are(world, rng: np.random.Generator) -> None:
    store, queries, qrels, groups = world
    store.train_dispatch(queries, qrels, groups=groups, background=outside(rng, 90))
    store.build()
    mixed = np.concatenate([outside(rng, 40), queries[::5]])
    only_odd = {"field": "absent", "op": "exists", "value": False}
    for options in ({"on_reject": "nothing"}, {"on_reject": "plain"}, {"filter": only_odd}):
        batch = store.search_batch(mixed, **options)
        assert batch.ids == [store.search(query, **options).ids for query in mixed]
    assert any(ids == [] for ids in store.search_batch(mixed, on_reject="nothing").ids)


def test_a_guard_that_tells_nothing_apart_rejects_nothing(world, rng: np.random.Generator) -> None:
    store, queries, qrels, groups = world
    report = store.train_dispatch(queries[::2], qrels[::2], groups=groups[::2], background=queries[1::2])
    assert report.guard is not None and not report.guard.enabled
    assert "nothing is rejected" in report.guard.reason
    hits = store.search(outside(rng, 1)[0], on_reject="nothing")
    assert len(hits) == 10 and not hits.route.rejected and hits.route.in_domain is None


def test_the_acceptance_can_be_declared(world, rng: np.random.Generator) -> None:
    store, queries, qrels, groups = world
    background = (
        outside(rng, 90) + np.eye(DIMENSION, dtype=np.float32)[0] * 4
    )  # harder: near the first domain

    def guard(acceptance: float):
        return store.train_dispatch(
            queries,
            qrels,
            groups=groups,
            background=background,
            guard_acceptance=acceptance,
            routers=["static_best"],
        ).guard

    wide, narrow, best = guard(0.99), guard(0.6), guard(0)
    assert wide.acceptance >= 0.99 and 0.6 <= narrow.acceptance <= 0.61
    assert wide.rejection <= narrow.rejection

    def mean(one):
        return 2 * one.acceptance * one.rejection / (one.acceptance + one.rejection)

    assert mean(best) >= max(mean(wide), mean(narrow))


def test_a_guard_survives_reopening_and_a_snapshot(world, rng: np.random.Generator, tmp_path: Path) -> None:
    store, queries, qrels, groups = world
    store.train_dispatch(queries, qrels, groups=groups, background=outside(rng, 90))
    mixed = np.concatenate([outside(rng, 10), queries[::20]])
    expected = [store.search(query).route.in_domain for query in mixed]
    store.verify()
    store.snapshot(tmp_path / "copy")
    path = store.path
    store.close()
    for place in (path, tmp_path / "copy"):
        with trivium.open(place, read_only=True) as again:
            assert [again.search(query).route.in_domain for query in mixed] == expected


def test_a_missing_guard_file_is_damage(world, rng: np.random.Generator) -> None:
    store, queries, qrels, groups = world
    store.train_dispatch(queries, qrels, groups=groups)
    before = files(store)
    store.train_dispatch(queries, qrels, groups=groups, background=outside(rng, 90))
    assert not files(store) & before and len(files(store)) == len(before) + 2
    path = store.path
    store.close()
    sorted((Path(path) / "segments").glob("*.pilots"))[-1].unlink()
    with pytest.raises(trivium.TriviumError):
        trivium.open(path)


def test_training_again_without_background_takes_the_guard_away(world, rng: np.random.Generator) -> None:
    store, queries, qrels, groups = world
    store.train_dispatch(queries, qrels, groups=groups)
    expected = len(files(store))
    store.train_dispatch(queries, qrels, groups=groups, background=outside(rng, 90))
    report = store.train_dispatch(queries, qrels, groups=groups)
    assert report.guard is None and store.inspect().dispatch.guard is None
    assert len(files(store)) == expected
    assert store.search(outside(rng, 1)[0], on_reject="nothing").route.in_domain is None


def test_background_may_be_texts(tmp_path: Path, rng: np.random.Generator) -> None:
    def words(letters: str, count: int) -> list[str]:
        return ["".join(rng.choice(list(letters), 12)) for _ in range(count)]

    with trivium.open(tmp_path / "kb", encoders={"letters": letter_encoder}) as store:
        store.add_space("text", 27, encoder="letters")
        texts, qrels = [], []
        for domain, letters in (("vowels", "aeiou"), ("early", "bcdf")):
            documents = words(letters, 40)
            store.upsert([f"{domain}{i}" for i in range(40)], texts=documents, partition=domain)
            store.add_expert(domain, space="text", partition=domain)
            texts += [text[::-1] for text in documents]
            qrels += [{(domain, f"{domain}{i}"): 1} for i in range(40)]
        report = store.train_dispatch(texts, qrels, background=words("wxyz", 40))
        assert report.guard.enabled
        assert store.search("zyzyxwwz", on_reject="nothing").ids == []
        assert len(store.search("aeaeiouu", on_reject="nothing")) == 10


@pytest.mark.parametrize("metric", ["inner_product", "squared_l2"])
def test_other_metrics_are_guarded_by_direction(
    tmp_path: Path, rng: np.random.Generator, metric: str
) -> None:
    data = make_collection(rng, 100, DIMENSION, centre=5)
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("text", DIMENSION, metric=metric)
        store.upsert(data.ids, data.vectors)
        store.add_expert("only", space="text", partition="main")
        report = store.train_dispatch(
            near(rng, data.vectors[:60]), [{id: 1} for id in data.ids[:60]], background=7 * outside(rng, 60)
        )
        assert report.guard.enabled
        for query in unit(near(rng, data.vectors[60:70])):
            scores = [store.search(scale * query).route.in_domain for scale in (0.5, 3)]
            assert scores[0] == pytest.approx(scores[1], abs=1e-4)


def test_bad_background_is_refused_and_changes_nothing(world, rng: np.random.Generator) -> None:
    store, queries, qrels, groups = world
    store.train_dispatch(queries, qrels, groups=groups, background=outside(rng, 90))
    before = store.inspect().dispatch.to_dict(), files(store)
    bad = outside(rng, 20)
    bad[3] = 0
    for background, mention in (
        (outside(rng, 9), "9 background queries, expected at least 10"),
        (outside(rng, 0), "background: 0 queries"),
        ([], "background: 0 queries"),
        (bad, "row 3"),
        (outside(rng, 20)[:, :8], "dimension"),
        (["a text"] * 20, "no common space"),
    ):
        with pytest.raises(trivium.InvalidArgument, match=mention):
            store.train_dispatch(queries, qrels, groups=groups, background=background)
    with pytest.raises(trivium.InvalidArgument, match="guard acceptance: 1.5"):
        store.train_dispatch(queries, qrels, groups=groups, background=outside(rng, 20), guard_acceptance=1.5)
    with pytest.raises(TypeError, match="background: a str"):
        store.train_dispatch(queries, qrels, groups=groups, background="text")
    assert (store.inspect().dispatch.to_dict(), files(store)) == before
