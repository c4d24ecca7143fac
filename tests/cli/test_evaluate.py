# SPDX-License-Identifier: Apache-2.0
"""train dispatch and evaluate."""

import json
import math
import shutil

import pytest
from conftest import DOMAINS, corpus_arguments, fake_encoder, query_arguments
from retrieval_files import Collection, write_json_lines, write_judgements, write_npy

ROW_FIELDS = {"name", "ndcg@10", "experts_per_query", "distance_computations_per_query"}
ROW_FIELDS |= {"gain", "gain_interval", "oracle_share", "oracle_share_interval"}
METRICS = ("ndcg@10", "recall@10", "recall@100", "mrr@10")


@pytest.fixture(scope="module")
def evaluated(trivium, data, trained_store, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluated")
    report = trivium(
        "evaluate",
        trained_store,
        *query_arguments(data, "test"),
        "--compare",
        "--run",
        folder / "run.txt",
        "--per-query",
        folder / "queries.jsonl",
        "--json",
    ).json
    return report, folder


def test_report_has_the_agreed_fields(evaluated):
    report, _ = evaluated
    assert [s["name"] for s in report["sets"]] == list(DOMAINS)
    for row in [*report["sets"], report["macro"]]:
        for metric in METRICS:
            assert 0 <= row[metric] <= 1
        assert row["experts_per_query"] >= 1
        assert row["distance_computations_per_query"] > 0
        assert row["bytes_read_per_query"] > row["distance_computations_per_query"]
        assert isinstance(row["distances"], dict) and row["distances"]
        assert row["searches_per_query"] >= 1
        assert row["encoder_calls_per_query"] == 0
        assert 0 < row["latency_us"]["p50"] <= row["latency_us"]["p95"] <= row["latency_us"]["p99"]


def test_queries_without_judgements_are_skipped(evaluated):
    report, _ = evaluated
    for row in report["sets"]:
        assert (row["queries"], row["skipped_queries"]) == (20, 20)


def test_macro_is_the_mean_of_the_sets(evaluated):
    report, _ = evaluated
    for metric in METRICS:
        mean = sum(row[metric] for row in report["sets"]) / len(DOMAINS)
        assert report["macro"][metric] == pytest.approx(mean, abs=1e-9)


def test_compare_has_a_row_per_router_combination_and_oracle(evaluated):
    report, _ = evaluated
    expected = {"static_best", "mean_pilot", "max_pilot", "knn_utility", "linear", "logistic"}
    expected |= {"all", "all_rrf", "domain_oracle", "instance_oracle"}
    for row in [*report["sets"], report["macro"]]:
        assert {entry["name"] for entry in row["compare"]} >= expected
        for entry in row["compare"]:
            assert set(entry) == ROW_FIELDS
            low, high = entry["gain_interval"]
            assert low <= entry["gain"] + 1e-9 and entry["gain"] - 1e-9 <= high
        by_name = {entry["name"]: entry["ndcg@10"] for entry in row["compare"]}
        assert by_name["instance_oracle"] >= by_name["static_best"] - 1e-9


def test_ndcg_of_the_run_file_is_that_of_the_report(evaluated):
    report, folder = evaluated
    ranked = {}
    for line in (folder / "run.txt").read_text().splitlines():
        query, q0, document, rank, score, tag = line.split()
        assert (q0, tag) == ("Q0", "trivium") and float(score) == float(score)
        ranked.setdefault(query, []).append(document)
        assert int(rank) == len(ranked[query])
    for row in report["sets"]:
        relevant = dict((q, d) for q, d, _ in Collection(row["name"]).judgements[20:])
        gains = []
        for query, document in relevant.items():
            hits = ranked[f"{row['name']}/{query}"][:10]
            gains.append(1 / math.log2(hits.index(document) + 2) if document in hits else 0)
        assert row["ndcg@10"] == pytest.approx(sum(gains) / len(gains), abs=1e-6)


def test_per_query_lines_average_to_the_report(evaluated):
    report, folder = evaluated
    lines = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()]
    assert len(lines) == 60
    for row in report["sets"]:
        own = [line for line in lines if line["set"] == row["name"]]
        assert [line["query"] for line in own] == [f"q{i}" for i in range(20, 40)]
        for metric in METRICS:
            assert row[metric] == pytest.approx(sum(line[metric] for line in own) / 20, abs=1e-9)
        mean = sum(line["bytes_read"] for line in own) / 20
        assert row["bytes_read_per_query"] == pytest.approx(mean)
        assert all(line["hits"] and line["experts"] and line["latency_us"] > 0 for line in own)
        for line in own:
            assert len(line["probabilities"]) == len(line["experts"]) and "clean" not in line
            assert all(0 < probability <= 1 for probability in line["probabilities"])
        for entry in row["compare"]:
            mean = sum(line["compare"][entry["name"]] for line in own) / 20
            assert entry["ndcg@10"] == pytest.approx(mean, abs=1e-9)


