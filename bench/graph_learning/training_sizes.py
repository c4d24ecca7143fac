# SPDX-License-Identifier: Apache-2.0
"""How many training queries does it take? The hop ratio at recall 0.95 and the seconds of training by their number."""

from __future__ import annotations

from typing import Any

import hop_curves
import learning_queries
import numpy as np
from checks import Check, interval_text
from learning_work import Work, over_seeds
from report import table

KINDS = ("questions", "headings")
TARGET = 0.95


def sets_of(work: Work) -> list[np.ndarray]:
    """Prefixes of one random order; with `extra` one more that holds all of them and the other collections'."""
    sets = [work.training[:count] for count in work.sizes.curve if count < len(work.training)]
    sets.append(work.training)
    if work.sizes.extra:
        extra = learning_queries.extra(work.dataset, work.training)
        sets.append(np.concatenate([work.training, extra]))
    return sets


def run(work: Work, say: Any) -> dict[str, Any]:
    untrained, lines = work.untrained(), []
    kinds = [kind for kind in KINDS if kind in work.tests]
    for queries in sets_of(work):
        measured, seconds = [], []
        for seed in work.seeds():
            if queries is work.training:
                walks, report = work.trained_with_all(seed)
            else:
                index = work.load()
                report = work.train(index, queries, seed)
                walks = work.walks(index, tuple(kinds))
            measured.append(walks)
            seconds.append(report["seconds"])
            say(f"sizes: {len(queries):,} queries, seed {seed}: {report['seconds']:.1f} s")
        mean = over_seeds([{kind: walks[kind] for kind in kinds} for walks in measured])
        ratios = {
            kind: hop_curves.ratio(mean[kind], untrained[kind], "hops", TARGET, work.seed) for kind in kinds
        }
        lines.append({"queries": len(queries), "ratio": ratios, "seconds": seconds})
    return {"kinds": kinds, "lines": lines}


def checks(found: dict[str, Any]) -> list[Check]:
    """A curve was asked for, without a limit."""
    return []


def markdown(found: dict[str, Any]) -> str:
    rows = [
        [
            f"{line['queries']:,}",
            *(
                interval_text(line["ratio"][kind], "ratio", 3) if line["ratio"][kind] else "not reached"
                for kind in found["kinds"]
            ),
            ", ".join(f"{seconds:.1f}" for seconds in line["seconds"]),
        ]
        for line in found["lines"]
    ]
    header = ["training queries", *(f"{kind}, hops at {TARGET:.2f} x untrained" for kind in found["kinds"])]
    return table([*header, "training s"], rows)
