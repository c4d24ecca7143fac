# SPDX-License-Identifier: Apache-2.0
"""trivium train tree, --index tree and inspect --tree."""

import json
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from conftest import BINARY, DOMAINS, query_arguments
from fake_encoder import embed
from retrieval_files import write_npy

QUICK = ["--depth", "5", "--steps", "50", "--threads", "1", "--ignore-gate"]


@pytest.fixture(scope="module")
def with_tree(trivium, data, built_store, tmp_path_factory):
    """The built store with a tree, and what training printed. Not to be written to."""
    store = tmp_path_factory.mktemp("tree") / "store"
    shutil.copytree(built_store, store)
    queries = query_arguments(data, "train")
    return store, trivium("train", "tree", store, *queries, *QUICK, "--json").json


@pytest.fixture(scope="module")
def vector(tmp_path_factory):
    """A question as a file."""
    return write_npy(tmp_path_factory.mktemp("question") / "question.npy", [embed("medical1 law2 cooking3")])


def ids(answer):
    return [(hit["partition"], hit["id"]) for hit in answer["hits"]]


def test_train_tree_reports_levels(with_tree):
    _, report = with_tree
    assert report["use"] == "representation"
    (space,) = report["spaces"]
    assert space["documents"] == 180 and space["queries"] + 0 > 0 and space["judged"] > 0
    assert space["depth"] == 5 and space["enabled"] and space["cells"] is None
    assert [level["level"] for level in space["levels"]][-1] == 5
    assert all(0 <= level["overlap"] <= 1 for level in space["levels"])
    assert space["levels"][-1]["bytes_per_document"] == 64


def test_search_ranks_by_shared_mass(trivium, with_tree, vector):
    store, _ = with_tree
    deepest = trivium("search", store, "--vector", vector, "--index", "tree", "--json").json
    assert deepest == {**deepest, "hits": sorted(deepest["hits"], key=lambda hit: -hit["score"])}
    assert len(deepest["hits"]) == 10
    assert all(0 <= hit["score"] <= 1 and hit["score"] == hit["similarity"] for hit in deepest["hits"])
    assert deepest["trace"]["distances"]["code"] > 0 and deepest["trace"]["distances"]["scan"] == 0
    named = trivium("search", store, "--vector", vector, "--index", "tree:5", "--json").json
    assert ids(named) == ids(deepest)
    coarse = trivium("search", store, "--vector", vector, "--index", "tree:2", "--json").json
    for rank in range(10):  # what is shared can only fall from level to level
        assert coarse["hits"][rank]["score"] >= deepest["hits"][rank]["score"]


def test_evaluate_by_level(trivium, data, with_tree):
    store, _ = with_tree
    queries = query_arguments(data, "test")
    at = {}
    for index in ("exact", "tree", "tree:1"):
        at[index] = trivium("evaluate", store, *queries, "--index", index, "--json").json["macro"]["ndcg@10"]
    assert at["exact"] >= at["tree"] > at["tree:1"]


def test_needs_neither_queries_nor_judgements(trivium, data, store):
    report = trivium("train", "tree", store, *QUICK, "--json").json
    assert report["spaces"][0]["queries"] == 0
    (name,) = DOMAINS[:1]
    queries = ["--queries", data / f"{name}.queries.jsonl", "--query-vectors", data / f"{name}.queries.npy"]
    report = trivium("train", "tree", store, *queries, *QUICK, "--json").json
    assert report["spaces"][0]["queries"] > 0 and report["spaces"][0]["judged"] == 0
    text = trivium("train", "tree", store, *QUICK).out
    assert "overlap" in text and "kept: " in text


