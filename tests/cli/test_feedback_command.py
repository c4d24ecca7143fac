# SPDX-License-Identifier: Apache-2.0
"""feedback, quarantine, and what inspect shows of them."""

import json
import shutil

import pytest
from conftest import DOMAINS
from fake_encoder import embed
from retrieval_files import Collection, write_npy


@pytest.fixture
def kb(trained_store, tmp_path):
    shutil.copytree(trained_store, tmp_path / "kb")
    return tmp_path / "kb"


@pytest.fixture
def answer(trivium, kb, tmp_path):
    """What search printed for a question, with its vector."""
    vector = embed(Collection(DOMAINS[0]).queries[0]["text"])
    write_npy(tmp_path / "v.npy", [vector])
    found = trivium("search", kb, "--vector", tmp_path / "v.npy", "--json").json
    return {**found, "vector": [float(x) for x in vector]}


def write(path, *lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_feedback_is_read_kept_and_shown(trivium, kb, answer, tmp_path):
    best = answer["hits"][0]
    file = write(
        tmp_path / "f.jsonl",
        {**answer, "relevant": [best["id"]]},
        {**answer, "clicked": [{"id": best["id"], "partition": best["partition"]}], "source": "someone"},
        {**answer, "clicked": []},
    )
    report = trivium("feedback", kb, "--file", file, "--json").json
    assert (report["kept"], report["in_use"], report["quarantined"]) == (3, 3, [])
    assert "3 feedbacks kept" in trivium("feedback", kb, "--file", file).out
    assert trivium("inspect", kb, "--json").json["dispatch"]["feedback"] == 6
    assert " 6 feedbacks (" in trivium("inspect", kb).out


def test_bad_lines_are_named_and_change_nothing(trivium, kb, answer, tmp_path):
    good = {**answer, "relevant": []}
    for bad, mention in (
        ({**answer}, "neither given"),
        ({**answer, "relevant": ["nobody"]}, "'nobody', expected one of the"),
        ({**answer, "relevant": "x"}, "expected a list"),
        ({**good, "vector": ["x"]}, "expected a number"),
        ({key: value for key, value in good.items() if key != "hits"}, "hits: absent"),
        ({key: value for key, value in good.items() if key != "vector"}, "neither a vector"),
        ([], "not a JSON object"),
    ):
        file = write(tmp_path / "f.jsonl", good, bad)
        trivium("feedback", kb, "--file", file).must_fail(2, mention)
    trivium("feedback", kb, "--file", tmp_path / "absent").must_fail(3, "absent")
    trivium("feedback", kb, "--file", write(tmp_path / "f.jsonl")).must_fail(2, "none, expected at least one")
    assert trivium("inspect", kb, "--json").json["dispatch"]["feedback"] == 0


def test_feedback_needs_trained_dispatch(trivium, store, answer, tmp_path):
    file = write(tmp_path / "f.jsonl", {**answer, "relevant": []})
    trivium("feedback", store, "--file", file).must_fail(1, "dispatch is not trained")


def test_quarantine_is_shown_and_lifted(trivium, kb):
    assert trivium("quarantine", kb, DOMAINS[0], "--reason", "moved house", "--json").json == {
        "expert": DOMAINS[0],
        "quarantined": True,
    }
    experts = {one["name"]: one for one in trivium("inspect", kb, "--json").json["experts"]}
    assert experts[DOMAINS[0]]["quarantine"] == "moved house"
    assert f"{DOMAINS[0]} is in quarantine: moved house" in trivium("inspect", kb).out
    trivium("quarantine", kb, DOMAINS[0], "--lift", "--json")
    experts = {one["name"]: one for one in trivium("inspect", kb, "--json").json["experts"]}
    assert experts[DOMAINS[0]]["quarantine"] is None
    trivium("quarantine", kb, "nobody").must_fail(3, "nobody")
    trivium("quarantine", kb, DOMAINS[0], "--lift", "--reason", "x").must_fail(2, "--reason")
