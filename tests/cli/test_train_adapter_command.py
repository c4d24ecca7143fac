# SPDX-License-Identifier: Apache-2.0
"""trivium train adapter."""

import json

import numpy as np
import pytest
from misread_questions import DIMENSION, DOMAINS, MisreadQuestions
from retrieval_files import write_json_lines

DATA = MisreadQuestions()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """DOMAIN.jsonl and .npy; DOMAIN-queries.jsonl, .npy and .tsv; turn.npy."""
    folder = tmp_path_factory.mktemp("files")
    for domain in DOMAINS:
        write_json_lines(folder / f"{domain}.jsonl", [{"_id": id, "text": id} for id in DATA.ids[domain]])
        np.save(folder / f"{domain}.npy", DATA.documents[domain])
        rows = DATA.rows[domain]
        write_json_lines(
            folder / f"{domain}-queries.jsonl", [{"_id": f"q{i}", "text": f"q {i}"} for i in range(len(rows))]
        )
        np.save(folder / f"{domain}-queries.npy", DATA.queries[domain])
        lines = [f"q{i}\td{row}\t1" for i, row in enumerate(rows)]
        (folder / f"{domain}-queries.tsv").write_text(
            "\n".join(["query-id\tcorpus-id\tscore", *lines]) + "\n"
        )
    np.save(folder / "turn.npy", DATA.turn)
    np.save(folder / "oblong.npy", DATA.turn[:3])
    return folder


def judged(files):
    arguments = []
    for domain in DOMAINS:
        arguments += ["--queries", f"{domain}={files / f'{domain}-queries.jsonl'}"]
        arguments += ["--qrels", f"{domain}={files / f'{domain}-queries.tsv'}"]
        arguments += ["--query-vectors", f"{domain}={files / f'{domain}-queries.npy'}"]
    return arguments


@pytest.fixture
def store(trivium, files, tmp_path):
    arguments = []
    for domain in DOMAINS:
        arguments += ["--corpus", f"{domain}={files / f'{domain}.jsonl'}"]
        arguments += ["--vectors", f"{domain}={files / f'{domain}.npy'}"]
    assert trivium("build", tmp_path / "kb", "--json", *arguments).code == 0
    return tmp_path / "kb"


def test_trains_shows_and_uses_adapters(trivium, files, store):
    before = trivium("evaluate", store, "--json", *judged(files)).json["macro"]["ndcg@10"]
    report = trivium("train", "adapter", store, "--json", *judged(files)).json
    assert [adapter["expert"] for adapter in report["adapters"]] == [*DOMAINS, None]
    for adapter in report["adapters"]:
        assert adapter["enabled"] and adapter["gain"] > 0.1 and adapter["gain_interval"][0] > 0
        assert adapter["space"] == "default" and adapter["queries"] in (90, 180) and adapter["reason"]
    inspected = trivium("inspect", store, "--json").json
    assert all(expert["adapter"]["queries"] == 90 for expert in inspected["experts"])
    assert inspected["spaces"][0]["adapter"]["enabled"] is True
    assert trivium("inspect", store).out.count("learned, on") == 3

    def ndcg(*arguments):
        return trivium("evaluate", store, "--json", *arguments, *judged(files)).json["macro"]["ndcg@10"]

    assert ndcg() > before + 0.1
    assert ndcg("--experts", ",".join(DOMAINS)) > before + 0.1
    assert ndcg("--adapters", "off") == ndcg("--experts", "all") == before


def test_text_report_and_one_expert(trivium, files, store):
    outcome = trivium("train", "adapter", store, "--expert", "law", "--rank", "4", *judged(files))
    assert outcome.code == 0 and outcome.err == ""
    assert "law" in outcome.out and "(all domains)" not in outcome.out
    assert trivium("inspect", store, "--json").json["spaces"][0]["adapter"] is None


def test_imports_a_matrix(trivium, files, store, tmp_path):
    outcome = trivium("train", "adapter", store, "--import", files / "turn.npy", "--json").json
    assert outcome == {"expert": None, "dimension": DIMENSION}
    trivium("train", "adapter", store, "--import", files / "turn.npy", "--expert", "law")
    np.save(tmp_path / "one.npy", DATA.queries["law"][:1])
    for who in ("auto", "law"):
        found = trivium(
            "search", store, "", "--vector", tmp_path / "one.npy", "-k", 1, "--experts", who, "--json"
        ).json
        assert found["hits"][0]["id"] == f"d{DATA.rows['law'][0]}"
        assert found["route"]["reading"] == "adapted"
    text = trivium("search", store, "", "--vector", tmp_path / "one.npy").out
    assert "query adapted; fusion" in text
    assert json.loads(trivium("inspect", store, "--json").out)["experts"][0]["adapter"]["queries"] == 0


def test_bad_input_is_one_line(trivium, files, store):
    trivium("train", "adapter", store).must_fail(2, "--queries: none")
    trivium("train", "adapter", store, "--expert", "x", *judged(files)).must_fail(3, "expert: 'x'")
    trivium("train", "adapter", store, "--import", files / "oblong.npy").must_fail(2, "3 x 16", "oblong.npy")
    trivium("train", "adapter", store, "--import", files / "turn.npy", *judged(files)).must_fail(
        2, "--import"
    )
    trivium("train", "adapter", store, "--rank", 99, *judged(files)).must_fail(2, "rank: 99")
    trivium("evaluate", store, "--adapters", "maybe", *judged(files)).must_fail(2, "--adapters: 'maybe'")
    trivium("train", "adapter", store.parent / "absent", *judged(files)).must_fail(3)
