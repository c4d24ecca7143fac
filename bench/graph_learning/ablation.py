# SPDX-License-Identifier: Apache-2.0
"""What each learned part saves on test queries, alone and together, and what remains of it in time.

The variants are the same saved graph, trained in different ways and without the gate. Hops, distance computations
and bytes are interpolated over beam widths at equal recall. For the speeds the trained and the untrained graph wait
in processes pinned to one core and are asked in turn, as in bench/recall; the trained one is that of the first seed.
"""

from __future__ import annotations

import os
from typing import Any

import hop_curves
import numpy as np
import roargraph
import timing
from checks import Check, at_least, at_most, interval_text
from curves import around
from hop_curves import COSTS, TARGETS, Walks
from learning_work import Work, over_seeds
from report import table
from resampling import ratio_interval
from worker import Worker

SPEED, LOSS = 1.3, 0.99
UNTRAINED, ALL, BASE_ROWS = "untrained", "all", "all, base rows"
OPTIONS: dict[str, dict[str, bool]] = {
    "entries": {"edges": False, "codes": False},
    "edges": {"entries": False, "codes": False},
    "codes": {"entries": False, "edges": False},
    "entries, edges": {"codes": False},
    ALL: {},
    BASE_ROWS: {},
}


def rows_as_queries(work: Work, seed: int) -> np.ndarray:
    """As many base rows as there are training queries: what the questions themselves contribute."""
    count = min(len(work.training), len(work.base))
    return work.base[np.random.default_rng(seed).choice(len(work.base), count, replace=False)]


def variant(work: Work, name: str, seed: int) -> tuple[dict[str, Walks], dict[str, Any]]:
    if name == ALL:
        return work.trained_with_all(seed)
    index = work.load()
    queries = rows_as_queries(work, seed) if name == BASE_ROWS else work.training
    report = work.train(index, queries, seed, **OPTIONS[name])
    return work.walks(index), report


def figures(
    walks: Walks, untrained: Walks | None, each_seed: list[Walks], rows: int, seed: int
) -> dict[str, Any]:
    """Of one variant and kind: cost and ratio to the untrained graph by target."""
    scans = [one.scans(rows) for one in each_seed]
    answer: dict[str, Any] = {"points": walks.points(), "scans": float(np.mean(scans)), "at": {}}
    for target in TARGETS:
        line: dict[str, Any] = {name: hop_curves.at_target(walks, name, target) for name in COSTS}
        line["always_above"] = bool(walks.recall[:, 0].mean() > target)
        if untrained is not None:
            line["ratio"] = {name: hop_curves.ratio(walks, untrained, name, target, seed) for name in COSTS}
            line["hop_ratio_by_seed"] = [
                hop_curves.ratio(one, untrained, "hops", target, seed, resamples=1) for one in each_seed
            ]
        answer["at"][f"{target:.2f}"] = line
    return answer


def knobs(untrained: Walks, trained: Walks) -> list[dict[str, int]]:
    """Beam widths that the interpolations of either graph at TARGETS lean on."""
    widths: set[int] = set()
    for walks in (untrained, trained):
        points = walks.points()
        near = around([(point["recall"], 1 / point["hops"]) for point in points], TARGETS)
        widths |= {int(points[at]["width"]) for at in near}
    return [{"beam_width": width} for width in sorted(widths)]


def speeds(work: Work, trained: dict[str, Walks], say: Any) -> dict[str, Any]:
    """kind -> target -> queries per second of both by round, and their ratio."""
    core = max(os.sched_getaffinity(0))
    kinds = list(work.tests)
    places = {UNTRAINED: work.graph.parent, ALL: work.trained_path(work.seed).parent}
    asked = {kind: knobs(work.untrained()[kind], trained[kind]) for kind in kinds}
    entries = []
    try:
        for name, folder in places.items():
            worker = Worker(f"trivium-{work.profile}", [core], 1)
            points = {kind: [{"knob": knob, "qps": []} for knob in asked[kind]] for kind in kinds}
            entries.append(timing.Entry(name, "", {}, worker, points))
            worker.call("load", folder, work.dataset.dimension, work.dataset.metric, {}, timeout=600)
        timing.first_pass(entries, work.dataset, say)
        timing.run_rounds(entries, work.dataset, kinds, work.sizes.rounds, work.sizes.chunk, say)
    finally:
        for entry in entries:
            entry.worker.close()
    if failed := [entry.facts["refused"] for entry in entries if "refused" in entry.facts]:
        raise RuntimeError(f"ablation: {failed[0]}")
    shares = [
        share
        for entry in entries
        for points in entry.asked.values()
        for point in points
        for share in point["processor_share"]
    ]
    answer: dict[str, Any] = {"core": core, "disturbed": sum(share < 0.98 for share in shares)}
    answer["calls"] = len(shares)
    for kind in kinds:
        for target in TARGETS:
            by_name = {entry.name: timing.speeds_by_round(entry.asked[kind], target) for entry in entries}
            if all(by_name.values()):
                fastest = [min(point["recall"] for point in entry.asked[kind]) for entry in entries]
                line = {"qps_by_round": by_name, "always_above": max(fastest) > target} | ratio_interval(
                    by_name[ALL], by_name[UNTRAINED], work.seed
                )
                answer.setdefault("kinds", {}).setdefault(kind, {})[f"{target:.2f}"] = line
    return answer


