# SPDX-License-Identifier: Apache-2.0
"""trivium train graph."""

import json
import os
import pty
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from conftest import BINARY, fake_encoder
from questions_apart import QuestionsApart
from retrieval_files import write_json_lines

ROWS, DIMENSION, QUESTIONS = 2500, 48, 400
DATA = QuestionsApart(ROWS, DIMENSION)
FIELDS = {
    "space",
    "partition",
    "rows",
    "enabled",
    "reason",
    "training_queries",
    "validation_queries",
    "entries",
    "edges_added",
    "edges_replaced",
    "hops_before",
    "hops_after",
    "hop_ratio",
    "hop_ratio_interval",
    "row_hop_ratio",
}


def write_questions(folder, name, rows):
    """NAME.jsonl and NAME.npy."""
    write_json_lines(
        folder / f"{name}.jsonl", [{"_id": f"q{i}", "text": f"text {i}"} for i in range(len(rows))]
    )
    np.save(folder / f"{name}.npy", np.asarray(rows, np.float32))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Corpora `law` and `tiny`, questions in two files `a` and `b`, of which the first is large enough."""
    folder = tmp_path_factory.mktemp("files")
    for name, count in (("law", ROWS), ("tiny", 50)):
        write_json_lines(
            folder / f"{name}.jsonl", [{"_id": f"{name}{i}", "text": f"t {i}"} for i in range(count)]
        )
        np.save(folder / f"{name}.npy", DATA.rows[:count])
    write_questions(folder, "a", DATA.ask(QUESTIONS, seed=1))
    write_questions(folder, "b", DATA.ask(60, seed=2))
    return folder


@pytest.fixture(scope="module")
def made(trivium, files, tmp_path_factory):
    """A store of a partition with a graph to train and one without. Not to be written to."""
    store = tmp_path_factory.mktemp("made") / "store"
    corpora = ["--corpus", *(f"{n}={files / n}.jsonl" for n in ("law", "tiny"))]
    vectors = ["--vectors", *(f"{n}={files / n}.npy" for n in ("law", "tiny"))]
    trivium("build", store, *corpora, *vectors, "--json").json
    return store


@pytest.fixture
def store(made, tmp_path):
    """A copy of it to write to."""
    shutil.copytree(made, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture(scope="module")
def held(trivium, files):
    """held(store): what it holds and finds."""
    np.save(files / "one.npy", DATA.ask(1, seed=3))

    def read(store):
        hits = [
            trivium("search", store, "--vector", files / "one.npy", "--index", index, "--json").json["hits"]
            for index in ("graph", "exact")
        ]
        segments = {path.name: path.read_bytes() for path in (store / "segments").iterdir()}
        return {**trivium("inspect", store, "--json").json, "path": None}, hits, segments

    return read


@pytest.fixture(scope="module")
def original(made, held):
    return held(made)


def questions(folder, *names, vectors=True):
    arguments = ["--queries", *(folder / f"{name}.jsonl" for name in names)]
    return (
        [*arguments, "--query-vectors", *(folder / f"{name}.npy" for name in names)] if vectors else arguments
    )


def trainings(info):
    return {s["partition"]: [t is not None for t in s["training"]] for s in info["vector_sets"]}


def test_a_graph_is_trained_and_shown_by_inspect(trivium, files, store, held, original):
    report = trivium("train", "graph", store, *questions(files, "a"), "--seed", 3, "--json").json
    assert set(report) == {"graphs", "too_small", "seconds"}
    assert report["too_small"] == 1 and report["seconds"] > 0
    (graph,) = report["graphs"]
    assert set(graph) >= FIELDS
    assert (graph["partition"], graph["rows"], graph["enabled"]) == ("law", ROWS, True)
    assert graph["validation_queries"] == QUESTIONS // 5 and graph["edges_added"] > 0
    low, high = graph["hop_ratio_interval"]
    assert low <= graph["hop_ratio"] <= high < 1 and graph["reason"]
    info, hits, _ = held(store)
    assert trainings(info) == {"law": [True], "tiny": [False]}
    training = next(s for s in info["vector_sets"] if s["partition"] == "law")["training"][0]
    assert training["seed"] == 3 and training["hops_after"] == graph["hops_after"]
    assert hits[1] == original[1][1]
    assert trivium("verify", store).code == 0
    assert "trained" in trivium("inspect", store).out


def test_text_output_has_a_row_a_graph_and_the_reason(trivium, files, store):
    outcome = trivium("train", "graph", store, *questions(files, "a"))
    assert outcome.code == 0 and outcome.err == ""
    header, row, *rest = outcome.out.splitlines()
    assert header.split()[:3] == ["graph", "space", "vectors"]
    assert row.split()[0] == "law" and row.split()[-1] == "yes" and "2,500" in row
    assert rest[0].startswith("law: hops at equal recall")
    assert rest[1].startswith("law: ratio after each round 0.")
    assert rest[2] == "too small to need it: 1"


def test_nothing_gained_is_no_error_and_changes_nothing(trivium, files, store, held, original):
    """Without edge codes, which 48 dimensions have none of, there are no starting points to learn."""
    arguments = ["train", "graph", store, *questions(files, "a"), "--no-edges"]
    outcome = trivium(*arguments)
    assert outcome.code == 0 and outcome.err == "" and " no\n" in outcome.out and "not fewer" in outcome.out
    assert [graph["enabled"] for graph in trivium(*arguments, "--json").json["graphs"]] == [False]
    assert held(store) == original
    report = trivium(*arguments, "--ignore-gate", "--json").json
    assert [graph["enabled"] for graph in report["graphs"]] == [True]
    assert trainings(held(store)[0])["law"] == [True]


def test_several_files_are_one_set_of_questions(trivium, files, store, made, tmp_path):
    report = trivium("train", "graph", store, *questions(files, "a", "b"), "--json").json
    assert report["graphs"][0]["validation_queries"] == (QUESTIONS + 60) // 5
    together = [np.load(files / f"{name}.npy") for name in ("a", "b")]
    write_questions(tmp_path, "both", np.concatenate(together))
    shutil.copytree(made, tmp_path / "other")
    same = trivium("train", "graph", tmp_path / "other", *questions(tmp_path, "both"), "--json").json
    assert same["graphs"] == report["graphs"]


def test_judgements_are_not_read_and_names_pair_files(trivium, files, store):
    arguments = ["--queries", f"b={files}/b.jsonl", f"a={files}/a.jsonl", "--qrels", "a=no/such/file"]
    arguments += ["--query-vectors", f"a={files}/a.npy", f"b={files}/b.npy", "--no-entries"]
    report = trivium("train", "graph", store, *arguments, "--expert", "law", "--recall", 0.9, "--json").json
    assert [graph["partition"] for graph in report["graphs"]] == ["law"] and report["too_small"] == 0


def test_the_same_for_any_number_of_threads(trivium, files, made, tmp_path):
    reports = []
    for threads in (1, 2):
        shutil.copytree(made, tmp_path / str(threads))
        arguments = [*questions(files, "a"), "--threads", threads, "--json"]
        reports.append(trivium("train", "graph", tmp_path / str(threads), *arguments).json["graphs"])
    assert reports[0] == reports[1]


def test_texts_are_encoded(trivium, files, tmp_path):
    write_json_lines(
        tmp_path / "law.jsonl", [{"_id": f"d{i}", "text": f"word{i} x{i % 50}"} for i in range(2100)]
    )
    command = ["--encoder-command", fake_encoder()]
    corpus = ["--corpus", f"law={tmp_path}/law.jsonl", "--encoder", "fake"]
    trivium("build", tmp_path / "store", *corpus, *command, "--json").json
    arguments = ["train", "graph", tmp_path / "store", *questions(files, "a", vectors=False)]
    report = trivium(*arguments, *command, "--ignore-gate", "--json").json
    assert [graph["enabled"] for graph in report["graphs"]] == [True]
    trivium(*arguments).must_fail(1, "default", "encoder")


@pytest.fixture
def refuse(trivium, store, held, original):
    """refuse(code, mentions, arguments): the command fails like that and the store is as it was."""

    def check(code, mentions, *arguments):
        trivium("train", "graph", store, *arguments).must_fail(code, *mentions)
        assert held(store) == original

    return check


@pytest.mark.parametrize("name", ["a", "b"])
def test_vectors_of_another_length_than_the_queries(files, tmp_path, refuse, name):
    shutil.copytree(files, tmp_path / "files")
    path = tmp_path / "files" / f"{name}.npy"
    rows = np.load(path)
    for wrong in (rows[:-1], np.concatenate([rows, rows[:1]]), rows[:0]):
        np.save(path, wrong)
        mentions = [f"{len(wrong)} rows", f"expected {len(rows)}", path]
        if len(wrong) == 0:
            mentions = [path]
        refuse(2, mentions, *questions(tmp_path / "files", "a", "b"))


@pytest.mark.parametrize("value", [np.nan, np.inf, 0])
def test_vectors_that_are_no_directions(files, tmp_path, refuse, value):
    shutil.copytree(files, tmp_path / "files")
    path = tmp_path / "files" / "b.npy"
    rows = np.load(path)
    rows[33] = value
    np.save(path, rows)
    mentions = [path, "row 33", "finite"] if value else [path, "row 33", "zero", "cosine"]
    refuse(2, mentions, *questions(tmp_path / "files", "a", "b"))


def test_vectors_of_several_dimensions(files, tmp_path, refuse):
    shutil.copytree(files, tmp_path / "files")
    np.save(tmp_path / "files" / "b.npy", np.ones((60, 47), np.float32))
    refuse(2, ["47", "48", "b.npy"], *questions(tmp_path / "files", "a", "b"))
    np.save(tmp_path / "files" / "a.npy", np.ones((QUESTIONS, 47), np.float32))
    refuse(2, ["dimension: 47", "expected 48"], *questions(tmp_path / "files", "a", "b"))
    np.save(tmp_path / "files" / "a.npy", np.ones((QUESTIONS, 0), np.float32))
    refuse(2, ["a.npy"], *questions(tmp_path / "files", "a", "b"))


def test_vectors_for_some_of_the_files(files, refuse):
    arguments = ["--queries", f"a={files}/a.jsonl", f"b={files}/b.jsonl", "--query-vectors"]
    refuse(2, ["vectors", str(QUESTIONS + 60)], *arguments, f"a={files}/a.npy")
    refuse(2, ["vectors", "b.npy"], *arguments, f"b={files}/b.npy")


@pytest.mark.parametrize(
    "code, mentions, names, arguments",
    [
        (2, ["60", "at least 100"], ["b"], []),
        (2, ["neither entries nor edges"], ["a"], ["--no-entries", "--no-edges", "--no-codes"]),
        (2, ["recall: 0"], ["a"], ["--recall", 0]),
        (2, ["threads: -1"], ["a"], ["--threads", -1]),
        (3, ["nobody"], ["a"], ["--expert", "nobody"]),
        (1, ["1 smaller", "2048"], ["a"], ["--expert", "tiny"]),
        (3, ["nowhere"], ["a"], ["--query-vectors", "nowhere:=FOLDER/a.npy"]),
        (2, ["b.npy", "--queries"], ["a"], ["--query-vectors", "FOLDER/b.npy"]),
        (2, ["'x=y'", "--queries"], ["a"], ["--qrels", "x=y"]),
        (3, ["absent.jsonl"], ["a"], ["--queries", "FOLDER/absent.jsonl"]),
    ],
)
def test_bad_arguments(files, refuse, code, mentions, names, arguments):
    filled = [str(argument).replace("FOLDER", str(files)) for argument in arguments]
    refuse(code, mentions, *questions(files, *names), *filled)


def test_texts_without_an_encoder(files, refuse):
    refuse(1, ["default", "encoder"], *questions(files, "a", vectors=False))


def test_malformed_queries(files, tmp_path, refuse):
    shutil.copy(files / "a.npy", tmp_path / "a.npy")
    (tmp_path / "a.jsonl").write_text('{"_id": "q0", "text": "x"}\nnonsense\n')
    refuse(2, ["a.jsonl:2"], *questions(tmp_path, "a"))


def test_flags_are_wrong_before_the_store_is_looked_for(trivium, files, tmp_path):
    absent = tmp_path / "absent"
    for arguments in (["--seed", "few"], ["--recall", "high"], ["--frobnicate"]):
        outcome = trivium("train", "graph", absent, *questions(files, "a"), *arguments)
        assert outcome.code == 2 and outcome.out == "" and outcome.err.count("\n") <= 3
    trivium("train", "graph", absent, *questions(files, "a"), "--recall", 2).must_fail(2, "recall: 2")
    trivium("train", "graph", absent, *questions(files, "a")).must_fail(3, absent)
    assert list(tmp_path.iterdir()) == []


def interrupt(process):
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_interrupted_while_texts_are_encoded(files, environment, tmp_path, trivium):
    corpus = write_json_lines(
        tmp_path / "law.jsonl", [{"_id": f"d{i}", "text": f"w{i}"} for i in range(2100)]
    )
    started, slow = tmp_path / "started", tmp_path / "slow"
    encode = fake_encoder().removeprefix("fake=")
    script = f"if test -e {slow}; then touch {started}; exec sleep 60; fi; exec {encode}"
    command = ["--encoder-command", f"fake={script}"]
    build = ["--corpus", f"law={corpus}", "--encoder", "fake", *command]
    store = tmp_path / "store"
    trivium("build", store, *build, "--json").json
    before = trivium("inspect", store, "--json").json, {p.name for p in (store / "segments").iterdir()}
    slow.touch()
    with subprocess.Popen(
        [BINARY, "train", "graph", store, *questions(files, "a", vectors=False), *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        for _ in range(500):
            if started.exists() or process.poll() is not None:
                break
            time.sleep(0.02)
        assert process.poll() is None, process.stderr.read()
        trivium("compact", store).must_fail(6, store)
        assert interrupt(process) == (130, b"", b"trivium: interrupted\n")
    after = trivium("inspect", store, "--json").json, {p.name for p in (store / "segments").iterdir()}
    assert after == before


def test_interrupted_while_it_learns(environment, store, held, original, tmp_path, trivium):
    """Standard error is a terminal, where progress shows when learning has begun."""
    write_questions(tmp_path, "many", DATA.ask(20_000, seed=1))
    command = [
        "train",
        "graph",
        store,
        *questions(tmp_path, "many"),
        "--ignore-gate",  # so many for so few rows harm these
        "--checkpoint",
        tmp_path / "at",
        "--json",
    ]
    terminal, other_end = pty.openpty()
    with subprocess.Popen(
        [BINARY, *command],
        stdout=subprocess.PIPE,
        stderr=other_end,
        env={**environment, "TERM": "xterm"},
    ) as process:
        os.close(other_end)
        shown = b""
        try:
            while b"edges" not in shown:
                shown += os.read(terminal, 1000)
            process.send_signal(signal.SIGINT)
        except OSError:  # it has ended
            pass
        out, _ = process.communicate(timeout=60)
        try:
            while data := os.read(terminal, 1000):
                shown += data
        except OSError:  # the end of a terminal
            os.close(terminal)
    assert (process.returncode, out) == (130, b"")
    assert shown.endswith(b"trivium: interrupted; the same command takes it from there\r\n")
    assert held(store) == original
    assert json.dumps(original[0]).count("training") == 2
    assert (tmp_path / "at").exists()
    trivium(*command, "--seed", 1).must_fail(1, tmp_path / "at", "another training")
    assert trivium(*command).json["graphs"][0]["enabled"]
    assert not (tmp_path / "at").exists()


def test_queries_are_made_where_none_are_given(trivium, files, tmp_path):
    letters = ["".join("abcdefghij"[int(digit)] for digit in str(i)) for i in range(2100)]
    lines = [{"_id": f"d{i}", "title": f"word {text}", "text": f"x{i}"} for i, text in enumerate(letters)]
    write_json_lines(tmp_path / "law.jsonl", lines)
    command = ["--encoder-command", fake_encoder()]
    store = tmp_path / "store"
    trivium(
        "build", store, "--corpus", f"law={tmp_path}/law.jsonl", "--encoder", "fake", *command, "--json"
    ).json
    (graph,) = trivium("train", "graph", store, *command, "--ignore-gate", "--json").json["graphs"]
    assert graph["generated"] is True and graph["enabled"] is True
    assert 400 < graph["training_queries"] + graph["validation_queries"] <= 2100
    assert "made from the documents" in trivium("train", "graph", store, *command).out
    trivium("train", "graph", store).must_fail(1, "encoder")
    (tmp_path / "empty.jsonl").write_text("")
    trivium("train", "graph", store, "--queries", tmp_path / "empty.jsonl", *command).must_fail(
        2, "queries: 0"
    )
