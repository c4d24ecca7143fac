# SPDX-License-Identifier: Apache-2.0
"""Learns which of eight experts answers a query, and compares with asking all of them.

The vectors are synthetic. Every domain has its own document on each of 500 topics, so that documents of other
domains come in between; questions carry the style of their domain, which documents do not have.
"""

from __future__ import annotations

import tempfile

import numpy as np

import trivium

DIMENSION, DOMAINS, TOPICS, QUERIES = 64, 8, 500, 60


def main(directory: str) -> None:
    rng = np.random.default_rng(0)
    topics = rng.standard_normal((TOPICS, DIMENSION))
    styles = 0.5 * rng.standard_normal((DOMAINS, DIMENSION))
    queries, qrels, groups = [], [], []
    with trivium.open(directory) as store:
        store.add_space("text", dimension=DIMENSION)
        for number, style in enumerate(styles):
            domain = f"domain{number}"
            vectors = topics + 0.4 * rng.standard_normal((TOPICS, DIMENSION))
            ids = [f"topic{row}" for row in range(TOPICS)]  # ids may repeat between partitions
            store.add_expert(domain, space="text", partition=domain)
            store.upsert(ids, vectors, partition=domain)
            rows = rng.choice(TOPICS, QUERIES, replace=False)
            queries.append(vectors[rows] + style + 1.2 * rng.standard_normal((QUERIES, DIMENSION)))
            qrels += [{(domain, ids[row]): 1} for row in rows]
            groups += [domain] * QUERIES
        store.build()

        questions = np.concatenate(queries)
        report = store.train_dispatch(questions, qrels, groups=groups)
        print(f"best router: {report.router}, enabled: {report.enabled} ({report.reason})")
        for row in report.rows:
            print(
                f"  {row.name:16} nDCG@10 {row.ndcg_at_10:.3f}  experts a query {row.experts_per_query:.2f}"
            )

        hits = store.search(questions[0], k=3, explain=True)
        print("\nexperts considered for the first query:")
        for expert in hits.route.experts[:3]:
            print(f"  {expert.expert}: {expert.probability:.2f}, {expert.reason}")
        print("hits:", [f"{hit.partition}/{hit.id}" for hit in hits])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(folder)
