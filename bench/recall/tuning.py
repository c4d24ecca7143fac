# SPDX-License-Identifier: Apache-2.0
"""Builds each configuration of a contender within the limits, measures it on validation queries, chooses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from contender import CONTENDERS, Configuration, Unavailable
from curves import Point, fastest_configuration
from datasets import Dataset
from index_cache import CachedIndex, label
from worker import Worker, WorkerFailed, WorkerTimedOut

TARGETS = (0.90, 0.95, 0.99)
# A ladder of search parameters is left here: what comes after serves no target.
ENOUGH = 0.997


# Stored bytes that any contender may add to a vector: a graph costs as much at 128 dimensions as at 384.
SPARE_BYTES = 2560


@dataclass(frozen=True)
class Limits:
    """What every contender may use. bytes_a_raw_byte: stored bytes over those of the float32 vectors.

    With the usual 8/3 and SPARE_BYTES this is 4,096 bytes a vector of 384 dimensions.
    """

    bytes_a_raw_byte: float
    build_seconds: float
    build_threads: int
    configurations: int
    validation_queries: int
    search_core: int
    build_cores: tuple[int, ...]


def points_of(curve: list[dict[str, Any]]) -> list[Point]:
    return [(point["recall"], point["qps"]) for point in curve]


def describe(name: str, dataset: Dataset, limits: Limits) -> dict[str, Any]:
    """Version, notes and configurations. Raises WorkerFailed with the reason if it cannot take part."""
    with Worker(name, [limits.search_core], 1) as worker:
        return worker.call("about", dataset.rows, dataset.dimension, dataset.metric, timeout=120)


def ensure_built(
    name: str, dataset: Dataset, configuration: Configuration, cached: CachedIndex, limits: Limits
) -> None:
    """Builds if the index is not there, or was never built on as many threads. Raises WorkerFailed."""
    threads = limits.build_threads
    if cached.index.is_dir() and str(threads) in cached.about.get("build_seconds", {}):
        return
    with Worker(name, list(limits.build_cores[:threads]), threads) as worker:
        # A little longer than the limit: reading the vectors and writing the index do not count in it.
        built = worker.call(
            "build",
            dataset.folder,
            dataset.metric,
            configuration,
            threads,
            cached.empty(),
            timeout=limits.build_seconds + 60,
        )
    cached.keep()
    seconds = {**cached.about.get("build_seconds", {}), str(threads): built["seconds"]}
    cached.note(build_seconds=seconds, stored_bytes=built["stored_bytes"])


def refusal(cached: CachedIndex, dataset: Dataset, limits: Limits) -> str | None:
    """Why a built configuration may not compete."""
    seconds = cached.about["build_seconds"][str(limits.build_threads)]
    if seconds > limits.build_seconds:
        return f"build took {seconds:.0f} s, limit {limits.build_seconds:.0f} s"
    a_vector = cached.about["stored_bytes"] / dataset.rows
    raw = 4 * dataset.dimension
    allowed = max(limits.bytes_a_raw_byte * raw, raw + SPARE_BYTES)
    if a_vector > allowed:
        return f"{a_vector:.0f} bytes a vector, limit {allowed:.0f}"
    return None


def tune_one(
    name: str,
    dataset: Dataset,
    kinds: list[str],
    configuration: Configuration,
    cached: CachedIndex,
    limits: Limits,
) -> dict[str, Any]:
    """Facts of one configuration: build, sizes, validation curves; or why it does not compete."""
    facts: dict[str, Any] = {"configuration": configuration}
    curves: dict[str, Any] = cached.about.get("validation", {}).get(str(limits.validation_queries), {})
    built = False
    try:
        if cached.about.get("timed_out", 0) >= limits.build_seconds:
            raise WorkerTimedOut(f"build took longer than {limits.build_seconds:.0f} s")
        built = str(limits.build_threads) in cached.about.get("build_seconds", {})
        if not built or any(kind not in curves for kind in kinds):
            ensure_built(name, dataset, configuration, cached, limits)
        facts["refused"] = refusal(cached, dataset, limits)
        missing = [kind for kind in kinds if kind not in curves]
        if missing and not facts["refused"]:
            with Worker(name, [limits.search_core], 1) as worker:
                worker.call(
                    "load", cached.index, dataset.dimension, dataset.metric, configuration, timeout=300
                )
                for kind in missing:
                    curves[kind] = worker.call(
                        "climb",
                        dataset.folder,
                        kind,
                        configuration,
                        limits.validation_queries,
                        ENOUGH,
                        timeout=900,
                    )
            cached.note(
                validation={**cached.about.get("validation", {}), str(limits.validation_queries): curves}
            )
    except WorkerTimedOut as error:
        if not built:
            cached.note(timed_out=limits.build_seconds)
        facts["refused"] = str(error)
    except WorkerFailed as error:
        facts["refused"] = str(error)
    if facts.get("refused"):
        cached.drop_index()
    facts |= {key: cached.about[key] for key in ("build_seconds", "stored_bytes") if key in cached.about}
    return facts | {"validation": {kind: curves[kind] for kind in kinds if kind in curves}}


def tune(name: str, dataset: Dataset, kinds: list[str], limits: Limits, say: Any) -> dict[str, Any]:
    """The contender's facts, `configurations` by label and `chosen`: kind -> target -> label or None."""
    try:
        if name not in CONTENDERS:
            raise Unavailable(f"'{name}', expected one of {', '.join(CONTENDERS)}")
        facts = describe(name, dataset, limits)
    except (WorkerFailed, Unavailable) as error:
        say(f"{name}: {error}")
        return {"status": "absent", "reason": str(error)}
    tried: dict[str, Any] = {}
    for configuration in facts.pop("configurations")[: limits.configurations]:
        cached = CachedIndex(dataset.key, name, facts["version"], configuration)
        if any((each.get("refused") or "").startswith("build took longer") for each in tried.values()):
            tried[label(configuration)] = {"refused": "a cheaper configuration took too long to build"}
            continue
        one = tune_one(name, dataset, kinds, configuration, cached, limits)
        tried[label(configuration)] = one
        built = one.get("build_seconds", {}).get(str(limits.build_threads))
        say(
            f"{name} {label(configuration)}: "
            + (
                one.get("refused")
                or f"built in {built:.1f} s, {one['stored_bytes'] / dataset.rows:.0f} B a vector"
            )
        )
    admitted = {each: one for each, one in tried.items() if not one.get("refused")}
    facts |= {"configurations": tried, "status": "ran" if admitted else "failed"}
    if not admitted:
        facts["reason"] = "; ".join(dict.fromkeys(one["refused"] for one in tried.values()))
        return facts
    facts["chosen"] = {
        kind: {
            f"{target:.2f}": fastest_configuration(
                {each: points_of(one["validation"][kind]) for each, one in admitted.items()}, target
            )
            for target in TARGETS
        }
        for kind in kinds
    }
    return facts
