# SPDX-License-Identifier: Apache-2.0
"""The benchmark of an index's life: its filters and orders, its verdicts, and each section on tiny data."""

import importlib
import json
import pathlib
import sys
import types

import numpy as np
import pytest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"
sys.path.insert(0, str(BENCH / "recall"))
sys.path.insert(0, str(BENCH / "life"))

import builds  # noqa: E402
import checks  # noqa: E402
import churn  # noqa: E402
import datasets  # noqa: E402
import filters  # noqa: E402
import life_benchmark  # noqa: E402
import processes  # noqa: E402
import readers  # noqa: E402
import resampling  # noqa: E402
import sections  # noqa: E402
import summary  # noqa: E402
import workload  # noqa: E402

import trivium  # noqa: E402

TINY = workload.Sizes(
    threads=1,
    queries=30,
    repetitions=2,
    batch=500,
    timed_queries=6,
    filter_rounds=1,
    store_queries=6,
    churn_steps=2,
    reader_rounds=1,
    idle_seconds=0.1,
    sealed_rows=1500,
    unsealed_rows=1500,
)


@pytest.fixture
def work(rng, tmp_path):
    """1,500 rows of 64 floats around five centres, a domain each."""
    centres = rng.standard_normal((5, 64))
    domains = rng.integers(0, 5, 1700)
    rows = centres[domains] + 0.7 * rng.standard_normal((1700, 64))
    questions = centres[rng.integers(0, 5, 80)] + rng.standard_normal((80, 64))
    raw = datasets.Raw(
        rows.astype(np.float32), {"questions": questions}, 200, "documents", "cosine", "made up"
    )
    folder = tmp_path / "data"
    folder.mkdir()
    about = datasets.write(raw, None, folder)
    dataset = datasets.Dataset("small", "small-key", folder, **about)
    kept = np.random.default_rng(datasets.SEED).permutation(1700)[200:]
    return workload.load(dataset, domains[kept], tmp_path, TINY, 0)


def shown(section, found):
    """The section's table and checks, after a way through JSON."""
    found = json.loads(json.dumps(found))
    text = section.markdown(found)
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    return section.checks(found), text


def test_a_verdict_says_when_the_interval_holds_the_limit():
    ratio = {"ratio": 0.45, "low": 0.4, "high": 0.55}
    assert checks.at_most("time", ratio, 0.5).verdict() == "met, close"
    assert checks.at_most("time", ratio, 0.6).verdict() == "met"
    assert checks.at_most("time", ratio, 0.3).verdict() == "missed"
    difference = {"difference": -0.01, "low": -0.02, "high": 0.001}
    assert checks.not_below("recall", difference, 0.0).verdict() == "missed, close"
    assert checks.not_below("recall", difference, -0.05).verdict() == "met"
    assert checks.not_below("recall", difference, -0.05).figure == "-0.0100 [-0.0200, 0.0010]"
    assert checks.recall_at_least("recall", 0.949, 0.95).verdict() == "missed"


def test_a_difference_is_paired_by_query(rng):
    one = rng.random(200)
    interval = resampling.difference_interval(one + 0.01, one)
    assert all(abs(interval[key] - 0.01) < 1e-9 for key in ("difference", "low", "high"))
    noisy = resampling.difference_interval(one, rng.random(200))
    assert noisy["low"] < noisy["difference"] < noisy["high"]
    with pytest.raises(ValueError, match="expected two equal, non-empty lists"):
        resampling.difference_interval([], [])


def test_filters_pass_what_they_say_and_ask_every_query_once(work):
    queries = work.queries["questions"]
    cases = {case.name: case for case in filters.cases_of(work, queries)}
    assert len(cases) == len(filters.SHARES) + 3
    metadata = filters.metadata_of(work)
    for case in cases.values():
        asked = np.concatenate([group.queries for group in case.groups])
        assert sorted(asked.tolist()) == list(range(len(queries)))
        for group in case.groups:
            field, value = group.condition["field"], group.condition["value"]
            compare = {"<": np.less, "==": np.equal, "!=": np.not_equal}[group.condition["op"]]
            assert (compare([each[field] for each in metadata], value) == group.mask).all()
            assert group.mask.sum() >= workload.K
    assert abs(cases["50 % at random"].share() - 0.5) < 0.001
    own, rest, other = (cases[name] for name in ("own domain", "all but own domain", "another domain"))
    for one, two, three in zip(own.groups, rest.groups, other.groups):
        assert (one.mask != two.mask).all()
        assert not (one.mask & three.mask).any()
        nearest = (queries[one.queries] @ work.base.T).argmax(axis=1)
        assert one.mask[nearest].all()


