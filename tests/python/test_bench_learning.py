# SPDX-License-Identifier: Apache-2.0
"""The benchmark of training a graph: its arithmetic on figures worked out by hand, and each section on tiny data."""

import importlib
import json
import pathlib
import sys

import numpy as np
import pytest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"
for folder in ("recall", "life", "graph_routing", "graph_learning"):
    sys.path.insert(0, str(BENCH / folder))

import ablation  # noqa: E402
import checks  # noqa: E402
import datasets  # noqa: E402
import graph_learning_benchmark  # noqa: E402
import half_domains  # noqa: E402
import hop_curves  # noqa: E402
import later_inserts  # noqa: E402
import learning_queries  # noqa: E402
import learning_work  # noqa: E402
import roargraph  # noqa: E402
import training_cost  # noqa: E402
import training_queries  # noqa: E402
import training_sizes  # noqa: E402

import trivium  # noqa: E402

ROWS = 2600


def walks_of(recall, hops):
    recall, hops = np.atleast_2d(np.array(recall, float)), np.atleast_2d(np.array(hops, float))
    return hop_curves.Walks(tuple(range(recall.shape[1])), recall, {"hops": hops, "distances": 30 * hops})


@pytest.fixture
def work(rng, tmp_path, monkeypatch):
    """2,600 rows of 32 floats around five centres, a domain each, and an untrained graph of them on disk."""
    monkeypatch.setattr(datasets, "CACHE", tmp_path / "cache")
    centres = rng.standard_normal((5, 32))
    domains = rng.integers(0, 5, ROWS + 60)
    rows = centres[domains] + rng.standard_normal((ROWS + 60, 32))
    questions = centres[rng.integers(0, 5, 500)] + 1.3 * rng.standard_normal((500, 32))
    raw = datasets.Raw(
        rows.astype(np.float32), {"questions": questions[:160]}, 60, "documents", "cosine", "made up"
    )
    folder = tmp_path / "data"
    folder.mkdir()
    dataset = datasets.Dataset("small", "small-key", folder, **datasets.write(raw, None, folder))
    kept = np.random.default_rng(datasets.SEED).permutation(ROWS + 60)[60:]
    monkeypatch.setattr(half_domains, "domains_of", lambda _: domains[kept])
    base = np.load(folder / "base.npy")
    graph = tmp_path / "graph" / "index"
    graph.parent.mkdir()
    index = trivium.VectorIndex(32, threads=1)
    index.add(np.arange(len(base)), base)
    index.save(graph)
    tests = {
        kind: (np.load(folder / f"{kind}.test.queries.npy"), np.load(folder / f"{kind}.test.accepted.npy"))
        for kind in ("questions", "documents")
    }
    sizes = learning_work.Sizes(threads=1, rounds=2, chunk=30, curve=(150,))
    return learning_work.Work(
        dataset, base, tests, questions[160:].astype(np.float32), graph, tmp_path, sizes=sizes
    )


def shown(section, found):
    """The section's checks and text, after a way through JSON; all lines of a table have as many cells."""
    found = json.loads(json.dumps(found))
    text = section.markdown(found)
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1
    return section.checks(found), text


def test_a_cost_is_interpolated_in_the_logarithm():
    recall, hops = np.array([[0.8, 0.9, 1.0]]), np.array([[10.0, 20.0, 80.0]])
    assert hop_curves.at_recall(recall, hops, 0.95)[0] == pytest.approx(40)
    assert hop_curves.at_recall(recall, hops, 0.9)[0] == pytest.approx(20)
    assert hop_curves.at_recall(recall, hops, 0.5)[0] == pytest.approx(10)  # the first width does more
    assert np.isnan(hop_curves.at_recall(recall[:, :2], hops[:, :2], 0.95)[0])


def test_a_width_that_does_worse_than_a_narrower_one_does_not_count():
    recall, hops = np.array([[0.8, 0.9, 0.89, 1.0]]), np.array([[10.0, 20.0, 30.0, 120.0]])
    assert hop_curves.at_recall(recall, hops, 0.9)[0] == pytest.approx(20)
    assert hop_curves.at_recall(recall, hops, 0.95)[0] == pytest.approx(60)