def test_life_with_a_tree(trivium, data, with_tree, vector, tmp_path):
    made, _ = with_tree
    store = tmp_path / "store"
    shutil.copytree(made, store)
    before = trivium("search", store, "--vector", vector, "--index", "tree", "--json").json
    first = before["hits"][0]
    (tmp_path / "gone").write_text(first["id"] + "\n")
    trivium("delete", store, "--ids", tmp_path / "gone", "--partition", first["partition"], "--json").json
    after = trivium("search", store, "--vector", vector, "--index", "tree", "--json").json
    assert ids(after)[:9] == ids(before)[1:]
    name = first["partition"]
    trivium(
        "build",
        store,
        "--corpus",
        f"{name}={data / name}.jsonl",
        "--vectors",
        f"{name}={data / name}.npy",
        "--json",
    ).json
    trivium("compact", store, "--json").json
    trivium("verify", store, "--json").json
    trivium("snapshot", store, tmp_path / "copy", "--json").json
    again = trivium("search", tmp_path / "copy", "--vector", vector, "--index", "tree", "--json").json
    assert ids(again)[0] == ids(before)[0]


def test_a_damaged_companion_is_corrupt_data(trivium, with_tree, vector, tmp_path):
    made, _ = with_tree
    store = tmp_path / "store"
    shutil.copytree(made, store)
    leaves = sorted((store / "segments").glob("*.leaves"))[0]
    tree = sorted((store / "segments").glob("*.tree"))[0]
    for file in (leaves, tree):
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        trivium("search", store, "--vector", vector, "--index", "tree").must_fail(4, file.name)
        file.unlink()
        trivium("verify", store).must_fail(4, file.name)
        file.write_bytes(whole)
    flipped = bytearray(leaves.read_bytes())
    flipped[4096 + 40] ^= 1
    leaves.write_bytes(flipped)
    assert trivium("verify", store).code == 4


def test_inspect_shows_the_tree(trivium, with_tree):
    store, _ = with_tree
    (space,) = trivium("inspect", store, "--json").json["spaces"]
    assert space["tree"]["depth"] == 5 and space["tree"]["documents"] == 180 and space["cells"] is None
    assert "tree of depth 5" in trivium("inspect", store).out
    tree = trivium("inspect", store, "--tree", "--levels", "2", "--json").json
    assert [node["node"] for node in tree["nodes"]] == list(range(1, 8))
    root = tree["nodes"][0]
    assert root["greedy"] == 180 and abs(root["documents"] - 180) < 0.5
    for node in tree["nodes"][1:]:
        assert node["partition"] in DOMAINS and 0 <= node["purity"] <= 1
        assert len(node["typical"]) == 3
        assert all(term["score"] > 1.96 for term in node["terms"])
    assert "purity" in trivium("inspect", store, "--tree").out
    one = trivium("inspect", store, "--tree", "--node", "3", "--json").json
    assert [node["node"] for node in one["nodes"]] == [3]
    assert "typical document" in trivium("inspect", store, "--tree", "--node", "3").out


def test_inspect_follows_a_question(trivium, with_tree, vector):
    store, _ = with_tree
    path = ["--tree", "--vector", vector]
    told = trivium("inspect", store, *path, "--json").json
    assert [step["node"] for step in told["path"]] == [node["node"] for node in told["nodes"]]
    assert told["path"][0] == {"node": 1, "probability": 1.0, "document": None, "left": False}
    for above, below in zip(told["path"], told["path"][1:]):
        assert below["node"] // 2 == above["node"] and below["probability"] <= above["probability"]
    seen = trivium("inspect", store, *path, "--document", "d7", "--partition", "law", "--json").json
    assert seen["path"][0]["document"] == pytest.approx(1, abs=1e-3)
    assert sum(step["left"] for step in seen["path"]) <= 1
    assert "question" in trivium("inspect", store, *path).out


