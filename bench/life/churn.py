# SPDX-License-Identifier: Apache-2.0
"""Is an index half of whose rows were replaced as good as one built anew from the rows it has then?

Two thirds of the rows enter; in several steps a part of the first third is removed, the graph repaired (`compact`),
and as much of the last third added. Once in random order, and once domain by domain, so that whole regions empty
and others, which the graph never saw, fill up. Two fresh indexes, of the same rows in two orders, show by how much
those differ that nothing happened to; what is lost or won is told against their mean.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from checks import Check, interval_text, not_below
from report import table
from resampling import difference_interval
from workload import K, Workload, accepted, recall

import trivium

WIDTHS = (16, 32, 64, 96, 128, 256)
# "Held": at no width more than half a point lower.
LIMIT = -0.005
ORDERS = ("random", "by domain")


def order_of(work: Workload, name: str) -> np.ndarray:
    """All rows in the order in which they enter and leave."""
    rng = np.random.default_rng(work.seed)
    shuffled = rng.permutation(len(work.base))
    if name == "random":
        return shuffled
    turns = rng.permutation(work.domains.max() + 1)
    return shuffled[np.argsort(turns[work.domains[shuffled]], kind="stable")]


def seconds_of(task: Callable[[], object]) -> dict[str, float]:
    start, start_cpu = time.perf_counter(), time.process_time()
    task()
    return {"seconds": time.perf_counter() - start, "processor": time.process_time() - start_cpu}


def empty(work: Workload) -> trivium.VectorIndex:
    return trivium.VectorIndex(dimension=work.base.shape[1], threads=work.sizes.threads)


def churned(work: Workload, order: np.ndarray) -> tuple[trivium.VectorIndex, dict[str, Any]]:
    """An index of the last two thirds of `order`, which began with the first two; and what each step took."""
    third = len(order) // 3
    index = empty(work)

    def add(rows: np.ndarray) -> dict[str, float]:
        vectors = np.ascontiguousarray(work.base[rows])
        return seconds_of(lambda: index.add(rows.astype(np.uint64), vectors))

    times: dict[str, Any] = {"first": add(order[:-third]), "steps": []}
    parts = [np.array_split(rows, work.sizes.churn_steps) for rows in (order[:third], order[-third:])]
    for old, new in zip(*parts):
        removed = seconds_of(lambda old=old: index.remove(old.astype(np.uint64)))
        repaired = seconds_of(index.compact)
        times["steps"].append({"remove": removed, "repair": repaired, "add": add(new)})
    return index, times


def recalls(index: trivium.VectorIndex, queries: np.ndarray, truth: np.ndarray) -> dict[int, np.ndarray]:
    return {
        width: recall(index.search_batch(queries, k=K, index="graph", beam_width=width).labels, truth)
        for width in WIDTHS
    }


def run_order(work: Workload, name: str) -> dict[str, Any]:
    order = order_of(work, name)
    final = order[len(order) // 3 :]
    index, times = churned(work, order)
    if sorted(index.labels.tolist()) != sorted(final.tolist()):
        raise RuntimeError("churn: the index holds other labels than were added and not removed")
    fresh, again = empty(work), empty(work)
    vectors = np.ascontiguousarray(work.base[final])
    times["fresh"] = seconds_of(lambda: fresh.add(final.astype(np.uint64), vectors))
    mixed = np.random.default_rng(work.seed + 1).permutation(final)
    again.add(mixed.astype(np.uint64), np.ascontiguousarray(work.base[mixed]))
    measured = {}
    for kind, queries in work.queries.items():
        truth = accepted(work.base, queries, final)
        one, other, third = (recalls(each, queries, truth) for each in (index, fresh, again))
        measured[kind] = {
            str(width): {
                "churned": float(one[width].mean()),
                "fresh": float(other[width].mean()),
                "fresh_again": float(third[width].mean()),
                **difference_interval(one[width], (other[width] + third[width]) / 2, work.seed),
            }
            for width in WIDTHS
        }
    return {"rows": len(final), "replaced": len(order) // 3, "times": times, "recall": measured}


def run(work: Workload, say: Any) -> dict[str, Any]:
    found = {}
    for name in ORDERS:
        found[name] = run_order(work, name)
        say(f"churn: {name} measured")
    return {"steps": work.sizes.churn_steps, "by_order": found}


def checks(found: dict[str, Any]) -> list[Check]:
    answer = []
    for order, one in found["by_order"].items():
        for kind, widths in one["recall"].items():
            width, worst = min(widths.items(), key=lambda each: each[1]["difference"])
            answer.append(
                not_below(
                    f"{order}: recall, churned - mean of fresh, {kind}, worst width {width}", worst, LIMIT
                )
            )
    return answer


def total(steps: list[dict[str, Any]], names: tuple[str, ...], what: str) -> float:
    return sum(step[name][what] for step in steps for name in names)


def markdown(found: dict[str, Any]) -> str:
    rows, text = [], ""
    for order, one in found["by_order"].items():
        steps, fresh = one["times"]["steps"], one["times"]["fresh"]
        text += f"{order.capitalize()}: {one['replaced']:,} of {one['rows']:,} rows replaced in {len(steps)} steps: "
        text += f"remove and repair {total(steps, ('remove', 'repair'), 'seconds'):.1f} s "
        text += f"({total(steps, ('remove', 'repair'), 'processor'):.1f} s of processors), "
        text += f"add {total(steps, ('add',), 'seconds'):.1f} ({total(steps, ('add',), 'processor'):.1f}); "
        text += f"all built anew {fresh['seconds']:.1f} ({fresh['processor']:.1f}).\n\n"
        for kind, widths in one["recall"].items():
            for width, each in widths.items():
                row = [order, kind, width, f"{each['churned']:.4f}", f"{each['fresh']:.4f}"]
                row.append(f"{each['fresh_again']:.4f}")
                rows.append([*row, interval_text(each, "difference", 4)])
    header = ["order", "queries", "beam width", "recall, churned", "fresh"]
    header += ["fresh, other order", "churned - mean of fresh"]
    return text + table(header, rows)
