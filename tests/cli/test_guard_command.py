# SPDX-License-Identifier: Apache-2.0
"""train dispatch --background, and search --on-reject."""

import shutil

import pytest
from conftest import DOMAINS, query_arguments
from fake_encoder import embed
from retrieval_files import Collection, write_json_lines, write_npy


@pytest.fixture(scope="module")
def background(tmp_path_factory):
    """The flags that name 40 queries of a domain that the store does not have."""
    folder = tmp_path_factory.mktemp("background")
    queries = Collection("sailing").queries
    write_json_lines(folder / "q.jsonl", queries)
    write_npy(folder / "q.npy", [embed(query["text"]) for query in queries])
    return ["--background", folder / "q.jsonl", "--background-vectors", folder / "q.npy"]


@pytest.fixture(scope="module")
def guarded(trivium, data, built_store, background, tmp_path_factory):
    """The built store with dispatch and a guard, and the report. Not to be written to."""
    store = tmp_path_factory.mktemp("guarded") / "store"
    shutil.copytree(built_store, store)
    report = trivium(
        "train",
        "dispatch",
        store,
        *query_arguments(data, "train"),
        *background,
        "--guard-acceptance",
        0,
        "--json",
    ).json
    return store, report


@pytest.fixture
def ask(trivium, guarded, tmp_path):
    def search(text, *arguments):
        write_npy(tmp_path / "v.npy", [embed(text)])
        return trivium("search", guarded[0], "--vector", tmp_path / "v.npy", *arguments)

    return search


def test_training_reports_the_guard_and_inspect_shows_it(trivium, guarded):
    store, report = guarded
    guard = report["guard"]
    assert guard["enabled"] and guard["reason"]
    assert (guard["queries"], guard["background"]) == (60, 40)
    assert guard["acceptance"] + guard["rejection"] > 1.1  # chance: 1; the best balance was asked for
    assert guard["auroc_interval"][0] <= guard["auroc"] <= guard["auroc_interval"][1]
    assert trivium("inspect", store, "--json").json["dispatch"]["guard"] == guard
    assert "guard: on by default: tells them apart" in trivium("inspect", store).out


def test_a_store_without_background_has_no_guard(trivium, trained_store):
    assert trivium("inspect", trained_store, "--json").json["dispatch"]["guard"] is None
    assert "guard" not in trivium("inspect", trained_store).out


def test_search_answers_a_rejected_query_as_it_is_told(ask):
    foreign = Collection("sailing").queries[0]["text"]
    answer = ask(foreign, "--json").json
    assert answer["route"]["rejected"] is True and 0 <= answer["route"]["in_domain"] < 0.5
    assert len(answer["hits"]) == 10
    assert len(ask(foreign, "--on-reject", "plain", "--json").json["hits"]) == 10
    nothing = ask(foreign, "--on-reject", "nothing", "--json").json
    assert nothing["hits"] == [] and nothing["route"]["fusion"] == "none"
    text = ask(foreign, "--on-reject", "nothing", "--explain").out
    assert "no hits" in text and "rejected as out of domain -> none" in text
    assert "in domain with probability 0." in text
    ask(foreign, "--on-reject", "never").must_fail(2, "on_reject: 'never', expected all, plain or nothing")


def test_search_answers_a_query_of_a_domain_in_any_case(ask, data):
    text = Collection(DOMAINS[0]).queries[0]["text"]
    answer = ask(text, "--on-reject", "nothing", "--json").json
    assert answer["route"]["rejected"] is False and answer["route"]["in_domain"] > 0.5
    assert len(answer["hits"]) == 10


@pytest.mark.parametrize(
    ("arguments", "code", "mention"),
    [
        (["--background", "absent.jsonl"], 3, "absent.jsonl"),
        (["--background-vectors", "absent.npy"], 2, "--background-vectors: 'absent.npy'"),
        (["--guard-acceptance", "1"], 2, "guard acceptance: 1"),
    ],
)
def test_bad_flags_are_named(trivium, data, store, background, arguments, code, mention):
    files = background if arguments[0] == "--guard-acceptance" else []
    trivium("train", "dispatch", store, *query_arguments(data, "train"), *files, *arguments).must_fail(
        code, mention
    )


def test_too_few_background_queries_are_refused(trivium, data, store, tmp_path):
    write_json_lines(tmp_path / "few.jsonl", [{"_id": f"b{i}", "text": "x"} for i in range(3)])
    write_npy(tmp_path / "few.npy", [embed("x")] * 3)
    flags = ["--background", tmp_path / "few.jsonl", "--background-vectors", tmp_path / "few.npy"]
    outcome = trivium("train", "dispatch", store, *query_arguments(data, "train"), *flags)
    outcome.must_fail(2, "3 background queries, expected at least 10")
    assert trivium("inspect", store, "--json").json["dispatch"]["trained"] is False
