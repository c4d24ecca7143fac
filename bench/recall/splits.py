# SPDX-License-Identifier: Apache-2.0
"""Queries for tuning and queries for the report, with near-identical ones on the same side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

SIDES = ("validation", "test")
TWIN_COSINE = 0.95


def distinct_rows(rows: np.ndarray) -> np.ndarray:
    """Positions of the first of each group of byte-equal rows, rising."""
    rows = np.ascontiguousarray(rows)
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    return np.sort(np.unique(keys, return_index=True)[1])


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows of length one, float32; a row of zeros stays as it is."""
    rows = rows.astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.where(lengths > 0, lengths, 1))


def twin_groups(rows: np.ndarray, cosine: float = TWIN_COSINE, block: int = 1024) -> np.ndarray:
    """A group number a row: rows joined by a chain of pairs whose cosine is at least `cosine`."""
    rows = unit_rows(rows)
    parent = np.arange(len(rows))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = parent[parent[at]]
            at = parent[at]
        return at

    for start in range(0, len(rows), block):
        near = rows[start : start + block] @ rows[start:].T >= cosine
        for one, other in np.argwhere(near):
            if one < other:
                parent[root(start + int(other))] = root(start + int(one))
    return np.array([root(at) for at in range(len(rows))])


def split_by_twins(
    kinds: Mapping[str, np.ndarray], cap: int, seed: int, cosine: float = TWIN_COSINE
) -> dict[str, dict[str, np.ndarray]]:
    """Positions of the rows of each kind for each side, at most `cap` of them, without duplicates.

    Groups of twins may span kinds. They are dealt in random order, each to the side that so far has the smaller
    share of the kinds in the group.
    """
    rng = np.random.default_rng(seed)
    names, positions, parts = [], [], []
    for kind, rows in kinds.items():
        # Three times what can be kept bounds the cost of comparing all pairs.
        kept = rng.permutation(distinct_rows(rows))[: 3 * cap]
        names += [kind] * len(kept)
        positions += kept.tolist()
        parts.append(unit_rows(rows[kept]))
    groups = twin_groups(np.concatenate(parts), cosine)
    members: dict[int, list[int]] = {}
    for row, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(row)
    split = {kind: {side: [] for side in SIDES} for kind in kinds}
    order = list(members)
    for at in rng.permutation(len(order)):
        rows_of_group = members[order[at]]
        held = {side: sum(len(split[names[row]][side]) for row in rows_of_group) for side in SIDES}
        side = min(SIDES, key=lambda each: held[each])
        for row in rows_of_group:
            split[names[row]][side].append(positions[row])
    return {
        kind: {
            side: np.array(sorted(rng.permutation(rows)[:cap]), dtype=np.int64)
            for side, rows in sides.items()
        }
        for kind, sides in split.items()
    }
