# SPDX-License-Identifier: Apache-2.0
"""Whose query is it: 10,747 queries of 20 BEIR data sets (vectors of bge-base, 768-d), an expert a data set.

With --intents: 22,500 queries of CLINC150 in domain (MiniLM, 384-d), an expert for each of 150 intents.

Nested: in each of five folds dispatch is trained on the queries of the other four, which choose all settings by
cross-validation among themselves; the fifth is asked once. Beside the share of queries sent to their own data set
first (over all, and as a mean over data sets): the nearest mean of the other four folds' queries.

Usage: query_domain_benchmark.py [--output build/bench/query_domains.json] [--folds 5] [--routers NAME...]
       query_domain_benchmark.py --intents [--vectors clinc150.npy] [--output ...]
Data: $TRIVIUM_DATA, or ../shared/data beside the repository.
"""

import argparse
import gzip
import pathlib
import shutil
import sys
import tempfile

import numpy as np
from guard_benchmark import Clinc150
from one_document_each import asked, dealt, fill, grades, routers
from set_means import SetMeans
from shell import ROOT, data_directory, origin, write_report

from trivium.encoders import MiniLM

FOLDS = 5


def load(folder):
    """Unit vectors, and the data set of each."""
    with gzip.open(folder / "vectors.npy.gz") as stream:
        vectors = np.load(stream).astype(np.float32)
    with gzip.open(folder / "rows.tsv.gz", "rt", encoding="utf-8") as lines:
        sets = np.array([line.split("\t")[0] for line in lines][1:])
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), sets


def load_intents(path, encoded):
    """Likewise, with the intent of each; `encoded`: a file of the vectors of all texts, or None."""
    data = Clinc150(path)
    vectors = np.load(encoded) if encoded else MiniLM().encode(list(data.texts), "query")
    served = data.domains != "oos"
    return vectors[served].astype(np.float32), data.intents[served]


def nearest_mean(vectors, sets, names, rest, tested):
    means = np.stack([vectors[rest][sets[rest] == name].mean(axis=0) for name in names])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return (vectors[tested] @ means.T).argmax(axis=1)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build/bench/query_domains.json")
    parser.add_argument("--folds", type=int, default=FOLDS, help="how many of the five to ask")
    parser.add_argument("--routers", nargs="*", help="to try, all by default")
    parser.add_argument("--threads", type=int, default=0, help="0: all")
    parser.add_argument("--intents", action="store_true", help="of CLINC150, instead of BEIR's data sets")
    parser.add_argument(
        "--vectors", type=pathlib.Path, help="read these instead of encoding CLINC150's texts"
    )
    options = parser.parse_args()
    source = "routing/clinc150/queries.tsv.gz" if options.intents else "vectors/beir-queries-bge-base-768"
    path = data_directory() / source
    if not path.exists():
        sys.exit(f"query_domain_benchmark: data: {path}, expected queries of shared/data (set TRIVIUM_DATA)")
    vectors, sets = load_intents(path, options.vectors) if options.intents else load(path)
    names = sorted(set(sets))
    own = np.array([names.index(name) for name in sets])
    fold_of = dealt(len(sets), FOLDS, seed=0)
    named, settings = {}, []
    work = pathlib.Path(tempfile.mkdtemp(prefix="trivium-bench-"))
    try:
        for fold in range(options.folds):
            rest, tested = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
            with fill(work / str(fold), names, vectors.shape[1]) as store:
                report = store.train_dispatch(
                    vectors[rest],
                    [grades(names, own[row] == np.arange(len(names))) for row in rest],
                    groups=list(sets[rest]),
                    routers=options.routers or None,
                    threads=options.threads,
                )
                settings.append({"router": report.router, "seconds": report.seconds})
                for name in routers(report):
                    first = [asked(store, names, vectors[row], name)[0] for row in tested]
                    named.setdefault(name, np.full(len(sets), -1))[tested] = first
                named.setdefault("trained", np.full(len(sets), -1))[tested] = named[report.router][tested]
            first = nearest_mean(vectors, sets, names, rest, tested)
            named.setdefault("nearest mean", np.full(len(sets), -1))[tested] = first
            print(f"fold {fold}: {report.router}, {report.seconds:.0f} s", flush=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    asked_for = fold_of < options.folds
    means = SetMeans(sets)
    rows = {
        name: {
            "right": float((first == own)[asked_for].mean()),
            "macro": means.macro(first == own, asked_for),
            "by_set": {one: float((first == own)[asked_for & (sets == one)].mean()) for one in names},
        }
        for name, first in named.items()
    }
    write_report(options.output, {**origin("query domains"), "rows": rows, "settings": settings})
    print("| who names the set | right | mean over sets |\n| --- | ---: | ---: |")
    for name, row in rows.items():
        print(f"| {name} | {row['right']:.4f} | {row['macro']:.4f} |")
    worst = sorted(rows["trained"]["by_set"].items(), key=lambda one: one[1])[:6]
    print("lowest: " + ", ".join(f"{name} {share:.2f}" for name, share in worst))
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
