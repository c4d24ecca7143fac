# SPDX-License-Identifier: Apache-2.0
"""Files for trivium_bench_graph_routing: base, queries with answers, and training queries that are twins of none."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import datasets
import numpy as np
from ground_truth import accepted_labels
from splits import SIDES, TWIN_COSINE, distinct_rows, split_by_twins, unit_rows

SEED = 0
# Base rows that serve as training queries where there are no other ones.
BASE_ROWS = 40_000


def without_twins(rows: np.ndarray, evaluated: np.ndarray, block: int = 2048) -> np.ndarray:
    """Positions of the rows whose cosine with every evaluated query is below TWIN_COSINE."""
    evaluated = unit_rows(evaluated)
    kept = [
        start + np.flatnonzero((unit_rows(rows[start : start + block]) @ evaluated.T).max(1) < TWIN_COSINE)
        for start in range(0, len(rows), block)
    ]
    return np.concatenate(kept)


def nearest_other(base: np.ndarray, chosen: np.ndarray, block: int = 512) -> np.ndarray:
    """The nearest row to each chosen row that is another one, by squared Euclidean distance."""
    lengths = np.einsum("ij,ij->i", base, base)
    nearest = np.empty(len(chosen), np.uint32)
    for start in range(0, len(chosen), block):
        rows = chosen[start : start + block]
        scores = 2 * base[rows] @ base.T - lengths
        scores[np.arange(len(rows)), rows] = -np.inf
        nearest[start : start + block] = scores.argmax(1)
    return nearest


def leftover_queries(evaluated: np.ndarray) -> np.ndarray:
    """MiniLM questions and headings that are on no side of the split, distinct, twins of nothing evaluated."""
    raw = datasets.SOURCES["minilm-165k"][1](datasets.SOURCES["minilm-165k"][0]())
    order = np.random.default_rng(datasets.SEED).permutation(len(raw.base))
    held = unit_rows(raw.base[order[: raw.held_out]])
    split = split_by_twins({raw.held_out_kind: held} | raw.kinds, datasets.QUERIES_A_SIDE, datasets.SEED)
    parts = []
    for kind in ("questions", "headings"):
        used = np.concatenate([split[kind][side] for side in SIDES])
        rows = raw.kinds[kind][np.setdiff1d(distinct_rows(raw.kinds[kind]), used)]
        parts.append(rows[without_twins(rows, evaluated)])
    return np.random.default_rng(SEED).permutation(np.concatenate(parts))


def prepare(name: str, main_kind: str, folder: pathlib.Path) -> dict[str, Any]:
    """Writes the files into `folder`, unless they are there, and returns the request without graph and runs.

    Re-rank widths and epochs are chosen on the validation queries of `main_kind`; the test queries of the other
    kinds are answered with what was chosen there.
    """
    dataset = datasets.prepare(name)
    folder.mkdir(parents=True, exist_ok=True)
    about = folder / "about.json"
    made_from = {"data": dataset.key, "code": pathlib.Path(__file__).read_text()}
    if about.is_file():
        known = json.loads(about.read_text())
        if known["made_from"] == made_from:
            return known["request"]
    base = np.ascontiguousarray(np.load(dataset.folder / "base.npy"), np.float32)
    sets = {"validation": (main_kind, "validation"), "test": (main_kind, "test")}
    sets |= {f"test_{kind}": (kind, "test") for kind in dataset.queries if kind != main_kind}
    files: dict[str, Any] = {}

    def put(what: str, vectors: np.ndarray, targets: np.ndarray) -> None:
        vectors.astype(np.float32).tofile(folder / f"{what}.f32")
        targets.astype(np.uint32).tofile(folder / f"{what}.u32")
        paths = {"vectors": str(folder / f"{what}.f32"), "targets": str(folder / f"{what}.u32")}
        files[what] = paths | {"targets_per_query": 1, "count": len(vectors)}

    for what, (kind, side) in sets.items():
        accepted = np.load(dataset.folder / f"{kind}.{side}.accepted.npy")
        put(what, np.load(dataset.folder / f"{kind}.{side}.queries.npy"), accepted[:, 0])
    evaluated = np.concatenate(
        [np.load(dataset.folder / f"{kind}.{side}.queries.npy") for kind in dataset.queries for side in SIDES]
    )
    base.tofile(folder / "base.f32")
    if dataset.metric == "cosine":
        training = leftover_queries(evaluated)
        put("training", training, accepted_labels(base, training, "cosine", 1)[:, 0])
    else:
        # Each row asks for its nearest other row and does not see itself.
        rows = np.random.default_rng(SEED).permutation(without_twins(base, evaluated))[:BASE_ROWS]
        put("training", base[rows], nearest_other(base, rows))
        rows.astype(np.uint32).tofile(folder / "training.hidden.u32")
        files["training"]["hidden"] = str(folder / "training.hidden.u32")
    request = {
        "base": str(folder / "base.f32"),
        "metric": dataset.metric,
        "dimension": dataset.dimension,
        "queries": files,
        "description": dataset.description,
    }
    about.write_text(json.dumps({"made_from": made_from, "request": request}))
    return request
