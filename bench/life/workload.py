# SPDX-License-Identifier: Apache-2.0
"""What every section works on: a prepared data set, the domain of each of its rows, and how much to do with it."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass, field

import datasets
import numpy as np
from curves import recall_of_rows
from ground_truth import accepted_labels
from splits import distinct_rows, unit_rows

K = 10
KINDS = ("documents", "questions")
# Only of these is it known which domain a row comes from.
NAMES = ("minilm-165k", *datasets.SCALING)


@dataclass(frozen=True)
class Sizes:
    """How much each section does; the defaults are those of the full run."""

    threads: int = 2  # of builds
    queries: int = 1000  # of each kind, for recall
    repetitions: int = 3  # of every build
    batch: int = 20_000  # documents a synced write
    timed_queries: int = 50  # of each kind, in each round of `filters`
    filter_rounds: int = 4
    store_queries: int = 54  # likewise through a store
    churn_steps: int = 4
    reader_rounds: int = 3
    idle_seconds: float = 4.0
    sealed_rows: int = 80_000
    unsealed_rows: int = 40_000


QUICK = Sizes(
    queries=500,
    batch=5_000,
    timed_queries=40,
    filter_rounds=3,
    store_queries=20,
    reader_rounds=2,
    idle_seconds=1.0,
    sealed_rows=15_000,
    unsealed_rows=10_000,
)


@dataclass(frozen=True)
class Workload:
    """The data set in memory. `domains`: the number of each row's domain; `scratch`: a folder for stores."""

    dataset: datasets.Dataset
    base: np.ndarray
    queries: dict[str, np.ndarray]
    domains: np.ndarray
    scratch: pathlib.Path
    sizes: Sizes = field(default_factory=Sizes)
    seed: int = datasets.SEED


def load(
    dataset: datasets.Dataset, domains: np.ndarray, scratch: pathlib.Path, sizes: Sizes, seed: int
) -> Workload:
    queries = {
        kind: np.load(dataset.folder / f"{kind}.test.queries.npy")[: sizes.queries]
        for kind in KINDS
        if kind in dataset.queries
    }
    return Workload(dataset, np.load(dataset.folder / "base.npy"), queries, domains, scratch, sizes, seed)


def domains_of(dataset: datasets.Dataset) -> np.ndarray:
    """A number for each row of the base: which collection of the development data it comes from.

    Follows the steps by which datasets.py makes the base from the files. Raises ValueError if they do not lead to it.
    """
    parts: list[np.ndarray] = []
    sizes: list[int] = []
    for path in datasets.SOURCES["minilm-165k"][0]()["documents"]:
        rows = np.load(path)
        about = path.with_name("rows.tsv")
        if about.is_file():  # several domains in one file
            lines = [line.split("\t") for line in about.read_text().splitlines()[1:]]
            sizes += [int(count) for part, _, count in lines if part == "documents"]
        else:
            sizes.append(len(rows))
        parts.append(rows)
    documents = np.concatenate(parts)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    kept = distinct_rows(documents)
    order = np.random.default_rng(datasets.SEED).permutation(len(kept))
    rows = kept[order[datasets.HELD_OUT :][: dataset.rows]]
    base = np.load(dataset.folder / "base.npy", mmap_mode="r")
    sample = np.linspace(0, dataset.rows - 1, 200).astype(int)
    if len(labels) != len(documents) or not np.array_equal(unit_rows(documents[rows[sample]]), base[sample]):
        raise ValueError(f"domains: rows of {dataset.key} are others than expected from its source files")
    return labels[rows]


def accepted(base: np.ndarray, queries: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The true neighbours of each query among the rows of `base` at the positions `rows`, as positions in `base`."""
    found = accepted_labels(base[rows], queries, "cosine", K)
    return np.where(found >= 0, rows[found], -1)


def recall(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Recall@10 of each query; `found` may be padded with 2**64 - 1."""
    return recall_of_rows(np.asarray(found).astype(np.int64), truth, K)
