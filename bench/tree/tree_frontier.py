# SPDX-License-Identifier: Apache-2.0
"""How sharp a representation tree can be, and what that costs; and whether its nodes are topics.

Trees of the 17 text collections (MiniLM, no labels), one for each weight of the entropy term, which without the balance
term ends with all documents in one leaf:

  entropy      mean entropy of a document's distribution over the leaves, bits
  level        macro nDCG@10 of each collection searched alone, ranking by 1 - TVD, on train queries that the tree
               did not learn from (every fifth)
  bytes        that a coarse to fine search of that level reads of each document, in the mean over 200 queries
  topics       normalised mutual information (arithmetic mean) of a document's collection and the node of level 5 that
               it goes to greedily

and the topics of a partition tree with as many cells as leaves, and of k-means with 32 clusters, which is what 32 nodes have to beat: the best of three runs by their sum of
squares.

Usage: tree_frontier.py [--weights 0,0.5,2,8] [--balance 4] [--steps 2500] [--output build/bench/tree_frontier.json]
Data: $TRIVIUM_DATA, or ../shared/data beside the repository. Expects `make build` to have run.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "dispatch"))
from judged_collections import DIMENSION, Collection, judged_queries  # noqa: E402
from shell import ROOT, collection_names, data_directory, origin, write_report  # noqa: E402
from tree_benchmark import ndcg, of_collection, unit  # noqa: E402

DEPTH, LEVELS, TOPIC_LEVEL = 10, (6, 8), 5


def subset(judged, rows):
    picked = {key: [judged[key][row] for row in rows] for key in ("qrels", "groups", "query_ids")}
    return {**judged, **picked, "queries": judged["queries"][rows]}


def normalised_mutual_information(a, b):
    """Of two labellings, over the arithmetic mean of their entropies."""
    joint = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(joint, (a, b), 1 / len(a))

    def entropy(p):
        p = p[p > 0]
        return float(-(p * np.log(p)).sum())

    of_a, of_b = entropy(joint.sum(axis=1)), entropy(joint.sum(axis=0))
    return 2 * (of_a + of_b - entropy(joint.ravel())) / (of_a + of_b)


def k_means(rows, count, seed, rounds=30):
    """Labels, and the sum of squared distances."""
    random = np.random.default_rng(seed)
    centres = rows[random.choice(len(rows), count, replace=False)]
    for _ in range(rounds):
        distances = (centres**2).sum(axis=1) - 2 * rows @ centres.T
        labels = distances.argmin(axis=1)
        centres = np.array(
            [rows[labels == c].mean(axis=0) if (labels == c).any() else rows[random.integers(len(rows))]
             for c in range(count)]
        )  # fmt: skip
    return labels, float(distances.min(axis=1).sum())


def greedy_node(nodes, level):
    """Of each row of node probabilities: the node of `level` reached by the more probable child, from 0."""
    at = np.ones(len(nodes), dtype=np.int64)
    for _ in range(level):
        rows = np.arange(len(nodes))
        at = 2 * at + (nodes[rows, 2 * at + 1] > nodes[rows, 2 * at])
    return at - 2**level


def shared_mass(queries, documents):
    """Sum of the smaller of both, for all pairs."""
    scores = np.zeros((len(queries), len(documents)), dtype=np.float32)
    for column in range(documents.shape[1]):
        scores += np.minimum.outer(queries[:, column], documents[:, column])
    return scores


def quality(collections, held_out, documents, queries, level):
    """Macro nDCG@10 of level `level`; node probabilities of both, in the order of collections and of queries."""
    span, means, first = slice(2**level, 2 ** (level + 1)), [], 0
    of_query = {one.name: [] for one in collections}
    for row, name in enumerate(held_out["groups"]):
        of_query[name].append(row)
    for one in collections:
        mine, rows = of_collection(held_out, one.name), of_query[one.name]
        nodes = documents[first : first + len(one.ids), span]
        first += len(one.ids)
        if not rows:
            continue
        found = []
        for query, grades, row in zip(
            mine["query_ids"], mine["qrels"], shared_mass(queries[rows, span], nodes)
        ):
            order = [one.ids[i] for i in np.argsort(-row, kind="stable")[:11]]
            order = [id for id in order if not (mine["drop_self"] and id == query)]
            found.append(ndcg([(one.name, id) for id in order], grades))
        means.append(np.mean(found))
    return float(np.mean(means))


def run(program, request, work):
    (work / "request.json").write_text(json.dumps(request))
    command = [ROOT / "build/release/bin" / program, work / "request.json"]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--weights", type=lambda text: [float(one) for one in text.split(",")], default=[0, 0.5, 2, 8]
    )
    parser.add_argument(
        "--balance", type=float, default=4.0, help="weight of the balance term, where entropy has one"
    )
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build/bench/tree_frontier.json")
    options = parser.parse_args()
    data = data_directory()
    collections = [Collection(data, name) for name in collection_names(data)]
    train = judged_queries(collections, "train")
    rows = np.arange(len(train["groups"]))
    learned, held_out = subset(train, rows[rows % 5 != 0]), subset(train, rows[rows % 5 == 0])
    documents = unit(np.concatenate([one.documents for one in collections])).astype(np.float32)
    owner = np.repeat(np.arange(len(collections)), [len(one.ids) for one in collections])
    report = {**origin("tree frontier"), "steps": options.steps, "rows": []}
    _, labels = min(
        (
            (squares, labels)
            for labels, squares in (k_means(documents, 2**TOPIC_LEVEL, seed) for seed in range(3))
        ),
        key=lambda one: one[0],
    )
    report["k-means topics"] = normalised_mutual_information(owner, labels)
    print(f"topics of k-means, {2**TOPIC_LEVEL} clusters: {report['k-means topics']:.4f}")
    with tempfile.TemporaryDirectory(prefix="trivium-bench-") as folder:
        work = pathlib.Path(folder)
        documents.tofile(work / "documents")
        unit(learned["queries"]).astype(np.float32).tofile(work / "queries")
        unit(held_out["queries"]).astype(np.float32).tofile(work / "held_out")
        unit(held_out["queries"][:: max(1, len(held_out["groups"]) // 200)]).astype(np.float32).tofile(
            work / "asked"
        )
        (work / "none").touch()
        request = {
            "base": str(work / "documents"),
            "training": str(work / "none"),
            "metric": "cosine",
            "dimension": DIMENSION,
            "queries": {},
            "depth": DEPTH,
            "threads": options.threads,
            "seed": 0,
            "learn_tree": False,
            "folder": str(work),
        }
        run("trivium_bench_cells", request, work)
        leaves = np.fromfile(work / "cells.u32", dtype=np.uint32).astype(np.int64)
        report["partition topics"] = normalised_mutual_information(owner, leaves >> (DEPTH - TOPIC_LEVEL))
        print(f"topics of a partition tree: {report['partition topics']:.4f}")
        print(
            "| weight | entropy |"
            + "".join(f" level {one} | bytes |" for one in LEVELS)
            + " bytes at 10 | topics |"
        )
        print("| ---: |" * 1 + " ---: |" * (2 * len(LEVELS) + 3))
        for weight in options.weights:
            request = {
                "dimension": DIMENSION,
                "documents": str(work / "documents"),
                "queries": str(work / "queries"),
                "relevant": "",
                "assign": {str(work / one): str(work / f"{one}.nodes") for one in ("documents", "held_out")},
                "search": {"queries": str(work / "asked"), "levels": [*LEVELS, DEPTH]},
                "options": {
                    "depth": DEPTH,
                    "step_count": options.steps,
                    "entropy_weight": weight,
                    "balance_weight": options.balance if weight > 0 else 0,
                    "thread_count": options.threads,
                },
            }
            told = run("trivium_bench_tree", request, work)
            nodes = {
                one: np.fromfile(work / f"{one}.nodes", dtype=np.float32).reshape(-1, 2 ** (DEPTH + 1))
                for one in ("documents", "held_out")
            }
            bytes_read = {one["level"]: one["bytes_a_document"] for one in told["search"]}
            row = {
                "weight": weight,
                "entropy": told["levels"][-1]["entropy"],
                "ndcg@10": {
                    level: quality(collections, held_out, nodes["documents"], nodes["held_out"], level)
                    for level in LEVELS
                },
                "bytes_a_document": bytes_read,
                "topics": normalised_mutual_information(owner, greedy_node(nodes["documents"], TOPIC_LEVEL)),
                "seconds": told["seconds"],
            }
            report["rows"].append(row)
            cells = "".join(f" {row['ndcg@10'][one]:.4f} | {bytes_read[one]:.0f} |" for one in LEVELS)
            print(
                f"| {weight:g} | {row['entropy']:.2f} |{cells} {bytes_read[DEPTH]:.0f} | {row['topics']:.4f} |",
                flush=True,
            )
    write_report(options.output, report)
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
