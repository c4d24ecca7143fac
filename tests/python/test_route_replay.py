# SPDX-License-Identifier: Apache-2.0
"""Routes: taken again, and explained."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import trivium
from support import make_collection, unit

DIMENSION = 16
DOMAINS = ["law", "medicine", "physics"]


def rotation(rng: np.random.Generator) -> np.ndarray:
    q, _ = np.linalg.qr(rng.standard_normal((DIMENSION, DIMENSION)))
    return q.astype(np.float32)


def fill(store: trivium.Store, rng: np.random.Generator, shared: bool, adapters: bool):
    """Judged queries of three domains, each an expert's; `shared`: of one partition that all search.

    With `adapters` the queries are turned away from their documents, and the experts' adapters turn them back.
    """
    store.add_space("text", DIMENSION)
    queries, qrels, groups = [], [], []
    for number, domain in enumerate(DOMAINS):
        data = make_collection(rng, 100, DIMENSION, prefix=domain)
        data.vectors[:, number] += 3
        partition = "main" if shared else domain
        store.upsert(data.ids, data.vectors, data.texts, data.metadata, partition=partition)
        turned = rotation(rng) if adapters else None
        store.add_expert(domain, space="text", partition=None if shared else domain, adapter=turned)
        rows = rng.choice(100, 40, replace=False)
        asked = data.vectors[rows] + 0.2 * rng.standard_normal((40, DIMENSION), dtype=np.float32)
        queries.append(asked if turned is None else asked @ turned)  # the inverse of a rotation
        qrels += [{(partition, data.ids[row]): 1} for row in rows]
        groups += [domain] * 40
    if adapters:
        store.set_adapter(rotation(rng))
    return np.concatenate(queries), qrels, groups


ROUTERS = ["knn_utility", "linear", "logistic"]


@pytest.fixture(
    scope="module", params=[(False, False), (False, True), (True, True)], ids=["S3", "mixed", "S1"]
)
def world(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest):
    """Not to be written to."""
    with trivium.open(tmp_path_factory.mktemp("world") / "kb") as store:
        queries, qrels, groups = fill(store, np.random.default_rng(7), *request.param)
        store.train_dispatch(queries, qrels, groups=groups, routers=ROUTERS)
        yield store, queries, qrels, groups, request.param


def answer(hits: trivium.Hits):
    return (
        hits.partitions,
        hits.ids,
        hits.scores.tolist(),
        [h.similarity for h in hits],
        [h.expert for h in hits],
    )


def test_a_route_taken_again_gives_the_very_same_answer(world) -> None:
    store, queries, _, _, _ = world
    for query in queries[::5]:
        for options in ({"router": "knn_utility"}, {"router": "logistic"}, {}, {"experts": "all"}):
            first = store.search(query, k=7, **options)
            as_json = json.dumps(first.route.to_dict())
            for route in (
                first.route,
                first.route.to_dict(),
                as_json,
                json.dumps({"route": json.loads(as_json)}),
            ):
                again = store.search(query, k=7, route=route)
                assert answer(again) == answer(first)
                assert again.route.to_dict() == first.route.to_dict()


def test_mixtures_are_replayed(world) -> None:
    store, queries, _, _, (_, adapters) = world
    others = 0
    for query in queries[::8]:
        first = store.search(query, router="knn_utility")
        told = {**first.route.to_dict(), "reading": "mixed", "mixture": {"own": 0.6, "plain": 0.5}}
        mixed = store.search(query, route=told)
        assert mixed.route.reading == ("mixed" if adapters else "plain")
        wanted = {"own": pytest.approx(0.6), "plain": pytest.approx(0.5)}
        assert mixed.route.mixture == (wanted if adapters else None)
        for route in (mixed.route, json.dumps(mixed.route.to_dict())):
            assert answer(store.search(query, route=route)) == answer(mixed)
        others += answer(mixed) != answer(first)
    assert (others > 0) == adapters


def test_priors_are_replayed(world) -> None:
    store, queries, _, _, (shared, _) = world
    routes = [store.search(query, router="knn_utility").route for query in queries]
    for query, route in zip(queries[:20], routes):
        told = route.to_dict()
        told["prior_weight"] = 0.5
        other = store.search(query, route=told)
        assert other.route.prior_weight == 0.5
        if not shared and len(route.chosen) > 1:
            assert answer(other) != answer(store.search(query, route=route))


def test_named_experts_are_replayed_in_their_order(world) -> None:
    store, queries, _, _, _ = world
    first = store.search(queries[0], experts=["physics", "law"])
    assert first.route.chosen == ["physics", "law"]
    again = store.search(queries[0], route=first.route)
    assert answer(again) == answer(first) and again.route.mode == "named"
    other = store.search(queries[90], route=first.route)  # of another query
    assert other.route.chosen == ["physics", "law"]
    assert answer(other) == answer(store.search(queries[90], experts=["physics", "law"]))


def test_a_route_does_not_ask_the_router_or_the_guard(tmp_path: Path, rng: np.random.Generator) -> None:
    outside = rng.standard_normal((60, DIMENSION), dtype=np.float32)
    outside[:, 9] += 6
    with trivium.open(tmp_path / "kb") as store:
        queries, qrels, groups = fill(store, rng, shared=False, adapters=False)
        store.train_dispatch(queries, qrels, groups=groups, background=outside, routers=ROUTERS)
        mine = store.search(queries[0])
        rejected = [store.search(q, on_reject="nothing").route for q in outside]
        rejected = next(route for route in rejected if route.rejected)
        assert rejected.chosen == []
        nothing = store.search(queries[0], route=rejected)
        assert len(nothing) == 0 and nothing.route.rejected and nothing.trace.searches == 0
        taken = store.search(outside[0], route=mine.route, on_reject="nothing")
        assert len(taken) == 10 and taken.route.to_dict() == mine.route.to_dict()
        for query in outside[:10]:
            for on_reject in ("all", "plain"):
                first = store.search(query, on_reject=on_reject)
                assert answer(store.search(query, route=first.route)) == answer(first)
        store.add_expert("art", space="text", partition="art")  # new ones are not asked
        assert answer(store.search(queries[0], route=mine.route)) == answer(mine)


def test_an_answer_taken_to_everybody_is_replayed(tmp_path: Path, rng: np.random.Generator) -> None:
    with trivium.open(tmp_path / "kb") as store:
        queries, qrels, groups = fill(store, rng, shared=False, adapters=False)
        store.train_dispatch(queries, qrels, groups=groups, routers=ROUTERS)
        few = {"field": "row", "op": "<", "value": 3}
        for query in queries[::20]:
            first = store.search(query, k=8, filter=few, max_experts=1)
            assert len(first) == 8
            again = store.search(query, k=8, filter=few, route=first.route)
            assert answer(again) == answer(first)


def test_experts_that_are_gone_are_named(tmp_path: Path, rng: np.random.Generator) -> None:
    with trivium.open(tmp_path / "kb") as store:
        queries, _, _ = fill(store, rng, shared=False, adapters=False)
        route = store.search(queries[0], experts=["law", "physics"]).route
        store.remove_expert("law")
        with pytest.raises(trivium.NotFound, match="route: experts 'law' are gone"):
            store.search(queries[0], route=route)
        told = route.to_dict()
        told["experts"] = [one for one in told["experts"] if one["expert"] != "law"]
        assert store.search(queries[0], route=told).route.chosen == ["physics"]


def test_routes_respect_constraints(world) -> None:
    store, queries, _, _, _ = world
    route = store.search(queries[0], experts=["law", "physics"]).route
    assert answer(store.search(queries[0], route=route, allowed_experts=["physics", "law"])) == answer(
        store.search(queries[0], experts=["law", "physics"])
    )
    with pytest.raises(trivium.InvalidArgument, match="expert: 'law', expected one of those allowed"):
        store.search(queries[0], route=route, allowed_experts=["physics"])


@pytest.mark.parametrize(
    ("change", "mention"),
    [
        ({"mode": "sometimes"}, "route: mode: 'sometimes', expected auto, all or named"),
        ({"mode": 3}, "route: mode: of type number, expected a string"),
        ({"mode": None}, "route: mode: of type null"),
        ({"experts": None}, "route: experts: of type null, expected an array"),
        ({"experts": []}, "route: experts: none chosen"),
        ({"experts": [{"expert": "law", "chosen": True}]}, r"route: experts\[0\].probability: missing"),
        (
            {"experts": [{"expert": "law", "chosen": 1, "probability": 1}]},
            r"experts\[0\].chosen: of type number",
        ),
        ({"experts": [{"expert": "law", "chosen": True, "probability": 2}]}, "probability of 'law': 2"),
        ({"experts": [{"expert": "law", "chosen": True, "probability": 1}] * 2}, "'law' twice"),
        ({"experts": ["law"]}, r"route: experts\[0\]: of type string, expected an object"),
        ({"reading": "mixed"}, "route: mixture: none, expected one"),
        ({"mixture": {"own": 1, "plain": 1}}, "route: mixture: given"),
        ({"mixture": {"own": 1}}, "route: mixture.plain: missing"),
        ({"reading": "mixed", "mixture": {"own": 3, "plain": 1}}, "route: mixture: own 3"),
        ({"prior_weight": -1}, "route: prior_weight: -1"),
        ({"rejected": "no"}, "route: rejected: of type string"),
    ],
)
def test_malformed_routes_are_refused(tmp_path: Path, rng: np.random.Generator, change, mention) -> None:
    with trivium.open(tmp_path / "kb") as store:
        queries, _, _ = fill(store, rng, shared=False, adapters=False)
        told = store.search(queries[0], experts=["law"]).route.to_dict()
        with pytest.raises(trivium.InvalidArgument, match=mention):
            store.search(queries[0], route={**told, **change})


def test_what_is_no_route_is_refused(world) -> None:
    store, queries, _, _, _ = world
    route = store.search(queries[0]).route
    for text, mention in (("", "no JSON"), ("{", "no JSON"), ("[]", "array"), ("{}", "mode: missing")):
        with pytest.raises(trivium.InvalidArgument, match=mention):
            store.search(queries[0], route=text)
    with pytest.raises(TypeError, match="route: a int"):
        store.search(queries[0], route=3)
    for options in ({"experts": ["law"]}, {"cost": 0.5}, {"router": "linear"}, {"top_p": 0.5}):
        with pytest.raises(trivium.InvalidArgument, match=f"route: given with {next(iter(options))}"):
            store.search(queries[0], route=route, **options)


# Explained


def test_votes_add_up_to_the_utility(world) -> None:
    store, queries, _, _, _ = world
    for query in queries[::6]:
        hits = store.search(query, router="knn_utility", explain=True)
        why = hits.route.explanation
        first = hits.route.experts[0]
        assert why.expert == first.expert == hits.route.chosen[0] and len(why.pilots) == 10
        told = (
            sum(pilot.contribution for pilot in why.pilots) + why.other_contribution + why.prior_contribution
        )
        assert told == pytest.approx(first.utility, abs=1e-5)
        assert 0 < sum(pilot.share for pilot in why.pilots) <= 1 + 1e-6
        assert hits.route.to_dict()["explanation"]["pilots"][0]["share"] == why.pilots[0].share
        assert answer(hits) == answer(store.search(query, router="knn_utility"))


@pytest.mark.parametrize("router", ["knn_utility", "linear", "logistic"])
def test_the_nearest_pilots_are_told(world, router: str) -> None:
    store, queries, _, groups, (shared, _) = world
    cosines = unit(queries) @ unit(queries).T
    for row in (0, 50, 100):
        why = store.search(queries[row], router=router, explain=True).route.explanation
        nearest = np.argsort(-cosines[row], kind="stable")[:10]
        assert [pilot.number for pilot in why.pilots] == list(nearest)
        assert why.pilots[0].cosine == pytest.approx(1, abs=1e-5)
        for pilot in why.pilots:
            assert pilot.cosine == pytest.approx(cosines[row][pilot.number], abs=1e-4)
            assert (pilot.source, pilot.weight) == ("trained", 1)
            assert pilot.owner == groups[pilot.number]
            assert pilot.best in DOMAINS or pilot.best_utility == 0
            assert (pilot.share is None) == (router != "knn_utility")


def test_background_pilots_are_told_of(tmp_path: Path, rng: np.random.Generator) -> None:
    with trivium.open(tmp_path / "kb") as store:
        queries, qrels, groups = fill(store, rng, shared=False, adapters=False)
        background = queries[:40] + 0.1 * rng.standard_normal((40, DIMENSION), dtype=np.float32)
        store.train_dispatch(queries, qrels, groups=groups, background=background, routers=ROUTERS)
        why = store.search(queries[0], router="linear", explain=True).route.explanation
        assert {pilot.source for pilot in why.pilots} == {"trained", "background"}
        assert all(pilot.owner == "" for pilot in why.pilots if pilot.source == "background")


@pytest.mark.parametrize("options", [{}, {"max_experts": 1}, {"cost": 0.4}, {"top_p": 0.5}])
def test_what_would_change_the_route_lies_between_the_utilities(world, options) -> None:
    store, queries, _, _, _ = world
    for query in queries[::10]:
        route = store.search(query, router="knn_utility", explain=True, **options).route
        why = route.explanation
        utilities = {expert.expert: expert.utility for expert in route.experts}
        assert why.last_chosen.expert == route.chosen[-1]
        assert why.last_chosen.needed <= why.last_chosen.utility == pytest.approx(utilities[route.chosen[-1]])
        left = [name for name in DOMAINS if name not in route.chosen]
        assert (why.left_out is None) == (left == [])
        if why.left_out is not None:
            assert why.left_out.expert in left
            assert why.left_out.utility == pytest.approx(max(utilities[name] for name in left))
            assert why.left_out.needed > why.left_out.utility
        if options == {"max_experts": 1}:  # to be first it must pass the one that is
            assert why.left_out.needed == pytest.approx(utilities[route.chosen[0]], rel=1e-5)
            assert why.last_chosen.needed == pytest.approx(why.left_out.utility, rel=1e-5)


def test_without_a_router_there_is_nothing_to_explain(world) -> None:
    store, queries, _, _, _ = world
    assert store.search(queries[0]).route.explanation is None
    for options in ({"experts": "all"}, {"experts": ["law"]}):
        why = store.search(queries[0], explain=True, **options).route.explanation
        assert why.expert == "" and why.pilots == [] and why.left_out is None and why.last_chosen is None
