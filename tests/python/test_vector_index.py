# SPDX-License-Identifier: Apache-2.0
"""The index alone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

import trivium
from support import nearest, unit
from trivium.vector_index import NO_LABEL

ALGORITHMS = ["graph", "exact", "hnswlib", "faiss_flat", "faiss_ivf"]


@pytest.fixture
def vectors(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((500, 20), dtype=np.float32)


@pytest.fixture
def labels() -> np.ndarray:
    return np.arange(500, dtype=np.uint64) * 7 + 3


@pytest.fixture
def index(vectors: np.ndarray, labels: np.ndarray) -> trivium.VectorIndex:
    made = trivium.VectorIndex(dimension=20)
    made.add(labels, vectors)
    return made


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("metric", ["cosine", "inner_product", "squared_l2"])
def test_every_algorithm_finds_the_nearest(
    vectors: np.ndarray, labels: np.ndarray, rng: np.random.Generator, algorithm: str, metric: str
) -> None:
    index = trivium.VectorIndex(20, metric, algorithm)
    index.add(labels, vectors)
    assert (len(index), index.dimension, index.metric, index.algorithm) == (500, 20, metric, algorithm)
    queries = rng.standard_normal((10, 20), dtype=np.float32)
    shared = 0
    for query in queries:
        scores = {
            "cosine": unit(vectors) @ unit(query),
            "inner_product": vectors @ query,
            "squared_l2": -((vectors - query) ** 2).sum(axis=1),
        }[metric]
        order = np.argsort(-scores, kind="stable")[:10]
        exact = index.search(query, k=10, index="exact")
        assert exact.labels.tolist() == labels[order].tolist()
        np.testing.assert_allclose(exact.scores, scores[order], rtol=1e-4, atol=1e-5)
        found = index.search(query, k=10, beam_width=200)
        assert len(found) == 10 and found.distance_computations > 0
        shared += len(set(found.labels.tolist()) & set(exact.labels.tolist()))
    assert shared >= 95


def test_results_are_typed_arrays(index: trivium.VectorIndex, vectors: np.ndarray) -> None:
    one = index.search(vectors[4], k=3)
    assert (one.labels.dtype, one.labels.shape) == (np.uint64, (3,)) and one.labels[0] == 31
    assert (one.scores.dtype, one.scores.shape) == (np.float32, (3,))
    many = index.search_batch(vectors[:6], k=2, threads=2)
    assert many.labels.shape == many.scores.shape == (6, 2)
    assert many.labels[:, 0].tolist() == [3, 10, 17, 24, 31, 38]


def test_graph_is_walked_where_asked(rng: np.random.Generator) -> None:
    vectors = rng.standard_normal((3000, 20), dtype=np.float32)
    index = trivium.VectorIndex(20)
    index.add(np.arange(3000), vectors)
    walked = index.search_batch(vectors[:50], k=1, index="graph", beam_width=32)
    assert walked.hops > 0 and walked.distance_computations < 50 * 3000 / 2
    assert (walked.labels[:, 0] == np.arange(50)).mean() > 0.95
    # A row of 20 floats takes two cache lines, a list of up to 32 neighbours three.
    assert walked.bytes_read == walked.hops * 192 + walked.distance_computations * 128
    assert index.search(vectors[0], index="exact").bytes_read == 3000 * 128


def test_places_without_a_row_are_marked(index: trivium.VectorIndex, vectors: np.ndarray) -> None:
    few = index.search_batch(vectors[:2], k=4, filter=[3, 10])
    assert few.labels[:, 2:].tolist() == [[NO_LABEL] * 2] * 2 and np.all(np.isneginf(few.scores[:, 2:]))
    assert index.search(vectors[0], k=10_000).labels.shape == (500,)
    assert len(trivium.VectorIndex(20).search(vectors[0], k=5)) == 0


@pytest.mark.parametrize("choice", [None, "graph", "exact"])
def test_filters_give_min_of_k_and_allowed(
    index: trivium.VectorIndex, vectors: np.ndarray, labels: np.ndarray, choice: str | None
) -> None:
    far = labels[nearest(vectors, -vectors[0], 6)]
    mask = np.zeros(4000, dtype=bool)
    mask[far.astype(int)] = True
    made = index.filter(far)
    for allowed in (far, far.tolist(), mask, made):
        found = index.search(vectors[0], k=5, filter=allowed, index=choice)
        assert len(found) == 5 and set(found.labels.tolist()) <= set(far.tolist())
    assert len(index.search(vectors[0], k=5, filter=[1, 2])) == 0


def test_filter_of_an_older_index_is_refused(index: trivium.VectorIndex, vectors: np.ndarray) -> None:
    made = index.filter([3, 10])
    index.remove([17])
    with pytest.raises(trivium.FailedPrecondition):
        index.search(vectors[0], filter=made)


def test_add_remove_and_compact(index: trivium.VectorIndex, vectors: np.ndarray, labels: np.ndarray) -> None:
    assert 10 in index and 11 not in index and -1 not in index
    index.remove(labels[:100])
    assert len(index) == 400 and 10 not in index
    assert index.labels.tolist() == labels[100:].tolist()
    assert not set(index.search(vectors[0], k=400).labels.tolist()) & set(labels[:100].tolist())
    index.add([3, 2**64 - 2], vectors[:2])
    index.compact()
    assert len(index) == 402
    assert index.search(vectors[0], k=1).labels.tolist() == [3]
    assert index.search(vectors[1], k=1).labels.tolist() == [2**64 - 2]
    np.testing.assert_allclose(index.get(3), unit(vectors[0]), rtol=1e-5, atol=1e-6)


def test_save_and_load(index: trivium.VectorIndex, vectors: np.ndarray, tmp_path: Path) -> None:
    expected = index.search_batch(vectors[:20], k=5)
    index.save(tmp_path / "index")
    for algorithm in (None, "graph", "exact", "hnswlib"):
        loaded = trivium.VectorIndex.load(tmp_path / "index", algorithm)
        assert len(loaded) == 500 and loaded.metric == "cosine"
        found = loaded.search_batch(vectors[:20], k=5)
        assert found.labels[:, 0].tolist() == expected.labels[:, 0].tolist()
    loaded = trivium.VectorIndex.load(tmp_path / "index", verify=False)
    np.testing.assert_array_equal(loaded.search_batch(vectors[:20], k=5).labels, expected.labels)
    loaded.add([0], -vectors[:1])
    assert loaded.search(-vectors[0], k=1).labels.tolist() == [0]


@pytest.mark.parametrize(
    ("profile", "error", "bytes_a_row"),
    [("speed", 1e-7, 3776), ("balanced", 1e-4, 960), ("small", 2e-3, 580)],
)
def test_profiles_trade_memory_for_accuracy(
    rng: np.random.Generator,
    tmp_path: Path,
    profile: Literal["speed", "balanced", "small"],
    error: float,
    bytes_a_row: int,
) -> None:
    vectors = rng.standard_normal((1500, 384), dtype=np.float32)
    labels = np.arange(1500, dtype=np.uint64)
    index = trivium.VectorIndex(384, profile=profile)
    index.add(labels, vectors)
    index.save(tmp_path / "index")
    for made in (index, trivium.VectorIndex.load(tmp_path / "index")):
        assert made.profile == profile
        memory = made.memory_bytes()
        assert set(memory) == {"rows", "graph", "codes", "labels", "training"}
        assert 13 * 1500 < memory["labels"] < 20 * 1500  # and the table that finds them
        # A sample to start from and a centre do not grow with the rows.
        assert sum(memory.values()) - memory["labels"] == pytest.approx(bytes_a_row * 1500, abs=40_000)
        assert np.abs(made.get(7) - unit(vectors[7])).max() <= error
        assert made.search(vectors[7], k=1, index="graph").labels[0] == 7


def test_unknown_profile_is_refused() -> None:
    with pytest.raises(trivium.InvalidArgument, match="'tiny', expected speed, balanced or small"):
        trivium.VectorIndex(8, profile="tiny")  # type: ignore[arg-type]
    with pytest.raises(trivium.InvalidArgument, match="profile"):
        trivium.VectorIndex(8, algorithm="hnswlib", profile="small")


def test_calibrated_beam_reaches_the_target_and_is_saved(rng: np.random.Generator, tmp_path: Path) -> None:
    vectors = rng.standard_normal((4000, 64), dtype=np.float32)
    sample, held_back = (rng.standard_normal((n, 64), dtype=np.float32) for n in (200, 200))
    index = trivium.VectorIndex(64)
    index.add(np.arange(4000), vectors)
    assert (index.beam_width, index.target_recall) == (0, 0.0)
    report = index.calibrate(sample, target_recall=0.9)
    assert (report.reached, report.queries, report.k, report.target_recall) == (True, 200, 10, 0.9)
    assert report.recall >= 0.9 and report["beam_width"] == index.beam_width > 10
    assert repr(index).endswith(f"graph, beam width {index.beam_width} for recall 0.9>")
    index.save(tmp_path / "index")
    loaded = trivium.VectorIndex.load(tmp_path / "index")
    assert (loaded.beam_width, loaded.target_recall) == (index.beam_width, 0.9)
    exact = index.search_batch(held_back, index="exact").labels
    found = loaded.search_batch(held_back, index="graph")
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact.tolist(), found.labels.tolist())]) >= 0.85
    said = loaded.search_batch(held_back, index="graph", beam_width=loaded.beam_width)
    assert found.hops == said.hops < index.search_batch(held_back, index="graph", beam_width=1000).hops
    lower = index.calibrate(sample, 0.5)
    assert lower.beam_width < report.beam_width and index.target_recall == 0.5


def test_an_index_without_a_beam_is_not_calibrated(vectors: np.ndarray) -> None:
    for algorithm in ("exact", "faiss_flat"):
        index = trivium.VectorIndex(20, algorithm=algorithm)
        index.add(np.arange(500), vectors)
        with pytest.raises(
            trivium.FailedPrecondition, match=f"algorithm: {algorithm}, expected one with a beam"
        ):
            index.calibrate(vectors[:5])
    with pytest.raises(trivium.FailedPrecondition, match="0 rows"):
        trivium.VectorIndex(20).calibrate(vectors[:5])


def test_damaged_and_missing_files_are_named(
    index: trivium.VectorIndex, vectors: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "index"
    index.calibrate(vectors[:10])
    index.save(path)
    content = bytearray(path.read_bytes())
    for broken in (
        bytes(content[: len(content) // 2]),
        b"",
        bytes([*content[:100], content[100] ^ 1, *content[101:]]),
    ):
        path.write_bytes(broken)
        with pytest.raises(trivium.DataLoss, match="index"):
            trivium.VectorIndex.load(path)
    with pytest.raises(trivium.NotFound, match="nothing"):
        trivium.VectorIndex.load(tmp_path / "nothing")


def test_faiss_file_is_imported(vectors: np.ndarray, tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    flat = faiss.IndexFlatL2(20)
    flat.add(vectors)
    faiss.write_index(flat, str(tmp_path / "flat.faiss"))
    index = trivium.VectorIndex.import_faiss(tmp_path / "flat.faiss", metric="squared_l2")
    assert (len(index), index.dimension) == (500, 20)
    assert index.search(vectors[5], k=1).labels.tolist() == [5]


def test_hnswlib_file_is_imported(vectors: np.ndarray, labels: np.ndarray, tmp_path: Path) -> None:
    hnswlib = pytest.importorskip("hnswlib")
    theirs = hnswlib.Index("cosine", 20)
    theirs.init_index(500)
    theirs.add_items(vectors, labels)
    theirs.save_index(str(tmp_path / "index.hnsw"))
    index = trivium.VectorIndex.import_hnswlib(tmp_path / "index.hnsw", 20, "cosine")
    assert sorted(index.labels.tolist()) == labels.tolist()
    assert index.search(vectors[5], k=1).labels.tolist() == [38]


BAD_CALLS: dict[str, tuple[Callable[[trivium.VectorIndex], object], type[Exception], str]] = {
    "NaN": (lambda i: i.add([1], np.full((1, 20), np.nan, np.float32)), trivium.InvalidArgument, "row 0"),
    "zero row": (lambda i: i.add([1], np.zeros((1, 20), np.float32)), trivium.InvalidArgument, "row 0"),
    "wrong dimension": (
        lambda i: i.add([1], np.ones((1, 19), np.float32)),
        trivium.InvalidArgument,
        "19.*20",
    ),
    "labels unlike rows": (
        lambda i: i.add([1, 2], np.ones((1, 20), np.float32)),
        trivium.InvalidArgument,
        "2",
    ),
    "label twice": (lambda i: i.add([1, 1], np.ones((2, 20), np.float32)), trivium.InvalidArgument, "1"),
    "label taken": (lambda i: i.add([1, 3], np.ones((2, 20), np.float32)), trivium.AlreadyExists, "3"),
    "negative label": (
        lambda i: i.add([-4], np.ones((1, 20), np.float32)),
        trivium.InvalidArgument,
        "labels: -4",
    ),
    "float labels": (
        lambda i: i.add([1.5], np.ones((1, 20), np.float32)),
        trivium.InvalidArgument,
        "float64",
    ),
    "integer rows": (lambda i: i.add([1], np.ones((1, 20), np.int64)), trivium.InvalidArgument, "int64"),
    "label to remove absent": (lambda i: i.remove([3, 4]), trivium.NotFound, "4"),
    "label to get absent": (lambda i: i.get(4), trivium.NotFound, "4"),
    "query of another dimension": (
        lambda i: i.search(np.ones(3, np.float32)),
        trivium.InvalidArgument,
        "3.*20",
    ),
    "zero query": (lambda i: i.search(np.zeros(20, np.float32)), trivium.InvalidArgument, "zero"),
    "k of 0": (lambda i: i.search(np.ones(20, np.float32), k=0), trivium.InvalidArgument, "k: 0"),
    "k below 0": (lambda i: i.search(np.ones(20, np.float32), k=-3), trivium.InvalidArgument, "k: -3"),
    "unknown way": (
        lambda i: i.search(np.ones(20, np.float32), index="x"),
        trivium.InvalidArgument,
        "index: 'x'",
    ),
    "no sample query": (
        lambda i: i.calibrate(np.ones((0, 20), np.float32)),
        trivium.InvalidArgument,
        "sample queries: 0 rows, expected at least 1",
    ),
    "sample query of another dimension": (
        lambda i: i.calibrate(np.ones((2, 3), np.float32)),
        trivium.InvalidArgument,
        "3.*20",
    ),
    "NaN in a sample query": (
        lambda i: i.calibrate(np.full((2, 20), np.nan, np.float32)),
        trivium.InvalidArgument,
        "row 0",
    ),
    "target recall over 1": (
        lambda i: i.calibrate(np.ones((2, 20), np.float32), target_recall=1.5),
        trivium.InvalidArgument,
        "target_recall: 1.5, expected more than 0, at most 1",
    ),
    "k of 0 to calibrate": (
        lambda i: i.calibrate(np.ones((2, 20), np.float32), k=0),
        trivium.InvalidArgument,
        "k: 0",
    ),
    "dimension of 0": (lambda i: trivium.VectorIndex(0), trivium.InvalidArgument, "dimension: 0"),
    "unknown metric": (lambda i: trivium.VectorIndex(4, "l1"), trivium.InvalidArgument, "l1"),
    "unknown algorithm": (lambda i: trivium.VectorIndex(4, algorithm="x"), trivium.InvalidArgument, "x"),
    "degree bound of 1": (
        lambda i: trivium.VectorIndex(4, degree_bound=1),
        trivium.InvalidArgument,
        "degree_bound",
    ),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_call_is_refused_and_changes_nothing(index: trivium.VectorIndex, name: str) -> None:
    call, exception, message = BAD_CALLS[name]
    before = index.labels.tolist()
    with pytest.raises(exception, match=message):
        call(index)
    assert index.labels.tolist() == before and index.beam_width == 0


def test_threads_may_search_while_another_adds(index: trivium.VectorIndex, vectors: np.ndarray) -> None:
    failures: list[BaseException] = []

    def search() -> None:
        try:
            for row in range(200):
                assert index.search(vectors[row], k=1).labels.tolist() == [row * 7 + 3]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for row in range(40):
        index.add([10_000 + row], -vectors[row : row + 1])
    for thread in threads:
        thread.join()
    assert failures == [] and len(index) == 540


def test_progress_is_told_of_added_rows(rng: np.random.Generator) -> None:
    index = trivium.VectorIndex(16)
    seen: list[tuple[str, int, int]] = []
    index.add(
        np.arange(3000), rng.standard_normal((3000, 16), dtype=np.float32), progress=lambda *e: seen.append(e)
    )
    assert seen and all(stage == "build" and done <= total for stage, done, total in seen)
    index.add([5000], rng.standard_normal((1, 16)))


def test_readable_repr(index: trivium.VectorIndex) -> None:
    assert repr(index) == "<trivium.VectorIndex of 500 x 20 floats, cosine, graph>"
