# SPDX-License-Identifier: Apache-2.0
"""What a query must read of a partition tree's cells, each router beside FAISS IVF with as many cells.

Share of the vectors read at recall@10 0.80, 0.90 and 0.95 by questions, headings and held-out documents (validation
tunes the product, test is reported), routed by centroids, a flat learned map, linear splits, and learned levels, with
the inner products that routing costs. The ratio to IVF has a bootstrap interval over queries.

Writes OUTPUT/DATASET.json and a table, DATASET.md, which it prints. The exit status is 0 whether requirements are met
or not.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
from typing import Any

BENCH = pathlib.Path(__file__).resolve().parents[1]
for place in ("recall", "graph_routing", "graph_learning"):
    sys.path.insert(1, str(BENCH / place))

import datasets  # noqa: E402
import learning_queries  # noqa: E402
import numpy as np  # noqa: E402

RECALLS = (0.80, 0.90, 0.95)
KINDS = ("questions", "headings", "documents")
ROUTERS = ("centroids", "map", "tree", "levels")
ANSWERS = 10
RESAMPLES = 400
# Of the cells beyond which a flat comparison of queries and IVF's centroids is no rival.
MOST_IVF = 8192


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--dataset", default="minilm-165k", help="default %(default)s")
    add("--depths", default="10,12,16", help="2 to this power cells each (default %(default)s)")
    add("--side", choices=("validation", "test"), default="test", help="default %(default)s")
    add("--threads", type=int, default=2, help="of training (default %(default)s)")
    add("--kinds", default=",".join(KINDS), help="of queries, questions among them (default %(default)s)")
    add("--training", type=int, default=100_000, help="at most so many training queries (default: all)")
    add("--queries", type=int, default=2000, help="of each kind (default %(default)s)")
    add("--seed", type=int, default=0)
    add("--output", type=pathlib.Path, default=datasets.ROOT / "build" / "bench" / "cells")
    options = parser.parse_args(arguments)
    kinds = options.kinds.split(",")
    if "questions" not in kinds or not set(kinds) <= set(KINDS):
        parser.error(f"--kinds: {options.kinds}, expected questions, and any of {', '.join(KINDS[1:])}")
    return options


class Curve:
    """Hits and rows of each query at each number of cells; products at each number of cells."""

    def __init__(
        self, hits: np.ndarray, rows: np.ndarray, products: np.ndarray, steps: np.ndarray | None = None
    ) -> None:
        self.hits, self.rows, self.products = hits.astype(float), rows.astype(float), products
        self.steps = steps  # cells read

    def at(self, recall: float, sample: np.ndarray | None = None) -> tuple[float, float]:
        """Mean rows and products where the mean recall is `recall`, interpolated."""
        hits = (self.hits if sample is None else self.hits[sample]).mean(axis=0) / ANSWERS
        rows = (self.rows if sample is None else self.rows[sample]).mean(axis=0)
        return float(np.interp(recall, hits, rows)), float(np.interp(recall, hits, self.products))


def ratio(curve: Curve, rival: Curve, recall: float, seed: int) -> list[float]:
    """Rows read over the rival's at equal recall, with the 95 % bootstrap interval over queries."""
    rng = np.random.default_rng(seed)
    drawn = [rng.integers(0, len(curve.hits), len(curve.hits)) for _ in range(RESAMPLES)]
    ratios = [curve.at(recall, sample)[0] / rival.at(recall, sample)[0] for sample in drawn]
    low, high = np.quantile(ratios, [0.025, 0.975])
    return [curve.at(recall)[0] / rival.at(recall)[0], float(low), float(high)]


def within(curve: Curve, products: float) -> dict[str, float]:
    """The largest number of cells that is ranked by no more products, and what reading them gives."""
    step = np.flatnonzero(curve.products <= products)
    at = int(step[-1]) if len(step) else 0
    return {
        "probes": int(curve.steps[at]),
        "products": float(curve.products[at]),
        "recall": float(curve.hits.mean(axis=0)[at] / ANSWERS),
        "rows": float(curve.rows.mean(axis=0)[at]),
    }


def at_probes(curve: Curve, probes: int) -> float:
    """Recall by so many cells."""
    return float(np.interp(probes, curve.steps, curve.hits.mean(axis=0) / ANSWERS))


def ivf(base: np.ndarray, cells: int, metric: str) -> tuple[Any, np.ndarray]:
    """FAISS's centroids, trained as IndexIVFFlat does by default, and the cell of each row."""
    import faiss

    faiss.omp_set_num_threads(2)
    cosine = metric == "cosine"
    quantizer = (faiss.IndexFlatIP if cosine else faiss.IndexFlatL2)(base.shape[1])
    kind = faiss.METRIC_INNER_PRODUCT if cosine else faiss.METRIC_L2
    index = faiss.IndexIVFFlat(quantizer, base.shape[1], cells, kind)
    index.train(base)
    return quantizer, quantizer.search(base, 1)[1][:, 0]


