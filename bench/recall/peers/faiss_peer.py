# SPDX-License-Identifier: Apache-2.0
"""FAISS: graphs (HNSW, NSG), inverted lists with few-bit codes and exact re-rank, and the exact scan.

Squared distances throughout: for unit vectors they order as cosines do.
"""

from __future__ import annotations

import pathlib

import faiss
import numpy as np
from contender import Configuration, Contender, Knob, beams


def _innermost(index: faiss.Index) -> faiss.Index:
    """The graph within a re-rank and a rotation."""
    index = faiss.downcast_index(index)
    for part in ("base_index", "index"):
        if hasattr(index, part):
            return _innermost(getattr(index, part))
    return index


class _Faiss(Contender):
    """An index of FAISS's factory; a configuration names its string."""

    distribution = "faiss-cpu"

    def prepare(self, index: faiss.Index, configuration: Configuration) -> None:
        """Sets build parameters that the factory string cannot say."""

    def build(
        self, base: np.ndarray, metric: str, configuration: Configuration, threads: int, folder: pathlib.Path
    ) -> None:
        faiss.omp_set_num_threads(threads)
        self.index = faiss.index_factory(base.shape[1], configuration["factory"], faiss.METRIC_L2)
        self.prepare(self.index, configuration)
        self.index.train(base)
        self.index.add(base)

    def save(self, folder: pathlib.Path) -> None:
        faiss.write_index(self.index, str(folder / "index"))

    def load(self, folder: pathlib.Path, dimension: int, metric: str, configuration: Configuration) -> None:
        faiss.omp_set_num_threads(1)
        self.index = faiss.read_index(str(folder / "index"))

    def set_knob(self, knob: Knob) -> None:
        for name, value in knob.items():
            faiss.ParameterSpace().set_index_parameter(self.index, name, value)

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.search(queries, k)[1]


class Exact(_Faiss):
    note = "FAISS IndexFlat: batches go through a matrix product"

    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        return [{"factory": "Flat"}]

    def ladders(self, configuration: Configuration) -> list[list[Knob]]:
        return [[{}]]


class _Hnsw(_Faiss):
    codes = ("Flat",)
    degrees = (16, 32)

    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        return [
            {"factory": f"HNSW{degree},{code}", "efConstruction": 200}
            for code in self.codes
            for degree in self.degrees
        ]

    def ladders(self, configuration: Configuration) -> list[list[Knob]]:
        return [[{"efSearch": width} for width in beams()]]

    def prepare(self, index: faiss.Index, configuration: Configuration) -> None:
        _innermost(index).hnsw.efConstruction = configuration["efConstruction"]


class HnswFlat(_Hnsw):
    pass


class HnswSq8(_Hnsw):
    codes = ("SQ8",)


class HnswRabitq(_Hnsw):
    note = "random rotation, exact re-rank (IndexRefineFlat)"

    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        return [
            {"factory": f"RR{dimension},HNSW16,RaBitQ{bits},RFlat", "efConstruction": 200} for bits in (4, 2)
        ]

    def ladders(self, configuration: Configuration) -> list[list[Knob]]:
        return [
            [{"efSearch": width, "k_factor_rf": factor} for width in beams(10 * factor)] for factor in (2, 4)
        ]


class _Ivf(_Faiss):
    def lists(self, rows: int) -> tuple[int, ...]:
        # About four roots of n, as FAISS's guide advises, and half of it; 39 training rows a list at least.
        most = max(1, rows // 39)
        wanted = 2 ** round(np.log2(4 * rows**0.5))
        return tuple(sorted({min(most, wanted), min(most, wanted // 2)}, reverse=True))

    def ladders(self, configuration: Configuration) -> list[list[Knob]]:
        probes = (4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
        return [[{"nprobe": count, "k_factor_rf": factor} for count in probes] for factor in (4, 10, 25)]


class IvfPqFastScan(_Ivf):
    note = "exact re-rank (IndexRefineFlat)"

    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        return [
            {"factory": f"IVF{lists},PQ{dimension // width}x4fs,RFlat"}
            for lists in self.lists(rows)
            for width in (2, 4)
        ]


class IvfRabitqFastScan(_Ivf):
    note = "random rotation, exact re-rank (IndexRefineFlat)"

    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        return [
            {"factory": f"RR{dimension},IVF{lists},RaBitQfs{bits},RFlat"}
            for lists in self.lists(rows)
            for bits in ("", "2")
        ]


class Nsg(_Faiss):
    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        return [{"factory": "NSG32,Flat"}, {"factory": "NSG48,Flat"}]

    def ladders(self, configuration: Configuration) -> list[list[Knob]]:
        return [[{"search_L": width} for width in beams()]]

    def set_knob(self, knob: Knob) -> None:
        self.index.nsg.search_L = knob["search_L"]
