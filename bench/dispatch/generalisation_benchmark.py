# SPDX-License-Identifier: Apache-2.0
"""What dispatch gives to collections without judged queries, and what it learns from few judgements.

The 17 collections of the dispatch benchmark, a partition and an expert each, macro nDCG@10 on the test judgements.

leave out: the collections, in alphabetical order, are dealt into six folds of two or three. Adapters and dispatch
learn from the train judgements of the others, and the test queries of those left out are asked:

  plain                 every partition, queries as they are
  all domains           every partition, queries read by the adapter of all (the other) domains
  auto, added later     the experts left out are added after training: nothing is known about them, so all are asked
  auto, there before    they are there while dispatch is trained: no train query has a relevant document there

--before N does the last one only in the first N folds; gains are then also given over those.

few: adapters and dispatch learn from a share of the train queries, drawn at random, at least one a collection;
`auto` beside plain and beside what all train judgements give, all test queries asked. "by its router": the same
where the gate is not asked.

Usage: generalisation_benchmark.py leave-out|few [--output build/bench/...json] [--routers ...]
Data: $TRIVIUM_DATA, or ../shared/data beside the repository. The report is rewritten after every fold or seed.
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
    copy_store,
    fill_federated,
    found_by_training,
    judged_queries,
)
from set_means import SetMeans, qualities
from shell import ROOT, collection_names, data_directory, origin, write_report

import trivium

FOLDS = 6


class Setting:
    """A store of all collections, and what every run of it needs."""

    def __init__(self, collections, work, options):
        self.collections, self.work = collections, work
        self.routers, self.threads = options.routers or None, options.threads
        fill_federated(work / "federated", collections)

    def copy(self, source, name):
        return copy_store(self.work / source, self.work / name)

    def train_dispatch(self, store, train, seed):
        return found_by_training(
            store.train_dispatch(**train, seed=seed, routers=self.routers, threads=self.threads)
        )


def answer(store, test, **how):
    report = store.evaluate(**test, depth=10, **how)
    return {"quality": qualities(report).tolist(), "experts_per_query": report.macro.experts_per_query}


def leave_out(setting, names, before, seed=0):
    """`names` are left out; returns rows over their test queries."""
    train = judged_queries([one for one in setting.collections if one.name not in names], "train")
    test = judged_queries([one for one in setting.collections if one.name in names], "test")
    rows, trained = {}, {}
    with trivium.open(setting.copy("federated", "adapted")) as store:
        rows["plain"] = answer(store, test, experts="all")
        for name in names:
            store.remove_expert(name)
        adapters = store.train_adapter(**train, seed=seed, threads=setting.threads)
        trained["adapters"] = adapters.seconds
    with trivium.open(setting.copy("adapted", "later")) as store:
        trained["auto, added later"] = setting.train_dispatch(store, train, seed)
        for name in names:
            store.add_expert(name, space=SPACE, partition=name)
        rows["auto, added later"] = answer(store, test)
    with trivium.open(setting.work / "adapted") as store:
        for name in names:
            store.add_expert(name, space=SPACE, partition=name)
        rows["all domains"] = answer(store, test, adapters=True)
        if before:
            trained["auto, there before"] = setting.train_dispatch(store, train, seed)
            rows["auto, there before"] = answer(store, test)
    return {"out": names, "groups": test["groups"], "rows": rows, "trained": trained}


def thinned(train, share, seed):
    """Whole queries at random: `share` of every collection's, at least one."""
    random = np.random.default_rng(seed)
    groups = np.array(train["groups"])
    kept = []
    for name in dict.fromkeys(train["groups"]):
        rows = np.flatnonzero(groups == name)
        kept.extend(sorted(random.choice(rows, max(1, round(share * len(rows))), replace=False)))
    thin = {key: [train[key][row] for row in kept] for key in ("qrels", "groups", "query_ids")}
    return {**train, **thin, "queries": train["queries"][kept]}


def few(setting, test, share, seed):
    train = judged_queries(setting.collections, "train")
    train = thinned(train, share, seed) if share < 1 else train
    with trivium.open(setting.copy("federated", "few")) as store:
        adapters = store.train_adapter(**train, seed=seed, threads=setting.threads)
        adapted = answer(store, test, adapters=True)
        dispatch = setting.train_dispatch(store, train, seed)
        auto = answer(store, test)
        by_router = answer(store, test, router=dispatch["router"])
    return {
        "share": share,
        "seed": seed,
        "train_queries": len(train["qrels"]),
        "rows": {"all domains": adapted, "auto": auto, "by its router": by_router},
        "trained": {
            "adapters": adapters.seconds,
            "enabled": [one.expert or "(all domains)" for one in adapters.adapters if one.enabled],
            "dispatch": dispatch,
        },
    }


