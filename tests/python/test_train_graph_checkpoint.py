# SPDX-License-Identifier: Apache-2.0
"""train_graph with a checkpoint: what was stopped goes on to the same end."""

import os
import signal

import numpy as np
import pytest
from taught_graphs import (
    DIMENSION,
    QUESTIONS,
    SMALL,
    answers,
    index,  # noqa: F401
    learned,
    refuse,
    saved,  # noqa: F401
)

import trivium


class Stop(Exception):
    pass


def stop_in(wanted, least=0):
    """A progress callback that raises Stop in stage `wanted`, once more than `least` is done."""

    def progress(stage, done, total):
        if stage == wanted and done > least:
            raise Stop

    return progress


@pytest.fixture
def path(tmp_path):
    return tmp_path / "training"


@pytest.mark.parametrize("least", [0, 500])  # in the first and the second of two rounds over 480 questions
def test_a_stopped_training_goes_on_to_the_same_graph(saved, path, least):  # noqa: F811
    stopped = saved()
    before = answers(stopped)
    with pytest.raises(Stop):
        stopped.train_graph(QUESTIONS, checkpoint=path, progress=stop_in("edges", least))
    assert path.exists() and answers(stopped) == before and stopped.training is None
    seen = []
    report = stopped.train_graph(
        QUESTIONS, checkpoint=str(path), threads=1, progress=lambda *call: seen.append(call)
    )
    assert min(done for stage, done, _ in seen if stage == "answers" and done) == report.training_queries
    assert not path.exists()
    whole = saved()
    assert learned(whole.train_graph(QUESTIONS)) == learned(report)
    assert answers(stopped) == answers(whole)
    assert 1 <= len(report.round_hop_ratios) <= 2 and report.hop_ratio == min(report.round_hop_ratios)


def test_another_training_is_refused_and_leaves_it(index, path):  # noqa: F811
    with pytest.raises(Stop):
        index.train_graph(QUESTIONS, checkpoint=path, progress=stop_in("edges"))
    kept = path.read_bytes()
    for call in (
        lambda: index.train_graph(QUESTIONS, checkpoint=path, seed=1),
        lambda: index.train_graph(QUESTIONS[1:], checkpoint=path),
    ):
        refuse(call, trivium.FailedPrecondition, "training: of another training, expected the same")
    assert path.read_bytes() == kept
    path.write_bytes(kept[:-1])
    refuse(lambda: index.train_graph(QUESTIONS, checkpoint=path), trivium.DataLoss, str(path))
    nowhere = path.parent / "no" / "folder"
    refuse(lambda: index.train_graph(QUESTIONS, checkpoint=nowhere), trivium.NotFound, str(nowhere))


def test_every_graph_of_a_store_has_its_own(tmp_path, path):
    def made(name):
        store = trivium.open(tmp_path / name)
        store.add_space("dense", DIMENSION)
        for partition, rows in (("one", SMALL.rows), ("two", SMALL.rows[::-1])):
            store.add_expert(partition, "dense", partition)
            store.upsert([f"d{row}" for row in range(len(rows))], {"dense": rows}, partition=partition)
        store.build()
        return store

    with made("kb") as store, made("whole") as whole:
        stages = []

        def stop(stage, done, total):
            stages.append(stage)
            if stages.count("gate") and stage == "edges":  # of the second graph
                raise Stop

        with pytest.raises(Stop):
            store.train_graph(QUESTIONS, checkpoint=path, progress=stop)
        assert sorted(each.name for each in tmp_path.glob("training*")) == ["training", "training.2"]
        seen = []
        report = store.train_graph(QUESTIONS, checkpoint=path, progress=lambda *call: seen.append(call))
        assert not list(tmp_path.glob("training*"))
        assert min(done for stage, done, _ in seen if stage == "answers" and done) > 400
        expected = whole.train_graph(QUESTIONS)
        assert [learned(g.training) for g in report.graphs] == [learned(g.training) for g in expected.graphs]
        batches = [each.search_batch(QUESTIONS[:50], index="graph", beam_width=10) for each in (store, whole)]
        assert batches[0].ids == batches[1].ids


@pytest.mark.parametrize("stage", ["measure", "answers", "edges", "gate"])
def test_ctrl_c_stops_it_in_every_stage(index, stage):  # noqa: F811
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    before = answers(index)

    def progress(told, done, total):
        if told == stage:
            os.kill(os.getpid(), signal.SIGINT)

    try:
        with pytest.raises(KeyboardInterrupt):
            index.train_graph(QUESTIONS, progress=progress)
    finally:
        signal.signal(signal.SIGINT, handler)
    assert answers(index) == before and index.training is None


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5])
def test_a_seed_that_is_none(index, seed):  # noqa: F811
    exception, message = (
        (TypeError, "float") if isinstance(seed, float) else (ValueError, f"seed: {seed}, expected 0 to")
    )
    refuse(lambda: index.train_graph(QUESTIONS, seed=seed), exception, message)
    assert np.isfinite(index.train_graph(QUESTIONS, seed=np.int64(3)).hop_ratio)
