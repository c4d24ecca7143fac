# SPDX-License-Identifier: Apache-2.0
"""Does a graph trained with the queries of half of the domains lose where it learned nothing?

A query belongs to the domain of its nearest base row.
"""

from __future__ import annotations

from typing import Any

import hop_curves
import learning_queries
import numpy as np
from checks import Check, at_most, interval_text
from learning_work import Work
from report import table
from workload import domains_of

TARGET = 0.95
# "No loss": that of in-distribution queries is allowed.
LIMIT = 1.01
FEWEST = 50
SIDES = ("trained half", "other half")


def run_seed(work: Work, domains: np.ndarray, nearest: np.ndarray, seed: int) -> dict[str, Any]:
    chosen = learning_queries.halves(domains[nearest], seed)
    chosen = np.append(chosen, np.zeros(domains.max() + 1 - len(chosen), bool))
    queries = work.training[chosen[domains[nearest]]]
    index = work.load()
    report = work.train(index, queries, seed)
    measured = work.walks(index)
    kinds: dict[str, Any] = {}
    for kind, walks in measured.items():
        inside = chosen[domains[work.tests[kind][1][:, 0]]]
        for side, mask in zip(SIDES, (inside, ~inside)):
            if mask.sum() >= FEWEST:
                ratio = hop_curves.ratio(
                    walks.of(mask), work.untrained()[kind].of(mask), "hops", TARGET, work.seed
                )
                kinds.setdefault(kind, {})[side] = {"queries": int(mask.sum()), "hops": ratio}
    about = {"seed": seed, "queries": len(queries), "domains": int(chosen.sum())}
    return about | {"seconds": report["seconds"], "kinds": kinds}


def run(work: Work, say: Any) -> dict[str, Any]:
    domains = domains_of(work.dataset)
    nearest = learning_queries.nearest_rows(work.dataset, work.base, work.training)
    runs = []
    for seed in work.seeds():
        runs.append(run_seed(work, domains, nearest, seed))
        say(f"domains: seed {seed} measured")
    return {"domains": len(set(domains.tolist())), "runs": runs}


def checks(found: dict[str, Any]) -> list[Check]:
    answer = []
    for one in found["runs"]:
        for kind, sides in one["kinds"].items():
            other = sides.get("other half")
            if other and other["hops"] and kind in ("questions", "headings", "documents"):
                what = f"{kind} of the other half, seed {one['seed']}: hops at {TARGET:.2f}, x untrained"
                answer.append(at_most(what, other["hops"], LIMIT))
    return answer


def markdown(found: dict[str, Any]) -> str:
    rows = []
    for one in found["runs"]:
        for kind, sides in one["kinds"].items():
            row = [kind, str(one["seed"]), f"{one['queries']:,}"]
            for side in SIDES:
                figure = sides.get(side)
                shown = figure and figure["hops"]
                row.append(
                    f"{interval_text(shown, 'ratio', 3)} ({figure['queries']:,})" if shown else "too few"
                )
            rows.append(row)
    text = f"{found['runs'][0]['domains']} of {found['domains']} domains; hops at recall {TARGET:.2f} over those "
    text += "of the untrained graph [95 % interval over queries] (test queries).\n\n"
    return text + table(["", "seed", "training queries", *SIDES], rows)
