# SPDX-License-Identifier: Apache-2.0
"""How fast cells are searched by codes, beside the same cells by rows alone and a graph at the same recall.

Trains cells as cells_benchmark.py does, builds a graph (profile speed), and times test questions on one thread, turn by
turn: cells read as many of their cells as were calibrated for each recall; the beam of the graph is tuned on validation
questions to find what cells by codes find there. Model and graph are kept in OUTPUT and used again.

Writes OUTPUT/DATASET.json and a table, DATASET.md, which it prints.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
from typing import Any

BENCH = pathlib.Path(__file__).resolve().parents[1]
for place in ("recall", "graph_routing", "graph_learning"):
    sys.path.insert(1, str(BENCH / place))

import datasets  # noqa: E402
import learning_queries  # noqa: E402
import numpy as np  # noqa: E402

PROGRAMS = datasets.ROOT / "build" / "release" / "bin"
WAYS = ("rows", "codes", "graph")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--dataset", default="minilm-165k", help="default %(default)s")
    add("--depths", default="10,12", help="2 to this power cells each (default %(default)s)")
    add("--kind", choices=("questions", "headings", "documents"), default="questions")
    add("--side", choices=("validation", "test"), default="test", help="default %(default)s")
    add("--profiles", default="speed,balanced,small", help="of rows (default %(default)s)")
    add("--recalls", default="0.90,0.95", help="default %(default)s")
    add("--queries", type=int, default=1000, help="default %(default)s")
    add("--rounds", type=int, default=9, help="default %(default)s")
    add("--threads", type=int, default=2, help="of training and building (default %(default)s)")
    add("--output", type=pathlib.Path, default=datasets.ROOT / "build" / "bench" / "cells_speed")
    return parser.parse_args(arguments)


def run(program: str, request: dict[str, Any], path: pathlib.Path) -> dict[str, Any]:
    path.write_text(json.dumps(request))
    done = subprocess.run([PROGRAMS / program, path], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def write_rows(rows: np.ndarray, path: pathlib.Path) -> str:
    np.ascontiguousarray(rows, np.float32).tofile(path)
    return str(path)


def run_depth(options: argparse.Namespace, dataset: datasets.Dataset, depth: int) -> dict[str, Any]:
    folder = options.output / f"{dataset.name}-{depth}"
    folder.mkdir(parents=True, exist_ok=True)
    base = write_rows(np.load(dataset.folder / "base.npy"), folder / "base.f32")
    asked = {
        side: np.load(dataset.folder / f"{options.kind}.{side}.queries.npy")[: options.queries]
        for side in ("validation", options.side)
    }
    request = {
        "base": base,
        "metric": dataset.metric,
        "dimension": dataset.dimension,
        "threads": options.threads,
    }
    if not (folder / "cells").is_file():
        training = {
            "training": write_rows(learning_queries.leftover(dataset), folder / "training.f32"),
            "queries": {"questions": write_rows(asked["validation"][:100], folder / "some.f32")},
            "depth": depth,
            "seed": 0,
            "learn_tree": False,
            "folder": str(folder),
        }
        run("trivium_bench_cells", request | training, folder / "training.json")
    timing = {
        "tuning": write_rows(asked["validation"], folder / "validation.f32"),
        "queries": write_rows(asked[options.side], folder / "asked.f32"),
        "model": str(folder / "cells"),
        "graph": str(options.output / f"{dataset.name}.segment"),
        "profiles": options.profiles.split(","),
        "recalls": [float(text) for text in options.recalls.split(",")],
        "rounds": options.rounds,
    }
    result = run("trivium_bench_cells_speed", request | timing, folder / "timing.json")
    for path in folder.glob("*.f32"):
        path.unlink()
    return result


def table(found: dict[str, Any]) -> str:
    lines = [f"# Cells of {found['dataset']} by codes, {found['side']} {found['kind']}", ""]
    lines += [
        "| cells | profile | calibrated for | searched by | recall@10 | queries a second | of rows' | exact | by codes | KB read |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in found["depths"].values():
        for profile, of_profile in result["profiles"].items():
            for recall, ways in of_profile["recalls"].items():
                rows = ways["rows"]["microseconds"]
                for way in WAYS:
                    if way not in ways:
                        continue
                    one = ways[way]
                    faster = statistics.median(a / b for a, b in zip(rows, one["microseconds"], strict=True))
                    lines.append(
                        f"| {result['cells']:,} | {profile} | {recall} | {way} | {one['recall']:.4f} | "
                        f"{1e6 / statistics.median(one['microseconds']):,.0f} | {faster:.1f} x | "
                        f"{one['exact_distances']:,.0f} | {one['code_distances']:,.0f} | {one['bytes'] / 1000:,.0f} |"
                    )
    return "\n".join(lines) + "\n"


def main() -> None:
    options = parse()
    dataset = datasets.prepare(options.dataset)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / f"{dataset.name}.json"
    found: dict[str, Any] = {
        "benchmark": "cells_speed",
        "dataset": dataset.name,
        "kind": options.kind,
        "side": options.side,
        "queries": options.queries,
        "depths": {},
    }
    for depth in (int(text) for text in options.depths.split(",")):
        found["depths"][str(depth)] = run_depth(options, dataset, depth)
        path.write_text(json.dumps(found, indent=1) + "\n")
        path.with_suffix(".md").write_text(table(found))
    print(table(found))


if __name__ == "__main__":
    main()
