# SPDX-License-Identifier: Apache-2.0
"""search: hits, route and trace."""

import json

import pytest
from conftest import DOMAINS, corpus_arguments, fake_encoder
from fake_encoder import embed
from retrieval_files import Collection, write_json_lines, write_npy


@pytest.fixture(scope="module")
def text_store(trivium, data, tmp_path_factory):
    """A store whose space names an encoder."""
    store = tmp_path_factory.mktemp("text") / "store"
    corpora = ["--corpus", *(f"{n}={data / n}.jsonl" for n in DOMAINS)]
    trivium("build", store, *corpora, "--encoder", "fake", "--encoder-command", fake_encoder(), "--json").json
    return store


@pytest.fixture
def ask(trivium, text_store):
    def run(*arguments, **options):
        return trivium("search", text_store, *arguments, "--encoder-command", fake_encoder(), **options)

    return run


def question(domain="law", index=3):
    return Collection(domain).queries[index]["text"]


def best_document(domain="law", index=3):
    return Collection(domain).judgements[index][1]


def test_hits_carry_rank_score_origin_text_and_metadata(ask):
    found = ask(question(), "-k", 5, "--json").json
    hits = found["hits"]
    assert [hit["rank"] for hit in hits] == [1, 2, 3, 4, 5]
    assert sorted((hit["score"] for hit in hits), reverse=True) == [hit["score"] for hit in hits]
    top = hits[0]
    assert (top["partition"], top["id"], top["expert"]) == ("law", best_document(), "law")
    number = int(best_document()[1:])
    assert top["text"] == Collection("law").document_texts()[number]
    assert top["metadata"] == Collection("law").documents[number]["metadata"]


def test_route_and_trace_tell_what_was_searched(ask):
    found = ask(question(), "--experts", "law,cooking", "--json").json
    assert found["route"]["mode"] == "named"
    assert {e["expert"] for e in found["route"]["experts"] if e["chosen"]} == {"law", "cooking"}
    assert {hit["partition"] for hit in found["hits"]} <= {"law", "cooking"}
    trace = found["trace"]
    assert trace["vector_sets"] == 2 and trace["encoder_calls"] == 1
    assert trace["distance_computations"] > 0 and trace["total_us"] > 0
    assert trace["bytes_read"] >= 64 * trace["distance_computations"]


def test_text_output_shows_hits_and_route(ask):
    outcome = ask(question(), "-k", 2)
    assert outcome.code == 0 and outcome.err == ""
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["rank", "score", "expert", "document", "text"]
    assert f"law/{best_document()}" in lines[1]
    assert lines[3].startswith("route: ")


def test_explain_adds_the_experts_and_the_cost(ask):
    plain = ask(question(), "-k", 2).out
    explained = ask(question(), "-k", 2, "--explain").out
    assert len(explained) > len(plain)
    for word in (*DOMAINS, "probability", "distances", "bytes read", "encoder calls", "time:"):
        assert word in explained


def test_the_second_look_is_a_choice_of_on_or_off(ask):
    on, off = (ask(question(), "--second-look", look, "--json").json for look in ("on", "off"))
    assert on["hits"] == off["hits"]  # nothing is trained, so nothing is looked at again
    assert on["route"]["widened"] is False
    assert all(expert["revised"] is None for expert in on["route"]["experts"])
    ask(question(), "--second-look", "maybe").must_fail(2, "--second-look: 'maybe'", "on or off")


def test_memory_is_a_choice_of_on_or_off(ask):
    on, off = (ask(question(), "--memory", memory, "--json").json for memory in ("on", "off"))
    assert on["hits"] == off["hits"]  # nothing is trained, so nothing is remembered
    assert on["route"]["remembered"] == off["route"]["remembered"] == 0
    ask(question(), "--memory", "maybe").must_fail(2, "--memory: 'maybe'", "on or off")


def test_exact_and_graph_agree_on_a_small_store(ask):
    ids = [
        [h["id"] for h in ask(question(), "--index", i, "--json").json["hits"]] for i in ("exact", "graph")
    ]
    assert ids[0] == ids[1]


def test_filter_leaves_only_what_passes_and_still_k_hits(ask):
    condition = {
        "and": [{"field": "year", "op": ">=", "value": 2010}, {"field": "parity", "op": "==", "value": "odd"}]
    }
    hits = ask(question(), "-k", 20, "--filter", json.dumps(condition), "--json").json["hits"]
    assert len(hits) == 20
    assert all(hit["metadata"]["year"] >= 2010 and hit["metadata"]["parity"] == "odd" for hit in hits)


def test_k_larger_than_the_store_returns_all(ask):
    assert len(ask(question(), "-k", 10000, "--experts", "all", "--json").json["hits"]) == 180


def test_a_vector_asks_without_any_encoder(trivium, text_store, tmp_path):
    write_npy(tmp_path / "q.npy", [embed(question())])
    for vector in (f"{tmp_path}/q.npy", f"default={tmp_path}/q.npy"):
        found = trivium("search", text_store, "--vector", vector, "--json").json
        assert found["hits"][0]["id"] == best_document()
        assert found["trace"]["encoder_calls"] == 0


@pytest.mark.parametrize("text", ["build", "[a, b]", "--help me", "-1", "a=b", "{}", "ünïcode ✓", "'quoted'"])
def test_any_text_can_be_asked(trivium, text_store, text):
    command = ["--encoder-command", fake_encoder(), "--json"]
    assert len(trivium("search", *command, "--", text_store, text).json["hits"]) == 10
    if not text.startswith("-"):
        assert len(trivium("search", text_store, text, *command).json["hits"]) == 10


def test_the_encoder_comes_from_the_users_configuration(trivium, text_store, tmp_path):
    command = fake_encoder().split("=", 1)[1]
    (tmp_path / "config.json").write_text(json.dumps({"encoders": {"fake": command}}))
    folder = tmp_path / "config" / "trivium"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"encoders": {"fake": command}}))
    for env in ({"TRIVIUM_CONFIG": tmp_path / "config.json"}, {"XDG_CONFIG_HOME": tmp_path / "config"}):
        assert len(trivium("search", text_store, question(), "--json", env=env).json["hits"]) == 10


@pytest.mark.parametrize(
    "text", ["[]", "{", '{"encoder": {}}', '{"encoders": []}', '{"encoders": {"fake": 1}}']
)
def test_a_wrong_users_configuration_is_named(trivium, text_store, tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    trivium("search", text_store, "x", env={"TRIVIUM_CONFIG": tmp_path / "config.json"}).must_fail(
        2, "config.json"
    )


def test_control_characters_of_a_document_do_not_reach_the_terminal(trivium, tmp_path):
    write_json_lines(tmp_path / "a.jsonl", [{"_id": "x", "text": "red \x1b[31m bell \x07 csi \x9b31m\nline"}])
    write_npy(tmp_path / "a.npy", [embed("red")])
    trivium("build", tmp_path / "s", *corpus_arguments(tmp_path, ["a"]), "--json").json
    outcome = trivium("search", tmp_path / "s", "--vector", tmp_path / "a.npy")
    assert outcome.code == 0
    assert not any(ord(c) < 32 and c != "\n" or 127 <= ord(c) < 160 for c in outcome.out)
    assert len(outcome.out.splitlines()) == 3
