# SPDX-License-Identifier: Apache-2.0
"""The index alone: labelled vectors in memory, without a store."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union

import numpy as np
import numpy.typing as npt

from . import _trivium
from ._arguments import progress_callback
from ._trivium import VectorFilter
from ._types import Array, Metric, Profile, Progress, VectorIndexName
from .errors import InvalidArgument
from .graph_reports import GraphDriftReport, WalkTrace
from .reports import GraphTrainingReport, VectorCalibrationReport

Algorithm = Literal["graph", "exact", "hnswlib", "faiss_flat", "faiss_ivf"]


Labels = Union[Sequence[int], npt.NDArray[np.integer[Any]]]
"""Integers from 0 to 2**64 - 1."""

Allowed = Union[VectorFilter, Labels, npt.NDArray[np.bool_]]
"""A filter that `VectorIndex.filter` made; labels; or an array of bool, true at the labels allowed."""

_DEFAULTS = _trivium.VectorIndexOptions()

NO_LABEL = 2**64 - 1
"""Fills `Neighbors.labels` where a batch has fewer than k rows to return."""


@dataclass(frozen=True)
class Neighbors:
    """What a search found, best first."""

    labels: npt.NDArray[np.uint64]
    """(found,) of a search; (n, k) of a batch, NO_LABEL where there is no row."""
    scores: npt.NDArray[np.float32]
    """Aligned with labels; -inf where there is no row. Larger is better: the cosine, the inner product, or minus
    the squared distance."""
    hops: int
    """Graph vertices expanded."""
    distance_computations: int
    bytes_read: int
    """Bytes of blocks, neighbour lists, codes and rows; of hnswlib and FAISS a lower bound, the rows alone."""

    def __len__(self) -> int:
        return len(self.labels)


class VectorIndex:
    """Vectors of one dimension under integer labels, searched by similarity. Safe to use from several threads.

    Searches run at the same time, changes alone. `len(index)` counts rows, `label in index` looks one up.
    Methods raise InvalidArgument for wrong shapes, dtypes and ranges, and have then changed nothing.
    """

    def __init__(
        self,
        dimension: int,
        metric: Metric = "cosine",
        algorithm: Algorithm = "graph",
        *,
        profile: Profile = "speed",
        degree_bound: int = _DEFAULTS.degree_bound,
        build_beam_width: int = _DEFAULTS.build_beam_width,
        cell_count: int = _DEFAULTS.cell_count,
        threads: int = _DEFAULTS.threads,
        seed: int = _DEFAULTS.seed,
    ) -> None:
        """An empty index of 1 to 65,536 floats a row.

        algorithm: "graph" is the engine's own and scans where that is faster; "exact" always scans; "hnswlib",
        "faiss_flat" and "faiss_ivf" are there to compare with. profile: what "graph" and "exact" keep of the
        vectors. In bytes a vector at 384 dimensions, with graph and codes: "speed" float32, 3,776; "balanced"
        binary16, 960, at most 65,504 in size; "small" 8 bits with a scale for each vector, 580. Scores, exact
        search and `get` see what is kept. degree_bound (4 to 256): neighbours a row has in
        the graph; more costs memory and time to add, and is more accurate at the same beam width.
        build_beam_width (8 to 4,096): candidates looked at when a row is added. cell_count: of faiss_ivf, 0
        chooses by size. threads: for adding rows, 0 means all processors.
        """
        self._core = _trivium.VectorIndex.create(
            _trivium.VectorIndexOptions(
                dimension,
                metric,
                algorithm,
                degree_bound,
                build_beam_width,
                cell_count,
                threads,
                seed,
                profile,
            )
        )

    @classmethod
    def _wrap(cls, core: _trivium.VectorIndex) -> VectorIndex:
        index = cls.__new__(cls)
        index._core = core
        return index

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        algorithm: Algorithm | None = None,
        verify: bool = True,
        threads: int = _DEFAULTS.threads,
    ) -> VectorIndex:
        """Opens a file that `save` wrote. Raises NotFound, DataLoss.

        The file is mapped and used in place with the algorithms "graph" and "exact"; others are built anew from
        its rows. algorithm: None means as saved; the profile is always the file's. verify: check every byte first.
        """
        return cls._wrap(_trivium.VectorIndex.load(os.fspath(path), algorithm, verify, threads))

    @classmethod
    def import_hnswlib(
        cls,
        path: str | os.PathLike[str],
        dimension: int,
        metric: Metric = "cosine",
        algorithm: Algorithm = "graph",
    ) -> VectorIndex:
        """The vectors and labels of a file that hnswlib wrote, in a new index. Raises NotFound, DataLoss.

        The file holds neither dimension nor metric: both must be the ones it was made with.
        """
        options = _trivium.VectorIndexOptions(dimension, metric, algorithm)
        return cls._wrap(_trivium.VectorIndex.import_hnswlib(os.fspath(path), options))

    @classmethod
    def import_faiss(
        cls,
        path: str | os.PathLike[str],
        metric: Metric = "cosine",
        algorithm: Algorithm = "graph",
    ) -> VectorIndex:
        """The vectors of a FAISS file (IndexFlat, IndexIVFFlat, IndexIDMap of these). Raises NotFound, DataLoss.

        `metric` must be the file's; one of inner products may also be read as "cosine".
        """
        options = _trivium.VectorIndexOptions(0, metric, algorithm)
        return cls._wrap(_trivium.VectorIndex.import_faiss(os.fspath(path), options))

    @property
    def dimension(self) -> int:
        """Floats a row."""
        return self._core.dimension

    @property
    def metric(self) -> str:
        """ "cosine", "inner_product" or "squared_l2"."""
        return self._core.metric

    @property
    def algorithm(self) -> str:
        """How it searches."""
        return self._core.algorithm

    @property
    def profile(self) -> str:
        """What it keeps of the vectors: "speed", "balanced" or "small"."""
        return self._core.profile

    @property
    def beam_width(self) -> int:
        """Of searches that do not say; 0: the default."""
        return self._core.beam_width

    @property
    def target_recall(self) -> float:
        """What beam_width was calibrated for; 0: it was not."""
        return self._core.target_recall

    def memory_bytes(self) -> dict[str, int]:
        """Bytes it holds, in memory or mapped from its file, by part: "rows", "graph", "codes", "labels",
        "training"."""
        return self._core.memory_bytes()

    @property
    def labels(self) -> npt.NDArray[np.uint64]:
        """All labels, in the order they were added."""
        return self._core.labels()

    def __len__(self) -> int:
        return len(self._core)

    def __contains__(self, label: int) -> bool:
        return 0 <= label < 2**64 and label in self._core

    def __repr__(self) -> str:
        beam = (
            f", beam width {self.beam_width} for recall {self.target_recall:g}" if self.target_recall else ""
        )
        return (
            f"<trivium.VectorIndex of {len(self)} x {self.dimension} floats, {self.metric}, "
            f"{self.algorithm}{beam}>"
        )

    def add(self, labels: Labels, vectors: Array, progress: Progress = False) -> None:
        """Adds n rows, n x dimension floats, under n labels, all or none. Raises AlreadyExists.

        For the cosine metric rows are stored at unit length. `progress` must not use the index; an exception
        that it raises, or Ctrl-C, is raised after the rows were added.
        """
        with progress_callback(progress) as callback:
            self._core.add(_label_array(labels), vectors, callback)

    def remove(self, labels: Labels) -> None:
        """Removes rows, all or none. Raises NotFound. Their memory is in use until `compact`."""
        self._core.remove(_label_array(labels))

    def compact(self) -> None:
        """Frees the memory of removed rows: a graph is repaired around them, another index is built anew."""
        self._core.compact()

    def calibrate(
        self,
        queries: Array,
        target_recall: float = 0.95,
        k: int = 10,
        *,
        threads: int = 0,
    ) -> VectorCalibrationReport:
        """Finds the narrowest beam that reaches a recall on sample queries, and makes it the default of searches.

        queries: n x dimension; a few hundred real ones are best. target_recall: the share of the true k nearest
        rows to be found, more than 0, at most 1; where no beam reaches it the widest one is taken. Kept when rows
        are added or removed, and by `save` where the algorithm is "graph"; calibrate again once there are several
        times as many rows. Raises FailedPrecondition without rows and for an algorithm without a beam.
        """
        return self._core.calibrate(queries, target_recall, k, threads)

    def train_graph(
        self,
        queries: Array | None = None,
        *,
        entries: bool = True,
        edges: bool = True,
        codes: bool = True,
        fine_tune: bool = False,
        recall: float = 0.95,
        seed: int = 0,
        threads: int = 0,
        ignore_gate: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: Progress = False,
    ) -> GraphTrainingReport:
        """Teaches the graph where to look from sample queries; no judgements are needed.

        queries: n x dimension, at least 100 and better thousands, like those to come: where walks should start and
        which edges they miss is learned from them. A fifth, at most 1,000, is held out; what was learned is kept
        where these need fewer hops for it at equal `recall` and queries like the rows no more than 1 % more
        (`ignore_gate`: in any case). entries, edges, codes: what to learn; starting points and codes of edges only
        with the profile "speed". The queries are kept, at most one for eight rows; with `fine_tune` those of before
        are asked again, together with the new ones or, where `queries` is None, alone. Either way learning starts
        from the untrained graph. What was learned stays when rows are added or removed and in the file; each tenth
        of rows that comes is taught by the queries kept. Removed rows are dropped first. Where Ctrl-C stops it nothing
        has changed; with `checkpoint`, a file that is kept until training ends, the same call then goes on from there.
        Raises InvalidArgument for too few or bad queries, FailedPrecondition below 2,048 rows and for another
        algorithm than "graph". About 2 ms a query for 160,000 x 384 on two threads and
        0.3 ms a row for codes, other calls waiting.
        """
        path = "" if checkpoint is None else os.fspath(checkpoint)
        options = _trivium.GraphTrainingOptions(
            entries, edges, codes, fine_tune, recall, seed, threads, ignore_gate, path
        )
        with progress_callback(progress) as callback:
            return self._core.train_graph(queries, options, callback)

    def graph_drift(
        self,
        queries: Array | None = None,
        *,
        recall: float = 0.95,
        vertices: int = 10,
        threads: int = 0,
    ) -> GraphDriftReport:
        """What `train_graph` is still worth: on the queries that were held out for it, or on others.

        queries: n x dimension, such as the latest of a log. Compares hops at equal `recall` with those of the same
        graph untaught, and lists `vertices` labels each that helped and that harmed most. Removed rows count until
        they are dropped. Raises FailedPrecondition where nothing is trained.
        """
        return self._core.graph_drift(queries, recall, vertices, threads)

    def trace_walk(self, query: Array, k: int = 10, beam_width: int | None = None) -> WalkTrace:
        """Where the walk for `query` (dimension,) goes, vertex by vertex; of a trained graph also untaught.

        For inspection: slow. Raises FailedPrecondition where there is no graph to walk: another algorithm, or so few
        rows that they are scanned.
        """
        return self._core.trace_walk(query, k, beam_width or 0)

    @property
    def training(self) -> dict[str, Any] | None:
        """What taught the graph: number of queries, hops before and after, seed. None: nothing did."""
        text = self._core.training
        return json.loads(text) if text else None

    def get(self, label: int) -> npt.NDArray[np.float32]:
        """The vector (dimension,) as the profile keeps it, of unit length for the cosine metric. Raises NotFound."""
        return self._core.get(label)

    def filter(self, allowed: Allowed) -> VectorFilter:
        """A filter for many searches, until the index changes; labels that are absent are ignored."""
        if isinstance(allowed, VectorFilter):
            return allowed
        array = np.asarray(allowed)
        if array.dtype == np.bool_:
            packed = np.packbits(array.ravel(), bitorder="little")
            padded = np.zeros(-(-len(packed) // 8) * 8, dtype=np.uint8)
            padded[: len(packed)] = packed
            return self._core.allow_bitmap(padded.view("<u8"))
        return self._core.allow_labels(_label_array(allowed))

    def search(
        self,
        query: Array,
        k: int = 10,
        filter: Allowed | None = None,
        index: VectorIndexName | None = None,
        beam_width: int | None = None,
    ) -> Neighbors:
        """The k rows most similar to `query` (dimension,); all rows that the filter allows if these are fewer.

        index: "graph" walks the graph even where scanning is faster, "exact" scans. beam_width: candidates kept
        while walking; more is more accurate and slower. None: what `calibrate` chose, or the default.
        """
        return Neighbors(*self._core.search(query, k, self._filter(filter), index, beam_width or 0))

    def search_batch(
        self,
        queries: Array,
        k: int = 10,
        threads: int = 1,
        filter: Allowed | None = None,
        index: VectorIndexName | None = None,
        beam_width: int | None = None,
    ) -> Neighbors:
        """`search` for each row of `queries` (n x dimension), on `threads` threads (0: all processors)."""
        return Neighbors(
            *self._core.search_batch(queries, k, threads, self._filter(filter), index, beam_width or 0)
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes one checksummed file, which appears whole or not at all. Removed rows are dropped first.

        The beam width that `calibrate` chose is in it where the algorithm is "graph".
        """
        self._core.save(os.fspath(path))

    def _filter(self, allowed: Allowed | None) -> VectorFilter:
        return VectorFilter() if allowed is None else self.filter(allowed)


def _label_array(labels: Labels | npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    array = np.asarray(labels)
    if (
        array.dtype.kind == "f"
        and not isinstance(labels, np.ndarray)
        and all(isinstance(x, int) for x in labels)
    ):
        array = np.asarray(labels, dtype=np.uint64)  # some are over 2**63: NumPy would say float64
    if array.ndim != 1:
        raise InvalidArgument(f"labels: shape {array.shape}, expected (n,)")
    if array.size and array.dtype.kind not in "iu":
        raise InvalidArgument(f"labels: dtype {array.dtype}, expected integers from 0 to 2**64 - 1")
    if array.size and array.min() < 0:
        raise InvalidArgument(f"labels: {array.min()}, expected integers from 0 to 2**64 - 1")
    return array.astype(np.uint64, copy=False)
