# SPDX-License-Identifier: Apache-2.0
"""Questions that plain search misreads: their documents, mirrored along the direction in which documents differ most."""

import numpy as np

DIMENSION = 16
DOMAINS = ("law", "medicine")


class MisreadQuestions:
    """Two domains of unit vectors; `turn` is the adapter that reads the questions of both."""

    def __init__(self, documents=300, questions=90, seed=3):
        rng = np.random.default_rng(seed)
        direction = np.full(DIMENSION, DIMENSION**-0.5)
        self.turn = (np.eye(DIMENSION) - 2 * np.outer(direction, direction)).astype(np.float32)
        self.documents, self.ids, self.queries, self.rows = {}, {}, {}, {}
        for number, domain in enumerate(DOMAINS):
            rows = rng.standard_normal((documents, DIMENSION))
            rows += 3 * rng.standard_normal((documents, 1)) * direction
            rows[:, DIMENSION - 1 - number] += 3
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            self.documents[domain] = rows.astype(np.float32)
            self.ids[domain] = [f"d{i}" for i in range(documents)]
            self.rows[domain] = rng.choice(documents, questions, replace=False)
            asked = rows[self.rows[domain]] @ self.turn + 0.03 * rng.standard_normal((questions, DIMENSION))
            self.queries[domain] = asked.astype(np.float32)

    def judged(self, domains=DOMAINS):
        """Queries, qrels by (partition, id), and groups."""
        queries = np.concatenate([self.queries[domain] for domain in domains])
        qrels = [{(domain, f"d{row}"): 1} for domain in domains for row in self.rows[domain]]
        groups = [domain for domain in domains for _ in self.rows[domain]]
        return queries, qrels, groups
