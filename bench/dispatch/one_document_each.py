# SPDX-License-Identifier: Apache-2.0
"""Routing without a corpus: one expert a choice, each with one document, and the order in which they are asked.

All documents have the same vector, so that nothing but the route orders them. What a query thinks of a choice
is the grade of its document: nDCG@10 of an expert alone is then that grade, over the ideal of the query.
"""

import numpy as np

import trivium

SPACE = "text"


def fill(path, choices, dimension):
    anywhere = np.zeros((1, dimension), np.float32)
    anywhere[0, 0] = 1
    store = trivium.open(path, durability="async")
    store.add_space(SPACE, dimension)
    for name in choices:
        store.upsert([name], anywhere, partition=name)
        store.add_expert(name, space=SPACE, partition=name)
    store.build()
    return store


def grades(choices, row):
    """Judgements of one query from its grade of each choice."""
    return {(name, name): float(grade) for name, grade in zip(choices, row) if grade > 0}


def routers(report):
    """The names of those that training tried."""
    return [row.name for row in report.rows if row.name != "all" and not row.name.startswith("best_per_")]


def asked(store, choices, vector, router):
    """Indices of the choices that the router expects anything of, most probable first."""
    hits = store.search(vector, k=1, documents=False, router=router, top_p=1.0, max_experts=len(choices))
    return [choices.index(name) for name in hits.route.chosen]


def dealt(count, folds, seed):
    """The fold of each of `count` queries: equally many in each, at random."""
    fold_of = np.arange(count) % folds
    np.random.default_rng(seed).shuffle(fold_of)
    return fold_of
