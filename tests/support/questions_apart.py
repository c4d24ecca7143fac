# SPDX-License-Identifier: Apache-2.0
"""Vectors in clusters, and questions that lie between two of them: what teaching a graph pays for."""

import numpy as np

CLUSTERS = 40


class QuestionsApart:
    """`rows` in clusters; `ask` sums a row of one and a row of another cluster, for a few pairs of clusters."""

    def __init__(self, count, dimension, noise=0.4, question_noise=0.5, topics=15, seed=0):
        rng = np.random.default_rng(seed)
        centers = rng.standard_normal((CLUSTERS, dimension))
        cluster = rng.integers(0, CLUSTERS, count)
        self._rows = centers[cluster] + noise * rng.standard_normal((count, dimension))
        members = [np.flatnonzero(cluster == each) for each in range(CLUSTERS)]
        self._pairs = [tuple(members[each] for each in rng.choice(CLUSTERS, 2, False)) for _ in range(topics)]
        self._question_noise = question_noise
        self.rows = self._rows.astype(np.float32)

    def ask(self, count, seed):
        """count x dimension questions, others for another seed."""
        rng = np.random.default_rng(seed)
        pairs = [self._pairs[each] for each in rng.integers(0, len(self._pairs), count)]
        one, other = (np.array([rng.choice(pair[side]) for pair in pairs]) for side in (0, 1))
        noise = self._question_noise * rng.standard_normal((count, self.rows.shape[1]))
        return (self._rows[one] + self._rows[other] + noise).astype(np.float32)
