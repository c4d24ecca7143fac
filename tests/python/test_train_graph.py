# SPDX-License-Identifier: Apache-2.0
"""VectorIndex.train_graph and Store.train_graph: graphs taught from questions that lie apart from the rows."""

import asyncio
import pathlib
import sys
import tempfile

import numpy as np
import pytest

import trivium
from support import contents

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from questions_apart import QuestionsApart  # noqa: E402  (after its folder is on the path)

ROWS, DIMENSION = 2500, 48  # without edge codes, so that edges alone are learned
WIDTHS = (10, 12, 16, 24, 32, 48, 64, 96, 128, 192)
SMALL = QuestionsApart(ROWS, DIMENSION)
MEDIUM = QuestionsApart(2100, 64)  # with edge codes
LARGE = QuestionsApart(6000, 96, noise=0.5, question_noise=0.3, topics=30)
QUESTIONS = SMALL.ask(600, seed=1)
OTHERS = SMALL.ask(200, seed=2)


@pytest.fixture(scope="module")
def saved():
    """saved(data, profile): an index of data.rows, untrained, made once."""
    with tempfile.TemporaryDirectory() as folder:

        def load(data=SMALL, profile="speed"):
            path = pathlib.Path(folder) / f"{data.rows.shape[1]}-{profile}"
            if not path.exists():
                index = trivium.VectorIndex(data.rows.shape[1], profile=profile)
                index.add(np.arange(len(data.rows)), data.rows)
                index.save(path)
            return trivium.VectorIndex.load(path)

        yield load


@pytest.fixture
def index(saved):
    return saved()


def hops_at_recall(index, queries, recall=0.95):
    """Hops a query at that recall@10, interpolated between beam widths."""
    true = index.search_batch(queries, index="exact").labels
    recalls, hops = [], []
    for width in WIDTHS:
        found = index.search_batch(queries, index="graph", beam_width=width)
        hits = [len(set(a) & set(b)) for a, b in zip(found.labels.tolist(), true.tolist())]
        recalls.append(np.mean(hits) / 10)
        hops.append(found.hops / len(queries))
    recalls = np.maximum.accumulate(recalls)
    assert recalls[-1] >= recall
    return float(np.interp(recall, recalls, hops))


def answers(index, queries=OTHERS):
    """What walks find and what they cost, and what a scan finds."""
    walks = [index.search_batch(queries, index="graph", beam_width=width) for width in (10, 48)]
    scan = index.search_batch(queries, index="exact")
    return [(a.labels.tolist(), a.scores.tolist(), a.hops) for a in (*walks, scan)]


def learned(report):
    """The report without the time that it took."""
    return {name: value for name, value in report.to_dict().items() if name != "seconds"}


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
        "training_queries": report.training_queries,
        "validation_queries": report.validation_queries,
        "entries": report.entries,
        "edges_added": report.edges_added,
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
    assert plain.memory_bytes() == taught[0].memory_bytes()
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


def spoiled(row, value):
    questions = QUESTIONS.copy()
    questions[row] = value
    return questions


BAD_TRAINING = {
    "too few": (lambda t: t(QUESTIONS[:99]), trivium.InvalidArgument, "queries: 99, expected at least 100"),
    "none": (lambda t: t(QUESTIONS[:0]), trivium.InvalidArgument, "queries: 0, expected at least 100"),
    "an empty list": (lambda t: t([]), trivium.InvalidArgument, "queries"),
    "None": (lambda t: t(None), trivium.InvalidArgument, "queries"),
    "one row": (lambda t: t(QUESTIONS[0]), trivium.InvalidArgument, r"queries: shape \(48,\)"),
    "dimension": (lambda t: t(QUESTIONS[:, :40]), trivium.InvalidArgument, "dimension: 40, expected 48"),
    "NaN": (lambda t: t(spoiled(417, np.nan)), trivium.InvalidArgument, "row 417, component 0: nan"),
    "infinite": (lambda t: t(spoiled(5, -np.inf)), trivium.InvalidArgument, "row 5, component 0: -inf"),
    "zero": (lambda t: t(spoiled(599, 0)), trivium.InvalidArgument, "row 599: zero.*cosine"),
    "a str": (
        lambda t: t("what is a graph?"),
        (TypeError, trivium.InvalidArgument),
        "queries: .*(str|dtype)",
    ),
    "integers": (lambda t: t(np.ones((200, 48), int)), trivium.InvalidArgument, "queries: dtype int64"),
    "neither": (
        lambda t: t(QUESTIONS, entries=False, edges=False),
        trivium.InvalidArgument,
        "neither entries nor edges",
    ),
    "recall 0": (
        lambda t: t(QUESTIONS, recall=0),
        trivium.InvalidArgument,
        "recall: 0, expected more than 0",
    ),
    "recall 1.1": (lambda t: t(QUESTIONS, recall=1.1), trivium.InvalidArgument, "recall: 1.1.*at most 1"),
    "recall NaN": (lambda t: t(QUESTIONS, recall=np.nan), trivium.InvalidArgument, "recall: nan"),
    "threads": (lambda t: t(QUESTIONS, threads=-1), trivium.InvalidArgument, "threads: -1"),
}


