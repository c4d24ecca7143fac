# SPDX-License-Identifier: Apache-2.0
"""build: from files to a store."""

import json

import pytest
from conftest import DOMAINS, corpus_arguments, fake_encoder
from fake_encoder import DIMENSION, embed
from retrieval_files import Collection, write_fvecs, write_json_lines, write_npy


def names(entries):
    return [entry["name"] for entry in entries]


def test_a_partition_and_an_expert_per_corpus(trivium, data, tmp_path):
    report = trivium("build", tmp_path / "store", *corpus_arguments(data), "--json").json
    assert report["documents"] == {"written": 180, "replaced": 0}
    assert report["experts_added"] == list(DOMAINS)
    assert report["encoded"] == 0
    assert report["rows_sealed"] == 180

    info = trivium("inspect", tmp_path / "store", "--json").json
    assert info["documents"] == 180
    assert {p["name"]: p["documents"] for p in info["partitions"]} == dict.fromkeys(DOMAINS, 60)
    assert info["spaces"] == [
        {
            "name": "default",
            "dimension": DIMENSION,
            "metric": "cosine",
            "encoder": "",
            "encoder_fingerprint": "",
            "beam_width": 0,
            "target_recall": 0.0,
            "profile": "speed",
            "adapter": None,
            "tree": None,
            "cells": None,
        }
    ]
    assert {(e["name"], e["space"], e["partition"]) for e in info["experts"]} == {
        (n, "default", n) for n in DOMAINS
    }
    assert {v["partition"]: (v["rows"], v["unsealed"]) for v in info["vector_sets"]} == dict.fromkeys(
        DOMAINS, (60, 0)
    )
    assert info["dispatch"]["trained"] is False
    assert info["format_version"] >= 1 and info["kernels"] in ("avx512", "avx2", "baseline")


def test_text_output_names_what_was_done(trivium, data, tmp_path):
    outcome = trivium("build", tmp_path / "store", *corpus_arguments(data, ["law"]))
    assert outcome.code == 0 and outcome.err == ""
    assert "60 documents written" in outcome.out and "1 experts added" in outcome.out


def test_another_build_adds_a_corpus_and_replaces_documents_of_a_known_one(trivium, data, store, tmp_path):
    changed = [{"_id": "d0", "text": "changed"}, {"_id": "new", "text": "new"}]
    write_json_lines(tmp_path / "law.jsonl", changed)
    write_npy(tmp_path / "law.npy", [embed("changed"), embed("new")])
    Collection("sport").write(tmp_path)
    report = trivium("build", store, *corpus_arguments(tmp_path, ["law", "sport"]), "--json").json
    assert report["documents"] == {"written": 62, "replaced": 1}
    assert report["experts_added"] == ["sport"]

    info = trivium("inspect", store, "--json").json
    assert {p["name"]: p["documents"] for p in info["partitions"]} == {
        "medical": 60,
        "law": 61,
        "cooking": 60,
        "sport": 60,
    }
    write_npy(tmp_path / "q.npy", [embed("changed")])
    hits = trivium("search", store, "--vector", tmp_path / "q.npy", "-k", 1, "--json").json["hits"]
    assert (hits[0]["partition"], hits[0]["id"], hits[0]["text"]) == ("law", "d0", "changed")


def test_the_same_build_twice_changes_no_count(trivium, data, store):
    before = trivium("inspect", store, "--json").json
    trivium("build", store, *corpus_arguments(data), "--json").json
    after = trivium("inspect", store, "--json").json
    for key in ("documents", "partitions", "spaces", "experts"):
        assert after[key] == before[key]


def test_gzip_corpus_and_other_vector_formats(trivium, tmp_path):
    texts = ["one", "two", "three"]
    write_json_lines(tmp_path / "a.jsonl.gz", [{"_id": i, "title": text} for i, text in enumerate(texts)])
    vectors = [embed(text) for text in texts]
    write_fvecs(tmp_path / "a.fvecs", vectors)
    write_npy(tmp_path / "half.npy", vectors, kind="<f2")
    for file in ("a.fvecs", "half.npy"):
        store = tmp_path / f"store-{file}"
        trivium(
            "build",
            store,
            "--corpus",
            f"a={tmp_path}/a.jsonl.gz",
            "--vectors",
            f"a={tmp_path / file}",
            "--json",
        ).json
        write_npy(tmp_path / "q.npy", [vectors[1]])
        hits = trivium("search", store, "--vector", tmp_path / "q.npy", "-k", 1, "--json").json["hits"]
        assert hits[0]["id"] == "1" and hits[0]["similarity"] == pytest.approx(1, abs=1e-3)


