# SPDX-License-Identifier: Apache-2.0
"""One collection of real texts, where the shared data is at hand."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import numpy as np
import pytest

import trivium
from support import unit

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("TRIVIUM_DATA", ROOT.parent / "shared/data"))


class Collection:
    """Ids, vectors and judgements of one collection, as the files have them."""

    def __init__(self, name: str) -> None:
        vectors, texts = DATA / "embeddings/minilm-384", DATA / "retrieval" / name
        self.name = name
        with gzip.open(texts / "corpus.jsonl.gz", "rt", encoding="utf-8") as file:
            self.documents = [json.loads(line) for line in file]
        self.ids = [document["_id"] for document in self.documents]
        self.vectors = np.load(vectors / f"{name}.documents.npy")
        self.queries = np.load(vectors / f"{name}.queries.npy")
        with (texts / "queries.jsonl").open(encoding="utf-8") as file:
            self.query_ids = [json.loads(line)["_id"] for line in file]

    def judged(self, split: str) -> tuple[list[int], list[dict[tuple[str, str], float]]]:
        """Rows of the queries with judgements, and these."""
        grades: dict[str, dict[tuple[str, str], float]] = {}
        with (DATA / "retrieval" / self.name / "qrels" / f"{split}.tsv").open(encoding="utf-8") as file:
            for query, document, grade in (line.split("\t") for line in list(file)[1:]):
                grades.setdefault(query, {})[self.name, document] = float(grade)
        rows = [row for row, query in enumerate(self.query_ids) if query in grades]
        return rows, [grades[self.query_ids[row]] for row in rows]


@pytest.fixture(scope="module")
def collections() -> list[Collection]:
    if not DATA.is_dir():
        pytest.skip(f"no shared data at {DATA} (TRIVIUM_DATA)")
    return [Collection(name) for name in ("xquad-en", "privacyqa", "nq-utd")]


def judged_queries(collections: list[Collection], split: str):
    queries, qrels, groups = [], [], []
    for one in collections:
        rows, grades = one.judged(split)
        queries.append(one.queries[rows])
        qrels += grades
        groups += [one.name] * len(rows)
    return np.concatenate(queries), qrels, groups


def reference_ndcg(collections: list[Collection], queries: np.ndarray, qrels) -> np.ndarray:
    """nDCG@10 of exact search over everything, as trec_eval has it."""
    keys = [(one.name, id) for one in collections for id in one.ids]
    documents = unit(np.concatenate([one.vectors for one in collections]).astype(np.float32))
    scores = unit(queries.astype(np.float32)) @ documents.T
    discounts = 1 / np.log2(np.arange(2, 12))
    values = []
    for row, grades in zip(scores, qrels):
        found = [grades.get(keys[document], 0.0) for document in np.argsort(-row, kind="stable")[:10]]
        ideal = sorted(grades.values(), reverse=True)[:10]
        values.append(np.dot(found, discounts) / np.dot(ideal, discounts[: len(ideal)]))
    return np.array(values)


def test_real_collections_end_to_end(collections: list[Collection], tmp_path: Path) -> None:
    with trivium.open(tmp_path / "kb", durability="async") as store:
        store.add_space("minilm", 384)
        for one in collections:
            store.add_expert(one.name, space="minilm", partition=one.name)
            texts = [document.get("text", "") for document in one.documents]
            store.upsert(one.ids, one.vectors, texts, partition=one.name)
        store.build()

        queries, qrels, groups = judged_queries(collections, "test")
        reference = reference_ndcg(collections, queries, qrels)
        names = np.array(groups)
        expected = np.mean([reference[names == one.name].mean() for one in collections])
        everything = store.evaluate(queries, qrels, groups=groups, experts="all", index="exact")
        assert everything.macro.unknown_judgements == 0
        assert everything.macro.ndcg_at_10 == pytest.approx(expected, abs=0.002)

        train = judged_queries(collections, "train")
        report = store.train_dispatch(*train[:2], groups=train[2])
        assert report.unknown_judgements == 0
        routed = store.evaluate(queries, qrels, groups=groups)
        assert routed.macro.ndcg_at_10 >= everything.macro.ndcg_at_10 - 0.01
        hit = store.search(queries[0], k=1)[0]
        assert hit.text
