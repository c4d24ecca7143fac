# SPDX-License-Identifier: Apache-2.0
"""What training takes: seconds, memory beside the index's own, bytes that it adds to the index and its file."""

from __future__ import annotations

import pathlib
import time
from typing import Any

import numpy as np
from checks import Check
from learning_work import Work
from processes import in_fresh_process
from report import table

import trivium

SECONDS = 600
ADDED = 0.10


def status_bytes(name: str) -> int:
    """A line of /proc/self/status, such as VmRSS, or VmHWM: the most that VmRSS was."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024 * int(line.split()[1])
    return 0


def measure(
    graph: pathlib.Path, queries: pathlib.Path, scratch: pathlib.Path, threads: int, seed: int
) -> dict[str, Any]:
    """In a process of its own. Every page of the mapped file is read before, so that it counts on both sides."""
    asked = np.load(queries)
    index = trivium.VectorIndex.load(graph, verify=True, threads=threads)
    index.search_batch(asked[:200], k=10, index="graph")
    memory, resident = index.memory_bytes(), status_bytes("VmRSS")
    pathlib.Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts from here
    start = time.perf_counter()
    report = index.train_graph(asked, seed=seed, threads=threads, ignore_gate=True).to_dict()
    seconds = time.perf_counter() - start
    peak, after = status_bytes("VmHWM"), status_bytes("VmRSS")
    saved = scratch / "cost-index"
    index.save(saved)
    sizes = {"before": graph.stat().st_size, "after": saved.stat().st_size}
    saved.unlink()
    return {
        "seconds": seconds,
        "rows": len(index),
        "queries": len(asked),
        "resident_before": resident,
        "peak": peak,
        "resident_after": after,
        "memory": {"before": memory, "after": index.memory_bytes()},
        "file": sizes,
        "report": report,
    }


def run(work: Work, say: Any) -> dict[str, Any]:
    path = work.scratch / "training.npy"
    np.save(path, work.training)
    found = in_fresh_process(measure, work.graph, path, work.scratch, work.sizes.threads, work.seed)
    say(f"cost: trained in {found['seconds']:.1f} s")
    return {"threads": work.sizes.threads, "dimension": work.dataset.dimension} | found


def added(found: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """Bytes a vertex before and after, in memory and in the file."""
    memory = found["memory"]
    pairs = {
        "memory": (sum(memory["before"].values()), sum(memory["after"].values())),
        "file": (found["file"]["before"], found["file"]["after"]),
    }
    return {what: (one / found["rows"], other / found["rows"]) for what, (one, other) in pairs.items()}


def checks(found: dict[str, Any]) -> list[Check]:
    what = f"training with {found['queries']:,} queries on {found['threads']} threads, seconds"
    answer = [Check(what, f"{found['seconds']:.1f}", f"< {SECONDS}", found["seconds"] < SECONDS)]
    for place, (before, after) in added(found).items():
        share = after / before - 1
        text = f"{after - before:+.1f} ({100 * share:+.2f} %)"
        answer.append(
            Check(f"bytes added a vertex, {place}", text, f"<= {100 * ADDED:.0f} %", share <= ADDED)
        )
    return answer


def markdown(found: dict[str, Any]) -> str:
    mib = 1 / 2**20
    own = found["peak"] - found["resident_before"]
    index = sum(found["memory"]["before"].values())
    rows = [
        ["training, seconds", f"{found['seconds']:.1f}"],
        ["index, MiB", f"{index * mib:,.0f}"],
        ["peak while training over the process with the index before, MiB", f"{own * mib:,.0f}"],
        ["the same as a share of the index", f"{own / index:.2f}"],
        [
            "resident after training over before, MiB",
            f"{(found['resident_after'] - found['resident_before']) * mib:,.0f}",
        ],
    ]
    for place, (before, after) in added(found).items():
        rows.append([f"bytes a vertex, {place}, before / after", f"{before:,.1f} / {after:,.1f}"])
    text = f"{found['rows']:,} x {found['dimension']}, {found['queries']:,} training queries, "
    return f"{text}{found['threads']} threads.\n\n{table(['', ''], rows)}"
