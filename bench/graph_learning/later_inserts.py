# SPDX-License-Identifier: Apache-2.0
"""Is a graph that was trained before the last fifth of its rows came as good as one trained with all of them?"""

from __future__ import annotations

from typing import Any

import hop_curves
import numpy as np
from checks import Check, interval_text, not_below
from learning_work import Work
from report import table
from resampling import difference_interval

import trivium

KINDS = ("questions", "headings", "documents")
WIDTHS = (16, 24, 32, 48, 64, 96)
SHARE = 0.8
LIMIT = -0.005


def grown(work: Work, seed: int) -> trivium.VectorIndex:
    """Four fifths of the rows, trained; then the rest. The rows are in random order."""
    count = int(SHARE * len(work.base))
    labels = np.arange(len(work.base), dtype=np.uint64)
    index = trivium.VectorIndex(work.base.shape[1], profile=work.profile, threads=work.sizes.threads)
    index.add(labels[:count], work.base[:count])
    work.train(index, work.training, seed)
    index.add(labels[count:], work.base[count:])
    return index


def run(work: Work, say: Any) -> dict[str, Any]:
    kinds_asked = [kind for kind in KINDS if kind in work.tests]

    def walks_of(index: trivium.VectorIndex) -> dict[str, hop_curves.Walks]:
        return {
            kind: hop_curves.walk(index, *work.tests[kind], work.sizes.threads, WIDTHS)
            for kind in kinds_asked
        }

    untrained = walks_of(work.load())
    runs = []
    for seed in work.seeds():
        before = walks_of(grown(work, seed))
        work.trained_with_all(seed)
        after = walks_of(trivium.VectorIndex.load(work.trained_path(seed), verify=False))
        kinds: dict[str, Any] = {}
        for kind in kinds_asked:
            one, other = before[kind], after[kind]
            for at, width in enumerate(WIDTHS):
                kinds.setdefault(kind, {})[str(width)] = {
                    "untrained": float(untrained[kind].recall[:, at].mean()),
                    "before": float(one.recall[:, at].mean()),
                    "after": float(other.recall[:, at].mean()),
                    "hops_before": float(one.costs["hops"][:, at].mean()),
                    "hops_after": float(other.costs["hops"][:, at].mean()),
                    **difference_interval(one.recall[:, at], other.recall[:, at], work.seed),
                }
        runs.append({"seed": seed, "kinds": kinds})
        say(f"inserts: seed {seed} measured")
    return {"share": SHARE, "runs": runs}


def checks(found: dict[str, Any]) -> list[Check]:
    answer = []
    for one in found["runs"]:
        for kind, widths in one["kinds"].items():
            width, worst = min(widths.items(), key=lambda each: each[1]["difference"])
            what = f"{kind}, seed {one['seed']}: recall, trained before - after, worst width {width}"
            answer.append(not_below(what, worst, LIMIT))
    return answer


def markdown(found: dict[str, Any]) -> str:
    rows = []
    for one in found["runs"]:
        for kind, widths in one["kinds"].items():
            for width, line in widths.items():
                hops = f"{line['hops_before']:.1f} / {line['hops_after']:.1f}"
                recalls = [f"{line[name]:.4f}" for name in ("untrained", "before", "after")]
                row = [kind, str(one["seed"]), width, *recalls]
                rows.append([*row, interval_text(line, "difference", 4), hops])
    header = ["", "seed", "beam width", "recall@10, untrained"]
    header += ["trained before", "trained after", "before - after", "hops, before / after"]
    return table(header, rows)
