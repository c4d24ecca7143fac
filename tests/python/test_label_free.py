# SPDX-License-Identifier: Apache-2.0
"""Dispatch from what experts hold, how they are described and how much they agree, with and without labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import trivium
from support import letter_encoder, make_collection

DIMENSION = 27
DOMAINS = {"zoo": "zebras zzz", "bakery": "bread bbb", "kitchen": "kk cooking"}


def fill(store: trivium.Store, rng: np.random.Generator, descriptions: bool = True) -> None:
    """A partition and an expert for each domain, whose texts are mostly one letter each."""
    store.add_space("words", DIMENSION, encoder="letters")
    for domain, description in DOMAINS.items():
        letter = description.split()[0][0]
        texts = [letter * int(rng.integers(3, 9)) + " " + "aeiou"[int(rng.integers(5))] for _ in range(60)]
        vectors = letter_encoder(texts, "document") + 0.2 * rng.random((60, DIMENSION), dtype=np.float32)
        store.upsert([f"{domain}{row}" for row in range(60)], vectors, texts, partition=domain)
        store.add_expert(
            domain, space="words", partition=domain, description=description if descriptions else ""
        )


@pytest.fixture
def store(tmp_path: Path, rng: np.random.Generator):
    with trivium.open(tmp_path / "kb", encoders={"letters": letter_encoder}) as opened:
        fill(opened, rng)
        yield opened


def judged(rng: np.random.Generator):
    queries, qrels, groups = [], [], []
    for domain, description in DOMAINS.items():
        for row in range(20):
            letter = description[0]
            queries.append(letter_encoder([letter * 5 + "aeiou"[row % 5]], "query")[0])
            qrels.append({(domain, f"{domain}{row}"): 1})
            groups.append(domain)
    return np.array(queries), qrels, groups


def test_nothing_judged_teaches_two_routers_and_changes_no_default(store: trivium.Store) -> None:
    report = store.train_dispatch(label_free=True)
    assert report.queries == 0 and report.rows == [] and report.router == "moments"
    assert not report.enabled and "without judged queries" in report.reason
    dispatch = store.inspect().dispatch
    assert dispatch.trained and not dispatch.enabled and dispatch.pilots == 0
    assert len(store.search("zzzz").route.chosen) == 3  # the default still asks all
    for router in ("moments", "description"):
        for domain, description in DOMAINS.items():
            hits = store.search(description[0] * 4, router=router)
            assert hits.route.router == router and hits.route.chosen[0] == domain
    with pytest.raises(trivium.NotFound, match="router: 'linear'"):
        store.search("zzzz", router="linear")


def test_what_was_learned_is_there_after_opening_again(store: trivium.Store, tmp_path: Path) -> None:
    store.train_dispatch(label_free=True)
    routes = [store.search("bbbb", router=name, explain=True).route for name in ("moments", "description")]
    store.close()
    with trivium.open(tmp_path / "kb", encoders={"letters": letter_encoder}, read_only=True) as again:
        for route in routes:
            same = again.search("bbbb", router=route.router, explain=True).route
            assert [(e.expert, e.utility) for e in same.experts] == [
                (e.expert, e.utility) for e in route.experts
            ]


def test_judged_queries_compare_them_with_the_others(store: trivium.Store, rng: np.random.Generator) -> None:
    queries, qrels, groups = judged(rng)
    report = store.train_dispatch(queries, qrels, groups=groups)
    names = {row.name for row in report.rows}
    assert {"moments", "description", "cluster_table", "knn_utility"} <= names
    for router in names - {"all", "best_per_set", "best_per_query"}:
        assert store.search("zzzz", router=router).route.router in (router, "")  # "": it knew nothing


def test_a_new_expert_is_asked_until_trained_again_and_a_removed_one_changes_no_share(
    store: trivium.Store, rng: np.random.Generator
) -> None:
    store.train_dispatch(label_free=True)
    before = {e.expert: e.utility for e in store.search("bbbb", router="moments", explain=True).route.experts}
    data = make_collection(rng, 5, DIMENSION)
    store.upsert(data.ids, data.vectors, data.texts, partition="new")
    store.add_expert("new", space="words", partition="new", description="qqq")
    hits = store.search("bbbb", router="moments", explain=True)
    assert "new" in hits.route.chosen
    store.remove_expert("zoo")
    after = {e.expert: e.utility for e in store.search("bbbb", router="moments", explain=True).route.experts}
    assert after["bakery"] == before["bakery"] and after["kitchen"] == before["kitchen"]
    store.train_dispatch(label_free=True)
    assert store.search("qqqq", router="description").route.chosen[0] == "new"


def test_without_descriptions_or_encoder_there_is_no_description_router(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    with trivium.open(tmp_path / "silent", encoders={"letters": letter_encoder}) as store:
        fill(store, rng, descriptions=False)
        store.train_dispatch(label_free=True)
        with pytest.raises(trivium.NotFound, match="router: 'description'"):
            store.search("zzzz", router="description")
        with pytest.raises(trivium.InvalidArgument, match="no expert has an encoded description"):
            store.train_dispatch(label_free=True, routers=["description"])
    with trivium.open(tmp_path / "deaf") as store:
        fill(store, rng)
        queries, qrels, groups = judged(rng)
        names = {row.name for row in store.train_dispatch(queries, qrels, groups=groups).rows}
        assert "moments" in names and "description" not in names


def test_a_partition_tree_tells_who_holds_what(store: trivium.Store, rng: np.random.Generator) -> None:
    """Label-free and judged, sealed or not; without a tree it is left out, or refused by name."""
    queries, qrels, groups = judged(rng)
    with pytest.raises(trivium.InvalidArgument, match="router tree: .* train the tree first"):
        store.train_dispatch(label_free=True, routers=["tree"])
    with pytest.raises(trivium.InvalidArgument, match="train the tree first"):
        store.train_dispatch(queries, qrels, groups=groups, routers=["tree", "linear"])
    assert "tree" not in {row.name for row in store.train_dispatch(queries, qrels, groups=groups).rows}
    store.train_tree(use="partition", depth=5)
    utilities = []
    for build in (False, True):
        if build:
            store.build()
        report = store.train_dispatch(label_free=True)
        assert report.router == "tree" and not report.enabled
        for domain, description in DOMAINS.items():
            hits = store.search(description[0] * 4, router="tree", explain=True)
            assert hits.route.router == "tree" and hits.route.chosen[0] == domain
            utilities.append([expert.utility for expert in hits.route.experts])
            assert sum(utilities[-1]) == pytest.approx(1, abs=1e-5)
    assert np.allclose(utilities[:3], utilities[3:], atol=0.1)  # cells of few rows at a time are dealt anew
    report = store.train_dispatch(queries, qrels, groups=groups, routers=["tree", "static_best"])
    quality = {row.name: row.ndcg_at_10 for row in report.rows}
    assert quality["tree"] > quality["static_best"]
    assert report.router == "tree"
    assert store.search("zzzz", router="tree").route.chosen[0] == "zoo"


def test_a_tree_says_nothing_of_experts_that_share_their_documents(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    data = make_collection(rng, 80, DIMENSION)
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("words", DIMENSION)
        for name in ("one", "two"):
            store.add_expert(name, space="words")
        store.upsert(data.ids, data.vectors)
        store.train_tree(use="partition", depth=4)
        with pytest.raises(trivium.InvalidArgument, match="router tree: 2 experts, all of the same vectors"):
            store.train_dispatch(label_free=True, routers=["tree"])
        report = store.train_dispatch(data.vectors[:40], [{one: 1} for one in data.ids[:40]])
        assert "tree" not in {row.name for row in report.rows}
        store.upsert(["else"], data.vectors[:1], partition="other")
        store.add_expert("three", space="words", partition="other")
        store.train_dispatch(label_free=True, routers=["tree"])
        experts = store.search(data.vectors[0], router="tree", explain=True).route.experts
        utilities = {expert.expert: expert.utility for expert in experts}
        assert utilities["one"] == utilities["two"] > utilities["three"] > 0


def test_refuses_what_contradicts_itself(store: trivium.Store, rng: np.random.Generator) -> None:
    queries, qrels, _ = judged(rng)
    with pytest.raises(TypeError, match="queries, qrels: None"):
        store.train_dispatch()
    with pytest.raises(TypeError, match="queries, qrels: None"):
        store.train_dispatch(queries)
    with pytest.raises(TypeError, match="queries, qrels: None"):
        store.train_dispatch(qrels=qrels, label_free=True)
    with pytest.raises(trivium.InvalidArgument, match="queries: 0, expected at least one"):
        store.train_dispatch([], label_free=True)
    with pytest.raises(trivium.InvalidArgument, match="1 sets of judged queries"):
        store.train_dispatch(queries, qrels, label_free=True)
    with pytest.raises(trivium.InvalidArgument, match="background queries, expected none"):
        store.train_dispatch(label_free=True, background=queries)
    with pytest.raises(trivium.InvalidArgument, match="router linear"):
        store.train_dispatch(label_free=True, routers=["linear"])
    with pytest.raises(trivium.InvalidArgument, match="router: oracle"):
        store.train_dispatch(label_free=True, routers=["oracle"])
    assert not store.inspect().dispatch.trained


def shared(path: Path, rng: np.random.Generator):
    """Three readers of the same documents: two read them well, one reads everything as noise."""
    data = make_collection(rng, 80, DIMENSION)
    store = trivium.open(path)
    for name in ("good", "fine", "noise"):
        store.add_space(name, DIMENSION)
        store.add_expert(name, space=name)
    store.upsert(data.ids, {name: data.vectors for name in ("good", "fine", "noise")})
    rows = data.vectors + 0.1 * rng.standard_normal(data.vectors.shape, dtype=np.float32)
    queries = {"good": rows, "fine": rows + 0.2, "noise": rng.standard_normal(rows.shape, dtype=np.float32)}
    return store, queries, [{one: 1} for one in data.ids]


def test_unjudged_queries_teach_whose_answers_agree(tmp_path: Path, rng: np.random.Generator) -> None:
    store, queries, qrels = shared(tmp_path / "kb", rng)
    with store:
        report = store.train_dispatch(queries, label_free=True, routers=["agreement"])
        assert report.router == "agreement" and not report.enabled and report.queries == 0
        for row in range(0, 80, 9):
            question = {name: rows[row] for name, rows in queries.items()}
            hits = store.search(question, router="agreement", explain=True)
            assert set(hits.route.chosen) == {"good", "fine"}
            utilities = {expert.expert: expert.utility for expert in hits.route.experts}
            assert utilities["noise"] < min(utilities["good"], utilities["fine"])
        report = store.train_dispatch(queries, qrels)
        assert "agreement" in {row.name for row in report.rows}
        store.remove_expert("noise")  # two alone say nothing about each other
        with pytest.raises(trivium.InvalidArgument, match="router agreement: 0 queries"):
            store.train_dispatch(queries, label_free=True, routers=["agreement"])


def test_unjudged_queries_of_experts_without_common_documents_teach_the_other_routers(
    store: trivium.Store,
) -> None:
    report = store.train_dispatch(["zzz", "bbb"], label_free=True)
    assert report.router == "moments" and "router agreement: 0 queries" in report.reason
    with pytest.raises(trivium.NotFound, match="router: 'agreement'"):
        store.search("zzzz", router="agreement")


def test_no_vectors_of_anybody_is_a_failed_precondition(tmp_path: Path) -> None:
    with trivium.open(tmp_path / "empty") as store:
        store.add_space("words", DIMENSION)
        store.add_expert("one", space="words", partition="p")
        with pytest.raises(trivium.FailedPrecondition, match="expected"):
            store.train_dispatch(label_free=True)
