# SPDX-License-Identifier: Apache-2.0
"""usearch, with float32 and with 8-bit scalars."""

from __future__ import annotations

import pathlib

import numpy as np
from contender import Configuration, Contender, Knob, Unavailable, beams
from usearch.index import Index


class UsearchF32(Contender):
    distribution = "usearch"
    scalar = "f32"

    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        if metric != "cosine" and self.scalar == "i8":
            raise Unavailable("its 8-bit scalars expect unit vectors")
        return [
            {"connectivity": 16, "expansion_add": 200, "dtype": self.scalar},
            {"connectivity": 32, "expansion_add": 200, "dtype": self.scalar},
        ]

    def ladders(self, configuration: Configuration) -> list[list[Knob]]:
        return [[{"expansion_search": width} for width in beams()]]

    def build(
        self, base: np.ndarray, metric: str, configuration: Configuration, threads: int, folder: pathlib.Path
    ) -> None:
        kind = {"cosine": "cos", "l2": "l2sq"}[metric]
        self.index = Index(ndim=base.shape[1], metric=kind, enable_key_lookups=False, **configuration)
        self.index.add(np.arange(len(base), dtype=np.uint64), base, threads=threads)

    def save(self, folder: pathlib.Path) -> None:
        self.index.save(str(folder / "index"))

    def load(self, folder: pathlib.Path, dimension: int, metric: str, configuration: Configuration) -> None:
        self.index = Index.restore(str(folder / "index"))

    def set_knob(self, knob: Knob) -> None:
        self.index.expansion_search = knob["expansion_search"]

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.search(queries, k, threads=1).keys.reshape(len(queries), -1)


class UsearchI8(UsearchF32):
    scalar = "i8"