def test_routers_are_reported_with_what_they_know(evaluated):
    report, _ = evaluated
    assert [r["name"] for r in report["routers"]][:2] == ["static_best", "mean_pilot"]
    for router in report["routers"]:
        assert set(router["first_expert"]) == set(router["calibration_error"]) == {"holds_relevant", "best"}
        assert 0 <= router["calibration_error"]["holds_relevant"] <= 1
        assert 0 < router["aiq"]["distances"] < 1 and 0 < router["aiq"]["experts"] < 1
        assert router["route_flips"] is None  # only vectors
        assert [row["name"] for row in router["budgets"]][:3] == [
            "max_experts=1",
            "max_experts=2",
            "max_experts=all",
        ]
        assert [row["experts_per_query"] for row in router["budgets"]][0] >= 1


def test_comparison_as_text_has_a_table_of_sets_and_one_of_routers(trivium, data, trained_store):
    out = trivium("evaluate", trained_store, *query_arguments(data, "test"), "--compare").out
    tables = [table.splitlines() for table in out.split("\n\n")]
    assert [table[0].split()[0] for table in tables] == ["set", "compared", "difference", "router"]
    assert [line.split()[0] for line in tables[2][1:4]] == list(DOMAINS)
    assert "[" in next(line for line in tables[1] if line.startswith("auto"))
    assert next(line for line in tables[3] if line.startswith("linear")).endswith("-")


def test_clean_queries_are_those_far_from_training(trivium, data, trained_store, tmp_path):
    """q20 asks the very words of q0; q21 is about the document that q1 is about."""
    collection = Collection("law")
    collection.queries[20]["text"] = collection.queries[0]["text"]
    collection.judgements[21] = ("q21", collection.judgements[1][1], 1)
    collection.write(tmp_path)
    arguments = query_arguments(tmp_path, "test", ["law"])
    train = query_arguments(tmp_path, "train", ["law"])
    train = [
        value.replace("--", "--train-") if value.startswith("--") else value for value in map(str, train)
    ]
    lines = tmp_path / "lines"
    report = trivium(
        "evaluate", trained_store, *arguments, *train, "--per-query", lines, "--compare", "--json"
    ).json
    clean = {line["query"]: line["clean"] for line in map(json.loads, lines.read_text().splitlines())}
    assert not clean["q20"] and not clean["q21"]
    first = collection.judgements
    shared = {document for _, document, _ in first[:20]}
    for query, document, _ in first[22:]:
        assert clean[query] == (document not in shared)
    for row in (report["sets"][0], report["macro"]):
        assert row["clean"]["queries"] == sum(clean.values()) and row["clean"]["sets"] == 1
        assert set(row["clean"]) == {"sets", "queries", *METRICS}
        assert all(set(entry["clean"]) == {"ndcg@10", "gain", "gain_interval"} for entry in row["compare"])
    out = trivium("evaluate", trained_store, *arguments, *train).out
    assert "clean ndcg@10" in out.splitlines()[0]
    assert out.splitlines()[1].split()[-2] == str(sum(clean.values()))
    missing = [value for value in train if not str(value).endswith("train.tsv") and value != "--train-qrels"]
    trivium("evaluate", trained_store, *arguments, *missing).must_fail(2, "--train-queries", "--train-qrels")


