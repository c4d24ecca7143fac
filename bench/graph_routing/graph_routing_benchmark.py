# SPDX-License-Identifier: Apache-2.0
"""The effect of Baranchuk et al. 2019 by their protocol: recall@1 of a flat graph at a fixed number of distances.

The graph is the engine's own or the lowest layer of hnswlib's (the paper's), with at most 2 M out-neighbours a vertex
and one start vertex. Projections and
re-ranked vertices are counted. Settings, re-rank widths and epochs are chosen on validation queries; each run answers
the test queries once. Contenders, all on the same graph:

  plain       best-first search by exact distances
  untrained   codes that project the distances onto the directions of largest variance
  hidden      the paper's architecture, in spirit: features of vertex and neighbours, one hidden layer
  linear      the same without the hidden layer
  free        a code of its own for each vertex

Usage: graph_routing_benchmark.py [--data NAME...] [--m M...] [--builder NAME] [--seeds N] [--methods NAME...] [--keep] [--output FOLDER]
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench" / "recall"))

import machine  # noqa: E402
import numpy as np  # noqa: E402
import training_queries  # noqa: E402
from report import table  # noqa: E402
from resampling import difference_interval  # noqa: E402

BUDGETS = (128, 256, 512)
BUILD_BEAM_WIDTH = 300
METHODS = ("plain", "untrained", "hidden", "linear", "free")
MAIN_KIND = {"sift-128": "descriptors", "minilm-165k": "questions"}
# Chosen on validation queries at M = 8, budget 256.
SETTINGS: dict[str, dict[str, dict[str, Any]]] = {
    "sift-128": {
        "all": {"code_dimension": 32, "visited": 640, "rerank_widths": [8, 16, 24, 32, 48, 64]},
        "linear": {"learning_rate": 0.02, "batch": 400, "epochs": 2},
        "hidden": {"learning_rate": 0.02, "batch": 800, "epochs": 2, "hidden_width": 128},
        "free": {"learning_rate": 0.005, "batch": 64, "epochs": 2},
    },
    "minilm-165k": {
        "all": {"code_dimension": 64, "visited": 640, "rerank_widths": [8, 16, 32, 48, 64, 96, 128]},
        "linear": {"learning_rate": 0.02, "batch": 600, "epochs": 2},
        "hidden": {"learning_rate": 0.02, "batch": 800, "epochs": 2, "hidden_width": 128},
        "free": {"learning_rate": 0.005, "batch": 64, "epochs": 2},
    },
}
SHARED = {"noise": 0.1, "final_weight": 3, "max_hops": 3}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def runs_of(name: str, methods: list[str], seeds: int) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = []
    for method in methods:
        options = SHARED | SETTINGS[name]["all"] | SETTINGS[name].get(method, {})
        if method == "plain":
            options = {}
        trained = method not in ("plain", "untrained")
        for seed in range(seeds if trained else 1):
            runs.append({"method": method, "budgets": list(BUDGETS), "seed": seed} | options)
    return runs


def hnswlib_base_layer(request: dict[str, Any], m: int, path: pathlib.Path) -> None:
    if path.exists():
        return
    binary = ROOT / "build" / "release" / "bin" / "trivium_bench_hnswlib_base_layer"
    shape = [str(request["dimension"]), request["metric"], str(m), str(BUILD_BEAM_WIDTH)]
    subprocess.run([binary, request["base"], *shape, path], check=True)


def measure(
    name: str,
    m: int,
    builder: str,
    methods: list[str],
    seeds: int,
    request: dict[str, Any],
    folder: pathlib.Path,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One flat graph: what it is, and what every run answered, one entry a run."""
    stem = f"{name}.m{m}" if builder == "trivium" else f"{name}.m{m}.{builder}"
    graph = folder / f"{stem}.graph"
    if builder == "hnswlib":
        hnswlib_base_layer(request, m, graph)
    request = request | {
        "graph": str(graph),
        "degree_bound": 2 * m,
        "build_beam_width": BUILD_BEAM_WIDTH,
        "threads": 2,
        "runs": runs_of(name, methods, seeds),
    }
    path = folder / f"{stem}.request.json"
    path.write_text(json.dumps(request))
    binary = ROOT / "build" / "release" / "bin" / "trivium_bench_graph_routing"
    with subprocess.Popen([binary, path], stdout=subprocess.PIPE, text=True) as process:
        answers = []
        for line in process.stdout or ():
            answers.append(json.loads(line))
            if "run" in answers[-1]:
                say(f"{name} M={m}: {answers[-1]['run']['method']} seed {answers[-1]['run']['seed']}")
    if process.returncode != 0:
        sys.exit(f"graph_routing_benchmark: {binary.name}: exit {process.returncode}")
    return answers[0], answers[1:]


