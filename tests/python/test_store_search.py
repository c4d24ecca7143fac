# SPDX-License-Identifier: Apache-2.0
"""Searching: results against an exact reference, filters, routes, traces, batches, dtypes."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest

import trivium
from support import Collection, make_collection, nearest, unit


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("index", [None, "graph", "exact"])
def test_finds_what_the_exact_reference_finds(
    store: trivium.Store, collection: Collection, rng: np.random.Generator, built: bool, index: str | None
) -> None:
    if built:
        report = store.build()
        assert report.rows_sealed == 200
    for query in rng.standard_normal((5, 16), dtype=np.float32):
        hits = store.search(query, k=10, index=index)
        expected = nearest(collection.vectors, query, 10)
        assert hits.ids == [collection.ids[row] for row in expected]
        cosines = (unit(collection.vectors) @ unit(query))[expected]
        np.testing.assert_allclose([hit.similarity for hit in hits], cosines, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "inner_product", "squared_l2"])
def test_scores_are_larger_for_better_in_every_metric(
    tmp_path, rng: np.random.Generator, metric: str
) -> None:
    data = make_collection(rng, 50, 8)
    query = rng.standard_normal(8, dtype=np.float32)
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("s", 8, metric=metric)
        store.add_expert("e", "s")
        store.upsert(data.ids, data.vectors)
        hits = store.search(query, k=50, experts="all")
    figures = {
        "cosine": unit(data.vectors) @ unit(query),
        "inner_product": data.vectors @ query,
        "squared_l2": ((data.vectors - query) ** 2).sum(axis=1),
    }[metric]
    scores = -figures if metric == "squared_l2" else figures
    order = np.argsort(-scores, kind="stable")
    assert hits.ids == [data.ids[row] for row in order]
    assert np.all(np.diff(hits.scores) <= 0)
    np.testing.assert_allclose([hit.similarity for hit in hits], figures[order], rtol=1e-4, atol=1e-5)


def test_hits_are_a_sequence(store: trivium.Store) -> None:
    hits = store.search(np.ones(16, np.float32), k=5)
    assert isinstance(hits, Sequence) and len(hits) == 5
    assert [hit.id for hit in hits] == hits.ids
    assert hits[-1].id == hits.ids[4] and [hit.id for hit in hits[1:3]] == hits.ids[1:3]
    with pytest.raises(IndexError):
        hits[5]
    assert hits.partitions == ["main"] * 5
    assert hits.scores.dtype == np.float32 and hits.scores.shape == (5,)
    first = hits[0]
    assert first.text == f"text {first.id}" and first.metadata["row"] == int(first.id[1:])
    assert first.expert == "one"


def test_hit_outlives_its_hits(store: trivium.Store) -> None:
    hit = store.search(np.ones(16, np.float32), k=1)[0]
    assert hit.text == f"text {hit.id}"


def test_k_larger_than_the_store_gives_everything(store: trivium.Store) -> None:
    assert len(store.search(np.ones(16, np.float32), k=10_000)) == 200


def test_include_vectors_gives_the_vectors(store: trivium.Store, collection: Collection) -> None:
    hit = store.search(collection.vectors[4], k=1, include=["vectors"])[0]
    vector = hit.vectors["plain"]
    assert vector.dtype == np.float32
    np.testing.assert_allclose(unit(vector), unit(collection.vectors[4]), rtol=1e-5, atol=1e-6)
    assert store.search(collection.vectors[4], k=1)[0].vectors == {}


def test_documents_can_be_left_out(store: trivium.Store) -> None:
    hit = store.search(np.ones(16, np.float32), k=1, documents=False)[0]
    assert (hit.text, hit.metadata) == ("", {})


def test_route_and_trace_say_what_was_done(store: trivium.Store) -> None:
    store.add_expert("other", space="plain", partition="side")
    hits = store.search(np.ones(16, np.float32), experts=["one"], explain=True)
    assert hits.route.mode == "named" and hits.route.chosen == ["one"]
    assert {expert.expert for expert in hits.route.experts} >= {"one"}
    assert hits.trace.vector_sets == 1 and hits.trace.searches == 1
    assert (
        hits.trace.distance_computations
        == 200
        == sum(hits.trace.distances.get(kind, 0) for kind in ("graph", "scan"))
    )
    assert hits.trace.bytes_read == 200 * 64
    assert hits.trace.total_us > 0 and "search" in hits.trace.stages_us
    assert store.search(np.ones(16, np.float32), experts="all").route.mode == "all"
    assert store.search(np.ones(16, np.float32)).route.mode == "auto"


def test_trace_counts_hops_of_a_graph(store: trivium.Store) -> None:
    store.build()
    trace = store.search(np.ones(16, np.float32), index="graph", beam_width=32).trace
    assert trace.hops > 0 and trace.distances["graph"] > 0
    # A list of up to 32 neighbours with their count, in whole cache lines, and a row of 16 floats.
    assert trace.bytes_read == trace.hops * 192 + trace.distances["graph"] * 64


FILTERS = [
    ({"field": "tag", "op": "==", "value": "a"}, lambda m: m.get("tag") == "a"),
    ({"field": "tag", "op": "!=", "value": "a"}, lambda m: m.get("tag") != "a"),
    ({"field": "row", "op": "<", "value": 17}, lambda m: "row" in m and m["row"] < 17),
    ({"field": "row", "op": "<=", "value": 17}, lambda m: "row" in m and m["row"] <= 17),
    ({"field": "row", "op": ">", "value": 150}, lambda m: "row" in m and m["row"] > 150),
    ({"field": "row", "op": ">=", "value": 150.5}, lambda m: "row" in m and m["row"] >= 150.5),
    ({"field": "tag", "op": "in", "value": ["b", "c"]}, lambda m: m.get("tag") in ("b", "c")),
    ({"field": "tag", "op": "not_in", "value": ["b", "c"]}, lambda m: m.get("tag") not in ("b", "c")),
    ({"field": "tag", "op": "exists", "value": True}, lambda m: "tag" in m),
    ({"field": "tag", "op": "exists", "value": False}, lambda m: "tag" not in m),
    (
        {"and": [{"field": "even", "op": "==", "value": True}, {"field": "row", "op": "<", "value": 50}]},
        lambda m: m.get("even") is True and m.get("row", 99) < 50,
    ),
    (
        {"or": [{"field": "tag", "op": "==", "value": "a"}, {"field": "row", "op": ">", "value": 190}]},
        lambda m: m.get("tag") == "a" or m.get("row", 0) > 190,
    ),
    (
        {"not": {"field": "even", "op": "==", "value": True}},
        lambda m: m.get("even") is not True,
    ),
]


@pytest.mark.parametrize("index", [None, "graph", "exact"])
@pytest.mark.parametrize(
    ("condition", "passes"), FILTERS, ids=lambda value: json.dumps(value) if isinstance(value, dict) else ""
)
def test_filter_gives_exactly_what_passes(
    store: trivium.Store, collection: Collection, condition: dict, passes, index: str | None
) -> None:
    """A document without metadata is there too: a missing field matches only !=, not_in and exists: false."""
    store.build()
    store.upsert(["bare"], np.ones((1, 16), np.float32))
    metadata = dict(zip(collection.ids, collection.metadata), bare={})
    expected = {id for id, item in metadata.items() if passes(item)}
    assert store.count(condition) == len(expected)
    query = np.ones(16, np.float32)
    assert set(store.search(query, k=1000, filter=condition, index=index).ids) == expected
    some = store.search(query, k=5, filter=json.dumps(condition), index=index)
    assert len(some) == min(5, len(expected)) and set(some.ids) <= expected


def test_filter_never_leaves_fewer_than_k_where_k_pass(store: trivium.Store, collection: Collection) -> None:
    store.build()
    far = nearest(collection.vectors, -collection.vectors[0], 5)
    condition = {"field": "row", "op": "in", "value": far}
    hits = store.search(collection.vectors[0], k=5, filter=condition, index="graph")
    assert sorted(hits.ids) == sorted(collection.ids[row] for row in far)


def test_batch_is_aligned_with_single_searches(store: trivium.Store, rng: np.random.Generator) -> None:
    queries = rng.standard_normal((9, 16), dtype=np.float32)
    for threads in (1, 2, 0):
        batch = store.search_batch(queries, k=4, threads=threads)
        assert len(batch) == 9 and batch.k == 4
        assert batch.scores.shape == (9, 4) and batch.scores.dtype == np.float32
        for row, query in enumerate(queries):
            hits = store.search(query, k=4)
            assert batch.ids[row] == hits.ids and batch.partitions[row] == hits.partitions
            np.testing.assert_allclose(batch.scores[row], hits.scores, rtol=1e-6)


@pytest.mark.parametrize("profile", ["speed", "small"])
def test_batch_gives_what_single_searches_give(
    tmp_path, rng: np.random.Generator, profile: trivium.Profile
) -> None:
    """Walks that take turns, over segments with removed rows, with rows written later and in two spaces."""
    data, other = make_collection(rng, 1600, 64), make_collection(rng, 1600, 72)
    queries = {"a": rng.standard_normal((150, 64), dtype=np.float32)}
    queries["b"] = rng.standard_normal((150, 72), dtype=np.float32)
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("a", 64)
        store.add_space("b", 72, metric="squared_l2")
        for rows, partition in ((slice(0, 800), "p"), (slice(800, 1500), "q"), (slice(1500, 1600), "q")):
            vectors = {"a": data.vectors[rows], "b": other.vectors[rows]}
            store.upsert(data.ids[rows], vectors, metadata=data.metadata[rows], partition=partition)
            if rows.stop == 1500:
                store.build(profile=profile)
        store.delete(data.ids[::11])
        store.add_expert("p", space="a", partition="p")
        store.add_expert("both", space="a")
        store.add_expert("b", space="b")
        even = {"field": "even", "op": "==", "value": True}
        for options in (
            {},
            {"experts": "all", "k": 3},
            {"experts": ["p", "b"], "filter": even},
            {"experts": ["both"], "index": "graph", "beam_width": 24},
            {"experts": ["b", "both"], "index": "exact"},
        ):
            single = [
                store.search({"a": a, "b": b}, **options) for a, b in zip(*queries.values(), strict=True)
            ]
            for threads in (1, 3):
                batch = store.search_batch(queries, threads=threads, **options)
                assert batch.ids == [hits.ids for hits in single]
                assert batch.partitions == [hits.partitions for hits in single]
                np.testing.assert_array_equal(batch.scores, [hits.scores for hits in single])


def test_batch_raises_the_error_of_its_first_bad_query(tmp_path) -> None:
    def encode(texts: list[str], kind: str) -> np.ndarray:
        for text in texts:
            if "bad" in text:
                raise ValueError(text)
        return np.ones((len(texts), 4), np.float32)

    with trivium.open(tmp_path / "kb", encoders={"mine": encode}) as store:
        store.add_space("given", 4)
        store.add_space("encoded", 4, encoder="mine")
        store.upsert(["d"], {"given": np.ones((1, 4)), "encoded": np.ones((1, 4))})
        store.build()
        texts = [f"bad {row}" if row in (90, 140) else f"good {row}" for row in range(200)]
        for threads in (1, 3):
            with pytest.raises((trivium.TriviumError, ValueError), match="bad 90"):
                store.search_batch(texts, experts=["encoded"], threads=threads)


def test_batch_marks_missing_hits(store: trivium.Store) -> None:
    condition = {"field": "row", "op": "<", "value": 2}
    batch = store.search_batch(np.ones((3, 16), np.float32), k=4, filter=condition)
    assert [len(ids) for ids in batch.ids] == [2, 2, 2]
    assert np.all(np.isneginf(batch.scores[:, 2:])) and np.all(np.isfinite(batch.scores[:, :2]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_float_dtypes_and_orders_are_converted(
    store: trivium.Store, collection: Collection, dtype: object
) -> None:
    queries = collection.vectors[:6].astype(dtype)
    expected = [[id] for id in collection.ids[:6]]
    assert store.search_batch(queries, k=1).ids == expected
    assert store.search_batch(np.asfortranarray(queries), k=1).ids == expected
    assert store.search_batch(np.repeat(queries, 2, axis=1)[:, ::2], k=1).ids == expected
    assert store.search(queries[2], k=1).ids == ["d2"]
    assert store.search(queries[2:3], k=1).ids == ["d2"]
    assert store.search({"plain": queries[2]}, k=1).ids == ["d2"]
    assert store.search(collection.vectors[2].tolist(), k=1).ids == ["d2"]


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8, bool, object, complex, "U3"])
def test_other_dtypes_are_refused(store: trivium.Store, dtype: object) -> None:
    with pytest.raises(trivium.InvalidArgument, match="dtype .*, expected float32, float64 or float16"):
        store.search(np.ones(16).astype(dtype))
    with pytest.raises(trivium.InvalidArgument, match="vectors: dtype .*, expected float32"):
        store.upsert(["x"], np.ones((1, 16)).astype(dtype))


def test_timeout_is_a_deadline(store: trivium.Store) -> None:
    store.search(np.ones(16, np.float32), timeout=60)
    with pytest.raises(trivium.DeadlineExceeded):
        store.search(np.ones(16, np.float32), timeout=1e-9)
    with pytest.raises(TimeoutError):
        store.search_batch(np.ones((50, 16), np.float32), timeout=1e-9)


def test_a_bottomless_filter_is_refused(store) -> None:
    bottomless = '{"field":"a","op":"==","value":' + "[" * 200_000 + "]" * 200_000 + "}"
    with pytest.raises(trivium.InvalidArgument, match="filter depth"):
        store.count(bottomless)
