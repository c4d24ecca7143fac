# SPDX-License-Identifier: Apache-2.0
"""How long from vectors in memory to a closed store that answers, beside hnswlib's `add_items`?

Three ways in turn, each in a fresh process, on the same number of threads: the whole path through the Python
Store (synced batches, build, close), our builder alone (`VectorIndex.add`), and hnswlib.
"""

from __future__ import annotations

import pathlib
import tempfile
import time
from typing import Any

import numpy as np
from checks import Check, at_most, interval_text, not_below
from contender import Configuration, make_contender
from processes import in_fresh_process
from report import table
from resampling import difference_interval, ratio_interval
from session import stored_bytes
from workload import K, Workload, recall

LIMIT = 0.5
# Beam widths; None: the library's own default.
WIDTHS = (None, 64, 128)
HNSWLIB: Configuration = {"M": 16, "ef_construction": 200}
NAMES = ("store", "builder", "hnswlib")

Queries = dict[str, tuple[np.ndarray, np.ndarray]]
Recalls = dict[str, dict[str, list[float]]]


def width_name(width: int | None) -> str:
    return "default" if width is None else str(width)


def read_queries(folder: pathlib.Path, kinds: list[str], count: int) -> Queries:
    return {
        kind: (
            np.load(folder / f"{kind}.test.queries.npy")[:count],
            np.load(folder / f"{kind}.test.accepted.npy")[:count],
        )
        for kind in kinds
    }


def recalls(search: Any, queries: Queries) -> Recalls:
    """kind -> width -> recall of each query; `search` is called with queries and a width."""
    return {
        kind: {width_name(width): recall(search(asked, width), truth).tolist() for width in WIDTHS}
        for kind, (asked, truth) in queries.items()
    }


def build_store(
    folder: pathlib.Path, scratch: pathlib.Path, threads: int, batch: int, kinds: list[str], count: int
) -> dict[str, Any]:
    """The whole path; seconds by part and recall of the store opened again."""
    import trivium

    base = np.load(folder / "base.npy")
    ids = [f"d{row}" for row in range(len(base))]
    metadata = [{"row": row} for row in range(len(base))]
    with tempfile.TemporaryDirectory(dir=scratch) as place:
        path = pathlib.Path(place) / "store"
        moments = [time.perf_counter()]
        store = trivium.open(path)
        store.add_space("text", dimension=base.shape[1])
        store.add_expert("one", space="text")
        for start in range(0, len(base), batch):
            part = slice(start, start + batch)
            store.upsert(ids[part], vectors=base[part], metadata=metadata[part])
        moments.append(time.perf_counter())
        store.build(threads=threads)
        moments.append(time.perf_counter())
        store.close()
        moments.append(time.perf_counter())
        parts = dict(zip(("upsert", "build", "close"), np.diff(moments).tolist()))
        size = stored_bytes(path)

        with trivium.open(path, read_only=True) as opened:

            def search(queries: np.ndarray, width: int | None) -> np.ndarray:
                found = opened.search_batch(queries, k=K, beam_width=width).ids
                return np.array([[int(id[1:]) for id in ids] for ids in found])

            answers = recalls(search, read_queries(folder, kinds, count))
    return {"seconds": sum(parts.values()), "parts": parts, "stored_bytes": size, "recall": answers}


def build_index(
    folder: pathlib.Path, name: str, configuration: Configuration, threads: int, kinds: list[str], count: int
) -> dict[str, Any]:
    """A contender of the graph benchmark; seconds of its build alone, and recall."""
    base = np.load(folder / "base.npy")
    contender = make_contender(name)
    with tempfile.TemporaryDirectory() as place:
        start = time.perf_counter()
        contender.build(base, "cosine", configuration, threads, pathlib.Path(place))
        seconds = time.perf_counter() - start

    def search(queries: np.ndarray, width: int | None) -> np.ndarray:
        if name == "hnswlib":
            if width is not None:
                contender.set_knob({"ef": width})
            return contender.search(queries, K)
        return contender.index.search_batch(queries, k=K, index="graph", beam_width=width).labels

    return {"seconds": seconds, "recall": recalls(search, read_queries(folder, kinds, count))}


