# SPDX-License-Identifier: Apache-2.0
"""The true nearest neighbours, by an exact scan in blocks."""

from __future__ import annotations

import numpy as np

# Neighbours beyond the k-th that are looked at for ties with it.
SPARE = 22
# Two scores this close are a tie: float32 products of another order of summation differ by as much.
TIE = 1e-6


def accepted_labels(
    base: np.ndarray, queries: np.ndarray, metric: str, k: int, block: int = 256
) -> np.ndarray:
    """n x (k + SPARE) labels of the k nearest rows and those as near as the k-th, nearest first, then -1.

    metric: "cosine" (both sides of length one) or "l2". Exact where products and sums of float32 are, as on
    integers below 256 in 128 dimensions.
    """
    width = min(k + SPARE, len(base))
    answer = np.full((len(queries), k + SPARE), -1, dtype=np.int64)
    lengths = np.einsum("ij,ij->i", base, base) if metric == "l2" else None
    for start in range(0, len(queries), block):
        scores = queries[start : start + block] @ base.T
        if lengths is not None:
            scores *= 2
            scores -= lengths
        near = np.argpartition(scores, -width, axis=1)[:, -width:]
        order = np.argsort(-np.take_along_axis(scores, near, axis=1), axis=1, kind="stable")
        near = np.take_along_axis(near, order, axis=1)
        near_scores = np.take_along_axis(scores, near, axis=1)
        last = near_scores[:, min(k, width) - 1 : min(k, width)]
        tied = near_scores >= last - TIE * np.maximum(1, np.abs(last))
        answer[start : start + block, :width] = np.where(tied, near, -1)
    return answer