def refuse(call, exception, message):
    with pytest.raises(exception, match=message) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text and len(text) < 400


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


def check_progress(calls):
    """All calls of stage "train"; done rises to total, which stays the same."""
    assert calls and {stage for stage, _, _ in calls} == {"train"}
    done, totals = [call[1] for call in calls], {call[2] for call in calls}
    assert done == sorted(done) and totals == {done[-1]} and done[-1] > 0


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


# Stores


def fill(store, data=SMALL, space="dense", partition="main", prefix="d"):
    ids = [f"{prefix}{row}" for row in range(len(data.rows))]
    store.upsert(ids, {space: data.rows}, partition=partition)


@pytest.fixture(scope="module")
def store_files():
    """Snapshot of a store of one segment."""
    with tempfile.TemporaryDirectory() as folder:
        with trivium.open(folder + "/kb") as store:
            store.add_space("dense", DIMENSION)
            store.add_expert("one", "dense", "main")
            fill(store)
            store.build()
            store.snapshot(folder + "/snapshot")
        yield folder + "/snapshot"


@pytest.fixture
def store(store_files, tmp_path):
    trivium.restore(store_files, tmp_path / "kb")
    with trivium.open(tmp_path / "kb") as opened:
        yield opened


def seen(store, queries=OTHERS[:20], **options):
    """All that a search of the store and `inspect` show, walks and their hops included."""
    hits = []
    for index in ("graph", "exact"):
        batch = store.search_batch(queries, index=index, **options)
        hits.append((batch.ids, np.asarray(batch.scores).tolist()))
    hops = [store.search(query, index="graph").trace.hops for query in queries]
    return contents(store), store.inspect().to_dict(), hits, hops


def store_hops(store, queries=OTHERS):
    recalls, hops = [], []
    true = store.search_batch(queries, index="exact").ids
    for width in WIDTHS:
        found = [store.search(query, index="graph", beam_width=width) for query in queries]
        recalls.append(np.mean([len(set(a.ids) & set(b)) / 10 for a, b in zip(found, true)]))
        hops.append(np.mean([each.trace.hops for each in found]))
    return float(np.interp(0.95, np.maximum.accumulate(recalls), hops))


def trained_sets(store):
    """{(space, partition): for each segment, whether it was trained}"""
    return {(s.space, s.partition): [t is not None for t in s.training] for s in store.inspect().vector_sets}


def test_a_trained_store_stays_trained(store):
    before, exact = store_hops(store), store.search_batch(OTHERS, index="exact").ids
    size = store.inspect().vector_sets[0].bytes
    assert trained_sets(store) == {("dense", "main"): [False]}
    report = store.train_graph(QUESTIONS)
    (graph,) = report.graphs
    assert (graph.space, graph.partition, graph.rows) == ("dense", "main", ROWS)
    assert report.too_small == 0 and 0 < graph.training.seconds <= report.seconds
    assert graph.training.enabled and graph.training.hop_ratio_interval[1] < 1
    (vectors,) = store.inspect().vector_sets
    (training,) = vectors.training
    assert training["hops_after"] == graph.training.hops_after and training["seed"] == 0
    assert vectors.bytes == pytest.approx(size, rel=0.01)
    after = seen(store)
    assert store_hops(store) < 0.6 * before
    assert store.search_batch(OTHERS, index="exact").ids == exact
    assert store.verify().vectors == ROWS
    store.close()
    for read_only in (True, False):
        with trivium.open(store.path, read_only=read_only) as again:
            assert seen(again) == after
            assert again.verify().vectors == ROWS
    (segment,) = (pathlib.Path(store.path) / "segments").iterdir()  # the one it replaced is gone


def test_the_same_as_an_index_learns(store, index):
    assert learned(store.train_graph(QUESTIONS).graphs[0].training) == learned(index.train_graph(QUESTIONS))


def test_a_store_gives_the_same_for_any_number_of_threads(store_files, tmp_path):
    results = []
    for threads in (1, 2):
        trivium.restore(store_files, tmp_path / str(threads))
        with trivium.open(tmp_path / str(threads)) as store:
            graphs = store.train_graph({"dense": QUESTIONS}, seed=5, threads=threads).graphs
            document, info, *found = seen(store)
            results.append(([learned(graph.training) for graph in graphs], info["vector_sets"], found))
    assert results[0] == results[1]