def test_queries_are_taken_evenly_from_the_groups():
    groups = [filters.Group(np.ones(1), np.array(queries), {}) for queries in ([5, 6, 7], [1], [2, 3])]
    case = filters.Case("some", groups)
    assert filters.asked_in_turn(case, 4) == [(0, 5), (0, 6), (1, 1), (2, 2)]
    assert len(filters.asked_in_turn(case, 99)) == 6


def test_the_truth_of_a_filter_is_a_scan_of_what_passes(work):
    queries = work.queries["questions"]
    case = filters.cases_of(work, queries)[1]
    truth = filters.truth_of(case, work.base, queries)
    for group in case.groups:
        for query in group.queries:
            scores = np.where(group.mask, work.base @ queries[query], -2)
            assert truth[query, :10].tolist() == np.argsort(-scores)[:10].tolist()


def test_fewer_labels_than_wanted_are_filled_up():
    found = filters.found_by(lambda number, query: [number, query], [(1, 2), (3, 4)])
    assert found[:, :3].tolist() == [[1, 2, -1], [3, 4, -1]]


def test_filters_on_tiny_data(work):
    found = filters.run(work, lambda text: None)
    made, text = shown(filters, found)
    assert set(found["by_index"]) == {"speed", "balanced", "small", "store"}
    assert [check.met for check in made if "recall" in check.what] == [True] * 4
    assert "| store | questions | own domain |" in text


def test_an_order_holds_every_row_once_and_keeps_domains_together(work):
    for name in churn.ORDERS:
        assert sorted(churn.order_of(work, name).tolist()) == list(range(len(work.base)))
    domains = work.domains[churn.order_of(work, "by domain")]
    assert (np.diff(domains) != 0).sum() == len(set(domains.tolist())) - 1


def test_churn_on_tiny_data(work):
    found = churn.run(work, lambda text: None)
    made, text = shown(churn, found)
    one = found["by_order"]["random"]
    assert (one["replaced"], one["rows"], len(one["times"]["steps"])) == (500, 1000, 2)
    assert one["recall"]["questions"]["256"]["churned"] > 0.99
    assert len(made) == 4
    assert "Random: 500 of 1,000 rows replaced in 2 steps" in text


class Scanning:
    """A contender that scans, under hnswlib's name and with its knob."""

    def __init__(self, name):
        self.index = None

    def build(self, base, metric, configuration, threads, folder):
        self.index = trivium.VectorIndex(base.shape[1], threads=threads)
        self.index.add(np.arange(len(base)), base)

    def set_knob(self, knob):
        assert knob["ef"] in builds.WIDTHS

    def search(self, queries, k):
        return self.index.search_batch(queries, k=k, index="exact").labels


def test_builds_on_tiny_data(work, monkeypatch):
    """In this process, and without hnswlib, which is not in every environment that has the package."""
    monkeypatch.setattr(builds, "in_fresh_process", lambda function, *arguments: function(*arguments))
    monkeypatch.setattr(builds, "make_contender", Scanning)
    found = builds.run(work, lambda text: None)
    made, text = shown(builds, found)
    assert len(found["seconds"]["store"]) == 2
    assert sum(found["store_parts"][0].values()) == pytest.approx(found["seconds"]["store"][0])
    assert found["recall"]["hnswlib"]["documents"] == dict.fromkeys(("default", "64", "128"), 1.0)
    assert min(found["recall"]["store"]["documents"].values()) > 0.9
    assert len(made) == 2 + 2 * len(builds.WIDTHS)
    assert "1,500 rows on 1 threads, batches of 500" in text