def test_run_files_have_the_figures_of_the_report_for_pytrec_eval(trivium, tmp_path):
    """Documents come three times each, so that scores tie: trec_eval orders by score, not by rank."""
    pytrec_eval = pytest.importorskip("pytrec_eval")
    collection = Collection("law")
    for row, document in enumerate(collection.documents):
        document["text"] = collection.documents[row - row % 3]["text"]
        document["title"] = ""
    collection.judgements = [
        (q, f"d{(5 * i) % 60}", 1 + i % 3) for i, (q, _, _) in enumerate(collection.judgements)
    ]
    collection.judgements += [
        (q, f"d{(5 * i + 1) % 60}", 1) for i, (q, _, _) in enumerate(collection.judgements)
    ]
    collection.write(tmp_path, train_share=0)
    trivium("build", tmp_path / "s", *corpus_arguments(tmp_path, ["law"]), "--json").json
    arguments = [*query_arguments(tmp_path, "test", ["law"]), "--run", tmp_path / "run", "--json"]
    report = trivium("evaluate", tmp_path / "s", *arguments).json
    run, qrels = {}, {}
    for line in (tmp_path / "run").read_text().splitlines():
        query, _, document, _, score, _ = line.split()
        run.setdefault(query, {})[document] = float(score)
    for query, document, grade in collection.judgements:
        qrels.setdefault(query, {})[document] = grade
    figures = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10", "recall.10,100"}).evaluate(run)
    for ours, theirs in (
        ("ndcg@10", "ndcg_cut_10"),
        ("recall@10", "recall_10"),
        ("recall@100", "recall_100"),
    ):
        mean = sum(values[theirs] for values in figures.values()) / len(qrels)
        assert report["macro"][ours] == pytest.approx(mean, abs=1e-6)


def test_a_single_set_without_name_counts_any_partition(trivium, data, built_store, tmp_path):
    arguments = ["--queries", data / "law.queries.jsonl", "--qrels", data / "law.test.tsv"]
    arguments += ["--query-vectors", data / "law.queries.npy", "--run", tmp_path / "run", "--json"]
    report = trivium("evaluate", built_store, *arguments).json
    assert [s["name"] for s in report["sets"]] == ["law"]
    assert report["macro"]["ndcg@10"] == report["sets"][0]["ndcg@10"]
    lines = [line.split() for line in (tmp_path / "run").read_text().splitlines()]
    assert {line[0] for line in lines} == {f"q{i}" for i in range(20, 40)}
    assert len({(line[0], line[2]) for line in lines}) == len(lines)


def test_without_vectors_the_texts_are_encoded(trivium, data, tmp_path):
    command = ["--encoder-command", fake_encoder()]
    trivium(
        "build", tmp_path / "s", "--corpus", f"law={data}/law.jsonl", "--encoder", "fake", *command, "--json"
    ).json
    arguments = [
        "--queries",
        f"law={data}/law.queries.jsonl",
        "--qrels",
        f"law={data}/law.test.tsv",
        *command,
    ]
    report = trivium("evaluate", tmp_path / "s", *arguments, "--json").json
    assert report["macro"]["queries"] == 20 and report["macro"]["ndcg@10"] > 0.3


def test_drop_self_ignores_the_document_of_the_query(trivium, tmp_path):
    """Queries that are documents: without --drop-self each finds itself first."""
    collection = Collection("law")
    collection.queries = [
        {"_id": d["_id"], "text": t} for d, t in zip(collection.documents, collection.document_texts())
    ]
    collection.judgements = [(d["_id"], f"d{(i + 1) % 60}", 1) for i, d in enumerate(collection.documents)]
    collection.write(tmp_path, train_share=0)
    trivium("build", tmp_path / "s", *corpus_arguments(tmp_path, ["law"]), "--json").json

    def first_hits(*arguments):
        run = tmp_path / "run"
        trivium(
            "evaluate", tmp_path / "s", *query_arguments(tmp_path, "test", ["law"]), "--run", run, *arguments
        )
        return [line.split() for line in run.read_text().splitlines() if line.split()[3] == "1"]

    assert all(line[0] == line[2] for line in first_hits())
    assert all(line[0] != line[2] for line in first_hits("--drop-self", "law"))