def test_a_ratio_is_paired_by_query(rng):
    hops = rng.integers(10, 400, (60, 1)) * np.array([[1.0, 2.0, 4.0]])
    recall = np.tile([0.8, 0.9, 1.0], (60, 1))
    one, other = walks_of(recall, 0.5 * hops), walks_of(recall, hops)
    ratio = hop_curves.ratio(one, other, "hops", 0.95, 0)
    assert all(ratio[key] == pytest.approx(0.5) for key in ("ratio", "low", "high"))
    assert hop_curves.ratio(walks_of(recall[:, :2], hops[:, :2]), other, "hops", 0.95, 0) is None


def test_the_mean_is_over_indexes_asked_at_the_same_widths():
    mean = hop_curves.mean_of([walks_of([0.8, 0.9], [10, 20]), walks_of([0.6, 0.9], [30, 40])])
    assert mean.recall.tolist() == [[0.7, 0.9]]
    assert mean.costs["hops"].tolist() == [[20, 30]]
    with pytest.raises(ValueError, match="expected the same for all"):
        hop_curves.mean_of([walks_of([0.8], [1]), walks_of([0.8, 0.9], [1, 2])])


def test_a_walk_that_ended_in_a_scan_is_told():
    assert walks_of([[0.5], [1.0]], [[1], [100]]).scans(3000) == 0.5


def test_a_walk_stops_where_recall_is_enough_and_costs_more_at_each_width(work):
    walks = hop_curves.walk(work.load(), *work.tests["questions"], 1)
    assert walks.recall[:, -1].mean() >= hop_curves.ENOUGH > walks.recall[:, -2].mean()
    hops = walks.costs["hops"].mean(axis=0)
    assert (np.diff(hops) > 0).all()
    two = hop_curves.walk(work.load(), *work.tests["questions"], 2, walks.widths)
    assert (two.costs["hops"] == walks.costs["hops"]).all()


def test_halves_get_about_as_many_queries_and_differ_by_seed():
    domains = np.repeat(np.arange(6), [600, 590, 100, 90, 20, 10])
    seen = set()
    for seed in range(8):
        chosen = learning_queries.halves(domains, seed)
        assert chosen.sum() == 3
        assert 0.4 < chosen[domains].mean() < 0.6
        seen.add(tuple(chosen))
    assert len(seen) > 2
    assert learning_queries.halves(np.repeat([0, 1, 2], 5), 0).sum() in (1, 2)


def test_what_takes_minutes_is_made_once(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "CACHE", tmp_path)
    made = []
    for _ in range(2):
        rows = learning_queries.cached("some-key", lambda: made.append(1) or np.arange(3))
        assert rows.tolist() == [0, 1, 2]
    assert len(made) == 1
    assert learning_queries.digest_of("a", b"b") != learning_queries.digest_of("ab")


def test_extra_texts_are_no_arguments(tmp_path, monkeypatch):
    import gzip

    monkeypatch.setenv("TRIVIUM_DATA", str(tmp_path))
    for name in learning_queries.EXTRA:
        (tmp_path / "routing" / name).mkdir(parents=True)
        with gzip.open(tmp_path / "routing" / name / "queries.tsv.gz", "wt") as file:
            file.write('domain\tsplit\tid\ttext\nbeir/arguana\ttest\t1\tlong\noos\tval\t2\tsay "hi\n')
    assert learning_queries.extra_texts() == ['say "hi', 'say "hi']


def test_extra_queries_are_twins_of_nothing_known_or_evaluated(work, monkeypatch):
    evaluated = learning_queries.evaluated_queries(work.dataset)
    fresh = np.random.default_rng(5).standard_normal((20, 32))
    rows = np.concatenate([evaluated[:7], work.training[:5], fresh, fresh[:3]]).astype(np.float16)
    monkeypatch.setattr(learning_queries, "extra_files", list)
    monkeypatch.setattr(learning_queries, "encoded_extra", lambda: rows)
    found = learning_queries.extra(work.dataset, work.training)
    assert len(found) == 20
    assert len(training_queries.without_twins(found, evaluated)) == 20


