# SPDX-License-Identifier: Apache-2.0
"""Store.train_tree, search(index="tree") and Store.inspect_tree."""

import asyncio

import numpy as np
import pytest

import trivium
from support import contents, unit

DIMENSION, DOCUMENTS, DEPTH = 16, 240, 5
QUICK = {"depth": DEPTH, "steps": 50, "threads": 1, "ignore_gate": True}
RNG = np.random.default_rng(5)
CENTRES = 3 * RNG.standard_normal((6, DIMENSION))
ROWS = (CENTRES[np.arange(DOCUMENTS) % 6] + RNG.standard_normal((DOCUMENTS, DIMENSION))).astype(np.float32)
QUERIES = (CENTRES[np.arange(30) % 6] + RNG.standard_normal((30, DIMENSION))).astype(np.float32)
WORDS = ("kidney", "court", "bread", "engine", "poem", "goal")


def fill(store):
    store.add_space("dense", DIMENSION)
    for half, partition in enumerate(("a", "b")):
        rows = range(half, DOCUMENTS, 2)
        store.upsert(
            [f"d{row}" for row in rows],
            {"dense": ROWS[half::2]},
            texts=[f"{WORDS[row % 6]} and {row}" for row in rows],
            partition=partition,
        )
    store.build()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Snapshot of a store with a tree, and the report."""
    folder = tmp_path_factory.mktemp("tree")
    with trivium.open(folder / "kb") as store:
        fill(store)
        report = store.train_tree(**QUICK)
        store.snapshot(folder / "copy")
    return folder / "copy", report


@pytest.fixture
def store(made, tmp_path):
    trivium.restore(made[0], tmp_path / "kb")
    with trivium.open(tmp_path / "kb") as opened:
        yield opened


def test_reports(made):
    report = made[1]
    assert isinstance(report, trivium.tree_reports.TrainTreeReport) and report.use == "representation"
    (space,) = report.spaces
    assert (space.space, space.documents, space.depth, space.queries) == ("dense", DOCUMENTS, DEPTH, 0)
    assert space.enabled and space.cells is None and space.levels[-1].level == DEPTH
    assert report.to_dict()["spaces"][0]["levels"][-1]["bytes_per_document"] == 64


def test_scores_are_shares_that_fall_with_the_level(store):
    for query in QUERIES[:5]:
        scores = [store.search(query, index="tree", level=level).scores for level in range(1, DEPTH + 1)]
        assert all(len(of_level) == 10 for of_level in scores)
        assert np.all(np.diff(np.asarray(scores), axis=0) <= 1e-2)  # rounding at each level
        assert np.all((np.asarray(scores) >= 0) & (np.asarray(scores) <= 1))
        deepest = store.search(query, index="tree")
        assert np.allclose(deepest.scores, scores[-1])
        assert [hit.similarity for hit in deepest] == [hit.score for hit in deepest]


def test_finds_the_neighbourhood(store):
    found = 0
    for query in QUERIES:
        near = np.argsort(-(unit(ROWS) @ unit(query)))[:40]
        found += sum(int(hit.id[1:]) in near for hit in store.search(query, index="tree"))
    assert found > 200  # of 300; by chance 50


def test_batches_and_evaluation(store):
    batch = store.search_batch(QUERIES, index="tree", level=4, threads=2)
    for query, ids in zip(QUERIES, batch.ids):
        assert store.search(query, index="tree", level=4).ids == ids
    qrels = [{hit.id: 1.0 for hit in store.search(query, index="exact")} for query in QUERIES]
    by_tree = store.evaluate(QUERIES, qrels, index="tree").macro
    by_level = store.evaluate(QUERIES, qrels, index="tree", level=1).macro
    assert by_tree.ndcg_at_10 > by_level.ndcg_at_10 > 0
    assert by_tree.distances["code"] >= by_level.distances["code"] > 0


def test_what_comes_and_goes(store):
    query = QUERIES[0]
    store.upsert(["twin"], {"dense": query[None]}, partition="b")
    assert store.search(query, index="tree").ids[0] == "twin"
    assert store.search(query, index="tree").scores[0] == pytest.approx(1, abs=1e-3)
    first = store.search(query, index="tree", filter={"field": "x", "op": "exists", "value": False})
    assert first.ids[0] == "twin"
    store.build()
    store.compact()
    assert store.search(query, index="tree").ids[0] == "twin"
    store.delete(["twin"])
    assert "twin" not in store.search(query, index="tree").ids
    store.verify()


def test_learns_from_queries_and_judgements(store):
    report = store.train_tree(QUERIES, **QUICK)
    assert report.spaces[0].queries > 0 and report.spaces[0].judged == 0
    qrels = [{f"d{row % 6}": 1.0} for row in range(len(QUERIES))]
    qrels[3] = {"absent": 1.0}
    report = store.train_tree({"dense": QUERIES}, qrels, seed=2, **QUICK)
    assert report.spaces[0].judged > 0 and report.unknown_judgements == 1
    assert store.inspect().spaces[0].tree.queries == report.spaces[0].queries


def test_inspect(store):
    (space,) = store.inspect().spaces
    assert space.tree.depth == DEPTH and space.tree.documents == DOCUMENTS and space.cells is None
    assert store.inspect().vector_sets[0].tree_bytes > 0
    tree = store.inspect_tree(levels=3)
    assert [node.node for node in tree.nodes] == list(range(1, 16)) and tree.path == []
    assert tree.nodes[0].greedy == DOCUMENTS and len(tree.nodes[1].typical) == 3
    assert any(term.term in WORDS for node in tree.nodes for term in node.terms)
    (node,) = store.inspect_tree(node=5, terms=1, typical=0).nodes
    assert node.node == 5 and len(node.terms) <= 1 and node.typical == []
    path = store.inspect_tree(question=ROWS[4], document="d4").path
    assert len(path) == DEPTH + 1 and not any(step.left for step in path)
    assert store.inspect_tree(question=ROWS[4]).path[0].document is None


def test_progress_and_cancelling(store):
    stages = []
    store.train_tree(progress=lambda stage, done, total: stages.append(stage), **QUICK)
    assert "steps" in stages and stages[-1] == "leaves"
    before = contents(store)
    answer = store.search(QUERIES[0], index="tree").ids

    def stop(stage, done, total):
        if stage == "leaves":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.train_tree(progress=stop, seed=7, **QUICK)
    assert contents(store) == before and store.search(QUERIES[0], index="tree").ids == answer


def test_async_twins(store):
    async def run():
        await store.atrain_tree(**QUICK)
        hits = await store.asearch(QUERIES[1], index="tree", level=3)
        return hits, await store.ainspect_tree(levels=1)

    hits, tree = asyncio.run(run())
    assert len(hits) == 10 and len(tree.nodes) == 3


def test_cells(store):
    asked = ROWS[:150] + RNG.standard_normal((150, DIMENSION)).astype(np.float32)
    report = store.train_tree(asked, use="partition", depth=3, threads=1)
    (space,) = report.spaces
    assert report.use == "partition" and space.enabled and space.levels == [] and space.depth == 3
    assert space.cells.cells == 8 and space.cells.routers[0].router == "centroids"
    query = QUERIES[2]
    assert store.search(query, index="cells", probes=8).ids == store.search(query, index="exact").ids
    assert len(store.search(query, index="cells", probes=1)) == 10
    assert (
        store.search_batch(QUERIES, index="cells", probes=8).ids
        == store.search_batch(QUERIES, index="exact").ids
    )
    assert store.inspect().spaces[0].cells.cells == 8
    with pytest.raises(trivium.InvalidArgument, match="probes: 9, expected 1 to 8"):
        store.search(query, index="cells", probes=9)
    with pytest.raises(trivium.InvalidArgument, match="without index cells"):
        store.search(query, probes=2)


def test_compaction_splits_cells_that_overflow(store):
    store.train_tree(use="partition", depth=3, threads=1)
    (quiet,) = store.compact().cells
    assert quiet.space == "dense" and quiet.overfull <= 0.1 and quiet.rebuilt == 0
    crowd = ROWS[0] + 0.3 * RNG.standard_normal((3000, DIMENSION)).astype(np.float32)
    store.upsert([f"crowd{row}" for row in range(len(crowd))], {"dense": crowd}, partition="a")
    (drift,) = store.compact().cells
    assert drift.overfull > 0.5 and drift.rebuilt >= 2
    (after,) = store.compact().cells
    assert after.overfull < drift.overfull
    for query in (QUERIES[0], crowd[5]):
        assert store.search(query, index="cells", probes=8).ids == store.search(query, index="exact").ids
    before = contents(store)
    store.close()
    with trivium.open(store.path, read_only=True) as again:
        assert contents(again) == before
        assert again.search(crowd[5], index="cells", probes=1).ids[0] == "crowd5"
        again.verify()


def test_refusals(store, tmp_path):
    def refused(error, call, *mentions):
        with pytest.raises(error) as raised:
            call()
        assert all(mention in str(raised.value) for mention in mentions), str(raised.value)

    query = QUERIES[0]
    refused(
        trivium.InvalidArgument,
        lambda: store.search(query, index="tree", level=9),
        "level: 9, expected 1 to 5",
    )
    refused(trivium.InvalidArgument, lambda: store.search(query, level=2), "without index tree")
    refused(trivium.InvalidArgument, lambda: store.search(query, index="tree", level=-1), "level")
    refused(trivium.InvalidArgument, lambda: store.search(query, index="oak"), "graph, exact, tree or cells")
    refused(trivium.FailedPrecondition, lambda: store.search(query, index="cells"), "train them first")
    refused(trivium.InvalidArgument, lambda: store.train_tree(use="shade"), "representation or partition")
    refused(trivium.InvalidArgument, lambda: store.train_tree(depth=13), "depth: 13")
    refused(trivium.NotFound, lambda: store.train_tree(space="absent"), "absent")
    refused(trivium.InvalidArgument, lambda: store.train_tree(QUERIES[:0]), "queries: 0")
    refused(TypeError, lambda: store.train_tree("a text"), "queries: a str")
    refused(TypeError, lambda: store.train_tree(qrels=[]), "qrels: given without queries")
    refused(trivium.InvalidArgument, lambda: store.train_tree(QUERIES, [{}]), "qrels: 1 entries, expected 30")
    refused(trivium.InvalidArgument, lambda: store.inspect_tree(node=64), "node: 64")
    refused(trivium.NotFound, lambda: store.inspect_tree(question=query, document="absent"), "absent")
    with trivium.open(tmp_path / "bare") as bare:
        fill(bare)
        refused(
            trivium.FailedPrecondition,
            lambda: bare.search(query, index="tree"),
            "index: tree, expected a trained tree in space 'dense'; train it first",
        )
        refused(trivium.FailedPrecondition, lambda: bare.inspect_tree(), "train it first")
