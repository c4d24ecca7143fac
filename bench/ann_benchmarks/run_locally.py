# SPDX-License-Identifier: Apache-2.0
"""Asks the ann-benchmarks adapter as ann-benchmarks would, without it: fit, then every beam width.

Usage: run_locally.py [--rows N] [--dimension D] [--metric angular|euclidean] [--batch]
Prints a line a beam width: recall@10, queries a second, distances a query.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence

import numpy as np
from module import METRICS, Trivium

BEAM_WIDTHS = (10, 16, 32, 64, 128, 256)


def clustered(rows: int, dimension: int, seed: int = 0) -> np.ndarray:
    """Points around centres, so that a graph has something to find."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(1, rows // 100), dimension))
    points = centres[rng.integers(0, len(centres), rows)] + 0.5 * rng.standard_normal((rows, dimension))
    return points.astype(np.float32)


def nearest(base: np.ndarray, queries: np.ndarray, metric: str, n: int) -> np.ndarray:
    if metric == "angular":
        scores = queries @ (base / np.linalg.norm(base, axis=1, keepdims=True)).T
    else:
        scores = 2 * queries @ base.T - np.einsum("ij,ij->i", base, base)
    return np.argsort(-scores, axis=1, kind="stable")[:, :n]


def run(
    algorithm: Trivium,
    base: np.ndarray,
    queries: np.ndarray,
    metric: str,
    widths: Sequence[int] = BEAM_WIDTHS,
    n: int = 10,
    batch: bool = False,
) -> Iterator[tuple[str, float, float, float]]:
    """Name, recall, queries a second and distances a query for each beam width."""
    truth = nearest(base, queries, metric, n)
    algorithm.fit(base)
    for width in widths:
        algorithm.set_query_arguments(width)
        start = time.perf_counter()
        if batch:
            algorithm.batch_query(queries, n)
            found = algorithm.get_batch_results()
        else:
            found = [algorithm.query(query, n) for query in queries]
        seconds = time.perf_counter() - start
        hits = sum(len(set(map(int, row)) & set(map(int, true))) for row, true in zip(found, truth))
        recall = hits / truth.size
        yield str(algorithm), recall, len(queries) / seconds, algorithm.get_additional()["dist_comps"]
    algorithm.done()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--dimension", type=int, default=64)
    parser.add_argument("--metric", choices=METRICS, default="angular")
    parser.add_argument("--batch", action="store_true", help="all queries in one call, all processors")
    options = parser.parse_args()
    points = clustered(options.rows + 500, options.dimension)
    base, queries = points[500:], points[:500]
    lines = run(Trivium(options.metric), base, queries, options.metric, batch=options.batch)
    for name, recall, speed, distances in lines:
        print(f"{name:<36} recall@10 {recall:.4f}  {speed:9,.0f} QPS  {distances:9,.1f} distances")


if __name__ == "__main__":
    main()
