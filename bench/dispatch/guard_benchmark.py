# SPDX-License-Identifier: Apache-2.0
"""The guard on CLINC150 (Larson et al. 2019): 10 domains of 15 intents each, and queries out of scope.

One partition and expert a domain, one space (MiniLM, 384-d). Documents are every fifth train query of each intent;
relevant to a query are those of its intent, never the query itself. Trained on the train queries, 100 background
queries among them, every choice made on their folds; the validation split is not used. Reported once on test:

  accepted     share of the queries in domain that the guard accepts
  right        share accepted and sent to the expert of their domain first
  rejected     share of the queries out of scope that the guard rejects
  mean         harmonic mean of `right` and `rejected`
  error        expected calibration error of the probability, both sides of equal weight, 10 bins

for a declared acceptance of 0.95 and for the best balance.

Usage: guard_benchmark.py --output build/bench/guard.json [--vectors clinc150.npy]
Data: $TRIVIUM_DATA, or ../shared/data beside the repository. Needs the encoder `minilm`, two minutes of two cores.
"""

import argparse
import gzip
import pathlib
import shutil
import statistics
import sys
import tempfile

import numpy as np
from shell import ROOT, data_directory, origin, write_report

import trivium
from trivium.encoders import MiniLM

DOCUMENT_STEP = 5
ROUTERS = ["static_best", "knn_utility", "linear", "logistic"]


class Clinc150:
    """Texts with their domain ("oos": none), split and intent."""

    def __init__(self, path):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = [line.rstrip("\n").split("\t") for line in lines][1:]
        self.domains, self.splits, self.ids, self.texts = (np.array(column) for column in zip(*rows))
        self.intents = np.array([name.rsplit("-", 1)[1] for name in self.ids])

    def rows(self, split, served):
        return np.flatnonzero((self.splits == split) & ((self.domains != "oos") == served))


def build(store, data, vectors):
    """Documents and experts; returns the ids of each intent's documents."""
    store.add_space("text", vectors.shape[1])
    train = data.rows("train", served=True)
    documents = {}
    for intent in sorted(set(data.intents[train])):
        documents[intent] = train[data.intents[train] == intent][::DOCUMENT_STEP]
    for domain in sorted(set(data.domains[train])):
        rows = np.concatenate([rows for rows in documents.values() if data.domains[rows[0]] == domain])
        store.upsert(list(data.ids[rows]), vectors[rows], list(data.texts[rows]), partition=domain)
        store.add_expert(domain, space="text", partition=domain)
    return documents


def train(store, data, vectors, documents, acceptance, seed):
    rows = data.rows("train", served=True)
    qrels = [
        {(data.domains[row], data.ids[other]): 1 for other in documents[data.intents[row]] if other != row}
        for row in rows
    ]
    return store.train_dispatch(
        vectors[rows],
        qrels,
        groups=list(data.domains[rows]),
        query_ids=list(data.ids[rows]),
        drop_self=True,
        seed=seed,
        routers=ROUTERS,
        background=vectors[data.rows("train", served=False)],
        guard_acceptance=acceptance,
    )


def calibration_error(served, background, bins=10):
    scores = np.concatenate([served, background])
    weights = np.concatenate([np.full(len(side), 0.5 / len(side)) for side in (served, background)])
    truth = np.arange(len(scores)) < len(served)
    cells = np.minimum((scores * bins).astype(int), bins - 1)
    return sum(
        abs(np.sum(weights[cells == cell] * (truth[cells == cell] - scores[cells == cell])))
        for cell in range(bins)
    )


def ask(store, data, vectors, router):
    """Figures on the test queries; the router is named, as the gate may have left dispatch off."""
    served, background = data.rows("test", served=True), data.rows("test", served=False)
    routes = {
        row: store.search(vectors[row], k=1, documents=False, router=router).route
        for row in np.concatenate([served, background])
    }
    accepted = np.array([not routes[row].rejected for row in served])
    right = np.array([routes[row].chosen[0] == data.domains[row] for row in served]) & accepted
    rejected = np.array([routes[row].rejected for row in background])
    probabilities = [np.array([routes[row].in_domain for row in rows]) for rows in (served, background)]
    above = np.searchsorted(np.sort(probabilities[1]), probabilities[0]) / len(background)
    return {
        "accepted": float(accepted.mean()),
        "right": float(right.mean()),
        "rejected": float(rejected.mean()),
        "mean": float(2 * right.mean() * rejected.mean() / (right.mean() + rejected.mean())),
        "auroc": float(above.mean()),
        "calibration_error": float(calibration_error(*probabilities)),
    }


def dispatch_us(store, data, vectors, router):
    rows = data.rows("test", served=True)[::5]
    traces = [store.search(vectors[row], k=1, documents=False, router=router).trace for row in rows]
    return statistics.median(trace.stages_us["dispatch"] for trace in traces)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build/bench/guard.json")
    parser.add_argument("--vectors", type=pathlib.Path, help="read these instead of encoding the texts")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    path = data_directory() / "routing/clinc150/queries.tsv.gz"
    if not path.is_file():
        sys.exit(f"guard_benchmark: data: {path}, expected CLINC150 of shared/data (set TRIVIUM_DATA)")
    data = Clinc150(path)
    vectors = np.load(options.vectors) if options.vectors else MiniLM().encode(list(data.texts), "query")
    work = pathlib.Path(tempfile.mkdtemp(prefix="trivium-bench-"))
    answers = {}
    try:
        with trivium.open(work / "store") as store:
            documents = build(store, data, vectors)
            store.build()
            for label, acceptance in (("acceptance 0.95", 0.95), ("best balance", 0.0)):
                report = train(store, data, vectors, documents, acceptance, options.seed)
                answers[label] = {
                    "training": report.to_dict(),
                    "test": ask(store, data, vectors, report.router),
                    "guard_p50_us": dispatch_us(store, data, vectors, "static_best"),
                    "dispatch_p50_us": dispatch_us(store, data, vectors, report.router),
                }
    finally:
        shutil.rmtree(work, ignore_errors=True)
    report = {
        **origin("guard"),
        "seed": options.seed,
        "answers": answers,
    }
    write_report(options.output, report)
    print(
        f"{'on test, once':<18}{'accepted':>9}{'right':>8}{'rejected':>9}{'mean':>8}{'AUROC':>8}{'error':>8}"
    )
    for label, answer in answers.items():
        test = answer["test"]
        print(
            f"{label:<18}{test['accepted']:>9.4f}{test['right']:>8.4f}{test['rejected']:>9.4f}{test['mean']:>8.4f}"
            f"{test['auroc']:>8.4f}{test['calibration_error']:>8.4f}"
        )
        print(f"  {answer['training']['guard']['reason']}")
        print(
            f"  router {answer['training']['router']}, training {answer['training']['seconds']:.0f} s, p50 of"
        )
        print(
            f"  dispatch {answer['dispatch_p50_us']:.0f} us, of it the guard {answer['guard_p50_us']:.0f} us"
        )
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