def build_one(work: Workload, name: str) -> dict[str, Any]:
    sizes, folder, kinds = work.sizes, work.dataset.folder, list(work.queries)
    if name == "store":
        return in_fresh_process(
            build_store, folder, work.scratch, sizes.threads, sizes.batch, kinds, sizes.queries
        )
    contender, configuration = {
        "builder": ("trivium-speed", {"profile": "speed"}),
        "hnswlib": ("hnswlib", HNSWLIB),
    }[name]
    return in_fresh_process(
        build_index, folder, contender, configuration, sizes.threads, kinds, sizes.queries
    )


def run(work: Workload, say: Any) -> dict[str, Any]:
    built: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    for turn in range(work.sizes.repetitions):
        for name in NAMES[turn % 3 :] + NAMES[: turn % 3]:
            built[name].append(build_one(work, name))
            say(f"build {turn + 1} of {work.sizes.repetitions}: {name} {built[name][-1]['seconds']:.1f} s")
    seconds = {name: [one["seconds"] for one in runs] for name, runs in built.items()}
    first = {name: runs[0]["recall"] for name, runs in built.items()}
    difference = {
        kind: {
            width: difference_interval(values, first["hnswlib"][kind][width], work.seed)
            for width, values in widths.items()
        }
        for kind, widths in first["store"].items()
    }
    mean = {
        name: {
            kind: {width: float(np.mean(values)) for width, values in widths.items()}
            for kind, widths in kinds.items()
        }
        for name, kinds in first.items()
    }
    return {
        "threads": work.sizes.threads,
        "rows": work.dataset.rows,
        "batch": work.sizes.batch,
        "hnswlib": HNSWLIB,
        "seconds": seconds,
        "store_parts": [one["parts"] for one in built["store"]],
        "stored_bytes": built["store"][0]["stored_bytes"],
        "ratio": {
            name: ratio_interval(seconds[name], seconds["hnswlib"], work.seed)
            for name in ("store", "builder")
        },
        "recall": mean,
        "recall_store_minus_hnswlib": difference,
    }


def checks(found: dict[str, Any]) -> list[Check]:
    answer = [
        at_most("store path / hnswlib add_items, time", found["ratio"]["store"], LIMIT),
        at_most("builder alone / hnswlib add_items, time", found["ratio"]["builder"], LIMIT),
    ]
    for kind, widths in found["recall_store_minus_hnswlib"].items():
        for width, difference in widths.items():
            answer.append(not_below(f"recall, store - hnswlib, {kind}, width {width}", difference, 0.0))
    return answer


def markdown(found: dict[str, Any]) -> str:
    kinds = list(found["recall"]["store"])
    header = ["", "seconds, median", "each", "x hnswlib"]
    header += [f"recall {kind}, width {' / '.join(map(width_name, WIDTHS))}" for kind in kinds]
    shown = {"store": "whole path, store", "builder": "builder alone", "hnswlib": "hnswlib add_items"}
    rows = []
    for name in NAMES:
        ratio = found["ratio"].get(name)
        row = [shown[name], f"{np.median(found['seconds'][name]):.1f}"]
        row.append(", ".join(f"{seconds:.1f}" for seconds in found["seconds"][name]))
        row.append(interval_text(ratio, "ratio") if ratio else "1")
        row += [
            " / ".join(f"{value:.3f}" for value in found["recall"][name][kind].values()) for kind in kinds
        ]
        rows.append(row)
    parts = {
        part: float(np.median([one[part] for one in found["store_parts"]]))
        for part in found["store_parts"][0]
    }
    text = f"{found['rows']:,} rows on {found['threads']} threads, batches of {found['batch']:,}. "
    text += "Of the whole path, medians: " + ", ".join(f"{part} {each:.1f} s" for part, each in parts.items())
    return f"{text}.\n\n{table(header, rows)}"
