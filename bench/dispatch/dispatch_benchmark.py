# SPDX-License-Identifier: Apache-2.0
"""What dispatch gives over 17 text collections: adapters mixed, partitions chosen, one seed after the other.

One space (MiniLM, 384-d), 59,834 documents. Everything is learned from the train judgements and chosen by
cross-validation among them; each row answers the test judgements once a seed. Macro nDCG@10; "clean": over
test queries that have neither a near twin (cosine 0.95) nor a relevant document among those of training.

  plain                 every partition, queries as they are (experts="all")
  partitions chosen     S3 without adapters: dispatch trained in a store that has none
  all domains           every partition, queries read by the adapter of all domains
  all domains, chosen   dispatch trained in a store that has only that adapter
  auto                  dispatch trained in a store with all adapters: mixed readings, partitions chosen
  auto, one partition   S1: the same with all documents in one partition, so without a choice of partitions

Usage: dispatch_benchmark.py [--seeds 5] [--output build/bench/dispatch/result.json]
Data: $TRIVIUM_DATA, or ../shared/data beside the repository. Writes a table beside the JSON file.
"""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import tempfile
import time

import numpy as np
from judged_collections import Collection, clean_rows, fill_federated, fill_shared, judged_queries
from shell import ROOT, collection_names, commit, data_directory, processor

import trivium

ROUNDS = 2000  # of the bootstrap


class Bench:
    def __init__(self, collections, work, threads):
        self.work, self.threads = work, threads
        self.names = [one.name for one in collections]
        self.train = {shared: judged_queries(collections, "train", shared) for shared in (False, True)}
        self.test = {shared: judged_queries(collections, "test", shared) for shared in (False, True)}
        self.clean = clean_rows(self.train[False], self.test[False])
        self.sets = [np.flatnonzero(np.array(self.test[False]["groups"]) == name) for name in self.names]
        fill_federated(work / "federated", collections)
        fill_shared(work / "shared", collections)

    def copy(self, source, name):
        shutil.rmtree(self.work / name, ignore_errors=True)
        shutil.copytree(self.work / source, self.work / name)
        return self.work / name

    def macro(self, values, among=None):
        """The mean over sets of their means; sets without a query among those asked for are left out."""
        means = [
            np.mean([values[row] for row in rows if among is None or among[row]])
            for rows in self.sets
            if among is None or among[rows].any()
        ]
        return float(np.mean(means))

    def difference(self, better, worse, among=None):
        """Macro gain with its 95 % interval: queries resampled within sets."""
        gains = np.asarray(better) - np.asarray(worse)
        sets = [rows if among is None else rows[among[rows]] for rows in self.sets]
        sets = [rows for rows in sets if len(rows)]
        random = np.random.default_rng(0)
        drawn = [
            np.mean([gains[random.choice(rows, len(rows))].mean() for rows in sets]) for _ in range(ROUNDS)
        ]
        low, high = np.quantile(drawn, (0.025, 0.975))
        return {"gain": float(np.mean([gains[rows].mean() for rows in sets])), "interval": [low, high]}

    def answer(self, store, shared=False, **how):
        report = store.evaluate(**self.test[shared], depth=10, **how)
        quality = np.array([outcome.ndcg_at_10 for one in report.sets for outcome in one.outcomes])
        assert len(quality) == len(self.clean)
        return {
            "quality": quality.tolist(),
            "ndcg@10": self.macro(quality),
            "clean ndcg@10": self.macro(quality, self.clean),
            "experts_per_query": report.macro.experts_per_query,
            "searches_per_query": report.macro.searches_per_query,
            "distances_per_query": report.macro.distance_computations_per_query,
        }

    def train_dispatch(self, store, seed, shared=False):
        report = store.train_dispatch(**self.train[shared], seed=seed, threads=self.threads)
        return {
            "router": report.router,
            "enabled": report.enabled,
            "reason": report.reason,
            "mixture": report.mixture,
            "prior_weight": report.prior_weight,
            "top_p": report.top_p,
            "max_experts": report.max_experts,
            "held_out": {row.name: row.ndcg_at_10 for row in report.rows},
            "seconds": report.seconds,
        }

    def run(self, seed):
        rows, trained = {}, {}
        with trivium.open(self.copy("federated", "without")) as store:
            rows["plain"] = self.answer(store, experts="all")
            trained["partitions chosen"] = self.train_dispatch(store, seed)
            rows["partitions chosen"] = self.answer(store)
        with trivium.open(self.copy("federated", "with")) as store:
            adapters = store.train_adapter(**self.train[False], seed=seed, threads=self.threads)
            trained["adapters"] = {
                "seconds": adapters.seconds,
                "enabled": [one.expert or "(all domains)" for one in adapters.adapters if one.enabled],
            }
            rows["all domains"] = self.answer(store, adapters=True)
        with trivium.open(self.copy("with", "without")) as store:
            for expert in self.names:
                if store.get_adapter(expert) is not None:
                    store.set_adapter(None, expert)
            trained["all domains, chosen"] = self.train_dispatch(store, seed)
            rows["all domains, chosen"] = self.answer(store)
        with trivium.open(self.work / "with") as store:
            trained["auto"] = self.train_dispatch(store, seed)
            rows["auto"] = self.answer(store)
        with trivium.open(self.copy("shared", "with")) as store:
            store.train_adapter(**self.train[True], seed=seed, threads=self.threads)
            trained["auto, one partition"] = self.train_dispatch(store, seed, shared=True)
            rows["auto, one partition"] = self.answer(store, shared=True)
        return {"seed": seed, "rows": rows, "trained": trained}


