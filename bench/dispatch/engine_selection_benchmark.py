# SPDX-License-Identifier: Apache-2.0
"""Which search engine to ask first: FeB4RAG (Wang et al. 2024), 790 requests, graded usefulness of 16 engines.

MiniLM vectors of the requests. Nested: in each of five folds dispatch is trained on the requests of the other
four, which choose all settings by cross-validation among themselves; the fifth is asked once. Per router:

  top-1        share of the oracle gain: (usefulness of the engine ranked first - that of the engine that is best on
               average over the training requests) / (best usefulness - the same)
  of best      usefulness of the best among the first 1, 2, 3 and 5, as a share of the best of all
  engines      how many of the first reach 95 % of the best usefulness
  chosen       of the engines that `auto` asks, by what training chose: their number, and their best as a share

"trained" is the router that training chose in each fold.

Usage: engine_selection_benchmark.py [--seeds 3] [--output build/bench/engines.json]
Data: $TRIVIUM_DATA, or ../shared/data beside the repository. Needs the encoder `minilm`.
"""

import argparse
import csv
import gzip
import json
import pathlib
import shutil
import sys
import tempfile

import numpy as np
from one_document_each import asked, dealt, fill, grades, routers
from shell import ROOT, data_directory, origin, write_report

from trivium.encoders import MiniLM

FOLDS, GOAL, DEPTHS = 5, 0.95, (1, 2, 3, 5)


class Feb4Rag:
    def __init__(self, folder):
        with open(folder / "engines.csv", encoding="utf-8", newline="") as lines:
            self.engines = [row["name"] for row in csv.DictReader(lines)]
        with gzip.open(folder / "requests.jsonl.gz", "rt", encoding="utf-8") as lines:
            requests = [json.loads(line) for line in lines]
        self.texts = [one["text"] for one in requests]
        row_of = {one["_id"]: row for row, one in enumerate(requests)}
        self.usefulness = np.zeros((len(requests), len(self.engines)))
        with gzip.open(folder / "resource-selection.qrels.txt.gz", "rt", encoding="utf-8") as lines:
            for line in lines:
                request, _, engine, grade = line.split()
                self.usefulness[row_of[request], self.engines.index(engine)] = float(grade)


def best_of_first(order, usefulness):
    """Usefulness of the best among the first 1, 2, ...; an engine that is never asked adds nothing."""
    best = np.maximum.accumulate(usefulness[order])
    return np.concatenate([best, np.full(len(usefulness) - len(best), best[-1])])


def run(data, vectors, seed, work):
    """For each request and router: what the first 1, 2, ... engines give, and what `auto` asks."""
    count, engines = data.usefulness.shape
    fold_of = dealt(count, FOLDS, seed)
    found, static, chosen, settings = {}, np.zeros(count), [], []
    for fold in range(FOLDS):
        rest, tested = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        with fill(work / f"{seed}-{fold}", data.engines, vectors.shape[1]) as store:
            qrels = [grades(data.engines, data.usefulness[row]) for row in rest]
            report = store.train_dispatch(vectors[rest], qrels, seed=seed)
            settings.append({"router": report.router, "top_p": report.top_p, "seconds": report.seconds})
            static[tested] = data.usefulness[tested, data.usefulness[rest].mean(axis=0).argmax()]
            for row in tested:
                useful = data.usefulness[row]
                for name in routers(report):
                    curve = best_of_first(asked(store, data.engines, vectors[row], name), useful)
                    found.setdefault(name, np.zeros((count, engines)))[row] = curve
                found.setdefault("trained", np.zeros((count, engines)))[row] = found[report.router][row]
                route = store.search(vectors[row], k=1, documents=False, router=report.router).route
                names = [data.engines.index(name) for name in route.chosen]
                chosen.append((len(names), useful[names].max()))
    best = data.usefulness.max(axis=1).mean()
    rows = {}
    for name, curves in found.items():
        first = curves.mean(axis=0)
        enough = np.flatnonzero(first >= GOAL * best)
        rows[name] = {
            "oracle_share": float((first[0] - static.mean()) / (best - static.mean())),
            "of_best": [float(first[depth - 1] / best) for depth in DEPTHS],
            "engines": int(enough[0]) + 1 if len(enough) else None,
        }
    number, value = np.mean(chosen, axis=0)
    return {
        "seed": seed,
        "best": float(best),
        "static": float(static.mean()),
        "rows": rows,
        "chosen": {"engines": float(number), "of_best": float(value / best)},
        "settings": settings,
    }


def summary(runs):
    """Means over the seeds."""
    rows = {}
    for name in runs[0]["rows"]:
        each = [one["rows"][name] for one in runs]
        rows[name] = {
            "oracle_share": float(np.mean([one["oracle_share"] for one in each])),
            "oracle_share_by_seed": [one["oracle_share"] for one in each],
            "of_best": np.mean([one["of_best"] for one in each], axis=0).tolist(),
            "engines": [one["engines"] for one in each],
        }
    return rows


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build/bench/engines.json")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0 on (default %(default)s)")
    options = parser.parse_args()
    folder = data_directory() / "routing/feb4rag"
    if not folder.is_dir():
        sys.exit(f"engine_selection_benchmark: data: {folder}, expected FeB4RAG (set TRIVIUM_DATA)")
    data = Feb4Rag(folder)
    vectors = MiniLM().encode(data.texts, "query")
    work = pathlib.Path(tempfile.mkdtemp(prefix="trivium-bench-"))
    try:
        runs = [run(data, vectors, seed, work) for seed in range(options.seeds)]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    rows = summary(runs)
    write_report(options.output, {**origin("engines"), "summary": rows, "runs": runs})
    print("| router | top-1 | by seed | of best: first 1 | 2 | 3 | 5 | engines for 95 % |")
    print("| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |")
    for name, row in rows.items():
        by_seed = " ".join(f"{share:.3f}" for share in row["oracle_share_by_seed"])
        of_best = " | ".join(f"{share:.3f}" for share in row["of_best"])
        engines = " ".join(str(number or "never") for number in row["engines"])
        print(f"| {name} | {row['oracle_share']:.3f} | {by_seed} | {of_best} | {engines} |")
    for one in runs:
        used = ", ".join(setting["router"] for setting in one["settings"])
        print(
            f"seed {one['seed']}: best engine on average {one['static']:.2f}, best of each {one['best']:.2f}; "
            f"`auto` asks {one['chosen']['engines']:.2f}, {one['chosen']['of_best']:.3f} of the best; {used}"
        )
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
