# SPDX-License-Identifier: Apache-2.0
"""Store.set_tree: trees that were made elsewhere."""

import asyncio

import numpy as np
import pytest

import trivium

DEPTH, DOCUMENTS = 6, 400
LEAVES = 2**DEPTH
RNG = np.random.default_rng(3)
CENTRES = RNG.standard_normal((8, LEAVES))


def distributions(n, sharpness):
    logits = sharpness * (CENTRES[np.arange(n) % 8] + 0.4 * RNG.standard_normal((n, LEAVES)))
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (exponentials / exponentials.sum(axis=1, keepdims=True)).astype(np.float32)


def shares(documents, query, level):
    nodes = documents.reshape(len(documents), 2**level, -1).sum(axis=2)
    return np.minimum(nodes, query.reshape(2**level, -1).sum(axis=1)).sum(axis=1)


@pytest.fixture(params=[0.3, 2.0, 8.0], ids=["soft", "between", "sharp"])
def made(request, tmp_path):
    """A store with a given tree, and its documents."""
    rows = distributions(DOCUMENTS, request.param)
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("leaves", LEAVES)
        store.upsert(
            [str(row) for row in range(DOCUMENTS)],
            {"leaves": rows},
            texts=[f"word{row % 8}" for row in range(DOCUMENTS)],
        )
        store.build()
        store.set_tree()
        yield store, rows, distributions(20, request.param)


def test_ranks_by_what_is_shared(made):
    store, rows, queries = made
    for query in queries:
        for level in range(1, DEPTH + 1):
            exact = shares(rows, query, level)
            hits = store.search(query, index="tree", level=level)
            found = exact[[int(hit.id) for hit in hits]]
            assert np.allclose(found, np.sort(exact)[::-1][:10], atol=0.05)
            assert np.allclose(hits.scores, found, atol=0.05)


def test_is_shown(made):
    store, rows, queries = made
    tree = store.inspect().spaces[0].tree
    assert tree.given and tree.enabled and (tree.depth, tree.documents) == (DEPTH, DOCUMENTS)
    assert tree.reason.startswith("given; bytes keep ") and tree.to_dict()["given"] is True
    told = store.inspect_tree(levels=DEPTH)
    assert [node.documents for node in told.nodes[LEAVES - 1 :]] == pytest.approx(rows.sum(axis=0), abs=1e-2)
    path = store.inspect_tree(question=rows[5], document="5").path
    assert len(path) == DEPTH + 1 and not any(step.left for step in path)
    assert path[-1].probability == pytest.approx(path[-1].document, abs=1e-5)


def test_refuses_what_is_below_zero(made):
    store, rows, _ = made
    wrong = rows[:2].copy()
    wrong[1, 7] = -0.5
    with pytest.raises(trivium.InvalidArgument, match=r"row 1, component 7: -0.5, expected 0 or more"):
        store.upsert(["a", "b"], {"leaves": wrong})
    assert store.count() == DOCUMENTS
    with pytest.raises(trivium.InvalidArgument, match=r"row 0, component 7: -0.5"):
        store.search(wrong[1])
    with pytest.raises(trivium.InvalidArgument, match=r"row 1, component 7: -0.5"):
        store.search_batch(wrong, index="tree")
    store.set_tree(None)
    store.upsert(["a", "b"], {"leaves": wrong})
    with pytest.raises(trivium.InvalidArgument, match="document 'b' of partition 'main', component 7: -"):
        store.set_tree("given", "leaves")


def test_is_taken_away_and_replaced(made):
    store, _, queries = made
    store.set_tree(None)
    assert store.inspect().spaces[0].tree is None
    with pytest.raises(trivium.FailedPrecondition, match="train it first"):
        store.search(queries[0], index="tree")
    with pytest.raises(trivium.NotFound, match="tree: none in space 'leaves'"):
        store.set_tree(None)
    asyncio.run(store.aset_tree(threads=1))
    with pytest.raises(trivium.FailedPrecondition, match="without a given tree"):
        store.train_tree()
    store.train_tree(space="leaves", depth=4, steps=10, ignore_gate=True)
    assert not store.inspect().spaces[0].tree.given
    store.verify()


def test_refusals(tmp_path):
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("leaves", 12)
        with pytest.raises(trivium.FailedPrecondition, match="dimension 12, expected a power of two"):
            store.set_tree()
        with pytest.raises(trivium.NotFound, match="absent"):
            store.set_tree(space="absent")
        with pytest.raises(trivium.InvalidArgument, match="tree: 'oak', expected 'given' or None"):
            store.set_tree("oak")


@pytest.mark.parametrize("sharpness", [0.3, 2.0, 8.0])
def test_texts_are_encoded_to_distributions(tmp_path, sharpness):
    """An encoder may make them; what it makes below zero is refused, also where it is remembered."""

    class Leaves:
        dimension, fingerprint = LEAVES, "leaves:1"

        def __call__(self, texts, kind):
            rows = distributions(len(texts), sharpness)
            return np.asarray([-row if text == "below" else row for text, row in zip(texts, rows)])

    with trivium.open(tmp_path / "kb", encoders={"leaves": Leaves()}) as store:
        store.add_space("leaves", LEAVES, encoder="leaves")
        store.upsert(["below"], texts=["below"])
        store.delete(["below"])
        store.upsert([str(i) for i in range(20)], texts=[f"text {i}" for i in range(20)])
        store.set_tree()
        assert len(store.search("a text", index="tree")) == 10
        with pytest.raises(trivium.InvalidArgument, match="expected 0 or more"):
            store.upsert(["below"], texts=["below"])
        with pytest.raises(trivium.InvalidArgument, match="expected 0 or more"):
            store.search("below", index="tree")
