# SPDX-License-Identifier: Apache-2.0
"""VectorIndex.train_graph: a graph taught from questions that lie apart from the rows."""

# ruff: noqa: F811  (fixtures that are imported are parameters, too)

import numpy as np
import pytest
from taught_graphs import (
    BAD_TRAINING,
    DIMENSION,
    LARGE,
    MEDIUM,
    OTHERS,
    QUESTIONS,
    ROWS,
    SMALL,
    QuestionsApart,
    answers,
    check_progress,
    hops_at_recall,
    index,  # noqa: F401
    learned,
    refuse,
    saved,  # noqa: F401
)

import trivium

# Training that pays


@pytest.fixture(scope="module")
def taught(saved):
    """(index, hops before, report): the large collection, taught where to start and which edges it misses."""
    index = saved(LARGE)
    before = hops_at_recall(index, LARGE.ask(300, seed=2))
    return index, before, index.train_graph(LARGE.ask(2000, seed=1))


def test_the_report_says_what_training_gave(taught):
    index, _, report = taught
    assert report.enabled and report.reason and "\n" not in report.reason
    assert report.validation_queries == 400 and 1500 < report.training_queries <= 1600
    assert report.entries > 0 and report.edges_added > report.edges_replaced >= 0
    low, high = report.hop_ratio_interval
    assert low <= report.hop_ratio <= high < 1
    assert report.hop_ratio == pytest.approx(report.hops_after / report.hops_before)
    assert 0 < report.row_hop_ratio <= 1.01
    assert report.seconds > 0
    assert index.training == {
        "rows": len(LARGE.rows),
        "training_queries": report.training_queries,
        "validation_queries": report.validation_queries,
        "entries": report.entries,
        "edges_added": report.edges_added,
        "codes": True,
        "generated": False,
        "hops_before": report.hops_before,
        "hops_after": report.hops_after,
        "hop_ratio": [report.hop_ratio, low, high],
        "row_hop_ratio": report.row_hop_ratio,
        "seed": 0,
    }


def test_other_questions_need_fewer_hops_too(taught):
    index, before, report = taught
    after = hops_at_recall(index, LARGE.ask(300, seed=2))
    assert after < 0.85 * before
    assert after == pytest.approx(report.hops_after, rel=0.4)


def test_rows_as_queries_do_not_pay_for_it(taught, saved):
    own = LARGE.rows[::20]
    assert hops_at_recall(taught[0], own) <= 1.05 * hops_at_recall(saved(LARGE), own)