def test_the_gate_of_a_store(store):
    before = seen(store)
    files = sorted((pathlib.Path(store.path) / "segments").iterdir())
    report = store.train_graph(QUESTIONS, edges=False)
    assert [graph.training.enabled for graph in report.graphs] == [False]
    assert seen(store) == before
    assert sorted((pathlib.Path(store.path) / "segments").iterdir()) == files
    report = store.train_graph(QUESTIONS, edges=False, ignore_gate=True)
    assert [graph.training.enabled for graph in report.graphs] == [True]
    assert trained_sets(store) == {("dense", "main"): [True]}


def test_deletes_and_later_writes_outlive_training(store):
    gone = [f"d{row}" for row in range(0, ROWS, 10)]
    store.delete(ids=gone)
    store.upsert(["late", "d1"], {"dense": OTHERS[:2]}, partition="main")
    before = contents(store)
    exact = store.search_batch(OTHERS, index="exact").ids
    assert exact[0][0] == "late" and exact[1][0] == "d1"
    assert store.train_graph(QUESTIONS).graphs[0].training.enabled
    for step in ("trained", "reopened"):
        if step == "reopened":
            store.close()
            store = trivium.open(store.path)
        assert contents(store) == before
        assert store.search_batch(OTHERS, index="exact").ids == exact
        found = store.search_batch(OTHERS, index="graph", beam_width=192).ids
        assert not {id for ids in found for id in ids} & set(gone)
        assert found[0][0] == "late" and found[1][0] == "d1"
        store.verify()
    store.close()


def test_compact_leaves_the_segment_untrained_and_right(store):
    assert store.train_graph(QUESTIONS).graphs[0].training.enabled
    store.delete(ids=["d0", "d1"])
    exact = store.search_batch(OTHERS, index="exact").ids
    store.compact()
    assert trained_sets(store) == {("dense", "main"): [False]}
    assert store.search_batch(OTHERS, index="exact").ids == exact
    found = store.search_batch(OTHERS, index="graph", beam_width=192).ids
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, exact)]) > 0.95
    assert store.train_graph(QUESTIONS).graphs[0].training.enabled


def test_small_segments_are_left_as_they_are(store):
    store.upsert([f"x{row}" for row in range(300)], {"dense": SMALL.rows[:300] + 1}, partition="main")
    store.build()
    report = store.train_graph(QUESTIONS)
    assert len(report.graphs) == 1 and report.too_small == 1
    assert sorted(trained_sets(store)["dense", "main"]) == [False, True]


def test_one_expert_of_two(store):
    fill(store, QuestionsApart(ROWS, DIMENSION, seed=1), partition="side", prefix="s")
    store.add_expert("two", "dense", "side")
    store.build()
    report = store.train_graph(QUESTIONS, "two", ignore_gate=True)
    assert [(graph.space, graph.partition) for graph in report.graphs] == [("dense", "side")]
    assert trained_sets(store) == {("dense", "main"): [False], ("dense", "side"): [True]}
    report = store.train_graph(QUESTIONS, expert="one")
    assert [(graph.space, graph.partition) for graph in report.graphs] == [("dense", "main")]
    assert trained_sets(store) == {("dense", "main"): [True], ("dense", "side"): [True]}
    assert {graph.partition for graph in store.train_graph(QUESTIONS, ignore_gate=True).graphs} == {
        "main",
        "side",
    }
    store.verify()


def test_two_spaces_take_an_array_each(store):
    store.add_space("wide", 96)
    store.upsert([f"w{row}" for row in range(3000)], {"wide": LARGE.rows[:3000]}, partition="main")
    store.build()
    both = {"dense": QUESTIONS, "wide": LARGE.ask(600, seed=1)}
    refuse(lambda: store.train_graph({"dense": QUESTIONS}), trivium.FailedPrecondition, "space 'wide'")
    refuse(
        lambda: store.train_graph({**both, "wide": both["wide"][:300]}),
        trivium.InvalidArgument,
        "'wide': 300 rows, expected 600",
    )
    refuse(lambda: store.train_graph(QUESTIONS), trivium.InvalidArgument, "space: not named")
    assert trained_sets(store) == {("dense", "main"): [False], ("wide", "main"): [False]}
    report = store.train_graph(both, ignore_gate=True)
    assert {graph.space for graph in report.graphs} == {"dense", "wide"}
    assert trained_sets(store) == {("dense", "main"): [True], ("wide", "main"): [True]}


