# SPDX-License-Identifier: Apache-2.0
"""The 17 text collections of the development data as stores and judged queries."""

import csv
import gzip
import json
import shutil

import numpy as np

import trivium

SPACE, DIMENSION = "minilm", 384
TWIN_COSINE = 0.95


class Collection:
    def __init__(self, data, name):
        folder, vectors = data / "retrieval" / name, data / "embeddings" / "minilm-384"
        self.name = name
        with gzip.open(folder / "corpus.jsonl.gz", "rt", encoding="utf-8") as lines:
            corpus = [json.loads(line) for line in lines]
        self.ids = [one["_id"] for one in corpus]
        self.texts = [". ".join(filter(None, (one.get("title"), one.get("text")))) for one in corpus]
        self.documents = np.load(vectors / f"{name}.documents.npy").astype(np.float32)
        with open(folder / "queries.jsonl", encoding="utf-8") as lines:
            asked = [json.loads(line) for line in lines]
        self.query_ids, self.query_texts = ([one[key] for one in asked] for key in ("_id", "text"))
        self.query_vectors = np.load(vectors / f"{name}.queries.npy").astype(np.float32)
        self.judgements = {
            split: self._read(folder / "qrels" / f"{split}.tsv") for split in ("train", "test")
        }

    @staticmethod
    def _read(path):
        grades = {}
        with open(path, encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines, delimiter="\t"):
                if float(row["score"]) > 0:
                    grades.setdefault(row["query-id"], {})[row["corpus-id"]] = float(row["score"])
        return grades


class KnownVectors:
    """An encoder that looks up the vectors of the collections' queries."""

    dimension, fingerprint = DIMENSION, "minilm"

    def __init__(self, collections):
        self.rows = {
            text: vector for one in collections for text, vector in zip(one.query_texts, one.query_vectors)
        }

    def __call__(self, texts, kind):
        return np.array([self.rows[text] for text in texts])


def fill_federated(path, collections, encoders=None):
    """S3: a partition and an expert each. With encoders, queries can be texts, and documents have theirs."""
    with trivium.open(path, encoders=encoders) as store:
        store.add_space(SPACE, DIMENSION, encoder=SPACE if encoders else None)
        for one in collections:
            store.upsert(one.ids, {SPACE: one.documents}, one.texts if encoders else None, partition=one.name)
            store.add_expert(one.name, space=SPACE, partition=one.name)
        store.build()


def fill_shared(path, collections):
    """S1: all documents in one partition, as NAME/id, and an expert each over all of them."""
    with trivium.open(path) as store:
        store.add_space(SPACE, DIMENSION)
        for one in collections:
            store.upsert([f"{one.name}/{document}" for document in one.ids], one.documents)
            store.add_expert(one.name, space=SPACE)
        store.build()


def judged_queries(collections, split, shared=False, texts=False):
    """Arguments of train_* and evaluate; queries are vectors, or texts for `KnownVectors`."""
    queries, qrels, groups, query_ids = [], [], [], []
    for one in collections:
        for query, asked in zip(one.query_ids, one.query_texts if texts else one.query_vectors):
            grades = one.judgements[split].get(query)
            if grades is None:
                continue
            queries.append(asked)
            groups.append(one.name)
            query_ids.append(f"{one.name}/{query}" if shared else query)
            qrels.append(
                {
                    f"{one.name}/{document}" if shared else (one.name, document): grade
                    for document, grade in grades.items()
                }
            )
    return {
        "queries": queries if texts else np.array(queries),
        "qrels": qrels,
        "groups": groups,
        "query_ids": query_ids,
        "drop_self": ["arguana"],  # its queries are documents
    }


def clean_rows(train, test):
    """Which test queries have neither a near twin nor a relevant document among those of training."""
    unit = {}
    for side, asked in (("train", train), ("test", test)):
        rows = asked["queries"]
        unit[side] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    seen = {document for grades in train["qrels"] for document in grades}
    clean = [not seen.intersection(grades) for grades in test["qrels"]]
    for first in range(0, len(clean), 512):
        nearest = (unit["test"][first : first + 512] @ unit["train"].T).max(axis=1)
        for row, cosine in enumerate(nearest, first):
            clean[row] = clean[row] and cosine < TWIN_COSINE
    return np.array(clean)


def copy_store(source, target):
    """Replaces the directory `target`; returns it."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    return target


def found_by_training(report):
    """What `train_dispatch` chose, for a report."""
    return {
        "router": report.router,
        "enabled": report.enabled,
        "reason": report.reason,
        "mixture": report.mixture,
        "prior_weight": report.prior_weight,
        "second_look": report.second_look,
        "memory": report.memory,
        "lexical_weight": report.lexical_weight,
        "top_p": report.top_p,
        "max_experts": report.max_experts,
        "held_out": {row.name: row.ndcg_at_10 for row in report.rows},
        "seconds": report.seconds,
    }
