# SPDX-License-Identifier: Apache-2.0
"""The index alone: labelled vectors in memory, recall against the exact scan, filters, a file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import trivium


def main(folder: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((5000, 48), dtype=np.float32)
    labels = np.arange(1000, 6000)

    index = trivium.VectorIndex(dimension=48, metric="cosine")
    index.add(labels, vectors)

    queries = rng.standard_normal((100, 48), dtype=np.float32)
    exact = index.search_batch(queries, k=10, index="exact")
    for beam_width in (16, 64, 256):
        found = index.search_batch(queries, k=10, index="graph", beam_width=beam_width)
        shared = [len(set(a) & set(b)) for a, b in zip(found.labels.tolist(), exact.labels.tolist())]
        cost = found.distance_computations / len(queries)
        print(
            f"beam width {beam_width:3}: recall@10 {np.mean(shared) / 10:.3f}, {cost:.0f} distances a query"
        )

    index.remove([1000])
    even = index.filter(labels[labels % 2 == 0])
    print("nearest with an even label:", index.search(vectors[0], k=3, filter=even).labels)

    index.save(folder / "index")
    print(trivium.VectorIndex.load(folder / "index"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
