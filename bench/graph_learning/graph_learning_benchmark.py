# SPDX-License-Identifier: Apache-2.0
"""What a graph gains from training with sample queries, each figure beside its requirement.

ablation  entries, edges and codes, alone and together, against the untrained graph: hops at equal recall, and
          queries per second
sizes     the same by the number of training queries
domains   trained with half of the domains, asked about both halves
inserts   a fifth of the rows added after training, beside a graph trained with all of them
cost      seconds, memory and bytes of training

Writes OUTPUT/DATASET.json (with `full`, the profile and the names of the sections, where these are not the usual
ones) and a table made from it, DATASET.md, which it prints. The exit status is 0 whether requirements are met or
not, and 1 if a section could not run.
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

BENCH = pathlib.Path(__file__).resolve().parents[1]
for place in ("recall", "life", "graph_routing"):
    sys.path.insert(1, str(BENCH / place))

import datasets  # noqa: E402
import learning_work  # noqa: E402
import machine  # noqa: E402
import sections  # noqa: E402
import summary  # noqa: E402
import workload  # noqa: E402
from sections import say  # noqa: E402

SECTIONS = {
    "ablation": "ablation",
    "sizes": "training_sizes",
    "domains": "half_domains",
    "inserts": "later_inserts",
    "cost": "training_cost",
}
PROFILES = ("speed", "balanced", "small")
TITLE = "What training a graph gives"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    sections.add_section_options(parser, SECTIONS, datasets.ROOT / "build" / "bench" / "graph_routing")
    add("--dataset", choices=workload.NAMES, default="minilm-165k", help="default %(default)s")
    add("--profile", choices=PROFILES, default="speed", help="of the index (default %(default)s)")
    add("--full", action="store_true", help="three seeds instead of one")
    add("--extra", action="store_true", help="also 70,000 queries of other collections in `sizes`")
    add("--queries", type=int, default=2000, help="test queries of each kind (default %(default)s)")
    add("--rounds", type=int, default=12, help="of timed calls (default %(default)s)")
    add("--threads", type=int, default=2, help="of builds and training (default %(default)s)")
    add("--seed", type=int, default=0, help="the first one of training, halves and resampling (default 0)")
    options = parser.parse_args(arguments)
    options.sections = sections.chosen(parser, options.sections, SECTIONS)
    return options


def sizes_of(options: argparse.Namespace) -> learning_work.Sizes:
    return learning_work.Sizes(
        threads=options.threads,
        queries=options.queries,
        seeds=3 if options.full else 1,
        rounds=options.rounds,
        extra=options.extra,
    )


def run(options: argparse.Namespace, keep: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The result; `keep` gets it after each section, as far as it is."""
    start = time.monotonic()
    about = machine.describe()
    say(f"preparing {options.dataset}")
    dataset = datasets.prepare(options.dataset)
    sizes = sizes_of(options)
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=options.output) as scratch:
        work = learning_work.prepare(dataset, options.profile, sizes, options.seed, pathlib.Path(scratch))
        found: dict[str, Any] = {
            "benchmark": "graph learning",
            "title": TITLE,
            "machine": about,
            "versions": machine.versions(),
            "options": {"sections": options.sections, "profile": options.profile} | dataclasses.asdict(sizes),
            "seed": options.seed,
            "seeds": list(work.seeds()),
            "dataset": sections.described(dataset, len(set(workload.domains_of(dataset).tolist())))
            | {
                "queries": {kind: len(test[0]) for kind, test in work.tests.items()},
                "training_queries": len(work.training),
            },
            "sections": {},
        }
        sections.run_sections(SECTIONS, found, work, keep, start)
    return found


def result_path(options: argparse.Namespace) -> pathlib.Path:
    """A run of some sections leaves the file of a whole run alone."""
    parts = [options.dataset] + ([] if options.profile == "speed" else [options.profile])
    parts += ["full"] * options.full
    parts += [] if options.sections == list(SECTIONS) else options.sections
    return options.output / ("-".join(parts) + ".json")


def main() -> None:
    options = parse()
    sections.drive(result_path(options), lambda keep: run(options, keep), summary.write)


if __name__ == "__main__":
    main()
