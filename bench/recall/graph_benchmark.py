# SPDX-License-Identifier: Apache-2.0
"""Graph search beside the best peers: recall against speed, one thread, one run.

Every contender is tuned on validation queries (build and search parameters) within equal limits of memory and
build time; the chosen configurations are then measured once on test queries, in rounds that all of them share.
What is built is kept in build/bench/cache, so a second run measures only. A contender that is not installed,
refuses this machine, crashes or exceeds a limit is reported with the reason.

The result is OUTPUT/DATASET.json; report.py makes DATASET.md, .png and .svg from it.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time
from typing import Any

import datasets
import machine
import report
from contender import CONTENDERS, QUICK
from index_cache import CachedIndex
from timing import first_pass, load_entries, measure_latency, results, run_rounds
from tuning import TARGETS, Limits, tune
from worker import Worker, WorkerFailed

REFERENCE = "hnswlib"


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--dataset", choices=datasets.NAMES, help="default minilm-165k, with --quick minilm-20k")
    add("--contenders", help=f"comma-separated, or `all` (default): {', '.join(CONTENDERS)}")
    add("--kinds", help="kinds of queries, comma-separated (default: all of the data set)")
    add("--rounds", type=int, help="rounds of the report, each with a figure a point (default 9)")
    add("--chunk", type=int, help="queries a contender is asked in a call (default 1000)")
    add("--validation-queries", type=int, help="queries a kind for tuning, at most 2000 (default 1000)")
    add("--configurations", type=int, help="build configurations to try a contender (default 4)")
    add("--build-limit", type=float, default=300.0, help="seconds a build may take (default 300)")
    add("--build-threads", type=int, default=2, help="threads of the builds that are tuned (default 2)")
    add(
        "--memory-limit",
        type=float,
        default=8 / 3,
        help="stored bytes over float32 (default 8/3; 2,560 a vector always)",
    )
    add("--no-build-times", action="store_true", help="leave out the build on one thread of what was chosen")
    add("--core", type=int, help="processor that searches (default: the last that this process may use)")
    add(
        "--quick",
        action="store_true",
        help="the daily run: 20,000 vectors, few contenders, one configuration",
    )
    add("--output", type=pathlib.Path, default=datasets.ROOT / "build" / "bench" / "graph")
    options = parser.parse_args(arguments)
    full = {
        "dataset": "minilm-165k",
        "contenders": "all",
        "rounds": 9,
        "chunk": 1000,
        "validation_queries": 1000,
        "configurations": 4,
    }
    quick = {
        "dataset": "minilm-20k",
        "contenders": ",".join(QUICK),
        "kinds": "documents,questions",
        "rounds": 5,
        "chunk": 500,
        "validation_queries": 500,
        "configurations": 1,
        "no_build_times": True,
    }
    for name, value in (quick if options.quick else full).items():
        if getattr(options, name) in (None, False):
            setattr(options, name, value)
    return options


def limits_of(options: argparse.Namespace) -> Limits:
    cores = sorted(os.sched_getaffinity(0))
    core = cores[-1] if options.core is None else options.core
    if core not in cores:
        sys.exit(f"graph_benchmark: --core {core}, expected one of {cores}")
    return Limits(
        bytes_a_raw_byte=options.memory_limit,
        build_seconds=options.build_limit,
        build_threads=min(options.build_threads, len(cores)),
        configurations=options.configurations,
        validation_queries=options.validation_queries,
        search_core=core,
        build_cores=tuple(cores),
    )


def add_overhead(contenders: dict[str, Any], dataset: datasets.Dataset, limits: Limits) -> None:
    """What a call of each library costs when there is nothing to search."""
    for name, facts in contenders.items():
        if facts["status"] != "ran":
            continue
        with tempfile.TemporaryDirectory() as folder, Worker(name, [limits.search_core], 1) as worker:
            try:
                place = pathlib.Path(folder)
                facts["overhead"] = worker.call(
                    "overhead", dataset.metric, dataset.dimension, place, timeout=120
                )
            except WorkerFailed as error:
                facts["overhead"] = {"reason": str(error)}


def add_one_thread_builds(contenders: dict[str, Any], dataset: datasets.Dataset, limits: Limits) -> None:
    """Build seconds on one thread of every configuration that was measured."""
    for name, facts in contenders.items():
        for one in facts.get("configurations", {}).values():
            if "test" not in one or "1" in one["build_seconds"]:
                continue
            cached = CachedIndex(dataset.key, name, facts["version"], one["configuration"])
            with Worker(name, list(limits.build_cores[:1]), 1) as worker:
                try:
                    arguments = (dataset.folder, dataset.metric, one["configuration"], 1, cached.empty())
                    built = worker.call("build", *arguments, timeout=2 * limits.build_seconds + 60)
                    cached.note(build_seconds={**cached.about["build_seconds"], "1": built["seconds"]})
                    one["build_seconds"] = cached.about["build_seconds"]
                    say(f"{name}: built on one thread in {built['seconds']:.1f} s")
                except WorkerFailed as error:
                    say(f"{name} on one thread: {error}")

            shutil.rmtree(cached.folder / "partial", ignore_errors=True)


def run(options: argparse.Namespace) -> dict[str, Any]:
    start = time.monotonic()
    limits = limits_of(options)
    about = machine.describe()
    say(f"preparing {options.dataset}")
    dataset = datasets.prepare(options.dataset)
    kinds = options.kinds.split(",") if options.kinds else list(dataset.queries)
    if unknown := [kind for kind in kinds if kind not in dataset.queries]:
        sys.exit(f"graph_benchmark: --kinds {unknown[0]}, expected some of {', '.join(dataset.queries)}")
    names = list(CONTENDERS) if options.contenders == "all" else options.contenders.split(",")
    if unknown := [name for name in names if name not in CONTENDERS]:
        sys.exit(f"graph_benchmark: --contenders {unknown[0]}, expected some of {', '.join(CONTENDERS)}")
    contenders = {name: tune(name, dataset, kinds, limits, say) for name in names}
    entries = load_entries(contenders, dataset, kinds, limits, say)
    try:
        first_pass(entries, dataset, say)
        run_rounds(entries, dataset, kinds, options.rounds, options.chunk, say)
        measure_latency(entries, dataset, options.chunk, say)
    finally:
        for entry in entries:
            entry.worker.close()
    add_overhead(contenders, dataset, limits)
    if not options.no_build_times:
        add_one_thread_builds(contenders, dataset, limits)
    return {
        "benchmark": "graph",
        "machine": about,
        "versions": machine.versions(),
        "options": {
            key: str(value) if isinstance(value, pathlib.Path) else value
            for key, value in vars(options).items()
            if key != "output"
        },
        "pinned_to": limits.search_core,
        "build_cores": list(limits.build_cores[: limits.build_threads]),
        "seed": datasets.SEED,
        "dataset": {
            "name": dataset.name,
            "key": dataset.key,
            "description": dataset.description,
            "metric": dataset.metric,
            "rows": dataset.rows,
            "dimension": dataset.dimension,
            "queries": {kind: dataset.queries[kind] for kind in kinds},
        },
        "reference": REFERENCE,
        "targets": list(TARGETS),
        "contenders": contenders,
        "results": results(contenders, kinds),
        "seconds": time.monotonic() - start,
    }


def main() -> None:
    options = parse()
    try:
        found = run(options)
    except FileNotFoundError as error:
        sys.exit(f"graph_benchmark: {error}")
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / f"{options.dataset}{'-quick' if options.quick else ''}.json"
    path.write_text(json.dumps(found, indent=1) + "\n")
    print(report.write(path), end="")
    say(f"written: {path} and its .md, .png, .svg; {found['seconds']:.0f} s")


if __name__ == "__main__":
    main()
