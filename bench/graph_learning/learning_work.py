# SPDX-License-Identifier: Apache-2.0
"""What every section works on: one graph on disk, test queries, training queries, and how much to do with them."""

from __future__ import annotations

import os
import pathlib
from dataclasses import dataclass, field
from typing import Any

import datasets
import learning_queries
import numpy as np
from hop_curves import Walks, mean_of, walk
from index_cache import CachedIndex
from tuning import Limits, describe, ensure_built

import trivium

KINDS = ("questions", "headings", "documents", "arguments")


@dataclass(frozen=True)
class Sizes:
    """How much each section does."""

    threads: int = 2
    queries: int = 2000  # of each kind
    seeds: int = 1
    rounds: int = 12  # of timed calls
    chunk: int = 500  # queries a timed call
    curve: tuple[int, ...] = (1000, 5000)  # training queries, besides all of them
    extra: bool = False


@dataclass
class Work:
    dataset: datasets.Dataset
    base: np.ndarray
    tests: dict[str, tuple[np.ndarray, np.ndarray]]
    training: np.ndarray
    graph: pathlib.Path
    scratch: pathlib.Path
    profile: str = "speed"
    sizes: Sizes = field(default_factory=Sizes)
    seed: int = 0
    untrained_walks: dict[str, Walks] = field(default_factory=dict)
    # seed -> walks by kind, and the report, of the graph trained with all of `training`
    trained: dict[int, tuple[dict[str, Walks], dict[str, Any]]] = field(default_factory=dict)

    def seeds(self) -> range:
        return range(self.seed, self.seed + self.sizes.seeds)

    def load(self) -> trivium.VectorIndex:
        """The untrained graph."""
        return trivium.VectorIndex.load(self.graph, verify=False, threads=self.sizes.threads)

    def train(
        self, index: trivium.VectorIndex, queries: np.ndarray, seed: int, **options: Any
    ) -> dict[str, Any]:
        """Trains in any case, so that what the gate would refuse is measured too; the report."""
        report = index.train_graph(
            queries, seed=seed, threads=self.sizes.threads, ignore_gate=True, **options
        )
        return report.to_dict()

    def walks(self, index: trivium.VectorIndex, kinds: tuple[str, ...] = KINDS) -> dict[str, Walks]:
        """At the widths at which the untrained graph was asked."""
        return {
            kind: walk(index, *self.tests[kind], self.sizes.threads, self.untrained()[kind].widths)
            for kind in kinds
            if kind in self.tests
        }

    def untrained(self) -> dict[str, Walks]:
        if not self.untrained_walks:
            index = self.load()
            for kind, (queries, accepted) in self.tests.items():
                self.untrained_walks[kind] = walk(index, queries, accepted, self.sizes.threads)
        return self.untrained_walks

    def trained_with_all(self, seed: int) -> tuple[dict[str, Walks], dict[str, Any]]:
        """Walks and report of the graph that learned entries and edges from all training queries."""
        if seed not in self.trained:
            index = self.load()
            report = self.train(index, self.training, seed)
            self.trained[seed] = self.walks(index), report
            index.save(self.trained_path(seed))
        return self.trained[seed]

    def trained_path(self, seed: int) -> pathlib.Path:
        """A folder as bench/recall expects it holds the file."""
        folder = self.scratch / f"trained-{seed}"
        folder.mkdir(exist_ok=True)
        return folder / "index"


def over_seeds(walks: list[dict[str, Walks]]) -> dict[str, Walks]:
    return {kind: mean_of([each[kind] for each in walks]) for kind in walks[0]}


def built_graph(dataset: datasets.Dataset, profile: str, threads: int) -> pathlib.Path:
    """The graph that bench/recall builds and keeps for this library and data; built if it is not there."""
    cores = sorted(os.sched_getaffinity(0))
    limits = Limits(8 / 3, 1800, min(threads, len(cores)), 1, 0, cores[-1], tuple(cores))
    name, configuration = f"trivium-{profile}", {"profile": profile}
    about = describe(name, dataset, limits)
    cached = CachedIndex(dataset.key, name, about["version"], configuration)
    ensure_built(name, dataset, configuration, cached, limits)
    return cached.index / "index"


def prepare(dataset: datasets.Dataset, profile: str, sizes: Sizes, seed: int, scratch: pathlib.Path) -> Work:
    tests = {}
    for kind in KINDS:
        if kind in dataset.queries:
            stem = dataset.folder / f"{kind}.test"
            parts = (np.load(f"{stem}.queries.npy"), np.load(f"{stem}.accepted.npy"))
            tests[kind] = (parts[0][: sizes.queries], parts[1][: sizes.queries])
    return Work(
        dataset,
        np.load(dataset.folder / "base.npy"),
        tests,
        learning_queries.leftover(dataset),
        built_graph(dataset, profile, sizes.threads),
        scratch,
        profile,
        sizes,
        seed,
    )