def test_work_in_a_fresh_process_returns_or_raises():
    assert processes.in_fresh_process(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        processes.in_fresh_process(divmod, 7, 0)


def test_readers_on_tiny_data(work, monkeypatch):
    monkeypatch.setattr(readers, "LEAST", 1)
    monkeypatch.setattr(readers.os, "sync", lambda: None)
    found = readers.run(work, lambda text: None)
    made, text = shown(readers, found)
    assert len(made) == 4
    assert all(each[0]["busy"]["searches"] >= 1 for each in found["rounds"].values())
    assert "| sealed, thread | 1,500 |" in text


def test_a_section_that_fails_is_reported_and_the_others_run(work, capsys):
    class Failing:
        @staticmethod
        def run(work, say):
            raise RuntimeError("no  such\nthing")

    found = sections.run_section("churn", work, lambda name: Failing)
    assert found["failed"] == "RuntimeError: no such thing"
    result = {"sections": {"churn": found}}
    assert "| churn | could not run: RuntimeError: no such thing |  |  | failed |" in summary.verdicts(result)


def test_the_summary_names_machine_verdicts_and_sections():
    section = types.SimpleNamespace(
        run=lambda work, say: {"figure": 1},
        checks=lambda raw: [checks.recall_at_least("recall", 0.9, 0.95)],
        markdown=lambda raw: "the table\n",
    )
    found = sections.run_section("churn", None, lambda name: section)
    machine = {"cpu": "a processor", "cores": 2, "caches": {"L3 unified": "32M"}, "when": "today"}
    text = summary.markdown(
        {
            "dataset": {
                "name": "small",
                "description": "made up",
                "rows": 10,
                "dimension": 4,
                "domains": 3,
                "queries": {"questions": 6},
            },
            "machine": machine | {"trivium_kernels": "avx2", "commit": "abc", "load_average": 1.5},
            "versions": {"numpy": "2", "lorann": None},
            "seed": 0,
            "seconds": 12.0,
            "sections": {"churn": found},
        }
    )
    assert "| churn | recall | 0.9000 | >= 0.95 | missed |" in text
    assert "## Churn (0 s)\n\nthe table\n" in text
    assert "Versions: numpy 2.\n" in text


def test_options_are_checked_before_any_work(capsys):
    assert life_benchmark.parse(["--quick"]).dataset == "minilm-20k"
    assert life_benchmark.parse([]).sections == list(life_benchmark.SECTIONS)
    assert life_benchmark.parse(["--sections", "churn,build"]).sections == ["churn", "build"]
    with pytest.raises(SystemExit):
        life_benchmark.parse(["--sections", "life"])
    assert "'life', expected some of build, filters, churn, readers" in capsys.readouterr().err


def test_a_run_of_some_sections_leaves_the_file_of_a_whole_run_alone():
    names = [
        life_benchmark.result_path(life_benchmark.parse(arguments)).name
        for arguments in ([], ["--quick"], ["--quick", "--sections", "churn"])
    ]
    assert names == ["minilm-165k.json", "minilm-20k-quick.json", "minilm-20k-quick-churn.json"]


def test_a_whole_run_is_saved_after_every_section(work, monkeypatch, tmp_path):
    section = types.SimpleNamespace(run=lambda *_: {}, checks=lambda _: [], markdown=lambda _: "the table\n")
    monkeypatch.setattr(life_benchmark, "SECTIONS", dict.fromkeys(("churn", "readers"), "made_up"))
    monkeypatch.setitem(sys.modules, "made_up", section)
    monkeypatch.setattr(datasets, "prepare", lambda name: work.dataset)
    monkeypatch.setattr(workload, "domains_of", lambda dataset: work.domains)
    saved = []
    options = life_benchmark.parse(["--sections", "churn,readers", "--output", str(tmp_path)])
    found = life_benchmark.run(options, lambda result: saved.append(list(result["sections"])))
    assert saved == [["churn"], ["churn", "readers"]]
    assert found["dataset"]["domains"] == 5
    assert "## Readers" in summary.markdown(json.loads(json.dumps(found)))


def test_every_section_has_the_three_functions():
    for name in life_benchmark.SECTIONS.values():
        module = importlib.import_module(name)
        assert callable(module.run) and callable(module.checks) and callable(module.markdown)


def test_domains_are_those_of_the_source_files(monkeypatch, tmp_path, rng):
    several, one = tmp_path / "several", tmp_path / "one"
    several.mkdir()
    one.mkdir()
    rows = rng.standard_normal((90, 8)).astype(np.float16)
    np.save(one / "a.documents.npy", rows[:30])
    np.save(several / "documents.npy", np.concatenate([rows[30:], rows[:5]]))  # 5 of them for the second time
    (several / "rows.tsv").write_text(
        "part\tdomain\trows\ndocuments\tb\t20\ndocuments\tc\t45\nqueries\tb\t3\n"
    )
    paths = {"documents": [one / "a.documents.npy", several / "documents.npy"]}
    monkeypatch.setattr(datasets, "HELD_OUT", 10)
    monkeypatch.setitem(datasets.SOURCES, "minilm-165k", (lambda: paths, None))
    raw = datasets.Raw(
        rows, {"questions": rng.standard_normal((20, 8))}, 10, "documents", "cosine", "made up"
    )
    folder = tmp_path / "data"
    folder.mkdir()
    dataset = datasets.Dataset("small", "small-key", folder, **datasets.write(raw, 60, folder))
    domains = workload.domains_of(dataset)
    order = np.random.default_rng(datasets.SEED).permutation(90)[10:70]
    assert domains.tolist() == [0 if row < 30 else 1 if row < 50 else 2 for row in order]
    np.save(folder / "base.npy", np.load(folder / "base.npy")[::-1])
    with pytest.raises(ValueError, match="others than expected from its source files"):
        workload.domains_of(dataset)