def test_unknown_judged_documents_are_counted_and_not_fatal(trivium, data, built_store, tmp_path):
    judgements = [*Collection("law").judgements[:5], ("q0", "nobody", 1), ("q1", "no-one", 1)]
    write_judgements(tmp_path / "qrels.tsv", judgements)
    arguments = ["--queries", f"law={data}/law.queries.jsonl", "--qrels", f"law={tmp_path}/qrels.tsv"]
    arguments += ["--query-vectors", f"law={data}/law.queries.npy"]
    report = trivium("evaluate", built_store, *arguments, "--json").json
    assert report["sets"][0]["unknown_judgements"] == 2 and report["macro"]["unknown_judgements"] == 2
    assert "does not hold: 2" in trivium("evaluate", built_store, *arguments).out


def test_text_output_has_a_row_a_set_and_the_average(trivium, data, built_store):
    outcome = trivium("evaluate", built_store, *query_arguments(data, "test"))
    assert outcome.code == 0 and outcome.err == ""
    assert [line.split()[0] for line in outcome.out.splitlines()] == ["set", *DOMAINS, "(macro"]


def test_a_router_that_is_off_can_be_asked_by_name(trivium, data, trained_store):
    named = trivium(
        "evaluate", trained_store, *query_arguments(data, "test"), "--router", "linear", "--json"
    ).json
    compared = trivium("evaluate", trained_store, *query_arguments(data, "test"), "--compare", "--json").json
    row = next(row for row in compared["macro"]["compare"] if row["name"] == "linear")
    assert named["macro"]["experts_per_query"] == pytest.approx(row["experts_per_query"])
    assert named["macro"]["ndcg@10"] == pytest.approx(row["ndcg@10"])
    outcome = trivium("evaluate", trained_store, *query_arguments(data, "test"), "--router", "oracle")
    assert outcome.code == 3 and "router: 'oracle'" in outcome.err and outcome.err.count("\n") == 1


def test_training_reports_the_comparison_and_the_gate(trivium, data, store):
    report = trivium("train", "dispatch", store, *query_arguments(data, "train"), "--seed", 1, "--json").json
    assert report["queries"] == 60 and 0 < report["validation_queries"] <= 60
    assert report["unknown_judgements"] == 0
    assert {row["name"] for row in report["compare"]} >= {"all", "static_best", "knn_utility"}
    assert isinstance(report["enabled"], bool) and report["reason"]
    assert report["gain_interval"][0] <= report["gain"] <= report["gain_interval"][1]
    dispatch = trivium("inspect", store, "--json").json["dispatch"]
    assert dispatch["trained"] is True
    assert (dispatch["enabled"], dispatch["router"]) == (report["enabled"], report["router"])
    assert dispatch["pilots"] > 0


def test_training_without_queries_is_off_and_answers_by_name(trivium, store):
    report = trivium("train", "dispatch", store, "--label-free", "--json").json
    assert (report["router"], report["enabled"], report["compare"]) == ("moments", False, [])
    assert "without judged queries" in trivium("train", "dispatch", store, "--label-free").out
    dispatch = trivium("inspect", store, "--json").json["dispatch"]
    assert (dispatch["trained"], dispatch["enabled"], dispatch["pilots"]) == (True, False, 0)


