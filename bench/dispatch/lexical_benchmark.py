# SPDX-License-Identifier: Apache-2.0
"""The lexical expert (BM25) over 17 text collections, alone and beside one space (MiniLM, 384-d), plain queries.

A store with, for each collection, a dense expert and a lexical one, and a lexical expert over all. k1 and b are
the defaults. The weight of the convex combination is the best of a grid on the train judgements; then everything
is reported once on the test judgements, macro nDCG@10. Workload, in order:

  build               17 partitions with ready vectors; seconds, bytes of the lexical segments
  BM25, each alone    every collection by its own lexical expert, its statistics those of the collection
  BM25, merged        all documents by the one lexical expert
  dense, merged       all documents by their vectors
  dense + BM25        both, by reciprocal rank and by convex combination

Usage: lexical_benchmark.py --binary build/release/bin/trivium --output build/bench/lexical.json
Data: $TRIVIUM_DATA, or ../shared/data beside the repository.
"""

import argparse
import json
import pathlib
import shutil
import tempfile

from adapter_benchmark import sets_of
from shell import ROOT, collection_names, data_directory, origin, query_arguments, run, write_report

WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


def configuration(data, names):
    """What `trivium build --config` reads."""
    corpora = [
        {
            "partition": name,
            "file": str(data / "retrieval" / name / "corpus.jsonl.gz"),
            "vectors": {"minilm": str(data / "embeddings/minilm-384" / f"{name}.documents.npy")},
        }
        for name in names
    ]
    experts = [{"name": name, "space": "minilm", "partition": name} for name in names]
    experts += [{"name": f"{name}.words", "kind": "lexical", "partition": name} for name in names]
    experts.append({"name": "words", "kind": "lexical"})
    return {"spaces": [{"name": "minilm"}], "corpora": corpora, "experts": experts}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/release/bin/trivium")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build/bench/lexical.json")
    options = parser.parse_args()
    data = data_directory()
    names = collection_names(data)
    work = pathlib.Path(tempfile.mkdtemp(prefix="trivium-bench-"))
    store = work / "store"

    def evaluate(arguments, *more):
        return json.loads(run([options.binary, "evaluate", store, "--json", *more, *arguments])[0])

    try:
        config = work / "config.json"
        config.write_text(json.dumps(configuration(data, names)))
        build_seconds = run([options.binary, "build", store, "--json", "--config", config])[1]
        inspected = json.loads(run([options.binary, "inspect", store, "--json"])[0])
        train, test = query_arguments(data, names, "train"), query_arguments(data, names, "test")
        weights = {}
        for weight in WEIGHTS:
            flags = ("--experts", "all", "--fusion", "convex", "--lexical-weight", weight)
            weights[weight] = evaluate(train, *flags)["macro"]["ndcg@10"]
        best = max(weights, key=weights.get)
        sets = [
            {**evaluate(arguments, "--experts", f"{name}.words")["macro"], "name": name}
            for name, arguments in sets_of(data, names, "test")
        ]
        alone = {"ndcg@10": sum(one["ndcg@10"] for one in sets) / len(sets)}
        answers = {
            "BM25, each alone": {"macro": alone, "sets": sets},
            "BM25, merged": evaluate(test, "--experts", "words"),
            "dense, merged": evaluate(test, "--experts", ",".join(names)),
            "dense + BM25, reciprocal rank": evaluate(test, "--experts", "all", "--fusion", "rrf"),
            "dense + BM25, convex": evaluate(
                test, "--experts", "all", "--fusion", "convex", "--lexical-weight", best
            ),
        }
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report = {
        **origin("lexical"),
        "kernels": inspected["kernels"],
        "documents": inspected["documents"],
        "build": {"seconds": build_seconds, "lexical_bytes": sum(s["bytes"] for s in inspected["text_sets"])},
        "train_ndcg@10_by_lexical_weight": weights,
        "lexical_weight": best,
        "answers": answers,
    }
    write_report(options.output, report)
    print("convex, macro nDCG@10 on train by weight of BM25: ", end="")
    print(", ".join(f"{weight} {value:.4f}" for weight, value in weights.items()))
    print(f"{'on test judgements, once':<32}{'nDCG@10':>8}{'p50 ms':>8}{'p95 ms':>8}")
    for label, answer in answers.items():
        times = answer["macro"].get("latency_us")
        shown = f"{times['p50'] / 1000:>8.2f}{times['p95'] / 1000:>8.2f}" if times else ""
        print(f"{label:<32}{answer['macro']['ndcg@10']:>8.4f}{shown}")
    for one, merged in zip(sets, answers["BM25, merged"]["sets"]):
        print(
            f"  {one['name']:<16}{one['queries']:>6}{one['ndcg@10']:>8.4f} alone{merged['ndcg@10']:>8.4f} merged"
        )
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
