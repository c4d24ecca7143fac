# SPDX-License-Identifier: Apache-2.0
"""The report's measurement: the chosen configurations, on test queries, in short rounds of rotated order.

All contenders wait in their own processes, pinned to the same core; one at a time is told to search. A round asks
every contender for the same chunk of queries at each of its search parameters, so that what the machine does in
that minute meets them all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from curves import around, speed_at
from datasets import Dataset
from index_cache import CachedIndex
from tuning import TARGETS, Limits, ensure_built, points_of
from worker import Worker, WorkerFailed

Say = Callable[[str], None]


@dataclass(eq=False)
class Entry:
    """One configuration of one contender, loaded; `asked` holds the test points by kind."""

    name: str
    label: str
    facts: dict[str, Any]
    worker: Worker
    asked: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


def wanted_knobs(facts: dict[str, Any], label: str, kind: str) -> list[dict[str, Any]]:
    """The search parameters that the interpolations at this configuration's targets lean on."""
    curve = facts["configurations"][label]["validation"][kind]
    targets = [float(target) for target, chosen in facts["chosen"][kind].items() if chosen == label]
    positions = around(points_of(curve), targets) if targets else []
    if not positions and not any(facts["chosen"][kind].values()):
        # Reaches no target: report the best that the best configuration does.
        best = {
            each: max(point["recall"] for point in one["validation"][kind])
            for each, one in facts["configurations"].items()
            if kind in one.get("validation", {})
        }
        if label == max(best, key=lambda each: best[each]):
            positions = around(points_of(curve), [1.0])
    return [curve[position]["knob"] for position in positions]


def load_entries(
    contenders: dict[str, dict[str, Any]], dataset: Dataset, kinds: list[str], limits: Limits, say: Say
) -> list[Entry]:
    """A process with its index for each configuration that some kind and target chose."""
    entries = []
    for name, facts in contenders.items():
        if facts["status"] != "ran":
            continue
        for label, one in facts["configurations"].items():
            if one.get("refused"):
                continue
            knobs = {kind: wanted_knobs(facts, label, kind) for kind in kinds}
            cached = CachedIndex(dataset.key, name, facts["version"], one["configuration"])
            if not any(knobs.values()):
                cached.drop_index()
                continue
            try:
                ensure_built(name, dataset, one["configuration"], cached, limits)
                worker = Worker(name, [limits.search_core], 1)
                one["load"] = worker.call(
                    "load", cached.index, dataset.dimension, dataset.metric, one["configuration"], timeout=600
                )
            except WorkerFailed as error:
                one["refused"] = str(error)
                say(f"{name} {label}: {error}")
                continue
            asked = {
                kind: [{"knob": knob, "qps": []} for knob in knobs[kind]] for kind in kinds if knobs[kind]
            }
            one["test"] = {kind: {"points": points} for kind, points in asked.items()}
            entries.append(Entry(name, label, one, worker, asked))
    return entries


def guarded(entries: list[Entry], say: Say, task: Callable[[Entry], None]) -> None:
    """Does `task` for each entry in turn; one that fails leaves the list, with the reason in its facts."""
    for entry in list(entries):
        try:
            task(entry)
        except WorkerFailed as error:
            say(f"{entry.name} {entry.label}: {error}")
            entry.facts["refused"] = str(error)
            entry.facts.pop("test", None)
            entry.worker.close()
            entries.remove(entry)


def ask(
    entry: Entry, dataset: Dataset, kind: str, point: dict[str, Any], *span: int
) -> tuple[float, float, float]:
    """Recall, queries per second and processor share at the point, with all test queries or the span's."""
    return entry.worker.call("measure", dataset.folder, kind, "test", point["knob"], *span, timeout=1200)


def first_pass(entries: list[Entry], dataset: Dataset, say: Say) -> None:
    """Fills `recall` of every point, over all test queries; warms up."""

    def task(entry: Entry) -> None:
        for kind, points in entry.asked.items():
            for point in points:
                point["recall"], point["first_qps"], _ = ask(entry, dataset, kind, point)

    guarded(entries, say, task)


def run_rounds(
    entries: list[Entry], dataset: Dataset, kinds: list[str], rounds: int, chunk: int, say: Say
) -> None:
    """Fills `qps` of every point, a figure a round."""
    for turn in range(rounds):
        shift = turn % max(1, len(entries))
        in_turn = entries[shift:] + entries[:shift]
        for kind in kinds:
            starts = range(0, max(1, dataset.queries[kind]["test"] - chunk + 1), chunk)
            start = starts[turn % len(starts)]

            def task(entry: Entry, kind: str = kind, start: int = start) -> None:
                for point in entry.asked.get(kind, []):
                    _, speed, share = ask(entry, dataset, kind, point, start, start + chunk)
                    point["qps"].append(speed)
                    point.setdefault("processor_share", []).append(share)

            guarded(in_turn, say, task)
        entries[:] = [entry for entry in entries if entry in in_turn]
        say(f"round {turn + 1} of {rounds}")


def measure_latency(
    entries: list[Entry], dataset: Dataset, count: int, say: Say, target: float = 0.95
) -> None:
    """p50 and p99 of calls with one query, at the fastest point that reaches `target`."""

    def task(entry: Entry) -> None:
        for kind, points in entry.asked.items():
            reaching = [point for point in points if point["recall"] >= target]
            if not reaching:
                continue
            point = max(reaching, key=lambda each: float(np.median(each["qps"])))
            seconds = entry.worker.call("latencies", dataset.folder, kind, point["knob"], count, timeout=1200)
            p50, p99 = np.quantile(seconds, [0.5, 0.99]) * 1e6
            entry.facts["test"][kind]["latency"] = {
                "knob": point["knob"],
                "recall": point["recall"],
                "p50_us": float(p50),
                "p99_us": float(p99),
            }

    guarded(entries, say, task)


def speeds_by_round(points: list[dict[str, Any]], target: float) -> list[float] | None:
    """Queries per second at the target, a figure a round; None if the target is not reached."""
    rounds = len(points[0]["qps"]) if points else 0
    speeds = [
        speed_at([(point["recall"], point["qps"][turn]) for point in points], target)
        for turn in range(rounds)
    ]
    return None if not speeds or None in speeds else [speed for speed in speeds if speed is not None]


def results(contenders: dict[str, dict[str, Any]], kinds: list[str]) -> dict[str, Any]:
    """kind -> target -> contender -> the configuration chosen on validation and its test speeds by round."""
    answer: dict[str, Any] = {}
    for kind in kinds:
        for target in TARGETS:
            line = answer.setdefault(kind, {}).setdefault(f"{target:.2f}", {})
            for name, facts in contenders.items():
                label = facts.get("chosen", {}).get(kind, {}).get(f"{target:.2f}")
                one = facts["configurations"][label] if label else {}
                points = one.get("test", {}).get(kind, {}).get("points", [])
                speeds = speeds_by_round(points, target)
                if speeds:
                    line[name] = {
                        "configuration": label,
                        "qps_by_round": speeds,
                        "qps": float(np.median(speeds)),
                        # Even its fastest search parameters reach more than the target.
                        "always_above": min(point["recall"] for point in points) > target,
                    }
    return answer