def summary(bench, runs):
    rows = {}
    for name in runs[0]["rows"]:
        quality = np.mean([run["rows"][name]["quality"] for run in runs], axis=0)  # of each query
        rows[name] = {
            key: float(np.mean([run["rows"][name][key] for run in runs]))
            for key in runs[0]["rows"][name]
            if key != "quality"
        }
        rows[name]["by seed"] = [run["rows"][name]["ndcg@10"] for run in runs]
        rows[name]["sets"] = {
            one: float(quality[which].mean()) for one, which in zip(bench.names, bench.sets)
        }
    mean = {name: np.mean([run["rows"][name]["quality"] for run in runs], axis=0) for name in runs[0]["rows"]}
    gains = {
        "auto - plain": bench.difference(mean["auto"], mean["plain"]),
        "auto - plain, clean": bench.difference(mean["auto"], mean["plain"], bench.clean),
        "auto - all domains, chosen": bench.difference(mean["auto"], mean["all domains, chosen"]),
        "partitions chosen - plain": bench.difference(mean["partitions chosen"], mean["plain"]),
    }
    losses = {
        one: rows["auto"]["sets"][one] - rows["plain"]["sets"][one]
        for one, which in zip(bench.names, bench.sets)
        if len(which) >= 100
    }
    worst = min(losses, key=losses.get)
    auto, chosen = rows["auto"], rows["partitions chosen"]
    checks = [
        ("auto", auto["ndcg@10"], 0.545, ">="),
        ("auto: vector sets searched a query", auto["experts_per_query"], 3, "<="),
        ("auto - plain, clean", gains["auto - plain, clean"]["gain"], 0.06, ">="),
        (
            "auto - all domains, chosen: lower end",
            gains["auto - all domains, chosen"]["interval"][0],
            0,
            ">=",
        ),
        ("auto, one partition", rows["auto, one partition"]["ndcg@10"], 0.525, ">="),
        ("partitions chosen - plain", gains["partitions chosen - plain"]["gain"], 0.03, ">="),
        ("partitions chosen: vector sets a query", chosen["experts_per_query"], 2, "<="),
        (f"auto - plain, worst set of 100 queries ({worst})", losses[worst], -0.01, ">="),
        (
            "adapters: seconds each, at most",
            max(run["trained"]["adapters"]["seconds"] for run in runs) / 18,
            20,
            "<=",
        ),
    ]
    return {
        "rows": rows,
        "gains": gains,
        "requirements": [
            {
                "what": what,
                "figure": float(figure),
                "asked": f"{sign} {limit}",
                "met": bool(figure >= limit if sign == ">=" else figure <= limit),
            }
            for what, figure, limit, sign in checks
        ],
    }


def table(result):
    lines = [
        "| who answers | nDCG@10 | clean | by seed | vector sets a query |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, row in result["summary"]["rows"].items():
        by_seed = " ".join(f"{value:.3f}" for value in row["by seed"])
        lines.append(
            f"| {name} | {row['ndcg@10']:.4f} | {row['clean ndcg@10']:.4f} | {by_seed} | {row['experts_per_query']:.2f} |"
        )
    lines += ["", "| gain | macro | 95 % interval |", "| --- | ---: | ---: |"]
    for name, gain in result["summary"]["gains"].items():
        low, high = gain["interval"]
        lines.append(f"| {name} | {gain['gain']:+.4f} | {low:+.4f} to {high:+.4f} |")
    lines += ["", "| what was asked | figure | limit | |", "| --- | ---: | ---: | --- |"]
    for one in result["summary"]["requirements"]:
        lines.append(
            f"| {one['what']} | {one['figure']:.4f} | {one['asked']} | {'met' if one['met'] else '**missed**'} |"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build/bench/dispatch/result.json")
    parser.add_argument("--seeds", type=int, default=5, help="how many, from 0 on (default %(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="0: all")
    options = parser.parse_args()
    data = data_directory()
    work = pathlib.Path(tempfile.mkdtemp(prefix="trivium-bench-"))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    try:
        collections = [Collection(data, name) for name in collection_names(data)]
        bench = Bench(collections, work, options.threads)
        runs = []
        for seed in range(options.seeds):
            runs.append(bench.run(seed))
            result = {
                "benchmark": "dispatch",
                "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                "commit": commit(),
                "machine": {"processor": processor(), "cores": os.cpu_count()},
                "collections": bench.names,
                "test_queries": len(bench.clean),
                "clean_queries": int(bench.clean.sum()),
                "seconds": time.monotonic() - start,
                "summary": summary(bench, runs),
                "runs": [
                    {
                        **run,
                        "rows": {
                            n: {k: v for k, v in r.items() if k != "quality"} for n, r in run["rows"].items()
                        },
                    }
                    for run in runs
                ],
            }
            options.output.write_text(json.dumps(result, indent=1) + "\n")
            options.output.with_suffix(".md").write_text(table(result))
            print(f"seed {seed} done after {result['seconds']:.0f} s", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{result['test_queries']} test queries, {result['clean_queries']} of them clean")
    print(table(result), end="")
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
