# SPDX-License-Identifier: Apache-2.0
"""What the tests of train_graph share: data, fixtures and measures."""

import pathlib
import sys
import tempfile
from itertools import groupby
from operator import itemgetter

import numpy as np
import pytest

import trivium

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from questions_apart import QuestionsApart  # noqa: E402  (after its folder is on the path)

STAGES = dict.fromkeys(["measure", "answers", "entries", "edges", "codes", "gate"]).keys()  # in order
OPTIONAL_STAGES = {"entries", "edges", "codes"}
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


def refuse(call, exception, message):
    with pytest.raises(exception, match=message) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text and len(text) < 400


def check_progress(calls):
    """Stages in their order; in each, done rises to total, which stays the same."""
    stages = [stage for stage, _ in groupby(calls, key=itemgetter(0))]
    assert (
        stages == [stage for stage in STAGES if stage in stages] and set(stages) >= STAGES - OPTIONAL_STAGES
    )
    for _, calls_of_stage in groupby(calls, key=itemgetter(0)):
        done, totals = zip(*(call[1:] for call in calls_of_stage))
        assert list(done) == sorted(done) and set(totals) == {done[-1]} and done[-1] > 0


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
        lambda t: t(QUESTIONS, entries=False, edges=False, codes=False),
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
