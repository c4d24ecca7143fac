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
  ..., one look         of the same training, without its second look at what was found
  ..., no memory        likewise, without raising what is remembered of the judged queries
  auto, one partition   S1: the same with all documents in one partition, so without a choice of partitions
  plain and words       every partition and a lexical expert (BM25) over all, untrained: merged by rank
  auto and words        auto with that lexical expert, whose share was learned

Usage: dispatch_benchmark.py [--seeds 5] [--output build/bench/dispatch/result.json]
Data: $TRIVIUM_DATA, or ../shared/data beside the repository. Writes a table beside the JSON file.
"""

import argparse
import pathlib
import shutil
import tempfile
import time

import numpy as np
from judged_collections import (
    SPACE,
    Collection,
    KnownVectors,
    clean_rows,
    copy_store,
    fill_federated,
    fill_shared,
    found_by_training,
    judged_queries,
)
from set_means import SetMeans, qualities
from shell import ROOT, collection_names, data_directory, origin, write_report

import trivium


class Bench:
    def __init__(self, collections, work, threads):
        self.work, self.threads = work, threads
        self.names = [one.name for one in collections]
        self.train = {shared: judged_queries(collections, "train", shared) for shared in (False, True)}
        self.test = {shared: judged_queries(collections, "test", shared) for shared in (False, True)}
        self.clean = clean_rows(self.train[False], self.test[False])
        self.means = SetMeans(self.test[False]["groups"])
        self.encoders = {SPACE: KnownVectors(collections)}
        self.asked = {split: judged_queries(collections, split, texts=True) for split in ("train", "test")}
        fill_federated(work / "federated", collections, self.encoders)
        fill_shared(work / "shared", collections)

    def copy(self, source, name):
        return copy_store(self.work / source, self.work / name)

    def answer(self, store, shared=False, texts=False, **how):
        report = store.evaluate(**(self.asked["test"] if texts else self.test[shared]), depth=10, **how)
        quality = qualities(report)
        assert len(quality) == len(self.clean)
        return {
            "quality": quality.tolist(),
            "ndcg@10": self.means.macro(quality),
            "clean ndcg@10": self.means.macro(quality, self.clean),
            "experts_per_query": report.macro.experts_per_query,
            "searches_per_query": report.macro.searches_per_query,
            "distances_per_query": report.macro.distance_computations_per_query,
        }

    def knows_whom_to_ask(self, store):
        """Of the router in use: calibration, and what it answers within budgets."""
        report = store.evaluate(**self.test[False], depth=10, compare=True)
        router = next(one for one in report.routers if one.name == store.inspect().dispatch.router)
        return {
            "router": router.name,
            "first_expert": router.first_expert,
            "calibration_error": router.calibration_error,
            "aiq": router.aiq,
            "budgets": [
                {"budget": row.name, "ndcg@10": row.ndcg_at_10, "experts_per_query": row.experts_per_query}
                for row in router.budgets
            ],
        }

    def train_dispatch(self, store, seed, shared=False):
        return found_by_training(store.train_dispatch(**self.train[shared], seed=seed, threads=self.threads))

    def run(self, seed):
        rows, trained = {}, {}
        with trivium.open(self.copy("federated", "without")) as store:
            rows["plain"] = self.answer(store, experts="all")
            trained["partitions chosen"] = self.train_dispatch(store, seed)
            rows["partitions chosen"] = self.answer(store)
            rows["partitions chosen, one look"] = self.answer(store, second_look=False)
            rows["partitions chosen, no memory"] = self.answer(store, memory=False)
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
            rows["auto, one look"] = self.answer(store, second_look=False)
            rows["auto, no memory"] = self.answer(store, memory=False)
            if seed == 0:
                trained["auto"]["whom_to_ask"] = self.knows_whom_to_ask(store)
        with trivium.open(self.copy("with", "without"), encoders=self.encoders) as store:
            store.add_expert("words", kind="lexical")
            store.build()
            rows["plain and words"] = self.answer(store, texts=True, experts="all")
            trained["auto and words"] = found_by_training(
                store.train_dispatch(**self.asked["train"], seed=seed, threads=self.threads)
            )
            rows["auto and words"] = self.answer(store, texts=True)
            rows["auto and words, one look"] = self.answer(store, texts=True, second_look=False)
            rows["auto and words, no memory"] = self.answer(store, texts=True, memory=False)
        with trivium.open(self.copy("shared", "with")) as store:
            store.train_adapter(**self.train[True], seed=seed, threads=self.threads)
            trained["auto, one partition"] = self.train_dispatch(store, seed, shared=True)
            rows["auto, one partition"] = self.answer(store, shared=True)
        return {"seed": seed, "rows": rows, "trained": trained}


def summary(bench, runs):
    rows, mean = {}, {}
    for name in runs[0]["rows"]:
        mean[name] = np.mean([run["rows"][name]["quality"] for run in runs], axis=0)  # of each query
        rows[name] = {
            key: float(np.mean([run["rows"][name][key] for run in runs]))
            for key in runs[0]["rows"][name]
            if key != "quality"
        }
        rows[name]["by seed"] = [run["rows"][name]["ndcg@10"] for run in runs]
        rows[name]["sets"] = bench.means.by_set(mean[name])
    gain = bench.means.gain
    gains = {
        "auto - plain": gain(mean["auto"], mean["plain"]),
        "auto - plain, clean": gain(mean["auto"], mean["plain"], bench.clean),
        "auto - auto, one look": gain(mean["auto"], mean["auto, one look"]),
        "auto - auto, one look, clean": gain(mean["auto"], mean["auto, one look"], bench.clean),
        "auto - auto, no memory": gain(mean["auto"], mean["auto, no memory"]),
        "auto - auto, no memory, clean": gain(mean["auto"], mean["auto, no memory"], bench.clean),
        "partitions chosen - partitions chosen, no memory": gain(
            mean["partitions chosen"], mean["partitions chosen, no memory"]
        ),
        "auto and words - auto and words, no memory": gain(
            mean["auto and words"], mean["auto and words, no memory"]
        ),
        "auto and words - auto and words, one look": gain(
            mean["auto and words"], mean["auto and words, one look"]
        ),
        "auto and words - plain, clean": gain(mean["auto and words"], mean["plain"], bench.clean),
        "auto and words - auto": gain(mean["auto and words"], mean["auto"]),
        "auto and words - plain and words": gain(mean["auto and words"], mean["plain and words"]),
        "auto - all domains, chosen": gain(mean["auto"], mean["all domains, chosen"]),
        "partitions chosen - plain": gain(mean["partitions chosen"], mean["plain"]),
    }

    def worst_set(name):
        """Of those of at least 100 queries, and its gain over plain."""
        large = [one for one, which in zip(bench.means.names, bench.means.sets) if len(which) >= 100]
        gains_of = {one: rows[name]["sets"][one] - rows["plain"]["sets"][one] for one in large}
        return min(gains_of.items(), key=lambda item: item[1])

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
        ("auto and words", rows["auto and words"]["ndcg@10"], 0.545, ">="),
        ("auto and words - plain, clean", gains["auto and words - plain, clean"]["gain"], 0.06, ">="),
        ("auto, one partition", rows["auto, one partition"]["ndcg@10"], 0.525, ">="),
        ("partitions chosen - plain", gains["partitions chosen - plain"]["gain"], 0.03, ">="),
        ("partitions chosen: vector sets a query", chosen["experts_per_query"], 2, "<="),
        *(
            (f"{name} - plain, worst set of 100 queries ({worst})", loss, -0.01, ">=")
            for name in ("auto", "auto and words")
            for worst, loss in [worst_set(name)]
        ),
        (
            "adapters: seconds each, at most",
            max(run["trained"]["adapters"]["seconds"] for run in runs) / 18,
            20,
            "<=",
        ),
    ]
    whom = runs[0]["trained"]["auto"]["whom_to_ask"]
    checks.append(
        ("calibration error of the first expert", whom["calibration_error"]["holds_relevant"], 0.05, "<=")
    )
    return {
        "rows": rows,
        "gains": gains,
        "whom_to_ask": whom,
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
    whom = result["summary"]["whom_to_ask"]
    lines += [
        "",
        f"| {whom['router']}, within a budget (seed 0) | nDCG@10 | vector sets |",
        "| --- | ---: | ---: |",
    ]
    for row in whom["budgets"]:
        lines.append(f"| {row['budget']} | {row['ndcg@10']:.4f} | {row['experts_per_query']:.2f} |")
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
                **origin("dispatch"),
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
            write_report(options.output, result)
            options.output.with_suffix(".md").write_text(table(result))
            print(f"seed {seed} done after {result['seconds']:.0f} s", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"{result['test_queries']} test queries, {result['clean_queries']} of them clean")
    print(table(result), end="")
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