def test_cells(trivium, data, store, vector):
    queries = query_arguments(data, "train")
    report = trivium("train", "tree", store, "--use", "partition", "--depth", "3", *queries, "--json").json
    (space,) = report["spaces"]
    assert report["use"] == "partition" and space["levels"] == [] and space["enabled"]
    assert space["cells"]["cells"] == 8 and space["cells"]["routers"][0]["router"] == "centroids"
    exact = trivium("search", store, "--vector", vector, "--index", "exact", "--json").json
    every = trivium("search", store, "--vector", vector, "--index", "cells:8", "--json").json
    assert ids(every) == ids(exact)
    few = trivium("search", store, "--vector", vector, "--index", "cells:1", "--json").json
    assert few["trace"]["distances"]["scan"] < every["trace"]["distances"]["scan"] and len(few["hits"]) == 10
    trivium("search", store, "--vector", vector, "--index", "cells:9").must_fail(
        2, "probes: 9, expected 1 to 8"
    )
    assert trivium("evaluate", store, *query_arguments(data, "test"), "--index", "cells", "--json").json[
        "macro"
    ]
    (held,) = trivium("inspect", store, "--json").json["spaces"]
    assert held["cells"]["cells"] == 8 and held["tree"] is None
    assert "8 cells" in trivium("inspect", store).out
    text = trivium("train", "tree", store, "--use", "partition", "--depth", "3").out
    assert "8 cells" in text and "kept: " in text
    trivium("compact", store, "--json").json
    trivium("verify", store, "--json").json


def test_refusals(trivium, built_store, with_tree, vector, store, tmp_path):
    made, _ = with_tree
    search = ["search", made, "--vector", vector, "--index"]
    trivium("search", built_store, "--vector", vector, "--index", "tree").must_fail(
        1, "index: tree, expected a trained tree in space 'default'; train it first"
    )
    trivium(*search, "cells").must_fail(1, "index: cells, expected trained cells in space 'default'")
    trivium(*search, "tree:6").must_fail(2, "level: 6, expected 1 to 5")
    for wrong in ("tree:", "tree:0", "tree:x", "graph:3", "oak", "tree:-1"):
        trivium(*search, wrong).must_fail(2, f"--index: '{wrong}'", "tree:LEVEL")
    trivium("train", "tree", store, "--depth", "13").must_fail(2, "depth: 13")
    trivium("train", "tree", store, "--use", "shade").must_fail(
        2, "use: 'shade', expected representation or partition"
    )
    trivium("train", "tree", store, "--space", "absent").must_fail(3, "absent")
    trivium("train", "tree", store, "--queries", tmp_path / "absent.jsonl").must_fail(3, "absent.jsonl")
    trivium("inspect", built_store, "--tree").must_fail(1, "train it first")
    trivium("inspect", made, "--tree", "--node", "64").must_fail(2, "node: 64, expected 1 to 63")
    trivium("inspect", made, "--node", "3").must_fail(2, "expected with --tree")
    trivium("inspect", made, "--tree", "--drift").must_fail(2, "--tree and --drift")
    assert not list((store / "segments").glob("*.tree"))


@pytest.fixture
def leaves(trivium, tmp_path):
    """A store whose vectors are distributions over 16 leaves, and how it was built."""
    rows = np.random.default_rng(1).dirichlet(np.full(16, 0.3), size=90)
    corpus = tmp_path / "all.jsonl"
    corpus.write_text("".join(json.dumps({"_id": f"d{i}", "text": f"w{i % 4}"}) + "\n" for i in range(90)))
    file, store = tmp_path / "all.npy", tmp_path / "leaves"
    build = ["build", store, "--corpus", f"docs={corpus}", "--vectors", f"docs={file}", "--json"]
    np.save(file, rows.astype(np.float32))
    trivium(*build).json
    return store, rows, file, build


