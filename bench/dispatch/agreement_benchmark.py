# SPDX-License-Identifier: Apache-2.0
"""What the label-free router `agreement` gives over 17 text collections in one partition, beside learned routers.

  S1  one space (MiniLM, 384-d), an expert with an adapter of its own for each collection
  S2  MiniLM, static 64-dimensional vectors and BM25 over the same documents, an expert each

"held out": dispatch trained on the train judgements, every query judged by what learned from others. "test": each
router answers the test judgements once. "label-free": a second training on the train queries without their
judgements. "alone": each expert of S2. Macro nDCG@10.

Usage: agreement_benchmark.py [--shapes S1,S2] [--seed 0] [--threads 0] [--output FILE.json]
Data: $TRIVIUM_DATA, or ../shared/data beside the repository.
"""

import argparse
import json
import pathlib
import tempfile

import numpy as np
from judged_collections import SPACE, Collection, KnownVectors, fill_shared, judged_queries
from shell import collection_names, data_directory

import trivium

ROUTERS = ["static_best", "knn_utility", "logistic", "agreement"]
ORACLES = ("all", "best_per_set", "best_per_query")
WEAK = "static-64"


def weak_vectors(data, name, kind):
    """A text of which the static model knows no word has no direction; here it has the first axis."""
    rows = np.load(data / "embeddings" / WEAK / f"{name}.{kind}.npy").astype(np.float32)
    rows[~rows.any(axis=1), 0] = 1
    return rows


class KnownWeakVectors(KnownVectors):
    """An encoder of the second space that looks up the vectors of the queries."""

    dimension, fingerprint = 64, WEAK

    def __init__(self, data, collections):
        self.rows = {}
        for one in collections:
            self.rows.update(zip(one.query_texts, weak_vectors(data, one.name, "queries")))


def fill_spaces(path, data, collections, encoders):
    """S2: all documents in one partition, as NAME/id, in two spaces and with their texts."""
    with trivium.open(path, encoders=encoders) as store:
        for name, encoder in encoders.items():
            store.add_space(name, encoder.dimension, encoder=name)
        for one in collections:
            ids = [f"{one.name}/{document}" for document in one.ids]
            weak = weak_vectors(data, one.name, "documents")
            store.upsert(ids, {SPACE: one.documents, WEAK: weak}, one.texts)
        for name in encoders:
            store.add_expert(name, space=name)
        store.add_expert("words", kind="lexical")
        store.build()


def answer(store, asked, **how):
    macro = store.evaluate(**asked, depth=10, **how).macro
    return {"ndcg@10": macro.ndcg_at_10, "experts_per_query": macro.experts_per_query}


def measure(store, train, test, arguments):
    report = store.train_dispatch(**train, routers=ROUTERS, seed=arguments.seed, threads=arguments.threads)
    result = {
        "held out": {
            row.name: {"ndcg@10": row.ndcg_at_10, "experts_per_query": row.experts_per_query}
            for row in report.rows
        },
        "chosen": report.router,
        "reason": report.reason,
        "seconds": report.seconds,
        "test": {"all": answer(store, test, experts="all")},
    }
    named = [row.name for row in report.rows if row.name not in ORACLES]
    result["test"].update({name: answer(store, test, router=name) for name in named})
    unjudged = {key: value for key, value in train.items() if key != "qrels"}
    free = store.train_dispatch(**unjudged, label_free=True, routers=["agreement"], threads=arguments.threads)
    result["label-free"] = {
        "seconds": free.seconds,
        "train": answer(store, train, router="agreement"),
        "test": answer(store, test, router="agreement"),
    }
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shapes", type=lambda text: text.split(","), default=["S1", "S2"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path)
    arguments = parser.parse_args()
    data = data_directory()
    collections = [Collection(data, name) for name in collection_names(data)]
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        if "S1" in arguments.shapes:
            path = pathlib.Path(folder) / "S1"
            fill_shared(path, collections)
            train, test = (judged_queries(collections, split, shared=True) for split in ("train", "test"))
            with trivium.open(path) as store:
                store.train_adapter(**train, seed=arguments.seed, threads=arguments.threads)
                result["S1"] = measure(store, train, test, arguments)
        if "S2" in arguments.shapes:
            path = pathlib.Path(folder) / "S2"
            encoders = {SPACE: KnownVectors(collections), WEAK: KnownWeakVectors(data, collections)}
            fill_spaces(path, data, collections, encoders)
            train, test = (
                judged_queries(collections, split, shared=True, texts=True) for split in ("train", "test")
            )
            with trivium.open(path, encoders=encoders) as store:
                result["S2"] = measure(store, train, test, arguments)
                result["S2"]["alone"] = {
                    name: answer(store, test, experts=[name]) for name in (*encoders, "words")
                }
    text = json.dumps(result, indent=1)
    if arguments.output:
        arguments.output.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
