# SPDX-License-Identifier: Apache-2.0
"""Recall against speed of the graph index, beside hnswlib, in one process.

The merged MiniLM vectors of the 17 collections (59,834 x 384, cosine), their test and train questions as
queries, one thread. Both indexes are asked through one batch call a round, in turn, so that a drift of the
machine meets both; the ratio is of the medians over rounds. Recall is against the exact scan.

Usage: graph_recall.py --output build/bench/graph_recall.json
Data: $TRIVIUM_DATA, or ../shared/data beside the repository.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time

import numpy as np

import trivium

ROOT = pathlib.Path(__file__).resolve().parents[2]
WIDTHS = (10, 16, 24, 32, 48, 64, 96, 128, 192, 256)


def load(kind):
    data = pathlib.Path(os.environ.get("TRIVIUM_DATA", ROOT.parent / "shared" / "data"))
    files = sorted((data / "embeddings" / "minilm-384").glob(f"*.{kind}.npy"))
    if not files:
        sys.exit(f"graph_recall: data: {data}, expected shared/data (set TRIVIUM_DATA)")
    rows = np.concatenate([np.load(file).astype(np.float32) for file in files])
    return np.ascontiguousarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def recall(found, truth):
    return float(np.mean([len(set(a) & set(b)) / len(b) for a, b in zip(found, truth)]))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build/bench/graph_recall.json")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    import hnswlib

    base, questions = load("documents"), load("queries")
    rng = np.random.default_rng(0)
    queries = np.ascontiguousarray(questions[rng.choice(len(questions), options.queries, replace=False)])
    labels = np.arange(len(base), dtype=np.uint64)

    start = time.perf_counter()
    ours = trivium.VectorIndex(dimension=base.shape[1], metric="cosine", threads=2)
    ours.add(labels, base)
    build_ours = time.perf_counter() - start
    start = time.perf_counter()
    peer = hnswlib.Index(space="cosine", dim=base.shape[1])
    peer.init_index(len(base), M=16, ef_construction=200, random_seed=1)
    peer.add_items(base, labels, num_threads=2)
    build_peer = time.perf_counter() - start
    truth = np.argsort(-(queries @ base.T), axis=1)[:, :10]

    rows = []
    for width in WIDTHS:
        peer.set_ef(width)
        times = {"trivium": [], "hnswlib": []}
        for turn in range(options.rounds):
            contenders = [
                (
                    "trivium",
                    lambda width=width: ours.search_batch(
                        queries, k=10, threads=1, index="graph", beam_width=width
                    ).labels,
                ),
                ("hnswlib", lambda: peer.knn_query(queries, k=10, num_threads=1)[0]),
            ]
            for name, search in contenders if turn % 2 == 0 else contenders[::-1]:
                begin = time.perf_counter()
                found = search()
                times[name].append(time.perf_counter() - begin)
                if name == "trivium":
                    found_ours = found
                else:
                    found_peer = found
        ours_qps, peer_qps = (
            options.queries / statistics.median(times[name]) for name in ("trivium", "hnswlib")
        )
        rows.append(
            {
                "width": width,
                "trivium": {"recall@10": recall(found_ours, truth), "qps": ours_qps},
                "hnswlib": {"recall@10": recall(found_peer, truth), "qps": peer_qps},
            }
        )
    report = {
        "benchmark": "graph_recall",
        "rows": len(base),
        "dimension": base.shape[1],
        "queries": options.queries,
        "threads": 1,
        "kernels": trivium.kernel_name(),
        "trivium": trivium.__version__,
        "hnswlib": "M=16 ef_construction=200",
        "build_seconds": {"trivium": build_ours, "hnswlib": build_peer},
        "curve": rows,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(
        f"{len(base)} x {base.shape[1]}, one thread; build on two: trivium {build_ours:.1f} s, hnswlib {build_peer:.1f} s"
    )
    print(f"{'width':>5} {'trivium recall':>15} {'qps':>8} {'hnswlib recall':>15} {'qps':>8}")
    for row in rows:
        print(
            f"{row['width']:>5} {row['trivium']['recall@10']:>15.4f} {row['trivium']['qps']:>8.0f} "
            f"{row['hnswlib']['recall@10']:>15.4f} {row['hnswlib']['qps']:>8.0f}"
        )
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
