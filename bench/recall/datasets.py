# SPDX-License-Identifier: Apache-2.0
"""The vectors that are searched, the queries that are asked, and where both come from.

Everything is made from $TRIVIUM_DATA (or ../shared/data beside the repository) and kept under build/bench/cache in
a folder named after the contents of the source files and of the modules that prepare them.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import pathlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ground_truth import accepted_labels
from splits import SIDES, distinct_rows, split_by_twins, unit_rows

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "bench" / "cache"
SEED = 0
HELD_OUT = 4000
QUERIES_A_SIDE = 2000
NEIGHBOURS = 10


@dataclass(frozen=True)
class Raw:
    """Vectors before the split. `kinds` holds query rows by kind; `held_out` base rows become one more kind."""

    base: np.ndarray
    kinds: dict[str, np.ndarray]
    held_out: int
    held_out_kind: str
    metric: str
    description: str


@dataclass(frozen=True)
class Dataset:
    """A prepared folder: base.npy, and KIND.SIDE.{queries,accepted}.npy for each kind and side."""

    name: str
    key: str
    folder: pathlib.Path
    metric: str
    rows: int
    dimension: int
    description: str
    queries: dict[str, dict[str, int]]


def data_folder() -> pathlib.Path:
    return pathlib.Path(os.environ.get("TRIVIUM_DATA", ROOT.parent / "shared" / "data"))


def _files(space: str, what: str) -> list[pathlib.Path]:
    return sorted((data_folder() / "embeddings" / space).glob(f"*.{what}.npy"))


def _load(paths: list[pathlib.Path]) -> np.ndarray:
    return np.concatenate([np.load(path) for path in paths])


def _minilm(paths: dict[str, list[pathlib.Path]]) -> Raw:
    documents = _load(paths["documents"])
    kinds = {kind: unit_rows(_load(paths[kind])) for kind in ("questions", "headings", "arguments")}
    text = "all-MiniLM-L6-v2 vectors of the passages of 27 domains, exact duplicates removed, cosine"
    return Raw(documents[distinct_rows(documents)], kinds, HELD_OUT, "documents", "cosine", text)


def _minilm_paths() -> dict[str, list[pathlib.Path]]:
    debian = data_folder() / "vectors" / "minilm-debian-384"
    queries = _files("minilm-384", "queries")
    return {
        "documents": [*_files("minilm-384", "documents"), debian / "documents.npy"],
        "questions": [path for path in queries if not path.name.startswith("arguana.")],
        "headings": [debian / "queries.npy"],
        "arguments": [path for path in queries if path.name.startswith("arguana.")],
    }


def _two_spaces(paths: dict[str, list[pathlib.Path]]) -> Raw:
    def joined(kind: str) -> np.ndarray:
        parts = [unit_rows(_load(paths[f"{space}:{kind}"])) for space in ("minilm-384", "static-64")]
        return unit_rows(np.concatenate(parts, axis=1))

    documents = joined("documents")
    kinds = {kind: joined(kind) for kind in ("questions", "arguments")}
    text = "MiniLM (384) and a static token model (64) of the same passages of 17 collections, joined, cosine"
    return Raw(documents[distinct_rows(documents)], kinds, HELD_OUT, "documents", "cosine", text)


def _two_spaces_paths() -> dict[str, list[pathlib.Path]]:
    paths = {}
    for space in ("minilm-384", "static-64"):
        queries = _files(space, "queries")
        paths[f"{space}:documents"] = _files(space, "documents")
        paths[f"{space}:questions"] = [path for path in queries if not path.name.startswith("arguana.")]
        paths[f"{space}:arguments"] = [path for path in queries if path.name.startswith("arguana.")]
    return paths


def _unzipped(path: pathlib.Path) -> np.ndarray:
    with gzip.open(path) as file:
        return np.load(file)


def _sift(paths: dict[str, list[pathlib.Path]]) -> Raw:
    base, queries = (_unzipped(paths[what][0]) for what in ("base", "queries"))
    text = "SIFT descriptors of photographs, queries from other pictures, squared Euclidean distance"
    return Raw(base, {"descriptors": queries.astype(np.float32)}, 0, "", "l2", text)


def _sift_paths() -> dict[str, list[pathlib.Path]]:
    folder = data_folder() / "vectors" / "sift-debian-128"
    return {what: [folder / f"{what}.npy.gz"] for what in ("base", "queries")}


def _bge(paths: dict[str, list[pathlib.Path]]) -> Raw:
    rows = _unzipped(paths["base"][0])
    text = "BGE-base vectors of the questions of 20 BEIR domains, some held out to be asked, cosine"
    return Raw(rows[distinct_rows(rows)], {}, 2000, "questions", "cosine", text)


def _bge_paths() -> dict[str, list[pathlib.Path]]:
    return {"base": [data_folder() / "vectors" / "beir-queries-bge-base-768" / "vectors.npy.gz"]}


Paths = dict[str, list[pathlib.Path]]
SOURCES: dict[str, tuple[Callable[[], Paths], Callable[[Paths], Raw]]] = {
    "minilm-165k": (_minilm_paths, _minilm),
    "minilm-static-448": (_two_spaces_paths, _two_spaces),
    "bge-768": (_bge_paths, _bge),
    "sift-128": (_sift_paths, _sift),
}
SCALING = ("minilm-20k", "minilm-40k", "minilm-80k", "minilm-160k")
NAMES = (*SOURCES, *SCALING)


def _digest(paths: Paths) -> str:
    digest = hashlib.sha256()
    here = pathlib.Path(__file__).resolve()
    for path in (
        here,
        here.with_name("splits.py"),
        here.with_name("ground_truth.py"),
        *sum(paths.values(), []),
    ):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def prepare(name: str) -> Dataset:
    """Makes or finds the prepared folder of one of NAMES. Raises FileNotFoundError without the data."""
    rows = re.fullmatch(r"minilm-(\d+)k", name) if name in SCALING else None
    find, read = SOURCES["minilm-165k" if rows else name]
    paths = find()
    absent = [str(path) for path in sum(paths.values(), []) if not path.is_file()]
    if absent or not all(paths.values()):
        what = absent[0] if absent else data_folder()
        raise FileNotFoundError(f"data: {what} is absent, expected shared/data (set TRIVIUM_DATA)")
    key = f"{name}-{_digest(paths)}"
    folder = CACHE / key
    if not (folder / "about.json").is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        partial = CACHE / f"{key}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        about = write(read(paths), 1000 * int(rows[1]) if rows else None, partial)
        (partial / "about.json").write_text(json.dumps(about, indent=1) + "\n")
        partial.rename(folder)
    return Dataset(name, key, folder, **json.loads((folder / "about.json").read_text()))


def write(raw: Raw, limit: int | None, folder: pathlib.Path) -> dict[str, object]:
    """Holds rows out, splits, finds the true neighbours and writes all of it; `limit`: rows of the base.

    Subsets of different size hold the same rows out and are prefixes of one random order.
    """
    order = np.random.default_rng(SEED).permutation(len(raw.base))
    as_float = unit_rows if raw.metric == "cosine" else lambda rows: np.ascontiguousarray(rows, np.float32)
    held, rest = order[: raw.held_out], order[raw.held_out :][:limit]
    base = as_float(raw.base[rest])
    kinds = {raw.held_out_kind: as_float(raw.base[held])} if raw.held_out else {}
    kinds |= raw.kinds
    np.save(folder / "base.npy", base)
    counts: dict[str, dict[str, int]] = {}
    for kind, sides in split_by_twins(kinds, QUERIES_A_SIDE, SEED).items():
        counts[kind] = {side: len(sides[side]) for side in SIDES}
        for side in SIDES:
            queries = np.ascontiguousarray(
                kinds[kind][np.random.default_rng(SEED).permutation(sides[side])], np.float32
            )
            np.save(folder / f"{kind}.{side}.queries.npy", queries)
            accepted = accepted_labels(base, queries, raw.metric, NEIGHBOURS)
            np.save(folder / f"{kind}.{side}.accepted.npy", accepted)
    return {
        "metric": raw.metric,
        "rows": len(base),
        "dimension": base.shape[1],
        "description": raw.description,
        "queries": counts,
    }
