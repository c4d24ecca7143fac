# SPDX-License-Identifier: Apache-2.0
"""Query adapters over 17 text collections, from the shell's side: build, train, evaluate.

One partition and expert a collection, one space (MiniLM, 384-d). Learned from the train judgements, reported
once on the test judgements, macro nDCG@10. Workload, in order:

  build              17 partitions with ready vectors
  train              `trivium train adapter`: one adapter an expert and one of all domains; seconds
  plain              every partition, plain queries (--experts all)
  all domains        every partition, queries read by the adapter of all domains, also where the gate left it off
  right corpus       the expert of the set alone (an oracle): plain queries, and by its own adapter where the
                     gate let it pass

Usage: adapter_benchmark.py --binary build/release/bin/trivium --output build/bench/adapters.json
Data: $TRIVIUM_DATA, or ../shared/data beside the repository.
"""

import argparse
import json
import pathlib
import shutil
import tempfile

from shell import ROOT, collection_names, data_directory, origin, query_arguments, run, write_report


def sets_of(data, names, split):
    """The arguments of every collection's queries, one list each."""
    for name in names:
        arguments = query_arguments(data, [name], split)
        yield name, arguments if name == "arguana" else arguments[:-2]  # --drop-self arguana


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/release/bin/trivium")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build/bench/adapters.json")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rank", type=int, default=0)
    options = parser.parse_args()
    data = data_directory()
    names = collection_names(data)
    work = pathlib.Path(tempfile.mkdtemp(prefix="trivium-bench-"))
    store = work / "store"

    def evaluate(arguments, *more):
        return json.loads(run([options.binary, "evaluate", store, "--json", *more, *arguments])[0])

    try:
        command = [options.binary, "build", store, "--json"]
        for name in names:
            command += ["--corpus", f"{name}={data / 'retrieval' / name / 'corpus.jsonl.gz'}"]
            command += ["--vectors", f"{name}={data / 'embeddings/minilm-384' / name}.documents.npy"]
        run(command)
        train = [options.binary, "train", "adapter", store, "--json", "--seed", options.seed]
        train += ["--rank", options.rank, *query_arguments(data, names, "train")]
        text, seconds, peak = run(train)
        training = json.loads(text)
        test = query_arguments(data, names, "test")
        answers = {
            "plain": evaluate(test, "--experts", "all"),
            "all domains": evaluate(test, "--experts", "auto", "--adapters", "on"),
        }
        known = {"right corpus, plain": ("--adapters", "off"), "right corpus, own adapter": ()}
        for label, flags in known.items():
            sets = [
                evaluate(arguments, "--experts", name, *flags)["macro"]
                for name, arguments in sets_of(data, names, "test")
            ]
            macro = {"ndcg@10": sum(one["ndcg@10"] for one in sets) / len(sets)}
            answers[label] = {
                "macro": macro,
                "sets": [{**one, "name": name} for name, one in zip(names, sets)],
            }
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report = {
        **origin("adapters"),
        "seed": options.seed,
        "rank": options.rank,
        "train": {"seconds": seconds, "peak_bytes": peak, "report": training},
        "answers": answers,
    }
    write_report(options.output, report)
    print(f"{len(training['adapters'])} adapters in {seconds:.0f} s")
    print(f"{'on held-out train queries':<28}{'queries':>8}{'steps':>7}{'plain':>8}{'adapted':>9}  used")
    for one in training["adapters"]:
        print(
            f"{one['expert'] or '(all domains)':<28}{one['queries']:>8}{one['steps']:>7}{one['plain']:>8.4f}"
            f"{one['adapted']:>9.4f}  {'yes' if one['enabled'] else 'no'}"
        )
    print(f"{'on test judgements, once':<28}{'nDCG@10':>8}")
    for label, answer in answers.items():
        print(f"{label:<28}{answer['macro']['ndcg@10']:>8.4f}")
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
