# SPDX-License-Identifier: Apache-2.0
"""hnswlib: the reference of the ratios, at M = 16 and efConstruction = 200 first."""

from __future__ import annotations

import pathlib

import hnswlib
import numpy as np
from contender import Configuration, Contender, Knob, beams


class Hnswlib(Contender):
    distribution = "hnswlib"

    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        return [
            {"M": 16, "ef_construction": 200},
            {"M": 24, "ef_construction": 300},
            {"M": 32, "ef_construction": 200},
        ]

    def ladders(self, configuration: Configuration) -> list[list[Knob]]:
        return [[{"ef": width} for width in beams()]]

    def build(
        self, base: np.ndarray, metric: str, configuration: Configuration, threads: int, folder: pathlib.Path
    ) -> None:
        # Rows of length one: the inner product orders as the cosine does, without normalising every query.
        self.index = hnswlib.Index(space={"cosine": "ip", "l2": "l2"}[metric], dim=base.shape[1])
        self.index.init_index(len(base), random_seed=1, **configuration)
        self.index.add_items(base, np.arange(len(base)), num_threads=threads)

    def save(self, folder: pathlib.Path) -> None:
        self.index.save_index(str(folder / "index"))

    def load(self, folder: pathlib.Path, dimension: int, metric: str, configuration: Configuration) -> None:
        self.index = hnswlib.Index(space={"cosine": "ip", "l2": "l2"}[metric], dim=dimension)
        self.index.load_index(str(folder / "index"))
        self.index.set_num_threads(1)

    def set_knob(self, knob: Knob) -> None:
        self.index.set_ef(knob["ef"])

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.knn_query(queries, k=k, num_threads=1)[0]
