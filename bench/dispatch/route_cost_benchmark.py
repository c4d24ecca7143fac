# SPDX-License-Identifier: Apache-2.0
"""What choosing experts costs, by pilots and by experts. Times are the stage "dispatch" of a search by vector.

pilots: a store of 17 partitions of real MiniLM vectors (20 documents of each collection); 2,000 and 20,000 other
documents serve as judged queries. Each router that training tried is timed on 500 test queries.

experts: synthetic stores of 10 to 1,000 experts, 384-d: each a partition of 20 documents around a random centre, and
2,000 judged queries around the centres, so that the pilots' number does not change with the experts'. Also: the share of
200 other queries whose expert is asked first, searches a query, and a whole search.

One time is the least, over the rounds, of the medians of a round: other work on the machine only adds.

Usage: route_cost_benchmark.py [--output build/bench/route_cost.json] [--rounds 20]
Data: $TRIVIUM_DATA, or ../shared/data beside the repository.
"""

import argparse
import pathlib
import shutil
import tempfile

import numpy as np
from judged_collections import DIMENSION, SPACE, Collection, judged_queries
from one_document_each import routers
from shell import ROOT, collection_names, data_directory, origin, write_report

import trivium

DOCUMENTS = 20  # a partition
PILOTS = (2000, 20000)
EXPERTS = (10, 30, 100, 300, 1000)
HELD_BACK = 200  # of the pilots: settings are chosen on these rather than in folds, which saves time
SYNTHETIC_PILOTS, SYNTHETIC_QUERIES = 2000, 200
SYNTHETIC_ROUTERS = ["knn_utility", "linear", "logistic", "bilevel"]


def timed(store, queries, rounds, **how):
    """Least median of the dispatch and of the whole search, in microseconds; mean searches; the experts asked first."""
    dispatch, whole = [], []
    for _ in range(rounds):
        hits = [store.search(query, documents=False, **how) for query in queries]
        dispatch.append(np.median([one.trace.stages_us["dispatch"] for one in hits]))
        whole.append(np.median([one.trace.total_us for one in hits]))
    return {
        "dispatch_us": float(min(dispatch)),
        "search_us": float(min(whole)),
        "searches": float(np.mean([one.trace.searches for one in hits])),
        "mode": hits[0].route.router or "all",
    }, [one.route.chosen[0] for one in hits]


def train(store, queries, experts, documents, **how):
    """Judged: every document of the query's own expert is relevant."""
    judged = (queries, [dict.fromkeys([(one, id) for id in documents[one]], 1) for one in experts])
    learned, held_back = ([part[HELD_BACK:] for part in judged], tuple(part[:HELD_BACK] for part in judged))
    return store.train_dispatch(*learned, held_back, **how)


def by_pilots(collections, count, queries, rounds, work):
    random = np.random.default_rng(0)
    rows = [(one, row) for one in collections for row in range(DOCUMENTS, len(one.ids))]
    drawn = [rows[i] for i in random.choice(len(rows), count, replace=False)]
    documents = {one.name: one.ids[:DOCUMENTS] for one in collections}
    with trivium.open(work / f"pilots-{count}", durability="async") as store:
        store.add_space(SPACE, DIMENSION)
        for one in collections:
            store.upsert(documents[one.name], one.documents[:DOCUMENTS], partition=one.name)
            store.add_expert(one.name, space=SPACE, partition=one.name)
        store.build()
        vectors = np.array([one.documents[row] for one, row in drawn])
        report = train(store, vectors, [one.name for one, _ in drawn], documents)
        times = {name: timed(store, queries, rounds, router=name)[0] for name in routers(report)}
    return {"pilots": count, "trained": report.router, "seconds": report.seconds, "routers": times}


def by_experts(count, rounds, work):
    random = np.random.default_rng(count)

    def around(centre):
        vector = centre + random.normal(size=DIMENSION) * 0.7 / np.sqrt(DIMENSION)  # cosine about 0.8 to it
        return (vector / np.linalg.norm(vector)).astype(np.float32)

    centres = random.normal(size=(count, DIMENSION))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    names = [f"{expert:04d}" for expert in range(count)]
    own = np.arange(SYNTHETIC_PILOTS + SYNTHETIC_QUERIES) % count
    queries = np.stack([around(centres[expert]) for expert in own])
    asked, owner = queries[SYNTHETIC_PILOTS:], own[SYNTHETIC_PILOTS:]
    documents = {name: [str(row) for row in range(DOCUMENTS)] for name in names}
    with trivium.open(work / f"experts-{count}", durability="async") as store:
        store.add_space(SPACE, DIMENSION)
        for name, centre in zip(names, centres):
            rows = np.stack([around(centre) for _ in range(DOCUMENTS)])
            store.upsert(documents[name], rows, partition=name)
            store.add_expert(name, space=SPACE, partition=name)
        store.build()
        pilots = queries[:SYNTHETIC_PILOTS], [names[expert] for expert in own[:SYNTHETIC_PILOTS]]
        report = train(store, *pilots, documents, routers=SYNTHETIC_ROUTERS)
        row = {"experts": count, "trained": report.router, "seconds": report.seconds, "routers": {}}
        for name in SYNTHETIC_ROUTERS:
            times, first = timed(store, asked, rounds, router=name)
            right = np.mean([names.index(one) == expert for one, expert in zip(first, owner)])
            row["routers"][name] = {**times, "right": float(right)}
        row["all"] = timed(store, asked[:20], max(1, rounds // 10), experts="all")[0]
    return row


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build/bench/route_cost.json")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--experts", type=int, nargs="*", default=EXPERTS)
    parser.add_argument("--pilots", type=int, nargs="*", default=PILOTS)
    options = parser.parse_args()
    data = data_directory()
    work = pathlib.Path(tempfile.mkdtemp(prefix="trivium-bench-"))
    report = {**origin("route cost"), "pilots": [], "experts": []}
    try:
        if options.pilots:
            collections = [Collection(data, name) for name in collection_names(data)]
            queries = judged_queries(collections, "test")["queries"]
            queries = queries[:: len(queries) // 500][:500]
            print("| pilots | router | dispatch, us | |\n| ---: | --- | ---: | --- |")
        for count in options.pilots:
            row = by_pilots(collections, count, queries, options.rounds, work)
            report["pilots"].append(row)
            for name, times in row["routers"].items():
                note = "trained" if name == row["trained"] else ""
                print(f"| {count} | {name} | {times['dispatch_us']:.0f} | {note} |", flush=True)
            write_report(options.output, report)
        if options.experts:
            print("| experts | router | dispatch, us | search, us | searches | right | all: search, us |")
            print("| ---: | --- | ---: | ---: | ---: | ---: | ---: |")
        for count in options.experts:
            row = by_experts(count, options.rounds, work)
            report["experts"].append(row)
            for name, times in row["routers"].items():
                note = " (trained)" if name == row["trained"] else ""
                print(
                    f"| {count} | {name}{note} | {times['dispatch_us']:.0f} | {times['search_us']:.0f} "
                    f"| {times['searches']:.2f} | {times['right']:.3f} | {row['all']['search_us']:.0f} |",
                    flush=True,
                )
            write_report(options.output, report)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
