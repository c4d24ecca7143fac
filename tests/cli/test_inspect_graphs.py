# SPDX-License-Identifier: Apache-2.0
"""trivium inspect --drift and --walk, and graphs that are taught again."""

import shutil

import numpy as np
import pytest
from conftest import fake_encoder
from questions_apart import QuestionsApart
from retrieval_files import write_json_lines

ROWS, DIMENSION, QUESTIONS = 2500, 48, 400
DATA = QuestionsApart(ROWS, DIMENSION)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    write_json_lines(folder / "law.jsonl", [{"_id": f"d{i}", "text": f"t {i}"} for i in range(ROWS)])
    write_json_lines(folder / "q.jsonl", [{"_id": f"q{i}", "text": f"t {i}"} for i in range(QUESTIONS)])
    np.save(folder / "law.npy", DATA.rows)
    np.save(folder / "q.npy", DATA.ask(QUESTIONS, seed=1))
    np.save(folder / "one.npy", DATA.ask(1, seed=3))
    return folder


@pytest.fixture(scope="module")
def untrained(trivium, files, tmp_path_factory):
    store = tmp_path_factory.mktemp("untrained") / "store"
    trivium(
        "build", store, "--corpus", f"law={files}/law.jsonl", "--vectors", f"law={files}/law.npy", "--json"
    ).json
    return store


@pytest.fixture(scope="module")
def made(trivium, files, untrained, tmp_path_factory):
    """A trained store. Not to be written to."""
    store = tmp_path_factory.mktemp("made") / "store"
    shutil.copytree(untrained, store)
    queries = ["--queries", files / "q.jsonl", "--query-vectors", files / "q.npy"]
    assert trivium("train", "graph", store, *queries, "--json").json["graphs"][0]["enabled"]
    return store


@pytest.fixture
def store(made, tmp_path):
    shutil.copytree(made, tmp_path / "store")
    return tmp_path / "store"


def test_drift_of_the_queries_held_out(trivium, made):
    (graph,) = trivium("inspect", made, "--drift", "--vertices", 3, "--json").json["graphs"]
    assert (graph["space"], graph["partition"], graph["rows"]) == ("default", "law", ROWS)
    assert graph["queries"] == QUESTIONS // 5 and graph["edges_kept"] == 1 and not graph["train_again"]
    low, high = graph["hop_ratio_interval"]
    assert low <= graph["hop_ratio"] == graph["hop_ratio_then"] <= high < 1
    assert graph["hops"] < graph["hops_untaught"]
    assert len(graph["helpful"]) == 3 and graph["helpful"][0]["led"] >= graph["helpful"][2]["led"]
    assert all(use["id"].startswith("d") for use in graph["helpful"] + graph["harmful"])
    outcome = trivium("inspect", made, "--drift")
    assert outcome.out.startswith("law, space default: as it should be (80 canary queries)")
    assert "most helpful" in outcome.out and "most harmful" in outcome.out


def test_drift_of_other_queries_and_after_deletions(trivium, files, store):
    queries = ["--queries", files / "q.jsonl", "--query-vectors", files / "q.npy"]
    before = trivium("inspect", store, "--drift", *queries, "--json").json["graphs"][0]
    assert before["queries"] == QUESTIONS
    ids = store.parent / "ids"
    ids.write_text("".join(f"{use['id']}\n" for use in before["helpful"]))
    trivium("delete", store, "--ids", ids, "--json").json
    after = trivium("inspect", store, "--drift", *queries, "--json").json["graphs"][0]
    assert [use["id"] for use in after["helpful"]] == [None] * 10  # sealed still, until compact
    report = trivium("compact", store, "--json").json
    assert (report["graphs_taught"], report["graphs_left_untaught"]) == (1, 0)
    (graph,) = trivium("inspect", store, "--drift", "--json").json["graphs"]
    assert graph["rows"] == ROWS - 10 and None not in [use["id"] for use in graph["helpful"]]
    assert trivium("verify", store).code == 0


