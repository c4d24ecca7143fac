# SPDX-License-Identifier: Apache-2.0
"""What cells are worth as entry vertices of a graph.

Distances that a walk of the graph computes at recall@10 0.95, those that chose its entries among them, from: the
graph's own entry; the best two of 256 sampled vertices; the vertices nearest to the centroids of the best 1, 2, 4 or
8 cells by each router; and, which nothing can beat, the nearest document itself, chosen for nothing. Walks compute
exact distances, one at a time.

Usage: entries_benchmark.py [--dataset minilm-165k] [--depth 10] [--queries 1000] [--output build/bench/entries.json]
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

BENCH = pathlib.Path(__file__).resolve().parents[1]
for place in ("recall", "graph_routing", "graph_learning"):
    sys.path.insert(1, str(BENCH / place))

import datasets  # noqa: E402
import learning_queries  # noqa: E402
import numpy as np  # noqa: E402

RECALL = 0.95


def at_recall(curve: list[dict[str, float]], key: str) -> float:
    """Between the two beams around the recall, by their recalls; `curve` is by growing beam."""
    for number, point in enumerate(curve):
        if point["recall"] < RECALL:
            continue
        if number == 0:
            return point[key]
        before = curve[number - 1]
        part = (RECALL - before["recall"]) / (point["recall"] - before["recall"])
        return before[key] + part * (point[key] - before[key])
    best = max((point["recall"] for point in curve), default=0.0)
    raise ValueError(f"recall: at most {best:.3f}, expected a beam that reaches {RECALL}")


def table(ways: dict[str, list[dict[str, float]]]) -> list[str]:
    lines = [
        "| entries | distances | of them routing | hops | to sampled |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    cost = {way: at_recall(curve, "walked") + at_recall(curve, "routing") for way, curve in ways.items()}
    for way, curve in ways.items():
        lines.append(
            f"| {way} | {cost[way]:.0f} | {at_recall(curve, 'routing'):.0f} | {at_recall(curve, 'hops'):.1f} | "
            f"{cost[way] / cost['sampled']:.2f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--dataset", default="minilm-165k", help="default %(default)s")
    add("--depth", type=int, default=10, help="2 to this power cells (default %(default)s)")
    add("--side", choices=("validation", "test"), default="test", help="default %(default)s")
    add("--kinds", default="questions,documents", help="of queries (default %(default)s)")
    add("--queries", type=int, default=1000, help="of each kind (default %(default)s)")
    add("--training", type=int, default=100_000, help="at most so many training queries (default: all)")
    add("--threads", type=int, default=2)
    add("--seed", type=int, default=0)
    add("--output", type=pathlib.Path, default=datasets.ROOT / "build" / "bench" / "entries.json")
    options = parser.parse_args()
    dataset = datasets.prepare(options.dataset)
    with tempfile.TemporaryDirectory(prefix="trivium-bench-") as name:
        folder = pathlib.Path(name)
        request = {
            "dimension": dataset.dimension,
            "metric": dataset.metric,
            "base": str(folder / "base"),
            "training": str(folder / "training"),
            "queries": {},
            "depth": options.depth,
            "threads": options.threads,
            "seed": options.seed,
        }
        np.load(dataset.folder / "base.npy").astype(np.float32).tofile(request["base"])
        training = learning_queries.leftover(dataset)[: options.training]
        training.astype(np.float32).tofile(request["training"])
        for kind in options.kinds.split(","):
            queries = np.load(dataset.folder / f"{kind}.{options.side}.queries.npy")[: options.queries]
            request["queries"][kind] = str(folder / kind)
            queries.astype(np.float32).tofile(folder / kind)
        (folder / "request.json").write_text(json.dumps(request))
        program = datasets.ROOT / "build" / "release" / "bin" / "trivium_bench_entries"
        done = subprocess.run([program, folder / "request.json"], check=True, capture_output=True, text=True)
    curves = json.loads(done.stdout)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps({"benchmark": "entries", "dataset": dataset.name, "kinds": curves}))
    for kind, ways in curves.items():
        print("\n".join(["", kind, "", *table(ways)]))


if __name__ == "__main__":
    main()