class Encoder:
    """Texts are row numbers of an array."""

    dimension = DIMENSION
    fingerprint = "rows:1"

    def __init__(self):
        self.calls = []

    def __call__(self, texts, kind):
        self.calls.append((len(texts), kind))
        return (SMALL.rows if kind == "document" else QUESTIONS)[[int(text) for text in texts]]


def test_texts_are_encoded_as_queries(tmp_path, index):
    encoder = Encoder()
    with trivium.open(tmp_path / "kb", encoders={"rows": encoder}) as store:
        store.add_space("dense", DIMENSION, encoder="rows")
        store.add_expert("one", "dense")
        fill(store)
        store.build()
        report = asyncio.run(store.atrain_graph([str(row) for row in range(len(QUESTIONS))]))
        assert {kind for _, kind in encoder.calls} == {"query"}
        assert sum(count for count, _ in encoder.calls) == len(QUESTIONS)
        assert learned(report.graphs[0].training) == learned(index.train_graph(QUESTIONS))
    with trivium.open(tmp_path / "kb") as store:
        assert list(trained_sets(store).values()) == [[True]]
        refuse(lambda: store.train_graph(["0"] * 200), trivium.FailedPrecondition, "encoder 'rows'")


def test_async_takes_the_same_arguments_and_raises_the_same(store):
    async def work():
        with pytest.raises(trivium.NotFound, match="nobody"):
            await store.atrain_graph(QUESTIONS, "nobody")
        return await store.atrain_graph(QUESTIONS, expert="one", entries=False, threads=1, seed=2)

    report = asyncio.run(work())
    assert report.graphs[0].training.enabled
    assert store.inspect().vector_sets[0].training[0]["seed"] == 2


BAD_STORE_TRAINING = {
    **BAD_TRAINING,
    "a str": (lambda t: t("what is a graph?"), TypeError, "queries: a str"),
    "texts": (lambda t: t(["text"] * 200), trivium.FailedPrecondition, "space 'dense'"),
    "too few texts": (lambda t: t(["text"] * 99), trivium.InvalidArgument, "queries: 99"),
    "texts and more": (lambda t: t(["text", 3] * 100), trivium.InvalidArgument, "queries: dtype"),
    "expert": (lambda t: t(QUESTIONS, "nobody"), trivium.NotFound, "expert 'nobody'"),
    "space": (lambda t: t({"nowhere": QUESTIONS}), trivium.NotFound, "space: 'nowhere'"),
    "no space": (lambda t: t({}), trivium.InvalidArgument, "queries: 0"),
}


@pytest.fixture(scope="module")
def untouched(store_files):
    """(store, what is seen of it), for calls that change nothing."""
    with tempfile.TemporaryDirectory() as folder:
        trivium.restore(store_files, folder + "/kb")
        with trivium.open(folder + "/kb") as store:
            yield store, seen(store)


@pytest.mark.parametrize("name", BAD_STORE_TRAINING)
def test_bad_training_of_a_store_changes_nothing(untouched, name):
    store, before = untouched
    call, exception, message = BAD_STORE_TRAINING[name]
    refuse(lambda: call(store.train_graph), exception, message)
    assert seen(store) == before


def test_a_store_without_a_sealed_segment(tmp_path):
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("dense", DIMENSION)
        store.add_expert("one", "dense", "main")
        for _ in range(2):
            refuse(lambda: store.train_graph(QUESTIONS), trivium.FailedPrecondition, "no sealed.*build first")
            fill(store)
        assert trained_sets(store) == {("dense", "main"): []}
        store.delete(ids=[f"d{row}" for row in range(2047, ROWS)])
        store.build()
        refuse(lambda: store.train_graph(QUESTIONS), trivium.FailedPrecondition, "1 smaller")
        assert trained_sets(store) == {("dense", "main"): [False]}


def test_progress_of_a_store_is_told_and_may_raise(store):
    before = seen(store)
    files = sorted((pathlib.Path(store.path) / "segments").iterdir())

    def fail(stage, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.train_graph(QUESTIONS, progress=fail)
    assert seen(store) == before
    assert sorted((pathlib.Path(store.path) / "segments").iterdir()) == files
    calls = []
    assert store.train_graph(QUESTIONS, progress=lambda *call: calls.append(call)).graphs[0].training.enabled
    check_progress(calls)


def test_a_store_that_may_not_be_written(store):
    store.close()
    refuse(lambda: store.train_graph(QUESTIONS), trivium.FailedPrecondition, "closed")
    with trivium.open(store.path, read_only=True) as again:
        refuse(lambda: again.train_graph(QUESTIONS), trivium.FailedPrecondition, "read-only")