def test_metric_and_space_name_are_taken_from_the_flags(trivium, data, tmp_path):
    trivium(
        "build",
        tmp_path / "s",
        *corpus_arguments(data, ["law"]),
        "--space",
        "words",
        "--metric",
        "squared_l2",
        "--json",
    ).json
    (space,) = trivium("inspect", tmp_path / "s", "--json").json["spaces"]
    assert (space["name"], space["metric"]) == ("words", "squared_l2")


def test_texts_are_encoded_once_and_taken_from_the_cache_afterwards(trivium, data, tmp_path):
    log = tmp_path / "log"
    arguments = ["--encoder", "fake", "--encoder-command", fake_encoder("--log", log), "--json"]
    corpus = ["--corpus", f"law={data}/law.jsonl"]
    first = trivium("build", tmp_path / "s", *corpus, *arguments).json
    assert (first["encoded"], first["encoded_from_cache"]) == (60, 0)
    requests = [json.loads(line) for line in log.read_text().splitlines()]
    assert {r["text"] for r in requests if r["kind"] == "document"} == set(Collection("law").document_texts())
    (space,) = trivium("inspect", tmp_path / "s", "--json").json["spaces"]
    assert (space["encoder"], space["dimension"]) == ("fake", DIMENSION)
    assert space["encoder_fingerprint"] != ""

    log.unlink()
    second = trivium("build", tmp_path / "s", *corpus, *arguments).json
    assert (second["encoded"], second["encoded_from_cache"]) == (0, 60)
    assert not log.exists()


def test_an_existing_space_needs_no_encoder_flag(trivium, data, tmp_path):
    command = ["--encoder-command", fake_encoder()]
    trivium(
        "build", tmp_path / "s", "--corpus", f"law={data}/law.jsonl", "--encoder", "fake", *command, "--json"
    ).json
    report = trivium(
        "build", tmp_path / "s", "--corpus", f"cooking={data}/cooking.jsonl", *command, "--json"
    ).json
    assert report["encoded"] == 60 and report["experts_added"] == ["cooking"]


def test_vectors_of_two_spaces_make_two_experts_a_corpus(trivium, data, tmp_path):
    """Shape S2: the same documents in several spaces."""
    write_npy(tmp_path / "small.npy", [embed(text, 8) for text in Collection("law").document_texts()])
    trivium(
        "build",
        tmp_path / "s",
        "--corpus",
        f"law={data}/law.jsonl",
        "--vectors",
        f"big:law={data}/law.npy",
        f"small:law={tmp_path}/small.npy",
        "--json",
    ).json
    info = trivium("inspect", tmp_path / "s", "--json").json
    assert {(s["name"], s["dimension"]) for s in info["spaces"]} == {("big", DIMENSION), ("small", 8)}
    assert {(e["name"], e["space"], e["partition"]) for e in info["experts"]} == {
        ("law", "big", "law"),
        ("law.small", "small", "law"),
    }


def test_configuration_makes_experts_by_adapter(trivium, data, tmp_path):
    """Shape S1: one space, one partition, several experts."""
    reverse = [[float(j == DIMENSION - 1 - i) for j in range(DIMENSION)] for i in range(DIMENSION)]
    write_npy(tmp_path / "reverse.npy", reverse)
    config = {
        "spaces": [{"name": "words", "dimension": DIMENSION, "metric": "cosine"}],
        "corpora": [
            {
                "partition": "law",
                "file": str(data / "law.jsonl"),
                "vectors": {"words": str(data / "law.npy")},
            },
        ],
        "experts": [
            {"name": "plain", "space": "words", "description": "as it is"},
            {"name": "adapted", "space": "words", "partition": "law", "adapter": "reverse.npy", "cost": 2.5},
        ],
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    report = trivium("build", tmp_path / "s", "--config", tmp_path / "config.json", "--json").json
    assert report["experts_added"] == ["plain", "adapted"]
    experts = {e["name"]: e for e in trivium("inspect", tmp_path / "s", "--json").json["experts"]}
    assert experts["plain"]["partition"] is None and experts["plain"]["description"] == "as it is"
    assert experts["adapted"]["adapter"]["enabled"] is True and experts["adapted"]["cost"] == 2.5

    vector = embed(Collection("law").document_texts()[5])
    write_npy(tmp_path / "q.npy", [vector[::-1]])
    arguments = ["--vector", tmp_path / "q.npy", "-k", 1, "--json", "--experts"]
    hits = trivium("search", tmp_path / "s", *arguments, "adapted").json["hits"]
    assert hits[0]["id"] == "d5" and hits[0]["similarity"] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    "change, mention",
    [
        (lambda c: c.update(extra=1), "extra"),
        (lambda c: c.pop("corpora"), "corpora"),
        (lambda c: c["corpora"][0].pop("partition"), "corpora[0].partition"),
        (lambda c: c["corpora"][0].update(partition="../x"), "../x"),
        (lambda c: c["corpora"][0]["vectors"].update(words=5), "corpora[0].vectors.words"),
        (lambda c: c["corpora"].append(c["corpora"][0]), "twice"),
        (lambda c: c["spaces"][0].update(metric="manhattan"), "manhattan"),
        (lambda c: c["spaces"][0].update(dimension=-1), "spaces[0].dimension"),
        (lambda c: c["spaces"][0].update(dimension=7), "expected 7"),
        (lambda c: c["experts"][0].update(cost="much"), "experts[0].cost"),
        (lambda c: c["experts"][0].update(cost=-1), "cost"),
        (lambda c: c["experts"][0].update(name="auto"), "auto"),
        (lambda c: c["experts"][0].update(adapter="law.npy"), "adapter"),
        (lambda c: c["experts"].append(c["experts"][0]), "twice"),
    ],
)
def test_a_wrong_configuration_is_one_line_and_no_store(trivium, data, tmp_path, change, mention):
    config = {
        "spaces": [{"name": "words"}],
        "corpora": [{"partition": "law", "file": "law.jsonl", "vectors": {"words": "law.npy"}}],
        "experts": [{"name": "law", "space": "words", "partition": "law"}],
    }
    Collection("law").write(tmp_path)
    change(config)
    (tmp_path / "config.json").write_text(json.dumps(config))
    outcome = trivium("build", tmp_path / "store", "--config", tmp_path / "config.json")
    outcome.must_fail(2, mention)
    assert not (tmp_path / "store").exists()


