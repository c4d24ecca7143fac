# SPDX-License-Identifier: Apache-2.0
"""Trivium for ann-benchmarks: copy this folder to ann_benchmarks/algorithms/trivium of its repository.

run_locally.py beside this file asks the same class without ann-benchmarks.
"""

from __future__ import annotations

import numpy as np

import trivium

try:
    from ..base.module import BaseANN
except ImportError:  # outside ann-benchmarks: what of its base class is used here

    class BaseANN:  # type: ignore[no-redef]
        """The part of ann_benchmarks.algorithms.base.module.BaseANN that this adapter leans on."""

        name: str

        def batch_query(self, X: np.ndarray, n: int) -> None:
            self.res = [self.query(row, n) for row in X]

        def get_batch_results(self) -> object:
            return self.res

        def get_memory_usage(self) -> float | None:
            return None

        def done(self) -> None:
            pass

        def __str__(self) -> str:
            return self.name


METRICS = {"angular": "cosine", "euclidean": "squared_l2"}


class Trivium(BaseANN):
    """The graph index; `profile` is "speed", "balanced" or "small". The query argument is the beam width."""

    def __init__(self, metric: str, profile: str = "speed") -> None:
        if metric not in METRICS:
            raise NotImplementedError(f"metric: {metric}, expected one of {', '.join(METRICS)}")
        self._metric = METRICS[metric]
        self._profile = profile
        self._beam_width = 64
        self.name = f"Trivium({profile})"

    def _empty(self, dimension: int) -> trivium.VectorIndex:
        try:
            return trivium.VectorIndex(dimension, self._metric, profile=self._profile)
        except TypeError as error:  # a build before profiles
            if "profile" not in str(error):
                raise
            return trivium.VectorIndex(dimension, self._metric)

    def fit(self, X: np.ndarray) -> None:
        X = np.ascontiguousarray(X, dtype=np.float32)
        self._index = self._empty(X.shape[1])
        self._index.add(np.arange(len(X), dtype=np.uint64), X)

    def set_query_arguments(self, beam_width: int) -> None:
        self._beam_width = beam_width
        self.name = f"Trivium({self._profile}, beam_width={beam_width})"

    def query(self, v: np.ndarray, n: int) -> np.ndarray:
        return self._search(v.reshape(1, -1), n, threads=1)[0]

    def batch_query(self, X: np.ndarray, n: int) -> None:
        # ann-benchmarks' batch mode allows all processors.
        self.res = self._search(X, n, threads=0)

    def _search(self, X: np.ndarray, n: int, threads: int) -> np.ndarray:
        queries = np.ascontiguousarray(X, dtype=np.float32)
        width = max(n, self._beam_width)
        answer = self._index.search_batch(queries, k=n, threads=threads, index="graph", beam_width=width)
        self._distances, self._queries = answer.distance_computations, len(queries)
        return answer.labels

    def get_additional(self) -> dict[str, float]:
        """Distances computed by the last call, a query."""
        return {"dist_comps": self._distances / self._queries}

    def freeIndex(self) -> None:  # the name is ann-benchmarks'
        del self._index
