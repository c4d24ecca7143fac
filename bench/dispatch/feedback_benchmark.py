# SPDX-License-Identifier: Apache-2.0
"""How feedback wins back what a drift costs, what poison does to it, and what it costs a query.

17 collections, a partition and an expert each, plain MiniLM queries. Dispatch is trained on the train judgements;
then the documents of half of the partitions change places, two and two, so that the router sends to the wrong ones.
Train queries are asked again, drawn as often from each collection ("balanced") or as they come ("natural"), and
what the answer holds of their judged documents is given back as feedback, ten answers a call. Macro nDCG@10 on the
test judgements, which nothing was chosen by.

Poison: one feedback in twenty. "random": a hit drawn at random is called relevant, alone. "attack": an answer of
one expert is made up, and all of it called relevant.

Usage: feedback_benchmark.py [--seeds 3] [--routers A,B] [--output build/bench/feedback/result.json]
Data: $TRIVIUM_DATA, or ../shared/data beside the repository. Writes a table beside the JSON file.
"""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import tempfile

import numpy as np
from judged_collections import Collection, fill_federated, judged_queries
from shell import ROOT, collection_names, commit, data_directory, processor

import trivium

LOOKS = (0, 250, 500, 1000, 2000)  # feedbacks after which quality is measured
CALL = 10  # feedbacks a call
POISON = 0.05
ATTACKER = "stackfaq"


