# SPDX-License-Identifier: Apache-2.0
"""What a contender's process does when it is told to: build, load, measure."""

from __future__ import annotations

import pathlib
import time
from typing import Any

import numpy as np
from contender import Configuration, Contender, Knob, Unavailable, make_contender
from curves import recall_of_rows

K = 10
# The least share of its processor that a measured call should have got.
UNDISTURBED = 0.98


def resident_bytes() -> int:
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return 1024 * int(line.split()[1])
    return 0


def stored_bytes(folder: pathlib.Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class Session:
    """One contender; every method is a command of worker.Worker and returns plain values."""

    def __init__(self, name: str) -> None:
        self.contender: Contender = make_contender(name)
        self.asked: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}

    def about(self, rows: int, dimension: int, metric: str) -> dict[str, Any]:
        """What the contender says of itself, and its configurations for such a data set."""
        contender = self.contender
        return {
            "library": contender.distribution,
            "version": contender.fingerprint(),
            "batch_call": contender.batch_call,
            "note": contender.note,
            "configurations": contender.configurations(rows, dimension, metric),
        }

    def build(
        self,
        dataset: pathlib.Path,
        metric: str,
        configuration: Configuration,
        threads: int,
        folder: pathlib.Path,
    ) -> dict[str, float]:
        """Builds over the prepared data set and writes into `folder`."""
        base = np.load(dataset / "base.npy")
        start = time.perf_counter()
        self.contender.build(base, metric, configuration, threads, folder)
        seconds = time.perf_counter() - start
        self.contender.save(folder)
        (folder / "base.fvecs").unlink(missing_ok=True)  # a source that a library wanted as a file
        return {"seconds": seconds, "stored_bytes": stored_bytes(folder)}

    def load(
        self, folder: pathlib.Path, dimension: int, metric: str, configuration: Configuration
    ) -> dict[str, Any]:
        before, start = resident_bytes(), time.perf_counter()
        self.contender.load(folder, dimension, metric, configuration)
        return {
            "seconds": time.perf_counter() - start,
            "resident_bytes": resident_bytes() - before,
            "library_bytes": self.contender.memory_bytes(),
        }

    def queries(self, dataset: pathlib.Path, kind: str, side: str) -> tuple[np.ndarray, np.ndarray]:
        if (kind, side) not in self.asked:
            stem = f"{kind}.{side}"
            self.asked[kind, side] = (
                np.load(dataset / f"{stem}.queries.npy"),
                np.load(dataset / f"{stem}.accepted.npy"),
            )
        return self.asked[kind, side]

    def measure(
        self,
        dataset: pathlib.Path,
        kind: str,
        side: str,
        knob: Knob,
        start: int = 0,
        stop: int | None = None,
    ) -> tuple[float, float, float]:
        """Recall, queries per second, and the share of the processor that one call with [start, stop) got.

        A call that had to share its processor is made again, at most twice; the least disturbed counts.
        """
        queries, accepted = self.queries(dataset, kind, side)
        queries, accepted = np.ascontiguousarray(queries[start:stop]), accepted[start:stop]
        self.contender.set_knob(knob)
        seconds, share = 0.0, 0.0
        for _ in range(3):
            begin, begin_cpu = time.perf_counter(), time.process_time()
            found = self.contender.search(queries, K)
            took, took_cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
            if took_cpu / took > share:
                seconds, share = took, took_cpu / took
            if share >= UNDISTURBED:
                break
        recall = recall_of_rows(np.asarray(found).astype(np.int64), accepted, K)
        return float(recall.mean()), len(queries) / seconds, share

    def climb(
        self, dataset: pathlib.Path, kind: str, configuration: Configuration, count: int, enough: float
    ) -> list[dict[str, Any]]:
        """The validation curve over the contender's ladders; each is left once recall reaches `enough`."""
        points = []
        for ladder in self.contender.ladders(configuration):
            self.measure(dataset, kind, "validation", ladder[0], 0, count)  # warms up
            for knob in ladder:
                recall, speed, _ = self.measure(dataset, kind, "validation", knob, 0, count)
                points.append({"knob": knob, "recall": recall, "qps": speed})
                if recall >= enough:
                    break
        return points

    def latencies(self, dataset: pathlib.Path, kind: str, knob: Knob, count: int) -> list[float]:
        """Seconds of `count` calls with one query each."""
        queries = self.queries(dataset, kind, "test")[0][:count]
        self.contender.set_knob(knob)
        answer = []
        for row in range(len(queries)):
            query = queries[row : row + 1]
            begin = time.perf_counter()
            self.contender.search(query, K)
            answer.append(time.perf_counter() - begin)
        return answer

    def overhead(
        self, metric: str, dimension: int, folder: pathlib.Path, calls: int = 1000
    ) -> dict[str, float | int]:
        """Median microseconds of the smallest search: one query, one neighbour, the smallest index it builds."""
        reasons = []
        for rows in (16, 64, 1024, 8192):
            base = np.random.default_rng(0).standard_normal((rows, dimension), dtype=np.float32)
            base /= np.linalg.norm(base, axis=1, keepdims=True)
            place = folder / str(rows)
            place.mkdir(parents=True)
            try:
                configuration = self.contender.configurations(rows, dimension, metric)[0]
                self.contender.build(base, metric, configuration, 1, place)
                self.contender.save(place)
                self.contender.load(place, dimension, metric, configuration)
                self.contender.set_knob(self.contender.ladders(configuration)[0][0])
                times = []
                for _ in range(calls):
                    begin = time.perf_counter()
                    self.contender.search(base[:1], 1)
                    times.append(time.perf_counter() - begin)
                return {"microseconds": float(np.median(times) * 1e6), "rows": rows}
            except Exception as error:  # too few rows for this library: try more
                reasons.append(str(error))
        raise Unavailable(f"no small index: {reasons[-1]}")