def test_exact_answers_and_memory_stay(taught, saved):
    plain, queries = saved(LARGE), LARGE.ask(100, seed=3)
    one, other = (each.search_batch(queries, index="exact") for each in (plain, taught[0]))
    assert one.labels.tolist() == other.labels.tolist() and one.scores.tolist() == other.scores.tolist()
    grown = {name: size - plain.memory_bytes()[name] for name, size in taught[0].memory_bytes().items()}
    covariance = 4 * (-(-LARGE.rows.shape[1] // 64) * 64) ** 2
    assert {name for name, size in grown.items() if size} == {"codes", "training"}
    assert grown["codes"] == covariance
    assert grown["training"] < 0.1 * sum(plain.memory_bytes().values())
    assert plain.labels.tolist() == taught[0].labels.tolist()


def test_training_is_kept_by_save_and_load(taught, saved, tmp_path):
    index, _, _ = taught
    index.save(tmp_path / "index")
    assert (tmp_path / "index").stat().st_size > 0
    queries = LARGE.ask(100, seed=3)
    for verify in (True, False):
        again = trivium.VectorIndex.load(tmp_path / "index", verify=verify)
        assert again.training == index.training
        assert answers(again, queries) == answers(index, queries)
    again.save(tmp_path / "copy")
    assert trivium.VectorIndex.load(tmp_path / "copy").training == index.training
    assert trivium.VectorIndex.load(tmp_path / "copy", algorithm="exact").training is None


def test_training_is_kept_when_rows_come_and_go(taught, saved, tmp_path):
    taught[0].save(tmp_path / "index")
    index, plain = trivium.VectorIndex.load(tmp_path / "index"), saved(LARGE)
    record = index.training
    assert record is not None
    more = QuestionsApart(300, 96, noise=0.5, seed=5).rows
    gone = np.arange(0, 6000, 10)
    for each in (index, plain):
        each.add(np.arange(10_000, 10_300), more)
        each.remove(gone)
    assert index.training == record
    queries = LARGE.ask(300, seed=2)
    for step in ("removed", "compacted"):
        if step == "compacted":
            index.compact()
            plain.compact()
        assert len(index) == 5700 and index.training == record
        found = index.search_batch(queries, index="graph", beam_width=192).labels
        assert not np.isin(found, gone).any()
        exact = [each.search_batch(queries, index="exact").labels.tolist() for each in (index, plain)]
        assert exact[0] == exact[1]
        assert hops_at_recall(index, queries) < 0.9 * hops_at_recall(plain, queries)
        assert (index.search_batch(more, k=1, index="graph").labels[:, 0] >= 10_000).mean() > 0.95


def test_training_is_forgotten_with_a_graph_that_is_built_anew(index):
    assert index.train_graph(QUESTIONS).enabled
    index.remove(np.arange(ROWS - 200))
    index.compact()
    assert index.training is None
    found = index.search_batch(SMALL.rows[-200:], k=1, index="graph").labels[:, 0]
    assert found.tolist() == list(range(ROWS - 200, ROWS))


def test_rows_removed_before_training_stay_away(index):
    gone = np.arange(0, ROWS, 10)
    index.remove(gone)
    assert index.train_graph(QUESTIONS).enabled
    assert len(index) == ROWS - len(gone)
    assert not np.isin(index.search_batch(OTHERS, index="graph", beam_width=192).labels, gone).any()


def test_a_calibrated_beam_stays(index, tmp_path):
    index.calibrate(OTHERS, target_recall=0.9)
    width = index.beam_width
    assert index.train_graph(QUESTIONS).enabled
    index.save(tmp_path / "index")
    again = trivium.VectorIndex.load(tmp_path / "index")
    assert (again.beam_width, again.target_recall) == (index.beam_width, 0.9) == (width, 0.9)


@pytest.mark.parametrize("profile", ["balanced", "small"])
def test_other_profiles_learn_edges_alone(saved, profile):
    for data, questions in ((SMALL, QUESTIONS), (MEDIUM, MEDIUM.ask(400, seed=1))):
        index = saved(data, profile)
        report = index.train_graph(questions, ignore_gate=True)
        assert report.entries == 0 and report.edges_added > 0
        assert index.training["entries"] == 0
    index = saved(SMALL, profile)
    before, exact = hops_at_recall(index, OTHERS), answers(index)[-1]
    assert index.train_graph(QUESTIONS).enabled
    assert hops_at_recall(index, OTHERS) < 0.7 * before
    assert answers(index)[-1] == exact


@pytest.mark.parametrize("metric", ["inner_product", "squared_l2"])
def test_other_metrics(metric):
    index = trivium.VectorIndex(DIMENSION, metric)
    index.add(np.arange(ROWS), SMALL.rows)
    questions = np.concatenate(
        [QUESTIONS, np.zeros((1, DIMENSION), np.float32)]
    )  # no harm without the cosine
    exact = answers(index)[-1]
    report = index.train_graph(questions, ignore_gate=True)
    assert report.enabled and report.edges_added > 0
    assert answers(index)[-1] == exact


def test_entries_and_edges_can_be_learned_alone(saved):
    index = saved(MEDIUM)
    questions = MEDIUM.ask(600, seed=1)
    report = index.train_graph(questions, edges=False, ignore_gate=True)
    assert report.entries > 0 and report.edges_added == 0
    report = saved(MEDIUM).train_graph(questions, entries=False, ignore_gate=True)
    assert report.entries == 0 and report.edges_added > 0


def test_the_same_for_any_number_of_threads(saved):
    results = []
    for threads in (1, 2):
        index = saved(MEDIUM)
        report = index.train_graph(MEDIUM.ask(600, seed=1), seed=3, threads=threads, ignore_gate=True)
        results.append((learned(report), index.training, answers(index, MEDIUM.ask(100, seed=2))))
    assert results[0] == results[1]
    assert results[0][1]["seed"] == 3
    other = saved(MEDIUM).train_graph(MEDIUM.ask(600, seed=1), seed=4, ignore_gate=True)
    assert learned(other) != results[0][0]  # others are held out


def test_twins_of_what_is_held_out_are_not_trained_on(index):
    """600 questions, each of them twice: a fifth is held out, and the twin of each of these is left out."""
    report = index.train_graph(np.concatenate([QUESTIONS, 2 * QUESTIONS]))
    assert report.validation_queries == 240
    assert report.training_queries < 960 - 100


# The gate

REFUSED = {
    "nothing learned": (SMALL, "balanced", lambda: QUESTIONS, {"edges": False}),
    "too few to be sure": (LARGE, "speed", lambda: LARGE.ask(100, seed=1), {}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_gate_keeps_out_what_does_not_pay(saved, name):
    data, profile, questions, options = REFUSED[name]
    index, queries = saved(data, profile), data.ask(100, seed=2)
    before = answers(index, queries)
    report = index.train_graph(questions(), **options)
    assert not report.enabled and report.hop_ratio_interval[1] >= 1 and "not fewer" in report.reason
    assert index.training is None
    assert answers(index, queries) == before
    forced = index.train_graph(questions(), ignore_gate=True, **options)
    assert learned(forced) == {**learned(report), "enabled": True}
    assert index.training is not None and index.training["hop_ratio"][0] == report.hop_ratio
    assert answers(index, queries)[-1] == before[-1]
    if report.edges_added:
        assert answers(index, queries) != before


def test_what_was_learned_before_stays_where_the_gate_refuses(index):
    assert index.train_graph(QUESTIONS).enabled
    before, record = answers(index), index.training
    assert not index.train_graph(QUESTIONS, edges=False).enabled
    assert index.training == record and answers(index) == before


# Bad input


@pytest.mark.parametrize("name", BAD_TRAINING)
def test_bad_training_is_refused_and_changes_nothing(index, name):
    call, exception, message = BAD_TRAINING[name]
    index.remove([7])
    before, memory = answers(index, OTHERS[:20]), index.memory_bytes()
    refuse(lambda: call(index.train_graph), exception, message)
    assert index.training is None
    assert answers(index, OTHERS[:20]) == before and index.memory_bytes() == memory


@pytest.mark.parametrize("algorithm", ["exact", "hnswlib", "faiss_flat", "faiss_ivf"])
def test_other_algorithms_have_no_graph_to_train(algorithm):
    index = trivium.VectorIndex(DIMENSION, algorithm=algorithm)
    index.add(np.arange(300), SMALL.rows[:300])
    refuse(lambda: index.train_graph(QUESTIONS), trivium.FailedPrecondition, f"{algorithm}, expected graph")
    assert index.training is None


def test_an_index_must_be_large_enough(index):
    index.remove(np.arange(2047, ROWS))
    refuse(lambda: index.train_graph(QUESTIONS), trivium.FailedPrecondition, "2047 rows.*at least 2048")
    index.add([2047], SMALL.rows[2047:2048])
    assert index.train_graph(QUESTIONS).enabled
    empty = trivium.VectorIndex(DIMENSION)
    refuse(lambda: empty.train_graph(QUESTIONS), trivium.FailedPrecondition, "0 rows.*at least 2048")


@pytest.mark.parametrize("options", [{}, {"edges": False}], ids=["both", "entries"])
def test_progress_is_told_and_may_raise(index, options):
    calls = []
    index.train_graph(QUESTIONS, progress=lambda *call: calls.append(call), **options)
    check_progress(calls)
    assert calls[0][1] < calls[0][2] or len(calls) == 1


@pytest.mark.parametrize("options", [{}, {"edges": False}], ids=["both", "entries"])
@pytest.mark.parametrize("when", ["first", "last"])
def test_what_progress_raises_leaves_the_index_as_it_was(index, options, when):
    before = answers(index)

    def fail(stage, done, total):
        if when == "first" or done == total:
            raise OSError("the terminal is gone")

    with pytest.raises(OSError, match="the terminal is gone"):
        index.train_graph(QUESTIONS, ignore_gate=True, progress=fail, **options)
    assert index.training is None and answers(index) == before
    assert index.train_graph(QUESTIONS).enabled
