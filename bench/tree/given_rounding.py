# SPDX-License-Identifier: Apache-2.0
"""How much of the ranking by distributions made elsewhere their rounding to bytes keeps.

Distributions over 2^depth leaves by a random tree of linear splits, steeper or flatter, over clustered vectors of 64
dimensions. For each steepness and level: the share of the ten documents that share most with a query, by exact masses,
that the ten found with index="tree" equal or beat (recall), the mean error of their scores, and bytes read a document.

Usage: given_rounding.py [--depth 10] [--documents 5000] [--queries 200] [--steepness 0.5,2,8,32]
Expects `make build` to have run.
"""

import argparse
import json
import pathlib
import tempfile

import numpy as np

import trivium

DIMENSION, CLUSTERS = 64, 50


def distributions(vectors, splits, steepness):
    """n x 2^depth: products of the sigmoids on the way to each leaf."""
    nodes = np.ones((len(vectors), 1))
    depth = int(np.log2(len(splits) + 1))
    for level in range(depth):
        second = 1 / (1 + np.exp(-steepness * (vectors @ splits[2**level - 1 : 2 ** (level + 1) - 1].T)))
        nodes = np.stack([nodes * (1 - second), nodes * second], axis=2).reshape(len(vectors), -1)
    return nodes.astype(np.float32)


def shares(documents, query, level):
    at_level = documents.reshape(len(documents), 2**level, -1).sum(axis=2)
    return np.minimum(at_level, query.reshape(2**level, -1).sum(axis=1)).sum(axis=1)


def measure(documents, queries, depth):
    with tempfile.TemporaryDirectory() as folder, trivium.open(pathlib.Path(folder) / "kb") as store:
        store.add_space("leaves", documents.shape[1])
        store.upsert([str(row) for row in range(len(documents))], {"leaves": documents})
        store.set_tree()
        rows = [{"reason": store.inspect().spaces[0].tree.reason}]
        for level in range(depth, 1, -2):
            right, error, read = [], [], []
            for query in queries:
                exact = shares(documents, query, level)
                hits = store.search(query, index="tree", level=level)
                found = exact[[int(hit.id) for hit in hits]]
                right.append(np.mean(found >= np.sort(exact)[-10] - 1e-6))
                error.append(np.mean(np.abs(hits.scores - found)))
                read.append(hits.trace.bytes_read / len(documents))
            figures = {"recall": np.mean(right), "error": np.mean(error), "bytes": np.mean(read)}
            rows.append({"level": level, **{name: round(float(mean), 4) for name, mean in figures.items()}})
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--depth", type=int, default=10)
    parser.add_argument("--documents", type=int, default=5000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--steepness", default="0.5,2,8,32")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((CLUSTERS, DIMENSION))
    vectors = centres[rng.integers(0, CLUSTERS, options.documents + options.queries)]
    vectors = vectors + 0.7 * rng.standard_normal(vectors.shape)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    splits = rng.standard_normal((2**options.depth - 1, DIMENSION))
    for steepness in map(float, options.steepness.split(",")):
        rows = distributions(vectors, splits, steepness)
        entropy = -np.mean(np.sum(rows * np.log2(np.maximum(rows, 1e-30)), axis=1))
        told = measure(rows[: options.documents], rows[options.documents :], options.depth)
        print(json.dumps({"steepness": steepness, "entropy_bits": round(float(entropy), 2), "levels": told}))


if __name__ == "__main__":
    main()
