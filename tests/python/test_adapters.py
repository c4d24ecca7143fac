# SPDX-License-Identifier: Apache-2.0
"""Query adapters: learned, judged on queries held out, given, kept, and used only where they should be."""

from __future__ import annotations

import asyncio
import pathlib
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import trivium

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from misread_questions import (  # noqa: E402  (after its folder is on the path)
    DIMENSION,
    DOMAINS,
    MisreadQuestions,
)


@pytest.fixture(scope="module")
def data() -> MisreadQuestions:
    return MisreadQuestions()


def fill(store: trivium.Store, data: MisreadQuestions, experts: bool = True) -> None:
    store.add_space("text", DIMENSION)
    for domain in DOMAINS:
        store.upsert(data.ids[domain], data.documents[domain], partition=domain)
        if experts:
            store.add_expert(domain, space="text", partition=domain)


@pytest.fixture
def store(tmp_path: Path, data: MisreadQuestions) -> Iterator[trivium.Store]:
    """S3: a partition and an expert for each domain."""
    with trivium.open(tmp_path / "kb") as opened:
        fill(opened, data)
        yield opened


def test_every_expert_and_all_domains_learn_to_read(store: trivium.Store, data: MisreadQuestions) -> None:
    queries, qrels, groups = data.judged()
    report = store.train_adapter(queries, qrels, groups=groups, seed=2)
    assert [one.expert for one in report.adapters] == [*DOMAINS, None]
    for one in report.adapters:
        assert one.space == "text" and one.queries == (180 if one.expert is None else 90)
        assert one.enabled and one.gain_low > 0, one.reason
        assert one.gain == pytest.approx(one.adapted - one.plain)
        assert one.gain_low <= one.gain <= one.gain_high
        assert one.adapted > one.plain + 0.1 and one.steps > 0
    info = store.inspect()
    for expert in info.experts:
        assert expert.adapter is not None and expert.adapter.enabled and expert.adapter.queries == 90
    assert info.spaces[0].adapter is not None and info.spaces[0].adapter.queries == 180


def test_searches_use_adapters_where_they_should(store: trivium.Store, data: MisreadQuestions) -> None:
    queries, qrels, groups = data.judged()
    before = [store.search(query, experts="all") for query in queries[:20]]
    store.train_adapter(queries, qrels, groups=groups)

    def ndcg(**how: object) -> float:
        return store.evaluate(queries, qrels, groups=groups, **how).macro.ndcg_at_10  # type: ignore[arg-type]

    assert ndcg(experts="auto") > ndcg(experts="all") + 0.1
    assert ndcg(experts=list(DOMAINS)) > ndcg(experts="all") + 0.1
    assert ndcg(experts="auto", adapters=False) == ndcg(experts="all")
    assert ndcg(experts="all", adapters=True) == ndcg(experts="all")
    for query, hits in zip(queries, before):  # the untrained answer, to the last bit
        again = store.search(query, experts="all")
        assert again.ids == hits.ids and list(again.scores) == list(hits.scores)
        assert again.route.reading == "plain"
    assert store.search(queries[0]).route.reading == "adapted"
    assert store.search(queries[0], experts=["law"]).route.reading == "adapted"
    assert store.search(queries[0], experts=["law"], adapters=False).route.reading == "plain"
    # What a search reads is the matrix times the query.
    matrix = store.get_adapter("law")
    assert matrix is not None and matrix.shape == (DIMENSION, DIMENSION)
    by_hand = store.search(matrix @ queries[0], experts=["law"], adapters=False)
    assert store.search(queries[0], experts=["law"]).ids == by_hand.ids
    everywhere = store.get_adapter()
    assert everywhere is not None
    assert store.search(queries[0]).ids == store.search(everywhere @ queries[0], experts="all").ids
    batch = store.search_batch(queries[:20])
    assert batch.ids == [store.search(query).ids for query in queries[:20]]


def test_adapters_survive_reopening_and_a_snapshot(
    tmp_path: Path, store: trivium.Store, data: MisreadQuestions
) -> None:
    queries, qrels, groups = data.judged()
    store.train_adapter(queries, qrels, groups=groups)
    matrix, hits = store.get_adapter("medicine"), store.search(queries[100]).ids
    store.snapshot(tmp_path / "copy")
    store.verify()
    store.close()
    for path in ("kb", "copy"):
        with trivium.open(tmp_path / path, read_only=True) as again:
            assert np.array_equal(again.get_adapter("medicine"), matrix)
            assert again.search(queries[100]).ids == hits
            assert again.inspect().experts[1].adapter.enabled


