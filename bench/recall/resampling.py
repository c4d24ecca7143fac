# SPDX-License-Identifier: Apache-2.0
"""How sure is a ratio of two speeds that were measured in the same rounds?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def ratio_interval(
    numerator: Sequence[float], denominator: Sequence[float], seed: int = 0, resamples: int = 4000
) -> dict[str, float]:
    """Ratio of the medians over rounds, with the bootstrap's 95 % interval.

    Round i of both was measured at the same time, so the bootstrap draws rounds, not single figures: a slow
    minute of the machine is in both or in neither.
    """
    above, below = np.asarray(numerator, dtype=float), np.asarray(denominator, dtype=float)
    if above.shape != below.shape or above.ndim != 1 or not above.size:
        raise ValueError(f"rounds: {above.shape} and {below.shape}, expected two equal, non-empty lists")
    drawn = np.random.default_rng(seed).integers(0, above.size, size=(resamples, above.size))
    ratios = np.median(above[drawn], axis=1) / np.median(below[drawn], axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return {"ratio": float(np.median(above) / np.median(below)), "low": float(low), "high": float(high)}


def difference_interval(
    one: Sequence[float], other: Sequence[float], seed: int = 0, resamples: int = 2000
) -> dict[str, float]:
    """Mean of one - other over the queries that both were asked, with the bootstrap's 95 % interval."""
    differences = np.asarray(one, dtype=float) - np.asarray(other, dtype=float)
    if differences.ndim != 1 or not differences.size:
        raise ValueError(f"queries: {differences.shape}, expected two equal, non-empty lists")
    drawn = np.random.default_rng(seed).integers(0, differences.size, size=(resamples, differences.size))
    low, high = np.quantile(differences[drawn].mean(axis=1), [0.025, 0.975])
    return {"difference": float(differences.mean()), "low": float(low), "high": float(high)}
