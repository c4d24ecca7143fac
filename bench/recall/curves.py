# SPDX-License-Identifier: Apache-2.0
"""Curves of recall against speed: measured points, their envelope, and the speed at a target recall.

A point is a pair (recall, queries per second). Nothing here measures anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

Point = tuple[float, float]


def recall_of_rows(found: np.ndarray, accepted: np.ndarray, k: int) -> np.ndarray:
    """Recall@k of each query.

    found: n x k labels, -1 where a contender returned fewer. accepted: n x m labels, m >= k, padded with -1:
    the k nearest and what lies as near as the k-th, so that a tie is no mistake.
    """
    hits = (found[:, :, None] == accepted[:, None, :]) & (accepted[:, None, :] >= 0)
    return np.minimum(hits.any(axis=1).sum(axis=1), k) / k


def envelope(points: Iterable[Point], slack: float = 0.0) -> list[int]:
    """Positions of the points that no other point beats in both recall and speed, by rising recall.

    slack: the share by which a point must be faster to beat another; more than 0 where speeds are noisy.
    """
    points = list(points)
    kept: list[int] = []
    fastest = -math.inf
    for position in sorted(range(len(points)), key=lambda at: points[at], reverse=True):
        if points[position][1] * (1 + slack) > fastest:
            kept.append(position)
            fastest = max(fastest, points[position][1])
    return kept[::-1]


def speed_at(points: Sequence[Point], target: float) -> float | None:
    """Queries per second at recall `target`, or None if no point reaches it.

    The logarithm of the speed is interpolated linearly in recall along the envelope; below its first point the
    speed of that point counts, which reaches more than the target.
    """
    line = [points[position] for position in envelope(points)]
    for position, (recall, speed) in enumerate(line):
        if recall < target:
            continue
        if position == 0 or recall == target:
            return speed
        before_recall, before_speed = line[position - 1]
        share = (target - before_recall) / (recall - before_recall)
        return math.exp(math.log(before_speed) * (1 - share) + math.log(speed) * share)
    return None


def around(points: Sequence[Point], targets: Iterable[float], each_side: int = 2) -> list[int]:
    """Positions of the points near `targets` that may be on the envelope when they are measured again."""
    line = envelope(points, slack=0.15)
    wanted: set[int] = set()
    for target in targets:
        above = next((at for at, position in enumerate(line) if points[position][0] >= target), len(line))
        wanted.update(line[max(0, above - each_side) : above + each_side])
    return [position for position in line if position in wanted]


def fastest_configuration(curves: Mapping[str, Sequence[Point]], target: float) -> str | None:
    """The name of the curve with the most queries per second at `target`; None if none reaches it."""
    speeds = {name: speed_at(points, target) for name, points in curves.items()}
    reached = {name: speed for name, speed in speeds.items() if speed is not None}
    return max(reached, key=lambda name: reached[name]) if reached else None
