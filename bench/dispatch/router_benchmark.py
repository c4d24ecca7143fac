# SPDX-License-Identifier: Apache-2.0
"""What each router of dispatch gives over 17 text collections, one partition and expert each, no adapters.

One space (MiniLM, 384-d), 59,834 documents, an expert's description one sentence written from the name and
domain of its collection. Everything is learned from the train judgements and chosen by cross-validation among
them ("held out"); each router answers the test judgements once. Macro nDCG@10; "first": the macro share of
queries whose own collection is asked first. With --tree the space gets a partition tree beforehand, from its
documents alone, of --depth levels. With --label-free a second store learns without a single judgement.

Usage: router_benchmark.py [--routers A,B] [--tree] [--depth 0] [--label-free] [--seed 0] [--threads 0]
                           [--output FILE.json]
Data: $TRIVIUM_DATA, or ../shared/data beside the repository.
"""

import argparse
import json
import pathlib
import tempfile

import numpy as np
from judged_collections import DIMENSION, SPACE, Collection, judged_queries
from shell import collection_names, data_directory

import trivium
from trivium.encoders import MiniLM

DESCRIPTIONS = {
    "arguana": "Arguments for and against positions in debates",
    "cacm": "Abstracts of articles about computing and programming",
    "cisi": "Abstracts about information science and libraries",
    "climate-fever": "Wikipedia articles about climate change",
    "contractnli": "Clauses of non-disclosure agreements",
    "cranfield": "Abstracts about aerodynamics and aeronautics",
    "csfcube": "Abstracts about natural language processing and machine learning",
    "financebench": "Passages from annual reports of companies",
    "lisa": "Abstracts about library and information science",
    "med": "Abstracts of medical research from the 1960s",
    "medquad": "Answers to questions of consumers about health and diseases",
    "nfcorpus": "Articles about nutrition and health",
    "nq-utd": "News articles of 2023 and 2024",
    "privacyqa": "Sentences from privacy policies of mobile apps",
    "scifact": "Abstracts of biomedical research papers",
    "stackfaq": "How to use web applications: answers to frequently asked questions",
    "xquad-en": "Paragraphs of Wikipedia articles about history, people and places",
}


def fill(path, collections, encoder):
    with trivium.open(path, encoders={"minilm": encoder}) as store:
        store.add_space(SPACE, DIMENSION, encoder="minilm")
        for one in collections:
            store.upsert(one.ids, one.documents, partition=one.name)
            store.add_expert(
                one.name, space=SPACE, partition=one.name, description=DESCRIPTIONS.get(one.name, "")
            )
        store.build()


def answer(store, test, **how):
    macro = store.evaluate(**test, depth=10, **how).macro
    return {"ndcg@10": macro.ndcg_at_10, "experts_per_query": macro.experts_per_query}


def asks_first(store, test, router):
    """Macro over collections."""
    right = {}
    for query, own in zip(test["queries"], test["groups"]):
        route = store.search(query, k=1, router=router, second_look=False).route
        right.setdefault(own, []).append(route.chosen[0] == own)
    return float(np.mean([np.mean(each) for each in right.values()]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--routers", type=lambda text: text.split(","))
    parser.add_argument("--tree", action="store_true")
    parser.add_argument("--depth", type=int, default=0)
    parser.add_argument("--label-free", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--output", type=pathlib.Path)
    arguments = parser.parse_args()
    data = data_directory()
    collections = [Collection(data, name) for name in collection_names(data)]
    test = judged_queries(collections, "test")
    encoder = MiniLM()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "store"
        fill(path, collections, encoder)
        with trivium.open(path, encoders={"minilm": encoder}) as store:
            result = {"test": {"all": answer(store, test, experts="all")}}
            if arguments.tree:
                tree = store.train_tree(use="partition", depth=arguments.depth, threads=arguments.threads)
                result["tree"] = {"cells": tree.spaces[0].cells.cells, "seconds": tree.seconds}
            if arguments.label_free:
                report = store.train_dispatch(label_free=True, routers=arguments.routers)
                named = arguments.routers or ["tree"] * arguments.tree + ["moments", "description"]
            else:
                train = judged_queries(collections, "train")
                report = store.train_dispatch(
                    **train, routers=arguments.routers, seed=arguments.seed, threads=arguments.threads
                )
                oracles = ("all", "best_per_set", "best_per_query")
                named = [row.name for row in report.rows if row.name not in oracles]
                result["held out"] = {
                    row.name: {"ndcg@10": row.ndcg_at_10, "experts_per_query": row.experts_per_query}
                    for row in report.rows
                }
            result["chosen"], result["seconds"] = report.router, report.seconds
            for name in named:
                result["test"][name] = answer(store, test, router=name)
                result["test"][name]["first"] = asks_first(store, test, name)
    text = json.dumps(result, indent=1)
    if arguments.output:
        arguments.output.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
