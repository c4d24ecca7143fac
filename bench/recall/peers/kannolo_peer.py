# SPDX-License-Identifier: Apache-2.0
"""kANNolo: HNSW on RaBitQ codes re-ranked by half-precision vectors."""

from __future__ import annotations

import pathlib

import kannolo
import numpy as np
from contender import Configuration, Contender, Knob, beams


class Kannolo(Contender):
    distribution = "kannolo"
    note = "two stages: codes, then half-precision vectors"

    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        return [{"m": 16, "ef_construction": 200, "rabitq_total_bits": bits} for bits in (4, 8)]

    def ladders(self, configuration: Configuration) -> list[list[Knob]]:
        return [
            [{"ef_search": width, "k_candidates": count} for width in beams(count)] for count in (10, 20, 50)
        ]

    def build(
        self, base: np.ndarray, metric: str, configuration: Configuration, threads: int, folder: pathlib.Path
    ) -> None:
        # The process was started with as many of its threads as the build may use.
        self.index = kannolo.DenseRerankHNSW.build_from_array(
            np.ascontiguousarray(base).ravel(),
            base.shape[1],
            metric={"cosine": "dotproduct", "l2": "euclidean"}[metric],
            encoder="rabitq-ext",
            **configuration,
        )

    def save(self, folder: pathlib.Path) -> None:
        self.index.save(str(folder / "index"))

    def load(self, folder: pathlib.Path, dimension: int, metric: str, configuration: Configuration) -> None:
        self.index = kannolo.DenseRerankHNSW.load(
            str(folder / "index"),
            metric={"cosine": "dotproduct", "l2": "euclidean"}[metric],
            encoder="rabitq-ext",
        )

    def set_knob(self, knob: Knob) -> None:
        self.knob = knob

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        found = self.index.batch_search(np.ascontiguousarray(queries).ravel(), k, num_threads=1, **self.knob)
        return np.asarray(found[1]).reshape(len(queries), k)

    def memory_bytes(self) -> int | None:
        return self.index.space_usage_bytes()
