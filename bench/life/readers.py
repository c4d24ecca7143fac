# SPDX-License-Identifier: Apache-2.0
"""How long does one search take while another thread, or another process, builds over the same store?

The build runs on one thread at nice 19 (the caller's doing: the library does not touch priorities). Two stores:
*sealed* rows in one segment, of which a few were deleted, are compacted into a new one; *unsealed* rows, which are
scanned, are built into a segment. Two writers: a thread of the reader's own process, as an application would have
it (a build holds no GIL), and a process of its own beside a read-only opener. Each round times searches while
nothing else happens, then while the writer works.
"""

from __future__ import annotations

import multiprocessing
import os
import pathlib
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from checks import Check, at_most, interval_text
from report import table
from resampling import ratio_interval
from workload import K, Workload

import trivium

LIMIT = 3.0
NICE = 19
ROWS = ("sealed", "unsealed")
WRITERS = ("thread", "process")
DELETED = 100
LEAST = 100  # searches while the writer works, or there is no 99th percentile


def fill(path: pathlib.Path, rows: np.ndarray, sealed: bool, batch: int) -> trivium.Store:
    """A new store of `rows`, open for writing; `sealed`: in one segment with a few documents deleted."""
    store = trivium.open(path)
    store.add_space("text", dimension=rows.shape[1])
    store.add_expert("one", space="text")
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        store.upsert([f"d{row}" for row in range(start, start + len(part))], vectors=part)
    if sealed:
        store.build()
        store.delete(ids=[f"d{row}" for row in range(min(DELETED, len(rows)))])
    return store


def write(store: trivium.Store, sealed: bool) -> float:
    """What the writer does, on this thread, at low priority; its seconds."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
    report = store.compact(threads=1) if sealed else store.build(threads=1)
    return report.seconds


class ThreadWriter:
    """Writes in this process. `store` is the one to search in."""

    def __init__(self, path: pathlib.Path, rows: np.ndarray, sealed: bool, batch: int) -> None:
        self.store, self.sealed = fill(path, rows, sealed, batch), sealed
        self.seconds: list[float] = []
        self.thread = threading.Thread(target=lambda: self.seconds.append(write(self.store, sealed)))

    def start(self) -> None:
        self.thread.start()

    def works(self) -> bool:
        return self.thread.is_alive()

    def close(self) -> float:
        """Waits for the writer. Returns its seconds."""
        self.thread.join()
        self.store.close()
        return self.seconds[0]


def serve(
    connection: Any, path: pathlib.Path, base: pathlib.Path, count: int, sealed: bool, batch: int
) -> None:
    """The writer's process: fills the store, says so, writes when told to, tells how long it took."""
    with fill(path, np.load(base, mmap_mode="r")[:count], sealed, batch) as store:
        connection.send("ready")
        connection.recv()
        connection.send(write(store, sealed))
        connection.recv()


class ProcessWriter:
    """Writes in a process of its own; `store` is opened read-only."""

    def __init__(self, path: pathlib.Path, base: pathlib.Path, count: int, sealed: bool, batch: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=serve, args=(theirs, path, base, count, sealed, batch), daemon=True
        )
        self.process.start()
        theirs.close()
        self.connection.recv()  # raises EOFError if the process failed
        self.store = trivium.open(path, read_only=True)

    def start(self) -> None:
        self.connection.send("go")

    def works(self) -> bool:
        return not self.connection.poll()

    def close(self) -> float:
        seconds = self.connection.recv()
        self.store.refresh()
        self.store.close()
        self.connection.send("end")
        self.process.join()
        return seconds


def latencies(store: trivium.Store, queries: np.ndarray, more: Callable[[int], bool]) -> list[float]:
    """Seconds of single searches, one after another while `more`, which gets their number, is true."""
    seconds: list[float] = []
    while more(len(seconds)):
        query = queries[len(seconds) % len(queries)]
        start = time.perf_counter()
        store.search(query, k=K)
        seconds.append(time.perf_counter() - start)
    return seconds