def test_what_does_not_pay_is_kept_but_not_used(store: trivium.Store, data: MisreadQuestions) -> None:
    rng = np.random.default_rng(5)
    queries, qrels, groups = data.judged()
    noise = rng.standard_normal(queries.shape).astype(np.float32)
    report = store.train_adapter(noise, qrels, groups=groups)
    assert not any(one.enabled for one in report.adapters), [one.reason for one in report.adapters]
    assert store.search(noise[0]).route.reading == "plain"
    assert store.search(noise[0]).ids == store.search(noise[0], experts="all").ids
    assert store.search(noise[0], adapters=True).route.reading == "adapted"
    assert store.search(noise[0], experts=["law"], adapters=True).route.reading == "adapted"


def test_an_adapter_made_elsewhere_is_used_without_a_gate(
    store: trivium.Store, data: MisreadQuestions
) -> None:
    queries, qrels, groups = data.judged()
    store.set_adapter(data.turn, expert="law")
    store.set_adapter(data.turn)
    info = store.inspect()
    assert info.experts[0].adapter.queries == 0 and info.experts[0].adapter.enabled
    assert info.experts[1].adapter is None and info.spaces[0].adapter is not None
    row = data.rows["law"][0]
    assert store.search(queries[0], k=1, experts=["law"]).ids == [f"d{row}"]
    assert store.search(queries[0], k=1).ids == [f"d{row}"]
    assert np.array_equal(store.get_adapter(), data.turn)
    # Training leaves what was given to an expert alone, unless that expert is named.
    report = store.train_adapter(queries, qrels, groups=groups)
    assert [one.expert for one in report.adapters] == ["medicine", None]
    assert np.array_equal(store.get_adapter("law"), data.turn)
    assert [one.expert for one in store.train_adapter(queries, qrels, expert="law").adapters] == ["law"]
    assert not np.array_equal(store.get_adapter("law"), data.turn)
    store.set_adapter(None, expert="law")
    assert store.get_adapter("law") is None and store.inspect().experts[0].adapter is None
    with pytest.raises(trivium.NotFound, match="adapter: none"):
        store.set_adapter(None, expert="law")


def test_experts_over_one_partition_learn_from_the_group_of_their_name(
    tmp_path: Path, data: MisreadQuestions
) -> None:
    """S1: the experts differ by adapter alone."""
    with trivium.open(tmp_path / "kb") as store:
        fill(store, data, experts=False)
        for domain in DOMAINS:
            store.add_expert(domain, space="text")
        store.add_expert("nobody", space="text")
        queries, qrels, groups = data.judged()
        report = store.train_adapter(queries, qrels, groups=groups, rank=4)
        learned = {one.expert: one.queries for one in report.adapters}
        assert learned == {"law": 90, "medicine": 90, "nobody": 0, None: 180}
        nobody = next(one for one in report.adapters if one.expert == "nobody")
        assert "judged queries: 0, expected at least 10" in nobody.reason and not nobody.enabled
        assert store.get_adapter("nobody") is None
        residual = store.get_adapter("law") - np.eye(DIMENSION, dtype=np.float32)
        assert np.linalg.matrix_rank(residual, tol=1e-4) == 4
        named = store.train_adapter(queries, qrels, groups=groups, expert="nobody")
        assert named.adapters[0].queries == 180


