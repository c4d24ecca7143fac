# SPDX-License-Identifier: Apache-2.0
"""What the benchmark asks of a contender, and the names of those it knows.

A contender lives in a process of its own (worker.py), so that it may print, crash or bring its own threads
without touching the others. Its library is imported only there.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pathlib
from typing import Any

import numpy as np

Configuration = dict[str, Any]
Knob = dict[str, Any]


class Unavailable(Exception):
    """The contender cannot take part here; the text says why."""


class Contender:
    """One index type of one library. `metric` is "cosine" (all rows of length one) or "l2"."""

    distribution = ""  # the package's name on PyPI
    batch_call = True  # False: `search` calls the library once a query
    note = ""  # what a reader of the table should know

    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        """Build parameters to try, the best guess first, costly builds last. Raises Unavailable."""
        raise NotImplementedError

    def ladders(self, configuration: Configuration) -> list[list[Knob]]:
        """Search parameters to try: each list by rising recall, climbed until recall is high enough."""
        raise NotImplementedError

    def build(
        self, base: np.ndarray, metric: str, configuration: Configuration, threads: int, folder: pathlib.Path
    ) -> None:
        """Builds the index over `base`, labels 0 to n - 1, on `threads` threads. Raises Unavailable."""
        raise NotImplementedError

    def save(self, folder: pathlib.Path) -> None:
        """Writes the index into `folder`, which exists."""
        raise NotImplementedError

    def load(self, folder: pathlib.Path, dimension: int, metric: str, configuration: Configuration) -> None:
        """Makes the index that `save` wrote ready for search on one thread."""
        raise NotImplementedError

    def set_knob(self, knob: Knob) -> None:
        """Sets the search parameters of the next calls."""
        raise NotImplementedError

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        """n x k labels for n x d float32 queries, on one thread."""
        raise NotImplementedError

    def memory_bytes(self) -> int | None:
        """What the library says it holds in memory, if it says so."""
        return None

    def fingerprint(self) -> str:
        """Changes when the library does; part of the key under which builds are kept."""
        return importlib.metadata.version(self.distribution)


# name -> module:class; the order is that of the tables.
CONTENDERS = {
    "trivium-speed": "peers.trivium_peer:TriviumSpeed",
    "trivium-balanced": "peers.trivium_peer:TriviumBalanced",
    "trivium-small": "peers.trivium_peer:TriviumSmall",
    "rabitqlib": "peers.rabitqlib_peer:SymphonyQG",
    "rabitqlib-hnsw": "peers.rabitqlib_peer:RabitqHnsw",
    "hnswlib": "peers.hnswlib_peer:Hnswlib",
    "faiss-hnsw": "peers.faiss_peer:HnswFlat",
    "faiss-hnsw-sq8": "peers.faiss_peer:HnswSq8",
    "faiss-hnsw-rabitq": "peers.faiss_peer:HnswRabitq",
    "faiss-ivf-pq": "peers.faiss_peer:IvfPqFastScan",
    "faiss-ivf-rabitq": "peers.faiss_peer:IvfRabitqFastScan",
    "faiss-nsg": "peers.faiss_peer:Nsg",
    "usearch-f32": "peers.usearch_peer:UsearchF32",
    "usearch-i8": "peers.usearch_peer:UsearchI8",
    "svs-vamana": "peers.svs_peer:Vamana",
    "svs-lvq": "peers.svs_peer:Lvq",
    "svs-leanvec": "peers.svs_peer:LeanVec",
    "ngt-onng": "peers.ngt_peer:Onng",
    "ngt-qg": "peers.ngt_peer:QuantizedGraph",
    "pyvsag": "peers.vsag_peer:Hgraph",
    "voyager": "peers.voyager_peer:Voyager",
    "lorann": "peers.lorann_peer:Lorann",
    "kannolo": "peers.kannolo_peer:Kannolo",
    "exact": "peers.faiss_peer:Exact",
}

# The daily run: ourselves, the peers to beat, the reference, and the floor.
QUICK = ("trivium-speed", "trivium-balanced", "rabitqlib", "lorann", "hnswlib", "faiss-hnsw-sq8", "exact")


def make_contender(name: str) -> Contender:
    """Imports the module and its library. Raises Unavailable with the reason if that fails."""
    module, _, cls = CONTENDERS[name].partition(":")
    try:
        return getattr(importlib.import_module(module), cls)()
    except ImportError as error:
        raise Unavailable(f"not installed: {error}") from error


def beams(first: int = 10, last: int = 1200) -> list[int]:
    """Beam widths (ef, search window) that every graph is asked with."""
    fine = [*range(10, 16, 2), *range(16, 32, 4), *range(32, 64, 8), 64, 80, 96, 128, 160, 200]
    return [width for width in (*fine, 256, 320, 400, 512, 640, 800, 1024, 1200) if first <= width <= last]