def test_configuration_that_is_not_json_or_absent(trivium, tmp_path):
    (tmp_path / "config.json").write_text("{")
    trivium("build", tmp_path / "s", "--config", tmp_path / "config.json").must_fail(2, "config.json")
    trivium("build", tmp_path / "s", "--config", tmp_path / "none.json").must_fail(3, "none.json")


def test_an_existing_empty_folder_becomes_the_store(trivium, data, tmp_path):
    (tmp_path / "store").mkdir()
    trivium("build", tmp_path / "store", *corpus_arguments(data, ["law"]), "--json").json
    assert trivium("inspect", tmp_path / "store", "--json").json["documents"] == 60


def test_a_folder_with_something_else_in_it_is_refused_and_kept(trivium, data, tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "letter.txt").write_text("dear")
    outcome = trivium("build", tmp_path / "store", *corpus_arguments(data, ["law"]))
    assert outcome.code in (1, 2) and outcome.err.count("\n") == 1
    assert [p.name for p in (tmp_path / "store").iterdir()] == ["letter.txt"]


def test_a_target_recall_is_calibrated_kept_and_shown(trivium, data, tmp_path):
    write_npy(tmp_path / "sample.npy", [embed(f"question {i}") for i in range(20)])
    report = trivium(
        "build",
        tmp_path / "store",
        *corpus_arguments(data),
        "--target-recall",
        "0.9",
        "--sample-vectors",
        tmp_path / "sample.npy",
        "--json",
    ).json
    (chosen,) = report["calibration"]
    assert chosen["space"] == "default" and chosen["queries"] == 20
    assert chosen["reached"] and chosen["recall"] >= 0.9

    (space,) = trivium("inspect", tmp_path / "store", "--json").json["spaces"]
    assert (space["beam_width"], space["target_recall"]) == (chosen["beam_width"], 0.9)
    assert f"{chosen['beam_width']}, for recall 0.9" in trivium("inspect", tmp_path / "store").out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target-recall", "1.2"], "target_recall: 1.2, expected between 0 and 1"),
        (["--sample-vectors", "absent.npy"], "--sample-vectors: without --target-recall, expected both"),
    ],
)
def test_calibration_flags_are_checked_before_any_work(trivium, data, tmp_path, arguments, message):
    outcome = trivium("build", tmp_path / "store", *corpus_arguments(data), *arguments)
    assert outcome.code == 2 and message in outcome.err
    assert not (tmp_path / "store").exists()


def test_a_profile_is_kept_and_compact_changes_it(trivium, data, tmp_path):
    store = tmp_path / "store"
    trivium("build", store, *corpus_arguments(data), "--profile", "small")
    assert trivium("inspect", store, "--json").json["spaces"][0]["profile"] == "small"
    trivium("compact", store, "--profile", "balanced")
    assert trivium("inspect", store, "--json").json["spaces"][0]["profile"] == "balanced"
    assert trivium("verify", store).code == 0
    outcome = trivium("build", store, *corpus_arguments(data), "--profile", "tiny")
    assert outcome.code == 2 and "tiny" in outcome.err and "balanced" in outcome.err