def test_training_on_queries_without_judgements(trivium, data, store, tmp_path):
    asked = [word for word in query_arguments(data, "train") if not str(word).endswith(".tsv")]
    asked.remove("--qrels")
    report = trivium("train", "dispatch", store, "--label-free", *asked, "--json").json
    assert (report["router"], report["queries"]) == ("moments", 0)
    assert "router agreement: 0 queries" in report["reason"]  # its experts share no documents
    outcome = trivium("train", "dispatch", store, "--label-free", *asked, "--routers", "agreement")
    outcome.must_fail(2, "3 or more")

    # Three experts of the same documents, of which b reads queries in a way of its own.
    config = {
        "spaces": [{"name": "one"}],
        "corpora": [
            {"partition": "all", "file": str(data / "law.jsonl"), "vectors": {"one": str(data / "law.npy")}}
        ],
        "experts": [{"name": name, "space": "one"} for name in ("a", "b", "c")],
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    trivium("build", tmp_path / "kb", "--config", tmp_path / "config.json", "--json").json
    dimension = trivium("inspect", tmp_path / "kb", "--json").json["spaces"][0]["dimension"]
    turn = [[float((i + 1) % dimension == j) for j in range(dimension)] for i in range(dimension)]
    importing = ["--import", write_npy(tmp_path / "turn.npy", turn), "--expert", "b"]
    trivium("train", "adapter", tmp_path / "kb", *importing, "--json").json
    asked = ["--queries", data / "law.queries.jsonl", "--query-vectors", data / "law.queries.npy"]
    arguments = ["--label-free", *asked, "--routers", "agreement"]
    report = trivium("train", "dispatch", tmp_path / "kb", *arguments, "--json").json
    assert (report["router"], report["enabled"], report["compare"]) == ("agreement", False, [])
    question = write_npy(tmp_path / "q.npy", [turn[0]])
    found = trivium("search", tmp_path / "kb", "--vector", question, "--router", "agreement", "--json").json
    assert [e["expert"] for e in found["route"]["experts"] if e["chosen"]] == ["a", "c"]


def test_training_is_repeatable(trivium, data, built_store, tmp_path):
    reports = []
    for name in ("a", "b"):
        shutil.copytree(built_store, tmp_path / name)
        reports.append(
            trivium("train", "dispatch", tmp_path / name, *query_arguments(data, "train"), "--json").json
        )
        reports[-1].pop("seconds")
    assert reports[0] == reports[1]


def test_training_takes_validation_files(trivium, data, store):
    arguments = query_arguments(data, "train")
    for flag, value in zip(
        ("queries", "qrels", "query-vectors"), ("queries.jsonl", "test.tsv", "queries.npy")
    ):
        arguments += [f"--validation-{flag}", *(f"{n}={data / n}.{value}" for n in DOMAINS)]
    report = trivium("train", "dispatch", store, *arguments, "--json").json
    assert (report["queries"], report["validation_queries"]) == (120, 60)


def test_training_text_output_ends_with_what_was_decided(trivium, data, store):
    outcome = trivium("train", "dispatch", store, *query_arguments(data, "train"))
    assert outcome.code == 0 and outcome.err == ""
    assert "dispatch: " in outcome.out and "95 % interval" in outcome.out


def test_run_file_is_not_left_half_written(trivium, data, built_store, tmp_path):
    write_json_lines(tmp_path / "q.jsonl", [{"_id": "x", "text": "x"}])
    arguments = ["--queries", f"law={tmp_path}/q.jsonl", "--qrels", f"law={data}/law.test.tsv"]
    trivium("evaluate", built_store, *arguments, "--run", tmp_path / "run").must_fail(
        2, "none with a judgement"
    )
    trivium(
        "evaluate", built_store, *query_arguments(data, "test"), "--run", tmp_path / "no" / "run"
    ).must_fail(2, "no/run")
    assert [path.name for path in tmp_path.iterdir()] == ["q.jsonl"]


def test_a_run_replaces_nothing_but_a_regular_file(trivium, data, built_store, tmp_path):
    (tmp_path / "folder").mkdir()
    for target in ("/dev/null", tmp_path / "folder"):
        outcome = trivium("evaluate", built_store, *query_arguments(data, "test"), "--run", target)
        assert outcome.code == 2 and "not a regular file" in outcome.err and outcome.out == ""
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "real.txt")
    assert (
        trivium("evaluate", built_store, *query_arguments(data, "test"), "--run", tmp_path / "link.txt").code
        == 0
    )
    assert (tmp_path / "link.txt").is_symlink() and " Q0 " in (tmp_path / "real.txt").read_text()