def ivf_curve(quantizer: Any, cell_of: np.ndarray, queries: np.ndarray, answers: np.ndarray) -> Curve:
    cells = quantizer.ntotal
    steps = step_numbers(cells)
    sizes = np.bincount(cell_of, minlength=cells)
    order = quantizer.search(queries, cells)[1]
    rows = np.cumsum(sizes[order], axis=1)[:, steps - 1]
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(cells)[None, :], axis=1)
    answer_ranks = np.take_along_axis(rank, cell_of[answers], axis=1)
    hits = (answer_ranks[:, :, None] < steps).sum(axis=1)
    return Curve(hits, rows, np.full(len(steps), float(cells)))


def step_numbers(cells: int) -> np.ndarray:
    steps, count = [], 1
    while count < cells:
        steps.append(count)
        count = max(count + 1, count * 8 // 7)
    return np.array([*steps, cells])


def read_curve(folder: pathlib.Path, kind: str, router: str, told: dict[str, Any]) -> Curve:
    steps = len(told["steps"])
    hits = np.fromfile(folder / f"{kind}.{router}.hits.u16", np.uint16).reshape(-1, steps)
    rows = np.fromfile(folder / f"{kind}.{router}.rows.u32", np.uint32).reshape(-1, steps)
    return Curve(hits, rows, np.array(told["products"]), np.array(told["steps"]))


def run_depth(options: argparse.Namespace, dataset: datasets.Dataset, depth: int) -> dict[str, Any]:
    folder = options.output / f"{dataset.name}-{depth}"
    folder.mkdir(parents=True, exist_ok=True)
    base = np.ascontiguousarray(np.load(dataset.folder / "base.npy"), np.float32)
    base.tofile(folder / "base.f32")
    learning_queries.leftover(dataset)[: options.training].astype(np.float32).tofile(folder / "training.f32")
    kinds = options.kinds.split(",")
    queries = {}
    for kind in kinds:
        queries[kind] = np.load(dataset.folder / f"{kind}.{options.side}.queries.npy").astype(np.float32)
        queries[kind] = np.ascontiguousarray(queries[kind][: options.queries])
        queries[kind].tofile(folder / f"{kind}.f32")
    request = {
        "base": str(folder / "base.f32"),
        "training": str(folder / "training.f32"),
        "metric": dataset.metric,
        "dimension": dataset.dimension,
        "queries": {kind: str(folder / f"{kind}.f32") for kind in kinds},
        "depth": depth,
        "threads": options.threads,
        "seed": options.seed,
        "learn_tree": True,
        "folder": str(folder),
    }
    (folder / "request.json").write_text(json.dumps(request))
    program = datasets.ROOT / "build" / "release" / "bin" / "trivium_bench_cells"
    done = subprocess.run([program, folder / "request.json"], check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    rival = ivf(base, 1 << depth, dataset.metric) if 1 << depth <= MOST_IVF else None
    result: dict[str, Any] = {
        name: told[name]
        for name in ("report", "stage_seconds", "cpu_seconds", "lists_seconds", "model_bytes")
    }
    result["kinds"] = {}
    for kind in kinds:
        answers = np.fromfile(folder / f"{kind}.answers.u32", np.uint32).reshape(-1, ANSWERS)
        curves = {}
        if rival:
            curves["ivf"] = ivf_curve(*rival, queries[kind], answers)
        curves |= {
            router: read_curve(folder, kind, router, told["kinds"][kind][router])
            for router in ROUTERS
            if router in told["kinds"][kind]
        }
        against = curves.get("ivf", curves["centroids"])
        rows: dict[str, Any] = {}
        for router, curve in curves.items():
            rows[router] = {"at": {}, "ratio": ratio(curve, against, 0.95, options.seed)}
            for recall in RECALLS:
                scanned, products = curve.at(recall)
                rows[router]["at"][f"{recall:.2f}"] = {"scanned": scanned / len(base), "products": products}
            if curve.steps is not None:
                tenth = within(curves["levels"], (1 << depth) / 10)
                rows[router]["within"] = within(curve, (1 << depth) / 10)
                rows[router]["recall_of_as_many"] = at_probes(curve, tenth["probes"])
            if router != "ivf":
                rows[router]["search"] = told["kinds"][kind][router]["search"]
        result["kinds"][kind] = rows
    for path in folder.glob("*.f32"):
        path.unlink()
    return result


def checks(found: dict[str, Any]) -> list[dict[str, Any]]:
    listed = []

    def check(what: str, value: float, limit: float) -> None:
        listed.append({"what": what, "value": value, "limit": limit, "met": bool(value <= limit)})

    for depth, result in found["depths"].items():
        report = result["report"]
        check(f"{1 << int(depth)} cells: cells not used", report["cells"] - report["used_cells"], 0)
        check(f"{1 << int(depth)} cells: largest over mean", report["largest_cell"] / report["mean_cell"], 4)
        seconds = result["cpu_seconds"] / found["threads"]
        check(f"{1 << int(depth)} cells: seconds of training, of each thread", seconds, 300)
        kinds = result["kinds"]
        if "ivf" in kinds["questions"]:
            router = report["router"]
            for kind, limit in (("questions", 0.70), ("documents", 1.00)):
                if kind not in kinds:
                    continue
                check(
                    f"{1 << int(depth)} cells: {kind}, rows read by {router} over IVF's at 0.95",
                    kinds[kind][router]["ratio"][0],
                    limit,
                )
        else:
            for router in ("tree", "levels"):
                row = kinds["questions"][router]["within"]
                check(
                    f"{1 << int(depth)} cells: products of {router} over the cells",
                    row["products"] / (1 << int(depth)),
                    0.1,
                )
    return listed


def tenth_table(kinds: dict[str, Any]) -> list[str]:
    lines = [
        "With no more products than a tenth of the cells, and recall by as many cells as levels then rank:",
        "",
        "| queries | router | cells read | products | recall | rows read | of as many cells |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind, rows in kinds.items():
        for router, row in rows.items():
            one = row["within"]
            flat = one["products"] > 0.1 * kinds["questions"]["centroids"]["within"]["products"]
            shown = "| | | |" if flat else ""
            cells = f"{one['probes']} | {one['products']:.0f} | {one['recall']:.3f} | {one['rows']:.0f} |"
            lines.append(f"| {kind} | {router} | {shown or cells} {row['recall_of_as_many']:.3f} |")
    return [*lines, ""]


def table(found: dict[str, Any]) -> str:
    lines = [f"# Cells of {found['dataset']} ({found['rows']:,} vectors), {found['side']} queries", ""]
    lines += [
        "Share of the vectors read at recall@10, in brackets the inner products of routing at 0.95.",
        "",
    ]
    for result in found["depths"].values():
        report = result["report"]
        lines += [
            f"## {report['cells']:,} cells",
            "",
            f"All {report['used_cells']:,} used, the largest {report['largest_cell'] / report['mean_cell']:.1f} x the "
            f"mean; trained in {report['seconds']:.0f} s ({result['cpu_seconds']:.0f} s of processors); the gate chose {report['router']}.",
            "",
            "| queries | router | 0.80 | 0.90 | 0.95 | to IVF at 0.95 |"
            if "ivf" in result["kinds"]["questions"]
            else "| queries | router | 0.80 | 0.90 | 0.95 | to centroids at 0.95 |",
            "|---|---|---|---|---|---|",
        ]
        for kind, rows in result["kinds"].items():
            for router, row in rows.items():
                shares = " | ".join(f"{row['at'][f'{recall:.2f}']['scanned']:.4f}" for recall in RECALLS)
                value, low, high = row["ratio"]
                lines.append(
                    f"| {kind} | {router} | {shares} ({row['at']['0.95']['products']:.0f}) | "
                    f"{value:.2f} [{low:.2f}, {high:.2f}] |"
                )
        lines.append("")
        if "ivf" not in result["kinds"]["questions"]:
            lines += tenth_table(result["kinds"])
    lines += ["| requirement | value | at most | |", "|---|---|---|---|"]
    for check in found["checks"]:
        lines.append(
            f"| {check['what']} | {check['value']:.3f} | {check['limit']:g} | {'met' if check['met'] else 'missed'} |"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    options = parse()
    dataset = datasets.prepare(options.dataset)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / f"{dataset.name}.json"
    found: dict[str, Any] = {
        "benchmark": "cells",
        "dataset": dataset.name,
        "rows": dataset.rows,
        "side": options.side,
        "seed": options.seed,
        "threads": options.threads,
        "depths": {},
    }
    for depth in (int(text) for text in options.depths.split(",")):
        found["depths"][str(depth)] = run_depth(options, dataset, depth)
        found["checks"] = checks(found)
        path.write_text(json.dumps(found, indent=1) + "\n")
        path.with_suffix(".md").write_text(table(found))
    print(table(found))


if __name__ == "__main__":
    main()