def test_knobs_lie_around_the_targets_of_both_graphs():
    recall = [0.5, 0.6, 0.7, 0.8, 0.92, 0.97, 0.995]
    one, other = walks_of(recall, 2.0 ** np.arange(7)), walks_of(recall[1:] + [1], 2.0 ** np.arange(7))
    assert ablation.knobs(one, other) == [{"beam_width": width} for width in (1, 2, 3, 4, 5, 6)]


def test_base_rows_are_as_many_as_the_queries_and_drawn_by_seed(work):
    rows = ablation.rows_as_queries(work, 0)
    assert rows.shape == work.training.shape
    assert (rows == ablation.rows_as_queries(work, 0)).all()
    assert (rows != ablation.rows_as_queries(work, 1)).any()


def test_the_ablation_tells_hops_and_speeds_of_every_variant(work):
    made, text = shown(ablation, ablation.run(work, lambda text: None))
    assert {check.what.split(":")[0] for check in made} == {"questions", "documents"}
    for name in ("untrained", *ablation.OPTIONS, *roargraph.VARIANTS):
        assert f"\n| {name} | " in text
    assert "queries per second" in text.lower()


def test_the_curve_ends_with_all_queries(work):
    made, text = shown(training_sizes, training_sizes.run(work, lambda text: None))
    assert made == []
    assert "\n| 150 | " in text and "\n| 340 | " in text


def test_both_halves_are_asked(work, monkeypatch):
    monkeypatch.setattr(half_domains, "FEWEST", 5)
    found = half_domains.run(work, lambda text: None)
    made, text = shown(half_domains, found)
    assert {check.what.split(" of ")[0] for check in made} <= {"questions", "documents"}
    sides = found["runs"][0]["kinds"]["questions"]
    assert sum(side["queries"] for side in sides.values()) == len(work.tests["questions"][0])
    assert "of 5 domains" in text


def test_later_rows_are_compared_at_every_width(work):
    found = later_inserts.run(work, lambda text: None)
    made, text = shown(later_inserts, found)
    assert len(made) == 2
    assert list(found["runs"][0]["kinds"]["questions"]) == [str(width) for width in later_inserts.WIDTHS]
    assert "| documents | 0 | 96 | " in text


def test_the_cost_is_measured_in_a_process_of_its_own(work):
    found = training_cost.run(work, lambda text: None)
    made, text = shown(training_cost, found)
    assert found["peak"] >= found["resident_before"] > 0
    assert [check.requirement for check in made] == ["< 600", "<= 10 %", "<= 10 %"]
    assert made[0].verdict() == "met"
    assert "2,600 x 32, 340 training queries, 1 threads" in text


def test_a_speed_has_a_least_value():
    ratio = {"ratio": 1.25, "low": 1.2, "high": 1.32}
    assert checks.at_least("speed", ratio, 1.3).verdict() == "missed, close"
    assert checks.at_least("speed", ratio, 1.1).verdict() == "met"


def test_options_are_checked_before_any_work(capsys):
    parse = graph_learning_benchmark.parse
    assert parse([]).sections == list(graph_learning_benchmark.SECTIONS)
    assert graph_learning_benchmark.sizes_of(parse(["--full"])).seeds == 3
    with pytest.raises(SystemExit):
        parse(["--sections", "all"])
    assert "'all', expected some of ablation, sizes, domains, inserts, cost" in capsys.readouterr().err


def test_a_run_of_some_sections_leaves_the_file_of_a_whole_run_alone():
    names = [
        graph_learning_benchmark.result_path(graph_learning_benchmark.parse(arguments)).name
        for arguments in ([], ["--full"], ["--profile", "small", "--sections", "cost"])
    ]
    assert names == ["minilm-165k.json", "minilm-165k-full.json", "minilm-165k-small-cost.json"]


def test_every_section_has_the_three_functions():
    for name in graph_learning_benchmark.SECTIONS.values():
        module = importlib.import_module(name)
        assert callable(module.run) and callable(module.checks) and callable(module.markdown)