def phase(store: trivium.Store, queries: np.ndarray, more: Callable[[int], bool]) -> dict[str, float]:
    """Latencies in short, and the share of a processor that this thread had: less than 1 where it waited."""
    start, start_cpu = time.perf_counter(), time.thread_time()
    seconds = latencies(store, queries, more)
    share = (time.thread_time() - start_cpu) / (time.perf_counter() - start)
    p50, p99 = np.quantile(seconds, [0.5, 0.99]).tolist()
    return {"searches": len(seconds), "p50": p50, "p99": p99, "max": max(seconds), "processor_share": share}


def one_round(work: Workload, rows: str, writer: str) -> dict[str, Any]:
    sealed = rows == "sealed"
    count = min(work.sizes.sealed_rows if sealed else work.sizes.unsealed_rows, len(work.base))
    queries = (
        next(iter(work.queries.values())) if "questions" not in work.queries else work.queries["questions"]
    )
    with tempfile.TemporaryDirectory(dir=work.scratch) as place:
        path, batch = pathlib.Path(place) / "store", work.sizes.batch
        writing = (
            ThreadWriter(path, work.base[:count], sealed, batch)
            if writer == "thread"
            else ProcessWriter(path, work.dataset.folder / "base.npy", count, sealed, batch)
        )
        os.sync()  # what filling wrote is not to be written while searches are timed
        latencies(writing.store, queries, lambda done: done < 100)
        end = time.perf_counter() + work.sizes.idle_seconds
        idle = phase(writing.store, queries, lambda _: time.perf_counter() < end)
        writing.start()
        busy = phase(writing.store, queries, lambda _: writing.works())
        seconds = writing.close()
    if busy["searches"] < LEAST:
        raise RuntimeError(
            f"readers: {busy['searches']} searches while {rows} rows were written, expected {LEAST}: more rows"
        )
    return {"rows": count, "idle": idle, "busy": busy, "writing_seconds": seconds}


def run(work: Workload, say: Any) -> dict[str, Any]:
    rounds: dict[str, list[dict[str, Any]]] = {f"{rows}, {writer}": [] for rows in ROWS for writer in WRITERS}
    for turn in range(work.sizes.reader_rounds):
        for rows in ROWS:
            for writer in WRITERS:
                rounds[f"{rows}, {writer}"].append(one_round(work, rows, writer))
        say(f"readers: round {turn + 1} of {work.sizes.reader_rounds}")
    return {
        "reader_nice": os.getpriority(os.PRIO_PROCESS, 0),
        "writer_nice": NICE,
        "rounds": rounds,
        "ratio": {
            name: ratio_interval(
                [each["busy"]["p99"] for each in measured],
                [each["idle"]["p99"] for each in measured],
                work.seed,
            )
            for name, measured in rounds.items()
        },
    }


def checks(found: dict[str, Any]) -> list[Check]:
    return [
        at_most(f"{name} writing: p99 of searches, busy / idle", ratio, LIMIT)
        for name, ratio in found["ratio"].items()
    ]


def markdown(found: dict[str, Any]) -> str:
    rows = []
    for name, measured in found["rounds"].items():

        def middle(phase: str, what: str, measured: Any = measured) -> float:
            return float(np.median([each[phase][what] for each in measured]))

        row = [name, f"{measured[0]['rows']:,}"]
        for phase in ("idle", "busy"):
            figures = [f"{1e6 * middle(phase, what):,.0f}" for what in ("p50", "p99")]
            row += [" / ".join(figures), f"{1e6 * max(each[phase]['max'] for each in measured):,.0f}"]
        row.append(interval_text(found["ratio"][name], "ratio"))
        row.append(f"{np.median([each['writing_seconds'] for each in measured]):.1f}")
        rows.append([*row, f"{sum(each['busy']['searches'] for each in measured):,}"])
    text = f"The reader at nice {found['reader_nice']}, the writer's one thread at {found['writer_nice']}."
    if found["reader_nice"] > 0:
        text += " **The reader was at low priority itself: run this without `nice` to see a reader that has more.**"
    share = min(each["idle"]["processor_share"] for measured in found["rounds"].values() for each in measured)
    text += f" While nothing was written the reader had at least {100 * share:.0f} % of a processor"
    text += ".\n" if share > 0.95 else ": **other processes disturbed, do not trust these figures.**\n"
    header = ["rows, writer in a", "rows", "idle p50 / p99 us", "max", "busy p50 / p99 us", "max"]
    header += ["p99, busy / idle", "writing s", "searches while busy"]
    return f"{text}\n{table(header, rows)}"
