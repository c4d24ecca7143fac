# SPDX-License-Identifier: Apache-2.0
"""NGT: ONNG. Its quantized graph (QG) is built by a tool that the package does not bring."""

from __future__ import annotations

import pathlib
import shutil

import ngtpy
import numpy as np
from contender import Configuration, Contender, Knob, Unavailable


class Onng(Contender):
    distribution = "ngt"
    batch_call = False
    note = "called in a loop"

    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        return [
            {"edges": 50, "outgoing": 10, "incoming": 60},
            {"edges": 100, "outgoing": 10, "incoming": 120},
        ]

    def ladders(self, configuration: Configuration) -> list[list[Knob]]:
        steps = (-0.1, -0.05, -0.02, 0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.3)
        return [[{"epsilon": step} for step in steps]]

    def build(
        self, base: np.ndarray, metric: str, configuration: Configuration, threads: int, folder: pathlib.Path
    ) -> None:
        first = str(folder / "anng")
        ngtpy.create(first, base.shape[1], edge_size_for_creation=configuration["edges"], distance_type="L2")
        index = ngtpy.Index(first, log_disabled=True)
        index.batch_insert(np.ascontiguousarray(base), num_threads=threads)
        index.save()
        index.close()
        optimizer = ngtpy.Optimizer(
            num_of_outgoings=configuration["outgoing"],
            num_of_incomings=configuration["incoming"],
            log_disabled=True,
        )
        optimizer.set_processing_modes(search_parameter_optimization=False, accuracy_table_generation=False)
        optimizer.execute(first, str(folder / "onng"))
        shutil.rmtree(first)

    def save(self, folder: pathlib.Path) -> None:
        pass  # `build` works on disk

    def load(self, folder: pathlib.Path, dimension: int, metric: str, configuration: Configuration) -> None:
        self.index = ngtpy.Index(str(folder / "onng"), read_only=True, log_disabled=True)

    def set_knob(self, knob: Knob) -> None:
        self.epsilon = knob["epsilon"]

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        answer = np.full((len(queries), k), -1, dtype=np.int64)
        for row, query in enumerate(queries):
            found = self.index.search(query, size=k, epsilon=self.epsilon, with_distance=False)
            answer[row, : len(found)] = found
        return answer


class QuantizedGraph(Onng):
    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        raise Unavailable("the package has no tool (qbg build-qg) that makes its quantized graph")
