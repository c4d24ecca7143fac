# SPDX-License-Identifier: Apache-2.0
"""Voyager: HNSW on float32, or on 8-bit floats."""

from __future__ import annotations

import pathlib

import numpy as np
import voyager
from contender import Configuration, Contender, Knob, beams


class Voyager(Contender):
    distribution = "voyager"

    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        choices = [{"M": 16, "ef_construction": 200, "storage": "Float32"}]
        if metric == "cosine":
            choices.append({"M": 16, "ef_construction": 200, "storage": "E4M3"})
        return choices

    def ladders(self, configuration: Configuration) -> list[list[Knob]]:
        return [[{"query_ef": width} for width in beams()]]

    def build(
        self, base: np.ndarray, metric: str, configuration: Configuration, threads: int, folder: pathlib.Path
    ) -> None:
        self.index = voyager.Index(
            {"cosine": voyager.Space.Cosine, "l2": voyager.Space.Euclidean}[metric],
            base.shape[1],
            M=configuration["M"],
            ef_construction=configuration["ef_construction"],
            max_elements=len(base),
            storage_data_type=getattr(voyager.StorageDataType, configuration["storage"]),
        )
        self.index.add_items(base, num_threads=threads)

    def save(self, folder: pathlib.Path) -> None:
        self.index.save(str(folder / "index"))

    def load(self, folder: pathlib.Path, dimension: int, metric: str, configuration: Configuration) -> None:
        self.index = voyager.Index.load(str(folder / "index"))

    def set_knob(self, knob: Knob) -> None:
        self.ef = knob["query_ef"]

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.query(queries, k=k, num_threads=1, query_ef=self.ef)[0]