def test_fine_tuning_needs_no_new_queries(trivium, files, store):
    (graph,) = trivium("train", "graph", store, "--fine-tune", "--ignore-gate", "--json").json["graphs"]
    assert graph["validation_queries"] == ROWS // 8 // 5 and graph["former_hop_ratio"] > 0
    (store.parent / "ids").write_text("d0\n")
    trivium("delete", store, "--ids", store.parent / "ids", "--json").json
    assert "graphs taught again: 1 of 1\n" in trivium("compact", store).out


def test_a_walk_with_and_without_what_was_learned(trivium, files, made, untrained):
    question = ["--vector", files / "one.npy", "--beam-width", 16]
    (graph,) = trivium("inspect", made, *question, "--json").json["graphs"]
    walk, untaught = graph["walk"], graph["untaught"]
    hits = trivium("search", made, *question, "--index", "graph", "--json").json
    assert walk["found"] == [hit["id"] for hit in hits["hits"]]
    assert walk["hops"] == len(walk["vertices"]) == hits["trace"]["hops"]
    assert walk["distance_computations"] == hits["trace"]["distance_computations"]
    assert 0 <= walk["recall"] <= 1 and walk["vertices"][0]["origin"] == -1
    plain = trivium("inspect", untrained, *question, "--json").json["graphs"][0]
    assert plain["untaught"] is None and plain["walk"] == untaught
    assert not any(vertex["learned"] for vertex in untaught["vertices"])
    outcome = trivium("inspect", made, *question, "-k", 3)
    assert outcome.code == 0 and "untaught" in outcome.out
    assert len(outcome.out.splitlines()) > 5


def test_a_walk_of_a_text(trivium, files, tmp_path):
    write_json_lines(
        tmp_path / "law.jsonl", [{"_id": f"d{i}", "text": f"w{i} x{i % 50}"} for i in range(2100)]
    )
    command = ["--encoder-command", fake_encoder()]
    corpus = ["--corpus", f"law={tmp_path}/law.jsonl", "--encoder", "fake"]
    trivium("build", tmp_path / "store", *corpus, *command, "--json").json
    walk = ["inspect", tmp_path / "store", "--walk", "w7 x7"]
    (graph,) = trivium(*walk, *command, "--expert", "law", "--json").json["graphs"]
    assert graph["walk"]["found"][0] == "d7"
    trivium(*walk).must_fail(1, "default", "encoder")


@pytest.mark.parametrize(
    "code, mentions, arguments",
    [
        (2, ["--drift", "--walk"], ["--drift", "--walk", "x"]),
        (2, ["recall: 2"], ["--drift", "--recall", 2]),
        (2, ["1001"], ["--drift", "--vertices", 1001]),
        (3, ["nobody"], ["--drift", "--expert", "nobody"]),
        (3, ["nobody"], ["--vector", "FOLDER/one.npy", "--expert", "nobody"]),
        (2, ["400 rows", "expected 1"], ["--vector", "FOLDER/q.npy"]),
        (2, ["k: 0"], ["--vector", "FOLDER/one.npy", "-k", 0]),
        (3, ["absent"], ["--drift", "--queries", "FOLDER/absent.jsonl"]),
        (1, ["encoder"], ["--drift", "--queries", "FOLDER/q.jsonl"]),
    ],
)
def test_bad_arguments(trivium, files, made, code, mentions, arguments):
    filled = [str(argument).replace("FOLDER", str(files)) for argument in arguments]
    trivium("inspect", made, *filled).must_fail(code, *mentions)


def test_of_a_store_that_nothing_taught(trivium, files, untrained, tmp_path):
    trivium("inspect", untrained, "--drift").must_fail(1, "no trained graph")
    trivium("train", "graph", untrained, "--fine-tune").must_fail(2, "0, expected at least 100")