def summarise_leave_out(folds):
    """Over the rows that all of `folds` have."""
    common = [name for name in folds[0]["rows"] if all(name in fold["rows"] for fold in folds)]
    means = SetMeans([group for fold in folds for group in fold["groups"]])
    quality = {name: np.concatenate([fold["rows"][name]["quality"] for fold in folds]) for name in common}
    rows = {
        name: {
            "ndcg@10": means.macro(values),
            "experts_per_query": float(
                np.average(
                    [fold["rows"][name]["experts_per_query"] for fold in folds],
                    weights=[len(fold["out"]) for fold in folds],
                )
            ),
            "sets": means.by_set(values),
        }
        for name, values in quality.items()
    }
    autos = [name for name in rows if name.startswith("auto")]
    gains = {
        f"{auto} - {other}": means.gain(quality[auto], quality[other])
        for auto in autos
        for other in ("plain", "all domains")
    }
    return {"rows": rows, "gains": gains}


def summarise_few(runs, plain, means):
    """Runs of the same share are averaged."""
    rows, mean = {}, {"plain": np.array(plain["quality"])}
    for share in sorted({run["share"] for run in runs}):
        for name in runs[0]["rows"]:
            each = [run for run in runs if run["share"] == share]
            mean[name, share] = np.mean([run["rows"][name]["quality"] for run in each], axis=0)
            rows[f"{name}, {share:g}"] = {
                "train_queries": each[0]["train_queries"],
                "ndcg@10": means.macro(mean[name, share]),
                "by_seed": [means.macro(run["rows"][name]["quality"]) for run in each],
                "experts_per_query": float(np.mean([run["rows"][name]["experts_per_query"] for run in each])),
                **means.gain(mean[name, share], mean["plain"]),
            }
    full = rows.get("auto, 1")
    for row in rows.values():
        row["share_of_full_gain"] = row["gain"] / full["gain"] if full else None
    return {"plain": means.macro(mean["plain"]), "rows": rows}


def print_leave_out(summary):
    print("| who answers | nDCG@10 | vector sets a query |\n| --- | ---: | ---: |")
    for name, row in summary["rows"].items():
        print(f"| {name} | {row['ndcg@10']:.4f} | {row['experts_per_query']:.2f} |")
    print("| gain | macro | 95 % interval |\n| --- | ---: | ---: |")
    for name, gain in summary["gains"].items():
        low, high = gain["interval"]
        print(f"| {name} | {gain['gain']:+.4f} | {low:+.4f} to {high:+.4f} |")
    for one in summary["rows"]["plain"]["sets"]:
        print(f"{one:<16}" + "".join(f"{row['sets'][one]:>9.4f}" for row in summary["rows"].values()))


def print_few(summary):
    print(f"plain {summary['plain']:.4f}")
    print(
        "| who answers, share of the train queries | nDCG@10 | by seed | gain | 95 % interval | of the full gain |"
    )
    print("| --- | ---: | --- | ---: | ---: | ---: |")
    for name, row in summary["rows"].items():
        low, high = row["interval"]
        by_seed = " ".join(f"{value:.3f}" for value in row["by_seed"])
        share = "" if row["share_of_full_gain"] is None else f"{row['share_of_full_gain']:.2f}"
        print(
            f"| {name} ({row['train_queries']} queries) | {row['ndcg@10']:.4f} | {by_seed} | {row['gain']:+.4f} "
            f"| {low:+.4f} to {high:+.4f} | {share} |"
        )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["leave-out", "few"])
    parser.add_argument("--output", type=pathlib.Path, help="default: build/bench/WHAT.json")
    parser.add_argument("--routers", nargs="*", help="to try, all by default")
    parser.add_argument(
        "--shares", type=float, nargs="*", default=[0.05, 1], help="few: of the train queries"
    )
    parser.add_argument("--seeds", type=int, default=3, help="few: how many a share below 1")
    parser.add_argument("--before", type=int, default=FOLDS, help="leave-out: see above")
    parser.add_argument("--threads", type=int, default=0, help="0: all")
    options = parser.parse_args()
    output = options.output or ROOT / f"build/bench/{options.what.replace('-', '_')}.json"
    data, start = data_directory(), time.monotonic()
    work = pathlib.Path(tempfile.mkdtemp(prefix="trivium-bench-"))

    def write(summary, runs):
        seconds = time.monotonic() - start
        write_report(output, {**origin(options.what), "seconds": seconds, "summary": summary, "runs": runs})
        print(f"{len(runs)} done after {seconds:.0f} s", flush=True)

    try:
        collections = [Collection(data, name) for name in collection_names(data)]
        setting = Setting(collections, work, options)
        names, runs = [one.name for one in collections], []
        if options.what == "leave-out":
            for fold in range(FOLDS):
                runs.append(leave_out(setting, names[fold::FOLDS], fold < options.before))
                every = summarise_leave_out(runs)
                first = summarise_leave_out(runs[: options.before]) if options.before else None
                write({"all folds": every, "first folds": first}, runs)
            print_leave_out(every)
            if 0 < options.before < FOLDS:
                print(f"the first {options.before} folds:")
                print_leave_out(first)
        else:
            test = judged_queries(collections, "test")
            means = SetMeans(test["groups"])
            with trivium.open(work / "federated") as store:
                plain = answer(store, test, experts="all")
            plan = [(share, seed) for seed in range(options.seeds) for share in options.shares]
            for share, seed in plan:
                if share == 1 and seed > 0:
                    continue
                runs.append(few(setting, test, share, seed))
                summary = summarise_few(runs, plain, means)
                write(summary, runs)
            print_few(summary)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"written: {output}")


if __name__ == "__main__":
    main()
