# SPDX-License-Identifier: Apache-2.0
"""Scalable Vector Search: Vamana on float32, on LVQ codes and on LeanVec's projections.

Its LVQ and LeanVec end the process on machines that are not Intel's; worker.py reports what they said.
"""

from __future__ import annotations

import pathlib

import numpy as np
import svs
from contender import Configuration, Contender, Knob, beams


class Vamana(Contender):
    distribution = "scalable-vs"

    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        return [
            {"alpha": 1.2, "graph_max_degree": 32, "window_size": 200},
            {"alpha": 1.2, "graph_max_degree": 64, "window_size": 200},
        ]

    def ladders(self, configuration: Configuration) -> list[list[Knob]]:
        return [[{"search_window_size": width} for width in beams()]]

    def data(self, base: np.ndarray, folder: pathlib.Path) -> object:
        """What the graph is built on."""
        return base

    def saved_data(self, loader: svs.VectorDataLoader, dimension: int) -> object:
        """What `save` wrote, for `load`."""
        return loader

    def build(
        self, base: np.ndarray, metric: str, configuration: Configuration, threads: int, folder: pathlib.Path
    ) -> None:
        parameters = svs.VamanaBuildParameters(**configuration)
        self.index = svs.Vamana.build(
            parameters, self.data(base, folder), svs.DistanceType.L2, num_threads=threads
        )

    def save(self, folder: pathlib.Path) -> None:
        self.index.save(str(folder / "configuration"), str(folder / "graph"), str(folder / "data"))

    def load(self, folder: pathlib.Path, dimension: int, metric: str, configuration: Configuration) -> None:
        loader = svs.VectorDataLoader(str(folder / "data"), svs.DataType.float32, dims=dimension)
        self.index = svs.Vamana(
            str(folder / "configuration"),
            svs.GraphLoader(str(folder / "graph")),
            self.saved_data(loader, dimension),
            svs.DistanceType.L2,
            num_threads=1,
        )

    def set_knob(self, knob: Knob) -> None:
        self.index.search_window_size = knob["search_window_size"]

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.search(queries, k)[0].astype(np.int64)


class Lvq(Vamana):
    note = "LVQ, 4 bits and 8 for the re-rank"

    def data(self, base: np.ndarray, folder: pathlib.Path) -> object:
        svs.write_vecs(np.ascontiguousarray(base), str(folder / "base.fvecs"))
        loader = svs.VectorDataLoader(str(folder / "base.fvecs"), svs.DataType.float32, dims=base.shape[1])
        return self.saved_data(loader, base.shape[1])

    def saved_data(self, loader: svs.VectorDataLoader, dimension: int) -> object:
        return svs.LVQLoader(loader, primary=4, residual=8)


class LeanVec(Lvq):
    note = "LeanVec, half of the dimensions"

    def saved_data(self, loader: svs.VectorDataLoader, dimension: int) -> object:
        return svs.LeanVecLoader(loader, leanvec_dims=dimension // 2)