def test_dispatch_mixes_readings_that_did_not_learn_from_the_query(
    store: trivium.Store, data: MisreadQuestions
) -> None:
    queries, qrels, groups = data.judged()
    assert store.train_dispatch(queries, qrels, groups=groups, routers=["logistic"]).mixture is None
    trained = store.train_adapter(queries, qrels, groups=groups)
    report = store.train_dispatch(queries, qrels, groups=groups, routers=["logistic"])
    assert report.mixture is not None
    assert store.inspect().dispatch.mixture == report.mixture
    # What dispatch must beat is what "auto" would answer without it.
    everybody = next(row for row in report.rows if row.name == "all")
    plain = store.evaluate(queries, qrels, groups=groups, experts="all").macro
    assert everybody.ndcg_at_10 > plain.ndcg_at_10 + 0.1
    # Utilities are held out, as the figures of the adapters' own reports are.
    best = next(row for row in report.rows if row.name == "best_per_set").ndcg_at_10
    told = np.mean([one.adapted for one in trained.adapters if one.expert])
    assert best == pytest.approx(told, abs=0.02)
    hits = store.search(queries[0], router="logistic")
    assert hits.route.mode == "auto" and hits.route.reading == "mixed" and hits.trace.vector_sets <= 2
    assert store.search(queries[0], router="logistic", adapters=False).route.reading == "plain"


def test_mixed_readings_in_one_partition_cost_one_search(tmp_path: Path, data: MisreadQuestions) -> None:
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("text", DIMENSION)
        for domain in DOMAINS:
            store.upsert([f"{domain}/{one}" for one in data.ids[domain]], data.documents[domain])
            store.add_expert(domain, space="text")
        queries, qrels, groups = data.judged()
        named = [{f"{partition}/{one}": 1 for partition, one in each} for each in qrels]
        store.train_adapter(queries, named, groups=groups)
        report = store.train_dispatch(queries, named, groups=groups, routers=["logistic"])
        assert report.mixture is not None
        answer = store.evaluate(queries, named, groups=groups, router="logistic")
        assert answer.macro.experts_per_query == 1 and answer.macro.searches_per_query == 1
        plain = store.evaluate(queries, named, groups=groups, experts="all").macro
        assert answer.macro.ndcg_at_10 > plain.ndcg_at_10 + 0.1


def test_async_twin_and_progress(store: trivium.Store, data: MisreadQuestions) -> None:
    queries, qrels, _ = data.judged(["law"])
    stages: list[str] = []
    report = asyncio.run(
        store.atrain_adapter(
            queries, qrels, expert="law", progress=lambda stage, done, total: stages.append(stage)
        )
    )
    assert report.adapters[0].enabled and {"mine", "train"} <= set(stages)


def test_what_progress_raises_stops_training_and_changes_nothing(
    store: trivium.Store, data: MisreadQuestions
) -> None:
    queries, qrels, _ = data.judged()

    def stop(stage: str, done: int, total: int) -> None:
        raise KeyError("enough")

    with pytest.raises(KeyError):
        store.train_adapter(queries, qrels, progress=stop)
    assert store.get_adapter() is None and store.get_adapter("law") is None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s, d: s.train_adapter(*d.judged()[:2], expert="x"), trivium.NotFound, "expert: 'x'"),
        (lambda s, d: s.train_adapter(*d.judged()[:2], rank=17), trivium.InvalidArgument, "rank: 17, expected 0 to 16"),
        (lambda s, d: s.train_adapter(["a text"], [{"d0": 1}]), trivium.FailedPrecondition, "no space of the cosine"),
        (lambda s, d: s.train_adapter(np.ones((1, 3), np.float32), [{("law", "d0"): 1}]), trivium.InvalidArgument, "dimension: 3"),
        (lambda s, d: s.set_adapter(np.eye(3, dtype=np.float32)), trivium.InvalidArgument, "adapter: 9 values, expected 256"),
        (lambda s, d: s.set_adapter(np.full((16, 16), np.nan, np.float32)), trivium.InvalidArgument, "not finite"),
        (lambda s, d: s.set_adapter(d.turn, expert="x"), trivium.NotFound, "expert: 'x'"),
        (lambda s, d: s.get_adapter(space="x"), trivium.NotFound, "space: 'x'"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_and_changes_nothing(
    store: trivium.Store, data: MisreadQuestions, call: object, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        call(store, data)  # type: ignore[operator]
    assert store.get_adapter() is None


def test_spaces_of_other_metrics_are_refused(tmp_path: Path, data: MisreadQuestions) -> None:
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("text", DIMENSION, metric="inner_product")
        store.upsert(data.ids["law"], data.documents["law"], partition="law")
        with pytest.raises(trivium.FailedPrecondition, match="cosine"):
            store.train_adapter(*data.judged(["law"])[:2])
