# SPDX-License-Identifier: Apache-2.0
"""search and evaluate within limits: --allowed, --partitions, --cost, --budget; --route and --explain."""

import json

import pytest
from conftest import DOMAINS, query_arguments
from fake_encoder import embed
from retrieval_files import Collection, write_npy


@pytest.fixture
def ask(trivium, trained_store, tmp_path):
    def search(*arguments, domain="law"):
        write_npy(tmp_path / "v.npy", [embed(Collection(domain).queries[3]["text"])])
        return trivium("search", trained_store, "--vector", tmp_path / "v.npy", *arguments)

    return search


def chosen(answer):
    return [one["expert"] for one in answer["route"]["experts"] if one["chosen"]]


def test_only_allowed_experts_answer(ask):
    answer = ask("--allowed", "cooking,medical", "--json").json
    assert set(chosen(answer)) <= {"cooking", "medical"}
    why = {one["expert"]: one for one in answer["route"]["experts"]}
    assert why["law"]["reason"] == "not allowed" and why["law"]["probability"] == 0
    assert "not allowed" in ask("--allowed", "cooking", "--explain").out


def test_only_documents_of_the_partitions_are_found(ask):
    answer = ask("--partitions", "cooking,medical", "--experts", "all", "-k", 500, "--json").json
    assert {hit["partition"] for hit in answer["hits"]} == {"cooking", "medical"}
    assert answer["trace"]["vector_sets"] == 2


def test_the_dial_goes_from_one_expert_to_all(ask):
    counts = [len(chosen(ask("--cost", cost, "--json").json)) for cost in (0, 0.4, 0.7, 1)]
    assert counts[0] == 1 and counts[-1] == len(DOMAINS) and counts == sorted(counts)
    answer = ask("--budget", 1, "--json").json
    assert len(chosen(answer)) == 1
    assert len(chosen(ask("--budget", 1000000, "--json").json)) == len(DOMAINS)


@pytest.mark.parametrize(
    ("arguments", "code", "mentions"),
    [
        (["--allowed", "surgery"], 3, ["allowed expert: 'surgery'", "medical, law, cooking"]),
        (["--allowed", ""], 2, ["--allowed: ''", "A,B"]),
        (["--partitions", ","], 2, ["--partitions: ','"]),
        (["--partitions", "attic"], 3, ["partition: 'attic'", "medical, law, cooking"]),
        (["--allowed", "law", "--experts", "law,cooking"], 2, ["expert: 'cooking'", "allowed"]),
        (["--allowed", "law", "--partitions", "cooking"], 2, ["allowed experts: none"]),
        (["--cost", "2"], 2, ["cost: 2"]),
        (["--cost", "0.5", "--budget", "7"], 2, ["cost: given with a budget"]),
        (["--budget", "0"], 2, ["budget: 0"]),
        (["--budget", "7", "--top-p", "0.5"], 2, ["budget: given with top_p"]),
        (["--route", "absent.json"], 3, ["--route: no file", "absent.json"]),
    ],
)
def test_bad_limits_are_named(ask, arguments, code, mentions):
    ask(*arguments).must_fail(code, *mentions)


def test_an_answer_is_taken_again_from_its_json(ask, tmp_path):
    for arguments in ([], ["--experts", "cooking,law"], ["--router", "knn_utility"], ["--explain"]):
        first = ask(*arguments, "--json")
        for name, text in (("answer", first.out), ("route", json.dumps(first.json["route"]))):
            (tmp_path / name).write_text(text)
            again = ask("--route", tmp_path / name, "--json").json
            assert again["hits"] == first.json["hits"]
            told = {**first.json["route"], "explanation": None}
            assert again["route"] == told
    (tmp_path / "bad").write_text('{"mode": "auto", "experts": 7}')
    ask("--route", tmp_path / "bad").must_fail(2, "route: experts: of type number", tmp_path / "bad")
    ask("--route", tmp_path / "answer", "--experts", "law").must_fail(2, "route: given with experts")


def test_explain_tells_of_pilots_and_margins(ask):
    answer = ask("--router", "knn_utility", "--max-experts", 1, "--explain", "--json").json
    why = answer["route"]["explanation"]
    assert why["expert"] == chosen(answer)[0] and len(why["pilots"]) == 10
    told = sum(pilot["contribution"] for pilot in why["pilots"])
    told += why["other_contribution"] + why["prior_contribution"]
    assert told == pytest.approx(answer["route"]["experts"][0]["utility"], abs=1e-5)
    assert why["left_out"]["needed"] > why["left_out"]["utility"]
    text = ask("--router", "knn_utility", "--max-experts", 1, "--explain").out
    for words in ("near pilot", "share of votes", "prior", "left out first: ", "asked last: "):
        assert words in text
    assert ask("--json").json["route"]["explanation"] is None


def test_evaluate_takes_the_limits(trivium, data, trained_store):
    def run(*arguments):
        return trivium("evaluate", trained_store, *query_arguments(data, "test"), *arguments, "--json").json

    assert run("--cost", 0)["macro"]["experts_per_query"] == 1
    assert run("--cost", 1)["macro"]["experts_per_query"] == len(DOMAINS)
    assert run("--budget", 1)["macro"]["experts_per_query"] == 1
    only = run("--partitions", "law", "--experts", "all")["macro"]
    assert only["experts_per_query"] == 1
    assert run("--allowed", "law")["macro"]["ndcg@10"] == pytest.approx(only["ndcg@10"])