def test_a_given_tree(trivium, leaves, tmp_path):
    store, rows, file, build = leaves
    told = trivium("train", "tree", store, "--given", "--json").json
    assert told == {**told, "space": "default", "depth": 4, "documents": 90}
    out = trivium("train", "tree", store, "--given", "--space", "default").out
    assert out.startswith("space default: tree of depth 4 over 90 documents, used from now on (given; bytes")
    (space,) = trivium("inspect", store, "--json").json["spaces"]
    assert space["tree"]["given"] and space["tree"]["documents"] == 90
    assert "given tree of depth 4" in trivium("inspect", store).out
    question = write_npy(tmp_path / "question.npy", [rows[7]])
    for level in (2, 4):
        nodes = rows.reshape(90, 2**level, -1).sum(axis=2)
        exact = np.minimum(nodes, nodes[7]).sum(axis=1)
        search = ["search", store, "--vector", question, "--index", f"tree:{level}", "--json"]
        hits = trivium(*search).json["hits"]
        found = [exact[int(hit["id"][1:])] for hit in hits]
        assert found == pytest.approx(sorted(exact)[:-11:-1], abs=0.02)
        assert [hit["score"] for hit in hits] == pytest.approx(found, abs=0.02)
    tree = trivium("inspect", store, "--tree", "--levels", "4", "--json").json
    assert [node["documents"] for node in tree["nodes"][15:]] == pytest.approx(rows.sum(axis=0), abs=1e-3)
    assert "purity" in trivium("inspect", store, "--tree", "--vector", question).out
    trivium("compact", store, "--json").json
    trivium("verify", store, "--json").json

    before = trivium("inspect", store, "--json").json
    rows[88, 3] = -0.5
    np.save(file, rows.astype(np.float32))
    trivium(*build).must_fail(2, "vector component: -0.5, expected 0 or more", f"{file.name}: row 88")
    assert trivium("inspect", store, "--json").json == before
    wrong = write_npy(tmp_path / "wrong.npy", [rows[88]])
    trivium("search", store, "--vector", wrong).must_fail(2, "component 3: -0.5")
    trivium("train", "tree", store, *QUICK).must_fail(1, "without a given tree")
    trivium("train", "tree", store, "--space", "default", *QUICK, "--json").json
    assert not trivium("inspect", store, "--json").json["spaces"][0]["tree"]["given"]


def test_refusals_of_given_trees(trivium, store):
    for beside in (["--use", "partition"], ["--depth", "4"], ["--entropy-weight", "1"], ["--ignore-gate"]):
        refused = trivium("train", "tree", store, "--given", *beside)
        assert refused.code == 2 and f"{beside[0]} excludes --given" in refused.err
    trivium("train", "tree", store, "--given").must_fail(2, "document 'd", "expected 0 or more")
    trivium("train", "tree", store, "--given", "--space", "absent").must_fail(3, "absent")


def test_an_entropy_weight(trivium, store):
    entropies = []
    for weight in ("0", "5"):
        report = trivium("train", "tree", store, *QUICK, "--entropy-weight", weight, "--json").json
        entropies.append(report["spaces"][0]["levels"][-1]["entropy"])
    assert entropies[1] < entropies[0]
    trivium("train", "tree", store, "--entropy-weight", "-1").must_fail(
        2, "entropy_weight: -1, expected 0 or"
    )


def test_an_interrupted_training_goes_on_to_the_same_tree(trivium, store, environment, tmp_path):
    whole, at = tmp_path / "whole", tmp_path / "at"
    shutil.copytree(store, whole)
    train = ["--depth", "5", "--steps", "4000", "--threads", "1", "--ignore-gate", "--json"]
    steps = trivium("train", "tree", whole, *train).json["spaces"][0]["steps"]
    command = [BINARY, "train", "tree", store, *train, "--checkpoint", at]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        while not at.exists() and process.poll() is None:  # after the first 1,000 steps
            time.sleep(0.005)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    said = b"trivium: interrupted; the same command takes it from there\n"
    assert (process.returncode, out, err) == (130, b"", said)
    assert at.exists() and not list((store / "segments").glob("*.tree"))
    report = trivium("train", "tree", store, *train, "--checkpoint", at).json
    assert report["spaces"][0]["steps"] == steps and not at.exists()
    (once,), (twice,) = ((folder / "segments").glob("*.tree") for folder in (whole, store))
    assert once.read_bytes() == twice.read_bytes()


def test_a_tree_of_a_store_of_another_metric(trivium, data, tmp_path):
    store, (name,) = tmp_path / "flat", DOMAINS[:1]
    trivium(
        "build",
        store,
        "--corpus",
        f"{name}={data / name}.jsonl",
        "--vectors",
        f"{name}={data / name}.npy",
        "--metric",
        "squared_l2",
        "--json",
    ).json
    trivium("train", "tree", store).must_fail(1, "no space of the cosine metric")


def test_json_of_search_and_training_parses(with_tree):
    _, report = with_tree
    assert json.loads(json.dumps(report)) == report