def run(work: Work, say: Any) -> dict[str, Any]:
    untrained = work.untrained()
    say("ablation: untrained measured")
    rows = work.dataset.rows
    found: dict[str, Any] = {
        kind: {UNTRAINED: figures(walks, None, [walks], rows, 0)} for kind, walks in untrained.items()
    }
    reports: dict[str, list[dict[str, Any]]] = {}
    for name in OPTIONS:
        each_seed = []
        for seed in work.seeds():
            walks, report = variant(work, name, seed)
            each_seed.append(walks)
            reports.setdefault(name, []).append(report)
            say(f"ablation: {name}, seed {seed}: trained in {report['seconds']:.1f} s")
        for kind, walks_of_kind in over_seeds(each_seed).items():
            seeds = [each[kind] for each in each_seed]
            found[kind][name] = figures(walks_of_kind, untrained[kind], seeds, rows, work.seed)
    rivals, rival_seconds = roargraph.run(work, say)
    for name, walks_of_kind in rivals.items():
        for kind, walks in walks_of_kind.items():
            found[kind][name] = figures(walks, untrained[kind], [walks], rows, work.seed)
    timed = speeds(work, work.trained_with_all(work.seed)[0], say)
    counts = {"training_queries": len(work.training), "rival_seconds": rival_seconds}
    return counts | {"by_kind": found, "reports": reports, "speeds": timed}


def checks(found: dict[str, Any]) -> list[Check]:
    answer = []
    speed = found["speeds"].get("kinds", {})
    for kind, limit in (("questions", SPEED), ("documents", LOSS)):
        for target, line in speed.get(kind, {}).items():
            if kind == "documents" or target == "0.95":
                answer.append(at_least(f"{kind}: QPS at recall {target}, all / untrained", line, limit))
    for kind, limit in (("questions", 1 / SPEED), ("documents", 1 / LOSS)):
        ratio = found["by_kind"].get(kind, {}).get(ALL, {"at": {"0.95": {}}})["at"]["0.95"].get("ratio")
        if ratio and ratio["hops"]:
            answer.append(at_most(f"{kind}: hops at recall 0.95, all / untrained", ratio["hops"], limit))
    return answer


def cell(line: dict[str, Any], name: str) -> str:
    if line[name] is None:
        return "not reached"
    text = f"{line[name]:,.0f}" if name != "hops" else f"{line[name]:.1f}"
    text += "*" if line["always_above"] else ""
    ratio = line.get("ratio", {}).get(name)
    return f"{text}; {interval_text(ratio, 'ratio', 3)}" if ratio else text


def markdown(found: dict[str, Any]) -> str:
    reports = found["reports"]
    text = f"Trained with {found['training_queries']:,} queries; "
    text += (
        f"{len(reports[ALL])} seed(s). Hops at recall@10; ratio to untrained [95 % interval over queries]. "
    )
    text += "*: the narrowest beam reaches more. scans: walks at the narrowest beam that found fewer than k vertices, "
    text += "so that every row was scanned. Distances and bytes are in the JSON file. "
    text += f"roargraph: built by Chen et al. 2024 at the same degree bound; {roargraph.seconds(found)}.\n"
    for kind, variants in found["by_kind"].items():
        rows = []
        for name, one in variants.items():
            row = [name, *(cell(line, "hops") for line in one["at"].values())]
            ratio = (one["at"]["0.95"].get("ratio") or {}).get("distances")
            row.append(interval_text(ratio, "ratio", 3) if ratio else "")
            each = [seed["ratio"] for seed in one["at"]["0.95"].get("hop_ratio_by_seed", []) if seed]
            row.append(" ".join(f"{value:.3f}" for value in each))
            rows.append([*row, f"{100 * one['scans']:.2f} %"])
        header = [kind, *(f"hops at {target:.2f}" for target in TARGETS)]
        text += f"\n{table([*header, 'distances at 0.95', 'hops at 0.95 by seed', 'scans'], rows)}"
    rows = []
    for kind, targets in found["speeds"].get("kinds", {}).items():
        cells = []
        for target in TARGETS:
            line = targets.get(f"{target:.2f}")
            if line is None:
                cells.append("not reached")
                continue
            one, other = (np.median(line["qps_by_round"][name]) for name in (UNTRAINED, ALL))
            star = "*" if line.get("always_above") else ""
            cells.append(f"{one:,.0f} -> {other:,.0f}{star}; {interval_text(line, 'ratio', 3)}")
        rows.append([kind, *cells])
    text += "\nQueries per second, one pinned thread, untrained -> all; ratio [95 % interval over rounds]; "
    text += "*: one of them reaches more even at its narrowest beam; "
    text += f"{found['speeds']['disturbed']} of {found['speeds']['calls']} timed calls had to share the processor.\n"
    text += f"\n{table(['', *(f'at {target:.2f}' for target in TARGETS)], rows)}"
    rows = []
    for name, each in reports.items():
        first = each[0]
        seconds = ", ".join(f"{one['seconds']:.1f}" for one in each)
        edges = f"{first['edges_added']:,} / {first['edges_replaced']:,}"
        gate = f"{first['hop_ratio']:.3f} / {first['row_hop_ratio']:.3f}"
        rows.append([name, seconds, f"{first['entries']:,}", edges, gate])
    header = ["", "training s", "entries", "edges added / of them in place of others"]
    return f"{text}\n{table([*header, 'its own hop ratio, queries / rows'], rows)}"