def mean_interval(answered: np.ndarray) -> dict[str, float]:
    """Mean with the bootstrap's 95 % interval over queries."""
    interval = difference_interval(answered, np.zeros(len(answered)))
    return {"recall": interval["difference"], "low": interval["low"], "high": interval["high"]}


def summarise(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Per budget, query set and method: recall (mean over seeds) and, in pairs of queries, the gain over plain."""
    results: dict[str, Any] = {}
    for budget in map(str, BUDGETS):
        sets = [key for key in runs[0]["answered"][budget] if key.startswith(("test", "validation"))]
        for which in sets:
            by_method: dict[str, list[list[int]]] = {}
            for run in runs:
                by_method.setdefault(run["run"]["method"], []).append(run["answered"][budget][which])
            plain = np.mean(by_method["plain"], axis=0) if "plain" in by_method else None
            line = results.setdefault(budget, {}).setdefault(which, {})
            for method, answered in by_method.items():
                each = np.mean(answered, axis=0)
                line[method] = mean_interval(each) | {"seeds": [float(np.mean(one)) for one in answered]}
                if plain is not None:
                    line[method]["gain"] = difference_interval(each, plain)
                    line[method]["error_ratio"] = float((1 - each.mean()) / max(1e-9, 1 - plain.mean()))
    return results


def markdown(results: dict[str, Any]) -> str:
    text = ""
    for name, graphs in results["data"].items():
        for label, one in graphs.items():
            text += f"\n### {name}, M = {label} (mean degree {one['graph']['mean_degree']:.1f})\n"
            for which in one["summary"][str(BUDGETS[0])]:
                if which == "validation":
                    continue
                rows = []
                for method in one["summary"][str(BUDGETS[0])][which]:
                    cells = [method]
                    for budget in map(str, BUDGETS):
                        e = one["summary"][budget][which][method]
                        cells.append(f"{e['recall']:.3f} [{e['low']:.3f}, {e['high']:.3f}]")
                    error = one["summary"]["256"][which][method].get("error_ratio")
                    spread = one["summary"]["256"][which][method]["seeds"]
                    cells.append("" if error is None else f"{error:.2f}")
                    cells.append(" ".join(f"{seed:.3f}" for seed in spread) if len(spread) > 1 else "")
                    rows.append(cells)
                header = [which, *(f"@{budget}" for budget in BUDGETS), "error @256 x plain", "seeds @256"]
                text += "\n" + table(header, rows)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", choices=list(MAIN_KIND), default=list(MAIN_KIND))
    parser.add_argument("--m", nargs="+", type=int, default=[8, 12])
    parser.add_argument("--builder", choices=("trivium", "hnswlib"), default="trivium")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument(
        "--output", type=pathlib.Path, default=ROOT / "build" / "bench" / "graph_routing", metavar="FOLDER"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep what other methods answered in an earlier call"
    )
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    result: dict[str, Any] = {
        "machine": machine.describe(),
        "settings": SETTINGS,
        "shared": SHARED,
        "data": {},
    }
    path = arguments.output / "result.json"
    if arguments.keep and path.is_file():
        result["data"] = json.loads(path.read_text())["data"]
    for name in arguments.data:
        request = training_queries.prepare(name, MAIN_KIND[name], arguments.output / name)
        for m in arguments.m:
            label = str(m) if arguments.builder == "trivium" else f"{m}, {arguments.builder}"
            graph, runs = measure(
                name, m, arguments.builder, arguments.methods, arguments.seeds, request, arguments.output
            )
            kept = result["data"].get(name, {}).get(label, {}).get("runs", []) if arguments.keep else []
            runs += [run for run in kept if run["run"]["method"] not in arguments.methods]
            runs.sort(key=lambda run: METHODS.index(run["run"]["method"]))
            entry = {"graph": graph, "runs": runs, "summary": summarise(runs)}
            result["data"].setdefault(name, {})[label] = entry
            path.write_text(json.dumps(result))
    text = markdown(result)
    (arguments.output / "result.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
