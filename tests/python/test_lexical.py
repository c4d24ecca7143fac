# SPDX-License-Identifier: Apache-2.0
"""Lexical experts: scores against bm25s, and their life beside dense ones."""

from __future__ import annotations

import re
from pathlib import Path

import bm25s
import numpy as np
import pytest

import trivium

WORDS = [f"word{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(150)]


def make_texts(rng: np.random.Generator, count: int) -> list[str]:
    """Texts of 1 to 60 words, common and rare ones."""
    return [" ".join(WORDS[int(150 * u**3)] for u in rng.random(rng.integers(1, 60))) for _ in range(count)]


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("k1, b", [(0.9, 0.4), (1.5, 0.75)])
def test_scores_are_those_of_bm25s(
    tmp_path: Path, rng: np.random.Generator, built: bool, k1: float, b: float
) -> None:
    texts = make_texts(rng, 300)
    tokens = [re.findall(r"\w+", text) for text in texts]
    reference = bm25s.BM25(method="lucene", k1=k1, b=b)
    reference.index(tokens, show_progress=False)
    with trivium.open(tmp_path / "kb") as store:
        store.add_expert("words", kind="lexical", k1=k1, b=b)
        for part in range(3):
            rows = range(part * 100, part * 100 + 100)
            store.upsert([str(row) for row in rows], texts=[texts[row] for row in rows], partition=f"p{part}")
        if built:
            assert store.build().texts_sealed == 300
        for query in make_texts(rng, 20):
            words = query.split()
            scores = reference.get_scores(words)
            hits = store.search(query, k=50, experts=["words"])
            expected = np.sort(scores)[::-1][:50]
            np.testing.assert_allclose(hits.scores, expected[expected > 0], rtol=2e-4)
            np.testing.assert_allclose(hits.scores, scores[[int(id) for id in hits.ids]], rtol=2e-4)
            assert [hit.similarity for hit in hits] == list(hits.scores)


def test_is_searched_beside_vectors(store: trivium.Store, collection) -> None:
    store.add_expert("words", kind="lexical")
    query = {"plain": collection.vectors[3]}
    assert store.search(query, k=1).route.fusion == "single"  # no text, no words
    assert store.search("d7", k=1, experts=["words"]).ids == ["d7"]
    with pytest.raises(trivium.InvalidArgument, match="'words' is lexical"):
        store.search(collection.vectors[3], experts=["words"])
    batch = store.search_batch(["d7", "text d8"], k=1, experts=["words"])
    assert batch.ids == [["d7"], ["d8"]]


def test_says_what_it_is(store: trivium.Store) -> None:
    store.add_expert("words", partition="main", kind="lexical", k1=1.2, b=0.7)
    info = store.inspect()
    one, words = info.experts
    assert (one.kind, one.space, one.k1) == ("dense", "plain", None)
    assert (words.kind, words.space, words.partition, words.k1, words.b) == (
        "lexical",
        None,
        "main",
        1.2,
        0.7,
    )
    (texts,) = info.text_sets
    assert (texts.partition, texts.documents, texts.unsealed, texts.segments) == ("main", 200, 200, 0)
    store.build()
    (texts,) = store.inspect().text_sets
    assert (texts.documents, texts.unsealed, texts.segments) == (200, 0, 1) and texts.bytes > 0
    files = store.verify().files
    store.remove_expert("words")
    assert store.inspect().text_sets == [] and store.verify().files < files


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"kind": "sparse"}, "kind: 'sparse', expected dense or lexical"),
        ({"kind": "lexical", "space": "plain"}, "space: 'plain'"),
        ({"kind": "lexical", "adapter": np.eye(16, dtype=np.float32)}, "adapter"),
        ({"kind": "lexical", "k1": float("nan")}, "k1"),
        ({"kind": "lexical", "b": -0.1}, "b: -0.1, expected 0 to 1"),
        ({}, "space"),
    ],
)
def test_refuses_what_makes_no_sense(store: trivium.Store, arguments, message: str) -> None:
    with pytest.raises(trivium.InvalidArgument, match=re.escape(message)):
        store.add_expert("words", **arguments)
    with pytest.raises(trivium.InvalidArgument, match="fusion: 'sum', expected rrf or convex"):
        store.search(np.ones(16, np.float32), fusion="sum")
    with pytest.raises(trivium.InvalidArgument, match="lexical_weight: 2, expected 0 to 1"):
        store.search(np.ones(16, np.float32), lexical_weight=2)


def test_dispatch_learns_when_words_answer_best(tmp_path: Path, rng: np.random.Generator) -> None:
    """Vectors say the domain only; words tell its documents apart."""
    axes = np.eye(8, dtype=np.float32)[:2]
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("plane", 8)
        store.add_expert("vectors", "plane")
        store.add_expert("words", kind="lexical")
        near = np.repeat(axes, 50, axis=0) + 0.3 * rng.standard_normal((100, 8), dtype=np.float32)
        store.upsert([str(i) for i in range(100)], near, [f"common item{i}" for i in range(100)])
        store.build()
        vectors = {
            "plane": np.repeat(axes, 50, axis=0) + 0.1 * rng.standard_normal((100, 8), dtype=np.float32)
        }
        qrels = [{str(i): 1} for i in range(100)]
        report = store.train_dispatch(vectors, qrels)  # without texts nothing is known about the words
        assert report.queries == 100
        found = store.search("item7", k=1, experts=["words"])
        assert found.ids == ["7"]
        assert store.search(vectors["plane"][0], k=3).ids
