# SPDX-License-Identifier: Apache-2.0
"""Feedback: what users made of answers corrects routes at once, lasts, and cannot be abused easily."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import trivium
from support import make_collection

DIMENSION = 16
DOMAINS = ["law", "medicine", "physics"]


class World:
    """A partition and an expert for each domain; queries lie near the document that answers them."""

    def __init__(self, path: Path, rng: np.random.Generator) -> None:
        self.path, self.rng = path, rng
        self.store = trivium.open(path)
        self.store.add_space("text", DIMENSION)
        self.documents = {}
        for number, domain in enumerate(DOMAINS):
            data = make_collection(rng, 120, DIMENSION)
            data.vectors[:, number] += 5
            self.documents[domain] = data
            self.store.upsert(data.ids, data.vectors, data.texts, partition=domain)
            self.store.add_expert(domain, space="text", partition=domain)

    def ask(self, domain: str, count: int) -> tuple[np.ndarray, list[str]]:
        data = self.documents[domain]
        rows = self.rng.integers(0, 120, count)
        noise = 0.3 * self.rng.standard_normal((count, DIMENSION), dtype=np.float32)
        return data.vectors[rows] + noise, [data.ids[row] for row in rows]

    def train(self) -> trivium.reports.DispatchReport:
        queries, qrels, groups = [], [], []
        for domain in DOMAINS:
            vectors, ids = self.ask(domain, 60)
            queries.append(vectors)
            qrels += [{(domain, document): 1} for document in ids]
            groups += [domain] * 60
        return self.store.train_dispatch(
            np.concatenate(queries), qrels, groups=groups, routers=["knn_utility"]
        )

    def move(self, source: str, target: str) -> None:
        """The documents of a domain change partition."""
        data = self.documents[source]
        self.store.delete(data.ids, partition=source)
        self.store.upsert([f"moved-{id}" for id in data.ids], data.vectors, partition=target)

    def react(self, domain: str, count: int, moved: bool = False) -> trivium.reports.FeedbackReport:
        """Asks, and says which hit was right, if it was among them."""
        queries, ids = self.ask(domain, count)
        answers = [self.store.search(query, router="knn_utility") for query in queries]
        wanted = [f"moved-{id}" if moved else id for id in ids]
        relevant = [[id] if id in hits.ids else [] for id, hits in zip(wanted, answers)]
        return self.store.feedback_batch(queries, answers, relevant=relevant)


@pytest.fixture
def world(tmp_path: Path, rng: np.random.Generator):
    world = World(tmp_path / "kb", rng)
    yield world
    world.store.close()


def chosen(store: trivium.Store, query: np.ndarray) -> list[str]:
    return store.search(query, router="knn_utility").route.chosen


def test_routes_follow_documents_that_moved_and_remember_it(world: World) -> None:
    world.train()
    query, _ = world.ask("law", 1)
    assert chosen(world.store, query[0])[0] == "law"
    world.move("law", "medicine")
    for _ in range(12):
        report = world.react("law", 4, moved=True)
    assert report.in_use == 48 and not report.quarantined
    assert chosen(world.store, query[0])[0] == "medicine"
    other, _ = world.ask("physics", 1)
    assert chosen(world.store, other[0])[0] == "physics"
    world.store.close()
    world.store = trivium.open(world.path)
    assert chosen(world.store, query[0])[0] == "medicine"
    assert world.store.inspect().dispatch.feedback == 48
    with trivium.open(world.path, read_only=True) as reader:
        assert chosen(reader, query[0])[0] == "medicine"


def test_without_feedback_and_where_it_agrees_the_first_expert_stays(world: World) -> None:
    world.train()
    queries = np.concatenate([world.ask(domain, 20)[0] for domain in DOMAINS])
    before = [chosen(world.store, query)[0] for query in queries]
    for domain in DOMAINS:
        world.react(domain, 20)
    assert [chosen(world.store, query)[0] for query in queries] == before


def test_feedback_outlives_a_training_which_says_how_many_first_experts_changed(world: World) -> None:
    assert world.train().first_expert_changed is None
    world.react("law", 5)
    report = world.train()
    assert report.first_expert_changed is not None and 0 <= report.first_expert_changed < 0.2
    assert report.to_dict()["first_expert_changed"] == report.first_expert_changed
    assert world.store.inspect().dispatch.feedback == 5
    assert world.store.inspect().dispatch.pilots == 180


def test_quarantine_by_hand_is_shown_kept_and_lifted(world: World) -> None:
    world.train()
    query, _ = world.ask("law", 1)
    world.store.quarantine("law", "being rebuilt")
    hits = world.store.search(query[0], router="knn_utility", explain=True)
    assert "law" not in hits.route.chosen and "law" not in hits.partitions
    reasons = {expert.expert: expert.reason for expert in hits.route.experts}
    assert reasons["law"] == "in quarantine: being rebuilt"
    assert world.store.search(query[0], experts=["law"]).route.chosen == ["law"]
    assert "law" in world.store.search(query[0], experts="all").route.chosen
    world.store.close()
    world.store = trivium.open(world.path)
    assert world.store.inspect().experts[0].quarantine == "being rebuilt"
    world.store.lift_quarantine("law")
    assert chosen(world.store, query[0])[0] == "law"
    with pytest.raises(trivium.NotFound, match="expert: 'chess'"):
        world.store.quarantine("chess")
    for domain in DOMAINS:
        world.store.quarantine(domain)
    assert chosen(world.store, query[0])  # somebody must answer


def test_an_expert_that_keeps_failing_is_put_into_quarantine(world: World) -> None:
    world.train()
    quarantined: list[str] = []
    for _ in range(60):
        queries, _ = world.ask("law", 4)
        answers = [world.store.search(query, experts=["law"]) for query in queries]
        quarantined += world.store.feedback_batch(queries, answers, relevant=[[]] * 4).quarantined
    assert quarantined == ["law"]
    seen = world.store.inspect().experts[0]
    assert seen.quarantine is not None and seen.quarantine.startswith("feedback: worth 0.00")
    assert seen.feedback.evidence >= 10_000 and seen.feedback.observed == 0
    world.store.lift_quarantine("law")
    assert world.store.inspect().experts[0].feedback.answers == 0
    assert world.react("law", 4).quarantined == []


def test_one_call_is_not_enough_for_a_quarantine(world: World) -> None:
    world.train()
    queries, _ = world.ask("law", 200)
    answers = [world.store.search(query, experts=["law"]) for query in queries]
    assert world.store.feedback_batch(queries, answers, relevant=[[]] * 200).quarantined == []


def test_repetitions_and_loud_sources_count_less(world: World) -> None:
    world.train()
    query, ids = world.ask("law", 1)
    hits = world.store.search(query[0])
    first = world.store.feedback(query[0], hits, clicked=[hits[0].id])
    assert (first.kept, first.reduced, first.in_use) == (1, 0, 1)
    for _ in range(5):
        last = world.store.feedback(query[0], hits, clicked=[(hits[0].partition, hits[0].id)])
    assert last.reduced == 1
    queries, _ = world.ask("physics", 40)
    answers = [world.store.search(query) for query in queries]
    loud = world.store.feedback_batch(queries, answers, clicked=[[]] * 40, sources=["me"] * 40)
    assert loud.reduced >= 40


def test_a_new_expert_becomes_known_by_feedback(world: World) -> None:
    world.train()
    world.store.upsert([f"n{i}" for i in range(120)], world.documents["law"].vectors, partition="new")
    world.store.add_expert("new", space="text", partition="new")
    query, _ = world.ask("law", 1)
    hits = world.store.search(query[0], router="knn_utility", explain=True)
    assert np.isnan({expert.expert: expert.utility for expert in hits.route.experts}["new"])
    queries, _ = world.ask("law", 6)
    answers = [world.store.search(query, router="knn_utility") for query in queries]
    relevant = [[next(hit.id for hit in hits if hit.partition == "new")] for hits in answers]
    world.store.feedback_batch(queries, answers, relevant=relevant)
    hits = world.store.search(query[0], router="knn_utility", explain=True)
    assert {expert.expert: expert.utility for expert in hits.route.experts}["new"] > 0.1
    world.store.remove_expert("new")
    assert world.react("law", 4).kept == 4


def test_adding_and_removing_an_expert_leaves_the_others_utilities(world: World) -> None:
    world.train()
    for domain in DOMAINS:
        world.react(domain, 10)
    query, _ = world.ask("law", 1)

    def utilities() -> dict[str, float]:
        hits = world.store.search(query[0], router="knn_utility", explain=True)
        return {one.expert: one.utility for one in hits.route.experts if one.expert in DOMAINS}

    before = utilities()
    world.store.add_expert("wide", space="text")
    assert utilities() == before
    world.react("law", 4)
    changed = utilities()
    world.store.remove_expert("wide")
    assert utilities() == changed


def test_what_makes_no_sense_is_refused_and_changes_nothing(world: World, tmp_path: Path) -> None:
    query, _ = world.ask("law", 1)
    hits = world.store.search(query[0])
    with pytest.raises(trivium.FailedPrecondition, match="dispatch is not trained"):
        world.store.feedback(query[0], hits, relevant=[])
    world.train()
    with pytest.raises(trivium.InvalidArgument, match="neither given"):
        world.store.feedback(query[0], hits)
    with pytest.raises(
        trivium.InvalidArgument, match="row 0: relevant: 'nobody', expected one of the 10 hits"
    ):
        world.store.feedback(query[0], hits, relevant=["nobody"])
    with pytest.raises(trivium.InvalidArgument, match="dimension: 3"):
        world.store.feedback(np.ones(3, np.float32), hits, relevant=[])
    with pytest.raises(trivium.InvalidArgument, match="neither a vector of space 'text' nor a text"):
        world.store.feedback(" ", hits, relevant=[])
    with pytest.raises(TypeError, match="relevant: a str"):
        world.store.feedback(query[0], hits, relevant="x")
    with pytest.raises(TypeError, match="hits: a list"):
        world.store.feedback(query[0], [], relevant=[])  # type: ignore[arg-type]
    with pytest.raises(trivium.InvalidArgument, match="hits: 0 entries, expected 1"):
        world.store.feedback_batch(query, [], relevant=[[]])
    with pytest.raises(trivium.InvalidArgument, match="reason: 501 bytes"):
        world.store.quarantine("law", "x" * 501)
    assert world.store.inspect().dispatch.feedback == 0
    world.store.close()
    with trivium.open(world.path, read_only=True) as reader:
        with pytest.raises(trivium.FailedPrecondition, match="read-only"):
            reader.feedback(query[0], hits, relevant=[])
    world.store = trivium.open(world.path)


def test_only_the_newest_are_kept(world: World) -> None:
    world.train()
    queries, _ = world.ask("law", 700)
    hits = world.store.search(queries[0])
    for _ in range(3):
        report = world.store.feedback_batch(queries, [hits] * 700, clicked=[[]] * 700)
    assert report.in_use == 2048
    world.store.close()
    world.store = trivium.open(world.path)
    assert world.store.inspect().dispatch.feedback == 2048
    assert world.store.feedback(queries[0], hits, clicked=[]).in_use == 2048


def test_the_async_twins(world: World) -> None:
    world.train()
    query, _ = world.ask("law", 1)

    async def run() -> None:
        hits = await world.store.asearch(query[0])
        assert (await world.store.afeedback(query[0], hits, relevant=[hits[0].id])).kept == 1
        assert (await world.store.afeedback_batch(query, [hits], clicked=[[]])).in_use == 2
        await world.store.aquarantine("law")
        await world.store.alift_quarantine("law")

    asyncio.run(run())


WRITER = """
import sys
import numpy as np
import trivium

store = trivium.open(sys.argv[1])
query = np.load(sys.argv[2])
hits = store.search(query)
while True:
    print(store.feedback(query, hits, relevant=[hits[0].id]).in_use, flush=True)
"""


def test_feedback_that_returned_survives_a_kill(world: World, tmp_path: Path) -> None:
    world.train()
    query, _ = world.ask("law", 1)
    np.save(tmp_path / "query.npy", query[0])
    world.store.close()
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(world.path), str(tmp_path / "query.npy")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    acknowledged = [int(writer.stdout.readline()) for _ in range(5)][-1]
    writer.kill()
    writer.wait()
    writer.stdout.close()
    world.store = trivium.open(world.path)
    assert world.store.inspect().dispatch.feedback >= acknowledged == 5
    world.store.verify()
