# SPDX-License-Identifier: Apache-2.0
"""Lexical experts from the shell: build, search, evaluate, inspect, verify."""

import json

from conftest import DOMAINS, corpus_arguments


def test_a_flag_makes_one_over_everything(trivium, data, tmp_path):
    store = tmp_path / "store"
    report = trivium("build", store, *corpus_arguments(data), "--lexical", "--json").json
    assert report["experts_added"] == [*DOMAINS, "lexical"]
    assert report["texts_sealed"] == 180
    info = trivium("inspect", store, "--json").json
    words = info["experts"][-1]
    assert (words["kind"], words["space"], words["partition"]) == ("lexical", None, None)
    assert (words["k1"], words["b"]) == (0.9, 0.4)
    assert {s["partition"]: (s["documents"], s["unsealed"], s["segments"]) for s in info["text_sets"]} == (
        dict.fromkeys(DOMAINS, (60, 0, 1))
    )
    shown = trivium("inspect", store).out
    assert "(texts, k1 0.9, b 0.4)" in shown and "text set" in shown
    again = trivium("build", store, *corpus_arguments(data), "--lexical", "--json").json
    assert again["experts_added"] == [] and again["documents"]["replaced"] == 180
    assert trivium("verify", store).code == 0
    assert trivium("compact", store).code == 0


def test_words_are_enough(trivium, data, tmp_path):
    """Without vectors and without an encoder."""
    store = tmp_path / "store"
    arguments = [part for name in DOMAINS for part in ("--corpus", f"{name}={data / name}.jsonl")]
    trivium("build", store, *arguments).must_fail(2, "neither vectors nor an encoder", "--lexical")
    report = trivium("build", store, *arguments, "--lexical", "--json").json
    assert report["experts_added"] == ["lexical"]
    document = json.loads((data / "law.jsonl").read_text().splitlines()[7])
    found = trivium("search", store, document["text"], "-k", "1", "--json").json
    assert (found["hits"][0]["partition"], found["hits"][0]["id"]) == ("law", document["_id"])
    assert found["route"]["fusion"] == "single" and found["trace"]["encoder_calls"] == 0


def test_fusion_can_be_chosen(trivium, data, tmp_path):
    store = tmp_path / "store"
    trivium("build", store, *corpus_arguments(data), "--lexical", "--json")
    queries = []
    for name in DOMAINS:
        queries += ["--queries", f"{name}={data / name}.queries.jsonl"]
        queries += ["--qrels", f"{name}={data / name}.test.tsv"]
        queries += ["--query-vectors", f"{name}={data / name}.queries.npy"]
    quality = {}
    for fusion in ("rrf", "convex"):
        flags = ("--experts", "all", "--fusion", fusion, "--json")
        quality[fusion] = trivium("evaluate", store, *flags, *queries).json["macro"]["ndcg@10"]
    assert min(quality.values()) > 0.9  # queries quote their documents
    words = trivium("evaluate", store, "--experts", "lexical", "--json", *queries).json["macro"]
    assert words["ndcg@10"] > 0.9 and words["distance_computations_per_query"] == 0
    trivium("search", store, "x", "--fusion", "sum").must_fail(2, "fusion: 'sum', expected rrf or convex")
    trivium("search", store, "x", "--lexical-weight", "3").must_fail(2, "lexical_weight: 3")


def test_a_configuration_says_the_parameters(trivium, data, tmp_path):
    config = {
        "corpora": [{"partition": "law", "file": str(data / "law.jsonl")}],
        "experts": [{"name": "words", "kind": "lexical", "partition": "law", "k1": 1.2, "b": 0.75}],
    }
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    trivium("build", tmp_path / "store", "--config", file, "--json")
    (expert,) = trivium("inspect", tmp_path / "store", "--json").json["experts"]
    assert (expert["name"], expert["partition"], expert["k1"], expert["b"]) == ("words", "law", 1.2, 0.75)
    for key, value, mention in (
        ("space", "s", "experts[0].space"),
        ("b", 3, "b: 3"),
        ("kind", "x", "kind: 'x'"),
    ):
        changed = {**config, "experts": [{**config["experts"][0], key: value}]}
        file.write_text(json.dumps(changed))
        trivium("build", tmp_path / "other", "--config", file).must_fail(2, mention)
        assert not (tmp_path / "other").exists()