def pairs(names, random):
    """Half of the collections, each with the one that it changes places with."""
    drawn = [names[i] for i in random.permutation(len(names))[: len(names) // 4 * 2]]
    swapped = {}
    for a, b in zip(drawn[::2], drawn[1::2]):
        swapped[a], swapped[b] = b, a
    return swapped


def moved(judged, swapped):
    """The same judgements where the documents of collections are in other partitions."""
    qrels = [
        {
            (swapped.get(partition, partition), document): grade
            for (partition, document), grade in grades.items()
        }
        for grades in judged["qrels"]
    ]
    return {**judged, "qrels": qrels}


class Bench:
    def __init__(self, collections, work, routers, threads):
        self.collections = {one.name: one for one in collections}
        self.names = list(self.collections)
        self.work = work
        self.train, self.test = (judged_queries(collections, split) for split in ("train", "test"))
        self.rows = {name: np.flatnonzero(np.array(self.train["groups"]) == name) for name in self.names}
        fill_federated(work / "trained", collections)
        with trivium.open(work / "trained") as store:
            self.trained = store.train_dispatch(**self.train, routers=routers, threads=threads)
            self.before = self.quality(store, {})

    def quality(self, store, swapped):
        macro = store.evaluate(**moved(self.test, swapped), depth=10, router=self.trained.router).macro
        return {"ndcg@10": macro.ndcg_at_10, "experts": macro.experts_per_query}

    def drift(self, path, swapped):
        shutil.rmtree(path, ignore_errors=True)
        shutil.copytree(self.work / "trained", path)
        with trivium.open(path) as store:
            for name in swapped:
                store.delete(partition=name)
            for name, place in swapped.items():
                store.upsert(self.collections[name].ids, self.collections[name].documents, partition=place)
            store.build()

    def answer(self, store, row, poison, random, qrels):
        """A query, what the store answered, and what is said of it."""
        query = self.train["queries"][row]
        bad = random.random() < POISON  # drawn also without poison, so that the queries are the same
        if bad and poison == "attack":
            hits = store.search(query, experts=[ATTACKER], documents=False)
            return query, hits, list(zip(hits.partitions, hits.ids))
        hits = store.search(query, router=self.trained.router, documents=False)
        documents = list(zip(hits.partitions, hits.ids))
        any_hit = documents[int(random.random() * len(documents))]
        if bad and poison == "random":
            return query, hits, [any_hit]
        return query, hits, [document for document in documents if document in qrels[row]]

    def feed(self, store, swapped, traffic, poison, seed, looks=LOOKS):
        random = np.random.default_rng(seed)
        qrels = moved(self.train, swapped)["qrels"]
        measured, quarantined = {}, []
        if 0 in looks:
            measured[0] = self.quality(store, swapped)
        for done in range(CALL, max(looks) + 1, CALL):
            said = []
            for _ in range(CALL):
                if traffic == "balanced":
                    row = random.choice(self.rows[self.names[random.integers(len(self.names))]])
                else:
                    row = random.integers(len(qrels))
                said.append(self.answer(store, row, poison, random, qrels))
            queries, hits, relevant = zip(*said)
            report = store.feedback_batch(np.array(queries), hits, relevant=relevant)
            quarantined += report.quarantined
            if done in looks:
                measured[done] = self.quality(store, swapped)
        return measured, quarantined

    def scenario(self, swapped, traffic, poison, seed, looks=LOOKS):
        path = self.work / "drifted"
        self.drift(path, swapped)
        with trivium.open(path, durability="async") as store:
            measured, quarantined = self.feed(store, swapped, traffic, poison, seed, looks)
        return {"traffic": traffic, "poison": poison, "seed": seed, "drift": bool(swapped),
                "swapped": swapped, "quarantined": quarantined,
                "measured": {str(look): values for look, values in measured.items()}}  # fmt: skip

    def neighbours(self):
        """What removing an expert, and adding it again, does to the queries of the others."""
        shift = {}
        for name in ("cisi", "nq-utd"):
            path = self.work / "others"
            shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(self.work / "trained", path)
            with trivium.open(path) as store:

                def others(store=store, name=name):
                    report = store.evaluate(**self.test, depth=10, router=self.trained.router)
                    return float(np.mean([one.ndcg_at_10 for one in report.sets if one.name != name]))

                before = others()
                store.remove_expert(name)
                removed = others()
                store.add_expert(name, space="minilm", partition=name)
                shift[name] = {"removed": removed - before, "added": others() - removed}
        return shift

    def latency(self):
        """Median microseconds of routing, without feedback and with 2,000 in use."""
        path = self.work / "drifted"
        self.drift(path, {})
        with trivium.open(path, durability="async") as store:

            def median(store=store):
                times = []
                for query in self.test["queries"][:1500]:
                    trace = store.search(query, router=self.trained.router, documents=False).trace
                    times.append(trace.stages_us["dispatch"])
                return float(np.median(times))

            without = median()
            self.feed(store, {}, "natural", None, 0, looks=(2000,))
            return {"without": without, "with": median()}


def share(bench, one, look):
    lost = bench.before["ndcg@10"] - one["measured"]["0"]["ndcg@10"]
    return (one["measured"][str(look)]["ndcg@10"] - one["measured"]["0"]["ndcg@10"]) / lost


def table(bench, result):
    lines = [
        f"Before the drift: {bench.before['ndcg@10']:.4f} with {bench.before['experts']:.2f} experts a query.",
        "",
        "| traffic | poison | seed | after the drift | 250 | 500 | 1,000 | 2,000 | share back | experts a query |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for one in result["scenarios"]:
        if not one["drift"]:
            continue
        values = [
            f"{one['measured'][str(look)]['ndcg@10']:.4f}" if str(look) in one["measured"] else ""
            for look in LOOKS
        ]
        lines.append(
            f"| {one['traffic']} | {one['poison'] or 'none'} | {one['seed']} | {' | '.join(values)} | "
            f"{share(bench, one, 2000):.2f} | {one['measured']['2000']['experts']:.2f} |"
        )
    lines += [
        "",
        "| without a drift: poison | seed | change of nDCG@10 by 2,000 feedbacks |",
        "| --- | ---: | ---: |",
    ]
    for one in result["scenarios"]:
        if not one["drift"]:
            change = one["measured"]["2000"]["ndcg@10"] - bench.before["ndcg@10"]
            lines.append(f"| {one['poison'] or 'none'} | {one['seed']} | {change:+.4f} |")
    lines.append("")
    for name, shift in result["neighbours"].items():
        lines.append(f"Others without {name}: {shift['removed']:+.4f}; with it back: {shift['added']:+.4f}.")
    if result["latency_us"]:
        lines.append(
            f"Routing, median: {result['latency_us']['without']:.0f} us, "
            f"with 2,000 feedbacks {result['latency_us']['with']:.0f} us."
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build/bench/feedback/result.json")
    parser.add_argument("--seeds", type=int, default=3, help="drifts, from 0 on (default %(default)s)")
    parser.add_argument("--routers", default="", help="to try, by commas (default: all)")
    parser.add_argument("--threads", type=int, default=0, help="of training; 0: all")
    options = parser.parse_args()
    data = data_directory()
    work = pathlib.Path(tempfile.mkdtemp(prefix="trivium-bench-"))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    try:
        collections = [Collection(data, name) for name in collection_names(data)]
        bench = Bench(
            collections, work, options.routers.split(",") if options.routers else None, options.threads
        )
        result = {
            "benchmark": "feedback",
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "commit": commit(),
            "machine": {"processor": processor(), "cores": os.cpu_count()},
            "router": bench.trained.router,
            "before": bench.before,
            "scenarios": [],
            "neighbours": {},
            "latency_us": {},
        }

        def write():
            options.output.write_text(json.dumps(result, indent=1) + "\n")
            options.output.with_suffix(".md").write_text(table(bench, result))

        plan = [
            (seed, drift, traffic, poison)
            for seed in range(options.seeds)
            for drift, traffic, poison in (
                (True, "balanced", None),
                (True, "natural", None),
                (True, "balanced", "random"),
                (True, "balanced", "attack"),
                (False, "natural", None),
                (False, "natural", "random"),
                (False, "natural", "attack"),
            )
        ]
        for seed, drift, traffic, poison in plan:
            swapped = pairs(bench.names, np.random.default_rng(seed)) if drift else {}
            looks = LOOKS if drift and not poison else (0, 2000) if drift else (2000,)
            one = bench.scenario(swapped, traffic, poison, seed, looks)
            result["scenarios"].append(one)
            print(json.dumps({key: one[key] for key in one if key != "swapped"}), flush=True)
            write()
        result["neighbours"] = bench.neighbours()
        result["latency_us"] = bench.latency()
        write()
        print(table(bench, result), end="")
        print(f"written: {options.output}")
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
