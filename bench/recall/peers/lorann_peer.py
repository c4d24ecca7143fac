# SPDX-License-Identifier: Apache-2.0
"""LoRANN: clusters scored by reduced-rank regression, with exact re-rank."""

from __future__ import annotations

import pathlib

import lorann
import numpy as np
from contender import Configuration, Contender, Knob


class Lorann(Contender):
    distribution = "lorann"
    note = "exact re-rank"

    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        clusters = 2 ** round(np.log2(2 * rows**0.5))
        reduced = min(256, max(16, dimension // 2 // 16 * 16))
        return [
            {"n_clusters": min(count, max(1, rows // 20)), "global_dim": reduced, "rank": 32}
            for count in (clusters, clusters // 2)
        ]

    def ladders(self, configuration: Configuration) -> list[list[Knob]]:
        counts = [
            count for count in (4, 8, 16, 24, 32, 48, 64, 96, 128) if count <= configuration["n_clusters"]
        ]
        return [
            [{"clusters_to_search": count, "points_to_rerank": points} for count in counts or [1]]
            for points in (50, 100, 200, 400, 1000)
        ]

    def build(
        self, base: np.ndarray, metric: str, configuration: Configuration, threads: int, folder: pathlib.Path
    ) -> None:
        distance = {"cosine": lorann.IP, "l2": lorann.L2}[metric]
        self.index = lorann.LorannIndex(data=np.array(base), distance=distance, **configuration)
        self.index.build(n_threads=threads)

    def save(self, folder: pathlib.Path) -> None:
        self.index.save(str(folder / "index"))

    def load(self, folder: pathlib.Path, dimension: int, metric: str, configuration: Configuration) -> None:
        self.index = lorann.LorannIndex.load(str(folder / "index"))

    def set_knob(self, knob: Knob) -> None:
        self.knob = knob

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.search(queries, k, n_threads=1, **self.knob)
