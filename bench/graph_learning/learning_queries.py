# SPDX-License-Identifier: Apache-2.0
"""Training queries, twins of nothing that is evaluated; what takes minutes to make is kept in the bench's cache."""

from __future__ import annotations

import csv
import gzip
import hashlib
import pathlib
from collections.abc import Callable

import datasets
import numpy as np
import training_queries
from splits import SIDES, distinct_rows, unit_rows

EXTRA = ("beir-bright-queries", "clinc150")
# Longer texts are cut before they are encoded, and what remains after so many tokens is ignored.
CHARACTERS, TOKENS = 1500, 64


def digest_of(*parts: str | bytes | pathlib.Path) -> str:
    """Of texts, bytes and the contents of files."""
    digest = hashlib.sha256()
    for part in parts:
        whole = part.read_bytes() if isinstance(part, pathlib.Path) else part
        digest.update(whole.encode() if isinstance(whole, str) else whole)
        digest.update(b"\0")
    return digest.hexdigest()[:16]


def cached(name: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    path = datasets.CACHE / "graph-learning" / f"{name}.npy"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npy")
        np.save(partial, make())
        partial.rename(path)
    return np.load(path)


def evaluated_queries(dataset: datasets.Dataset) -> np.ndarray:
    folder = dataset.folder
    return np.concatenate(
        [np.load(folder / f"{kind}.{side}.queries.npy") for kind in dataset.queries for side in SIDES]
    )


def leftover(dataset: datasets.Dataset) -> np.ndarray:
    """Questions and headings of the development data that are on no side of the split, in random order."""
    key = digest_of(dataset.key, pathlib.Path(training_queries.__file__))
    return cached(f"leftover-{key}", lambda: training_queries.leftover_queries(evaluated_queries(dataset)))


def extra_files() -> list[pathlib.Path]:
    return [datasets.data_folder() / "routing" / name / "queries.tsv.gz" for name in EXTRA]


def extra_texts() -> list[str]:
    """Query texts of other collections; arguments are no questions, so these are left out."""
    texts = []
    for path in extra_files():
        with gzip.open(path, "rt", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                if row["domain"] != "beir/arguana":
                    texts.append(row["text"][:CHARACTERS])
    return texts


def encoded_extra(block: int = 4096) -> np.ndarray:
    from trivium import encoders

    texts = extra_texts()
    encoder = encoders.MiniLM(max_tokens=TOKENS)
    parts = [encoder.encode(texts[at : at + block], "query") for at in range(0, len(texts), block)]
    return np.concatenate(parts).astype(np.float16)


def extra(dataset: datasets.Dataset, known: np.ndarray) -> np.ndarray:
    """The other collections' queries, distinct, no twins of evaluated ones and not among the `known` ones.

    Encoding takes minutes the first time.
    """
    key = digest_of(f"{CHARACTERS} {TOKENS}", *extra_files())
    rows = unit_rows(cached(f"extra-{key}", encoded_extra))
    rows = rows[distinct_rows(rows)]
    rows = rows[training_queries.without_twins(rows, evaluated_queries(dataset))]
    rows = rows[training_queries.without_twins(rows, known)]
    return np.random.default_rng(datasets.SEED).permutation(rows)


def nearest_rows(dataset: datasets.Dataset, base: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """The position of the base row nearest to each query."""

    def make(block: int = 512) -> np.ndarray:
        parts = [(queries[at : at + block] @ base.T).argmax(axis=1) for at in range(0, len(queries), block)]
        return np.concatenate(parts)

    return cached(f"nearest-{digest_of(dataset.key, queries.tobytes())}", make)


def halves(domains: np.ndarray, seed: int) -> np.ndarray:
    """True for the domains of one half; `domains`: of each training query. Both halves get about as many queries.

    Of each two domains that follow each other by size one, drawn at random, goes to each half.
    """
    counts = np.bincount(domains)
    by_size = np.argsort(-counts, kind="stable")
    chosen = np.zeros(len(counts), bool)
    rng = np.random.default_rng(seed)
    for at in range(0, len(by_size), 2):
        pair = rng.permutation(by_size[at : at + 2])
        chosen[pair[0] if len(pair) == 2 or rng.random() < 0.5 else pair[1:]] = True
    return chosen
