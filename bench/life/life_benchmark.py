# SPDX-License-Identifier: Apache-2.0
"""What an index goes through in its life, each figure beside its requirement.

build    from vectors in memory to a closed store, beside hnswlib on as many threads
filters  recall and time of filtered searches beside a scan of what passes
churn    half of the rows replaced, beside an index built anew
readers  latency of searches while a low-priority thread or process builds over the same store

Writes OUTPUT/DATASET.json (with -quick and the names of the sections, where these are not all) and a table made from
it, DATASET.md, which it prints. The exit status is 0 whether
requirements are met or not, and 1 if a section could not run.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

sys.path.insert(1, str(pathlib.Path(__file__).resolve().parents[1] / "recall"))

import datasets  # noqa: E402
import machine  # noqa: E402
import sections  # noqa: E402
import summary  # noqa: E402
import workload  # noqa: E402
from sections import say  # noqa: E402

SECTIONS = {"build": "builds", "filters": "filters", "churn": "churn", "readers": "readers"}


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    sections.add_section_options(parser, SECTIONS, datasets.ROOT / "build" / "bench" / "graph_life")
    add("--dataset", choices=workload.NAMES, help="default minilm-165k, with --quick minilm-20k")
    add("--quick", action="store_true", help="20,000 vectors, fewer rounds")
    add("--seed", type=int, default=0, help="of filters, orders and resampling (default %(default)s)")
    options = parser.parse_args(arguments)
    options.sections = sections.chosen(parser, options.sections, SECTIONS)
    options.dataset = options.dataset or ("minilm-20k" if options.quick else "minilm-165k")
    return options


def run(options: argparse.Namespace, keep: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The result; `keep` gets it after each section, as far as it is."""
    start = time.monotonic()
    about = machine.describe()
    say(f"preparing {options.dataset}")
    dataset = datasets.prepare(options.dataset)
    domains = workload.domains_of(dataset)
    sizes = workload.QUICK if options.quick else workload.Sizes()
    found: dict[str, Any] = {
        "benchmark": "graph life",
        "machine": about,
        "versions": machine.versions(),
        "options": {"quick": options.quick, "sections": options.sections, **dataclasses.asdict(sizes)},
        "seed": options.seed,
        "dataset": sections.described(dataset, len(set(domains.tolist()))),
        "sections": {},
    }
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=options.output) as scratch:
        work = workload.load(dataset, domains, pathlib.Path(scratch), sizes, options.seed)
        found["dataset"]["queries"] = {kind: len(queries) for kind, queries in work.queries.items()}
        sections.run_sections(SECTIONS, found, work, keep, start)
    return found


def result_path(options: argparse.Namespace) -> pathlib.Path:
    """A run of some sections leaves the file of a whole run alone."""
    some = [] if options.sections == list(SECTIONS) else options.sections
    return options.output / ("-".join([options.dataset, *["quick"] * options.quick, *some]) + ".json")


def main() -> None:
    options = parse()
    sections.drive(result_path(options), lambda keep: run(options, keep), summary.write)


if __name__ == "__main__":
    main()
