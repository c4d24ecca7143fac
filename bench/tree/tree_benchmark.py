# SPDX-License-Identifier: Apache-2.0
"""Trees as representations of the 17 text collections, each searched alone.

One store, a partition and an expert a collection, MiniLM vectors. One tree for all is learned without labels (train
queries as anchors, no judgements), and another with the train judgements (`--labels`). Macro nDCG@10 on the test
judgements, which nothing was chosen by, ranking by 1 - TVD alone. Beside it, in NumPy, at the same number of floats:
PCA (centred, cosine; learned from the documents), and at the same bytes product quantisation (FAISS, where the
interpreter has it: .venv-bench does).

  level          macro nDCG@10 of 2^level numbers a document

tree_frontier.py, beside this, tells of entropy, bytes and topics.

Usage: tree_benchmark.py [--levels 4,6,8,10] [--steps N] [--mlp] [--seed 0] [--output build/bench/tree.json]
Data: $TRIVIUM_DATA, or ../shared/data beside the repository.
"""

import argparse
import pathlib
import shutil
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "dispatch"))
from judged_collections import Collection, fill_federated, judged_queries  # noqa: E402
from shell import ROOT, collection_names, data_directory, origin, write_report  # noqa: E402

import trivium  # noqa: E402

ADAPTED = "adapter and tree"


def of_collection(judged, name):
    rows = [row for row, group in enumerate(judged["groups"]) if group == name]
    return {
        "queries": judged["queries"][rows],
        "qrels": [judged["qrels"][row] for row in rows],
        "query_ids": [judged["query_ids"][row] for row in rows],
        "drop_self": name == "arguana",
    }


def alone(store, names, test, **how):
    """Macro nDCG@10, and mean bytes read a query and document, of each collection searched by itself."""
    by_set = {}
    for name in names:
        report = store.evaluate(**of_collection(test, name), experts=[name], depth=10, **how)
        by_set[name] = report.macro.ndcg_at_10
    return {"ndcg@10": float(np.mean(list(by_set.values()))), "sets": by_set}


def ndcg(order, grades):
    gains = sum(grades.get(one, 0) / np.log2(rank + 2) for rank, one in enumerate(order[:10]))
    ideal = sorted(grades.values(), reverse=True)[:10]
    return gains / sum(grade / np.log2(rank + 2) for rank, grade in enumerate(ideal))


def by_similarity(collections, test, documents, queries):
    """Macro nDCG@10 of inner products of other representations, in the order of `collections`."""
    means = []
    for one, rows in zip(collections, documents):
        mine = of_collection(test, one.name)
        scores = queries(mine["queries"]) @ rows.T
        found = []
        for query, grades, row in zip(mine["query_ids"], mine["qrels"], scores):
            order = [one.ids[i] for i in np.argsort(-row, kind="stable")[:11]]
            order = [id for id in order if not (mine["drop_self"] and id == query)]
            found.append(ndcg([(one.name, id) for id in order], grades))
        means.append(np.mean(found))
    return float(np.mean(means))


def unit(rows):
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def projections(collections, test, sizes):
    """PCA of `sizes` floats."""
    documents = [unit(one.documents) for one in collections]
    mean = np.concatenate(documents).mean(axis=0)
    _, axes = np.linalg.eigh(np.cov(np.concatenate(documents).T))
    rows = {}
    for size in sizes:
        axis = axes[:, ::-1][:, :size]

        def project(given, axis=axis):
            return unit((unit(given) - mean) @ axis)

        rows[size] = by_similarity(collections, test, [project(one) for one in documents], project)
    return rows


def quantised(collections, test, sizes):
    """Product quantisation to `sizes` bytes, queries as they are; none without FAISS."""
    try:
        import faiss
    except ImportError:
        return {}
    everything = unit(np.concatenate([one.documents for one in collections])).astype(np.float32)
    rows = {}
    for size in sizes:
        quantiser = faiss.ProductQuantizer(everything.shape[1], size, 8)
        quantiser.train(everything[:: max(1, len(everything) // 20000)].copy())
        decoded = [
            quantiser.decode(quantiser.compute_codes(unit(one.documents).astype(np.float32)))
            for one in collections
        ]
        rows[size] = by_similarity(collections, test, decoded, unit)
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--levels", type=lambda text: [int(one) for one in text.split(",")], default=[4, 6, 8, 10]
    )
    parser.add_argument("--steps", type=int, default=0, help="0: the trainer's own number")
    parser.add_argument("--mlp", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build/bench/tree.json")
    options = parser.parse_args()
    data = data_directory()
    collections = [Collection(data, name) for name in collection_names(data)]
    names = [one.name for one in collections]
    train, test = (judged_queries(collections, split) for split in ("train", "test"))
    work = pathlib.Path(tempfile.mkdtemp(prefix="trivium-bench-"))
    report = {**origin("tree"), "seed": options.seed, "mlp": options.mlp, "rows": {}, "training": {}}
    how = {"mlp": options.mlp, "seed": options.seed, "threads": options.threads, "ignore_gate": True}
    if options.steps > 0:
        how["steps"] = options.steps

    def measure(label, store, **more):
        levels = {
            level: alone(store, names, test, index="tree", level=level, **more) for level in options.levels
        }
        report["rows"][label] = {level: one for level, one in levels.items()}
        cells = " | ".join(f"{levels[level]['ndcg@10']:.4f}" for level in options.levels)
        print(f"| {label} | {cells} |", flush=True)

    try:
        fill_federated(work / "store", collections)
        print("| representation | " + " | ".join(f"level {one}" for one in options.levels) + " |")
        print("| --- |" + " ---: |" * len(options.levels))
        with trivium.open(work / "store") as store:
            flat = alone(store, names, test, index="exact", adapters=False)
            report["flat"] = flat
            trained = store.train_tree(train["queries"], **how)
            report["training"]["without labels"] = trained.spaces[0].seconds
            measure("tree, without labels", store, adapters=False)
            store.train_adapter(**train, seed=options.seed, threads=options.threads)
            report["flat, adapted"] = alone(store, names, test, index="exact", adapters=True)
            measure("the same, queries adapted", store, adapters=True)
            trained = store.train_tree(
                train["queries"], train["qrels"], query_ids=train["query_ids"], groups=train["groups"],
                drop_self=train["drop_self"], **how,
            )  # fmt: skip
            report["training"]["with labels"] = trained.spaces[0].seconds
            measure("tree, with labels, queries adapted", store, adapters=True)
            measure("tree, with labels", store, adapters=False)
        report["pca"] = projections(collections, test, [2**level for level in options.levels if level < 9])
        report["pq"] = quantised(collections, test, [16, 32, 64, 96, 192])
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"flat {flat['ndcg@10']:.4f}, adapted {report['flat, adapted']['ndcg@10']:.4f}")
    print("PCA, floats:", ", ".join(f"{size}: {value:.4f}" for size, value in report["pca"].items()))
    print(
        "PQ, bytes:", ", ".join(f"{size}: {value:.4f}" for size, value in report["pq"].items()) or "no FAISS"
    )
    print("training, s:", ", ".join(f"{label} {value:.0f}" for label, value in report["training"].items()))
    write_report(options.output, report)
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
