# SPDX-License-Identifier: Apache-2.0
"""rabitqlib: SymphonyQG, the peer to beat, and HNSW on RaBitQ codes."""

from __future__ import annotations

import pathlib

import numpy as np
import rabitqlib
from contender import Configuration, Contender, Knob, beams


class SymphonyQG(Contender):
    distribution = "rabitqlib"
    note = "SymphonyQG; squared distances of unit vectors order as cosines do"

    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        return [
            {"max_degree": 32, "ef_construction": 200, "quantization_bits": 0},
            {"max_degree": 32, "ef_construction": 400, "quantization_bits": 0},
            {"max_degree": 32, "ef_construction": 400, "quantization_bits": 8},
            {"max_degree": 32, "ef_construction": 800, "quantization_bits": 0},
        ]

    def ladders(self, configuration: Configuration) -> list[list[Knob]]:
        return [[{"ef": width} for width in beams()]]

    def build(
        self, base: np.ndarray, metric: str, configuration: Configuration, threads: int, folder: pathlib.Path
    ) -> None:
        self.index = rabitqlib.SymqgIndex(
            base.shape[1],
            configuration["max_degree"],
            "l2",
            quantization_bits=configuration["quantization_bits"],
        )
        self.index.build(base, configuration["ef_construction"], num_threads=threads)

    def save(self, folder: pathlib.Path) -> None:
        self.index.save(str(folder / "index"))

    def load(self, folder: pathlib.Path, dimension: int, metric: str, configuration: Configuration) -> None:
        self.index = rabitqlib.SymqgIndex.load(str(folder / "index"))

    def set_knob(self, knob: Knob) -> None:
        self.ef = knob["ef"]

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.search_batch(queries, k, self.ef, num_threads=1)[0]


class RabitqHnsw(Contender):
    distribution = "rabitqlib"
    note = "HNSW on RaBitQ codes, no exact re-rank"

    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        return [
            {"M": 16, "ef_construction": 200, "nbits": 8, "clusters": 16},
            {"M": 16, "ef_construction": 200, "nbits": 5, "clusters": 16},
        ]

    def ladders(self, configuration: Configuration) -> list[list[Knob]]:
        return [[{"ef": width} for width in beams()]]

    def build(
        self, base: np.ndarray, metric: str, configuration: Configuration, threads: int, folder: pathlib.Path
    ) -> None:
        clustering = rabitqlib.RaBitQKMeans(base.shape[1], configuration["clusters"], num_threads=threads)
        clustering.train(base)
        self.index = rabitqlib.HnswIndex(
            base.shape[1],
            len(base),
            M=configuration["M"],
            ef_construction=configuration["ef_construction"],
            nbits=configuration["nbits"],
            metric="l2",
        )
        self.index.build(base, clustering.centroids, clustering.assignments, num_threads=threads)

    def save(self, folder: pathlib.Path) -> None:
        self.index.save(str(folder / "index"))

    def load(self, folder: pathlib.Path, dimension: int, metric: str, configuration: Configuration) -> None:
        self.index = rabitqlib.HnswIndex.load(str(folder / "index"))

    def set_knob(self, knob: Knob) -> None:
        self.ef = knob["ef"]

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.search(queries, k, ef=self.ef, num_threads=1)[0]
