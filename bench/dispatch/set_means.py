# SPDX-License-Identifier: Apache-2.0
"""Means over query sets, and gains with intervals: every set counts the same, however many queries it has."""

import numpy as np

ROUNDS = 2000  # of the bootstrap


def qualities(report):
    """nDCG@10 of every query of an evaluation, set after set."""
    return np.array([outcome.ndcg_at_10 for one in report.sets for outcome in one.outcomes])


class SetMeans:
    """`groups`: the set of each query. Values are one a query; `among` says which queries count."""

    def __init__(self, groups):
        groups = np.asarray(groups)
        self.names = list(dict.fromkeys(groups.tolist()))
        self.sets = [np.flatnonzero(groups == name) for name in self.names]

    def by_set(self, values):
        return {name: float(np.mean(np.asarray(values)[rows])) for name, rows in zip(self.names, self.sets)}

    def macro(self, values, among=None):
        """The mean over sets of their means; sets without a query among those asked for are left out."""
        return float(np.mean([np.asarray(values)[rows].mean() for rows in self._counting(among)]))

    def gain(self, better, worse, among=None):
        """Macro gain with its 95 % interval: queries resampled within sets."""
        gains = np.asarray(better) - np.asarray(worse)
        sets = self._counting(among)
        random = np.random.default_rng(0)
        drawn = [
            np.mean([gains[random.choice(rows, len(rows))].mean() for rows in sets]) for _ in range(ROUNDS)
        ]
        low, high = np.quantile(drawn, (0.025, 0.975))
        return {"gain": self.macro(gains, among), "interval": [float(low), float(high)]}

    def _counting(self, among):
        sets = self.sets if among is None else [rows[among[rows]] for rows in self.sets]
        return [rows for rows in sets if len(rows)]
