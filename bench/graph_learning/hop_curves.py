# SPDX-License-Identifier: Apache-2.0
"""What walks cost at equal recall: every query asked at every beam width, interpolated between them."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from curves import recall_of_rows

import trivium

K = 10
WIDTHS = (10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 128, 160, 200, 256, 320, 400, 512)
TARGETS = (0.90, 0.95, 0.99)
# Widths beyond that which reaches it serve no target.
ENOUGH = 0.994
COSTS = ("hops", "distances", "bytes")


@dataclass(frozen=True)
class Walks:
    """Per query and width: recall@10 and each of COSTS; all arrays are queries x widths."""

    widths: tuple[int, ...]
    recall: np.ndarray
    costs: dict[str, np.ndarray]

    def points(self) -> list[dict[str, float]]:
        """Means over queries, by width."""
        return [
            {"width": width, "recall": float(self.recall[:, at].mean())}
            | {name: float(values[:, at].mean()) for name, values in self.costs.items()}
            for at, width in enumerate(self.widths)
        ]

    def scans(self, rows: int) -> float:
        """Share of the queries whose walk ended early at the narrowest beam, so that all `rows` were scanned."""
        return float((self.costs["distances"][:, 0] >= rows).mean())

    def of(self, queries: np.ndarray) -> Walks:
        """Those of some queries only."""
        return Walks(self.widths, self.recall[queries], {k: v[queries] for k, v in self.costs.items()})


def ask(
    index: trivium.VectorIndex, queries: np.ndarray, accepted: np.ndarray, width: int, threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Recall of each query, and its COSTS (queries x 3). A call a query: only so are costs told apart."""

    def of_part(positions: np.ndarray) -> list[trivium.Neighbors]:
        return [index.search(queries[at], k=K, index="graph", beam_width=width) for at in positions]

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        parts = pool.map(of_part, np.array_split(np.arange(len(queries)), threads))
    answers = [answer for part in parts for answer in part]
    found = np.stack([answer.labels.astype(np.int64) for answer in answers])
    costs = [[each.hops, each.distance_computations, each.bytes_read] for each in answers]
    return recall_of_rows(found, accepted, K), np.array(costs, dtype=float)


def walk(
    index: trivium.VectorIndex,
    queries: np.ndarray,
    accepted: np.ndarray,
    threads: int,
    widths: Sequence[int] | None = None,
) -> Walks:
    """At `widths`, or at those of WIDTHS up to the first that reaches ENOUGH."""
    recalls, costs, asked = [], [], []
    for width in widths or WIDTHS:
        recall, cost = ask(index, queries, accepted, width, threads)
        recalls.append(recall)
        costs.append(cost)
        asked.append(width)
        if widths is None and recall.mean() >= ENOUGH:
            break
    stacked = np.stack(costs, axis=1)
    by_name = {name: stacked[:, :, at] for at, name in enumerate(COSTS)}
    return Walks(tuple(asked), np.stack(recalls, axis=1), by_name)


def mean_of(walks: Sequence[Walks]) -> Walks:
    """The mean over indexes that were asked the same queries at the same widths."""
    first = walks[0]
    if any(each.widths != first.widths for each in walks):
        raise ValueError(f"widths: {[each.widths for each in walks]}, expected the same for all")
    costs = {name: np.mean([each.costs[name] for each in walks], axis=0) for name in first.costs}
    return Walks(first.widths, np.mean([each.recall for each in walks], axis=0), costs)


def at_recall(recall: np.ndarray, cost: np.ndarray, target: float) -> np.ndarray:
    """Cost at recall `target`, for each row of (rows x widths) arrays; NaN where it is not reached.

    The logarithm of the cost is interpolated linearly in recall. Where the first width reaches the target already,
    its cost counts.
    """
    recall = np.maximum.accumulate(np.atleast_2d(recall), axis=1)
    cost = np.log(np.atleast_2d(cost))
    above = (recall < target).sum(axis=1)
    rows, last = np.arange(len(recall)), recall.shape[1] - 1
    right = np.minimum(above, last)
    left = np.maximum(right - 1, 0)
    step = recall[rows, right] - recall[rows, left]
    share = np.where(step > 0, (target - recall[rows, left]) / np.where(step > 0, step, 1), 1)
    between = cost[rows, left] * (1 - share) + cost[rows, right] * share
    answer = np.exp(np.where(above == 0, cost[:, 0], between))
    return np.where(above > last, np.nan, answer)


def at_target(walks: Walks, name: str, target: float) -> float | None:
    value = at_recall(walks.recall.mean(axis=0), walks.costs[name].mean(axis=0), target)[0]
    return None if np.isnan(value) else float(value)


def ratio(
    one: Walks, other: Walks, name: str, target: float, seed: int, resamples: int = 1000
) -> dict[str, Any] | None:
    """Cost of one over the other at equal recall, with the 95 % bootstrap interval; None if not reached.

    Both were asked the same queries; the bootstrap draws queries, for both the same ones.
    """
    queries = len(one.recall)
    counts = np.random.default_rng(seed).multinomial(queries, np.full(queries, 1 / queries), resamples)

    def cost(walks: Walks, weights: np.ndarray) -> np.ndarray:
        return at_recall(weights @ walks.recall / queries, weights @ walks.costs[name] / queries, target)

    whole = np.ones((1, queries))
    value = float(cost(one, whole)[0] / cost(other, whole)[0])
    ratios = cost(one, counts) / cost(other, counts)
    ratios = ratios[~np.isnan(ratios)]
    if np.isnan(value) or not len(ratios):
        return None
    low, high = np.quantile(ratios, [0.025, 0.975])
    return {"ratio": value, "low": float(low), "high": float(high)}
