# SPDX-License-Identifier: Apache-2.0
"""RoarGraph (Chen et al. 2024) over the rows of a graph, from the same training queries, walked by the same codes.

It has the degree bound of the graph that it stands beside. Pruning was chosen on validation queries: with
the paper's alpha of 1 questions need 1.08 of the untrained hops at recall 0.95, with our builder's 1.03 0.95.
A second one takes as many base rows as queries, too.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import datasets
import numpy as np
from hop_curves import Walks
from learning_work import Work

import trivium

BINARY = datasets.ROOT / "build" / "release" / "bin" / "trivium_bench_roargraph"
# Rows asked for a query, places of a list that the projection may take, beam of the enhancement, pruning.
NEIGHBORS, PROJECTED_DEGREE, BEAM_WIDTH, ALPHA = 100, 16, 200, 1.03
VARIANTS = {"roargraph": False, "roargraph, base rows too": True}


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def build(
    work: Work,
    queries: np.ndarray,
    settings: tuple[Any, ...] = (NEIGHBORS, PROJECTED_DEGREE, BEAM_WIDTH, ALPHA),
) -> tuple[trivium.VectorIndex, dict[str, float]]:
    """The index with the graph made from `queries`, and the seconds for their neighbours and for the graph."""
    if not BINARY.is_file():
        raise FileNotFoundError(f"{BINARY}: expected it to be built (make build)")
    asked, output = work.scratch / "roargraph.f32", work.scratch / "roargraph"
    scaled = unit(queries) if work.dataset.metric == "cosine" else queries
    np.ascontiguousarray(scaled, np.float32).tofile(asked)
    command = [BINARY, work.graph, asked, output, *settings, work.sizes.threads]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    asked.unlink()
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    index = trivium.VectorIndex.load(output, verify=False, threads=work.sizes.threads)
    output.unlink()  # what is mapped stays
    return index, json.loads(done.stdout)


def seconds(found: dict[str, Any]) -> str:
    """Of each variant, for the table."""
    told = [
        f"{name}: {each['answers_seconds']:.0f} s for the queries' rows, {each['seconds']:.0f} s for the graph"
        for name, each in found["rival_seconds"].items()
    ]
    return "; ".join(told)


def run(work: Work, say: Any) -> tuple[dict[str, dict[str, Walks]], dict[str, dict[str, float]]]:
    """Walks by kind, and seconds, of each variant."""
    walks, taken = {}, {}
    for name, with_rows in VARIANTS.items():
        queries = work.training
        if with_rows:
            count = min(len(queries), len(work.base))
            rows = np.random.default_rng(work.seed).choice(len(work.base), count, replace=False)
            queries = np.concatenate([queries, work.base[rows]])
        index, taken[name] = build(work, queries)
        walks[name] = work.walks(index)
        say(f"ablation: {name}: built in {sum(taken[name].values()):.1f} s")
    return walks, taken
