# SPDX-License-Identifier: Apache-2.0
"""pyvsag: HGraph on scalar codes, re-ranked by exact vectors."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import pyvsag
from contender import Configuration, Contender, Knob, beams


class Hgraph(Contender):
    distribution = "pyvsag"
    batch_call = False
    note = "HGraph, exact re-rank; called in a loop; takes memory in blocks of 128 MiB"

    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        return [
            {"base_quantization_type": codes, "max_degree": 32, "ef_construction": 200}
            for codes in ("sq8_uniform", "sq4_uniform")
        ]

    def ladders(self, configuration: Configuration) -> list[list[Knob]]:
        return [[{"ef_search": width} for width in beams()]]

    def make(self, dimension: int, configuration: Configuration, threads: int) -> pyvsag.Index:
        parameters = {
            **configuration,
            "use_reorder": True,
            "precise_quantization_type": "fp32",
            "build_thread_count": threads,
        }
        pyvsag.set_logger_off()
        return pyvsag.Index(
            "hgraph",
            json.dumps(
                {"dtype": "float32", "metric_type": "l2", "dim": dimension, "index_param": parameters}
            ),
        )

    def build(
        self, base: np.ndarray, metric: str, configuration: Configuration, threads: int, folder: pathlib.Path
    ) -> None:
        self.index = self.make(base.shape[1], configuration, threads)
        self.index.build(np.ascontiguousarray(base).ravel(), np.arange(len(base)), len(base), base.shape[1])

    def save(self, folder: pathlib.Path) -> None:
        self.index.save(str(folder / "index"))

    def load(self, folder: pathlib.Path, dimension: int, metric: str, configuration: Configuration) -> None:
        self.index = self.make(dimension, configuration, 1)
        self.index.load(str(folder / "index"))

    def set_knob(self, knob: Knob) -> None:
        self.parameters = json.dumps({"hgraph": knob})

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        answer = np.full((len(queries), k), -1, dtype=np.int64)
        for row, query in enumerate(queries):
            found = self.index.knn_search(query, k, self.parameters)[0]
            answer[row, : len(found)] = found
        return answer
