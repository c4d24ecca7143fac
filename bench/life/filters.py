# SPDX-License-Identifier: Apache-2.0
"""Does a filter keep recall, and is it never much slower than scanning what passes?

Random filters of four shares; and filters that know where the query lies: its own domain (that of its nearest
row), everything but its domain, another domain. Recall is against a scan of the passing rows outside the library;
time is beside the library's own scan (`index="exact"`) under the same filter, one query a call, in turn.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from checks import Check, at_most, interval_text, recall_at_least
from report import table
from resampling import ratio_interval
from workload import K, Workload, accepted, recall

import trivium

SHARES = (0.5, 0.1, 0.01, 0.001)
PROFILES = ("speed", "balanced", "small")
RECALL = 0.95
SLOWDOWN = 2.0
# Random filters of each share: one alone might be lucky.
DRAWS = 3


@dataclasses.dataclass(frozen=True)
class Group:
    """One filter, and the queries that it goes with."""

    mask: np.ndarray  # bool over the rows
    queries: np.ndarray  # positions
    condition: dict[str, Any]  # the same filter over the metadata that `metadata_of` makes


@dataclasses.dataclass(frozen=True)
class Case:
    """A kind of filter, different ones for different queries."""

    name: str
    groups: list[Group]

    def share(self) -> float:
        """Of the rows, those that pass; the mean over the queries."""
        passing = sum(group.mask.mean() * len(group.queries) for group in self.groups)
        return float(passing / sum(len(group.queries) for group in self.groups))


def random_case(ranks: np.ndarray, queries: int, share: float) -> Case:
    """`ranks`: DRAWS permutations of the rows; the lowest pass."""
    passing = max(K, round(share * ranks.shape[1]))
    parts = np.array_split(np.arange(queries), DRAWS)
    return Case(
        f"{100 * share:g} % at random",
        [
            Group(ranks[draw] < passing, part, {"field": f"rank{draw}", "op": "<", "value": passing})
            for draw, part in enumerate(parts)
        ],
    )


def domain_cases(domains: np.ndarray, own: np.ndarray, rng: np.random.Generator) -> list[Case]:
    """`own`: the domain of each query. Other domains are drawn by their size."""
    sizes = np.bincount(domains)
    large = np.flatnonzero(sizes >= K)
    cases: dict[str, list[Group]] = {"own domain": [], "all but own domain": [], "another domain": []}
    for domain in large.tolist():
        queries = np.flatnonzero(own == domain)
        elsewhere = large[large != domain]
        if not len(queries) or not len(elsewhere):
            continue
        drawn = int(rng.choice(elsewhere, p=sizes[elsewhere] / sizes[elsewhere].sum()))
        for name, operator, value in (
            ("own domain", "==", domain),
            ("all but own domain", "!=", domain),
            ("another domain", "==", drawn),
        ):
            mask = domains == value if operator == "==" else domains != value
            condition = {"field": "domain", "op": operator, "value": value}
            cases[name].append(Group(mask, queries, condition))
    return [Case(name, groups) for name, groups in cases.items() if groups]


def ranks_of(work: Workload) -> np.ndarray:
    rng = np.random.default_rng(work.seed)
    return np.stack([rng.permutation(len(work.base)) for _ in range(DRAWS)])


def cases_of(work: Workload, queries: np.ndarray) -> list[Case]:
    nearest = accepted(work.base, queries, np.arange(len(work.base)))[:, 0]
    random = [random_case(ranks_of(work), len(queries), share) for share in SHARES]
    return random + domain_cases(work.domains, work.domains[nearest], np.random.default_rng(work.seed))


def metadata_of(work: Workload) -> list[dict[str, int]]:
    columns = {f"rank{draw}": ranks.tolist() for draw, ranks in enumerate(ranks_of(work))}
    columns["domain"] = work.domains.tolist()
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


def truth_of(case: Case, base: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """What a scan of the passing rows accepts; a row of -1 for a query that the case does not ask."""
    answer: np.ndarray | None = None
    for group in case.groups:
        found = accepted(base, queries[group.queries], np.flatnonzero(group.mask))
        if answer is None:
            answer = np.full((len(queries), found.shape[1]), -1, dtype=np.int64)
        answer[group.queries] = found
    assert answer is not None
    return answer


def asked_in_turn(case: Case, count: int) -> list[tuple[int, int]]:
    """Groups and queries, group by group: `count` of them, as evenly from the groups as there are queries in them."""
    deepest = max(len(group.queries) for group in case.groups)
    turns = [
        (number, int(group.queries[depth]))
        for depth in range(deepest)
        for number, group in enumerate(case.groups)
        if depth < len(group.queries)
    ]
    return sorted(turns[:count])


def found_by(search: Callable[[int, int], Any], turns: list[tuple[int, int]]) -> np.ndarray:
    """Labels that `search` finds in each turn, with -1 where they are fewer than K."""
    answer = np.full((len(turns), K), -1, dtype=np.int64)
    for row, (number, query) in enumerate(turns):
        labels = np.asarray(search(number, query)).astype(np.int64)
        answer[row, : len(labels)] = labels
    return answer


def timed(
    search: Callable[[int, int, str | None], object], turns: list[tuple[int, int]], rounds: int
) -> dict[str, list[float]]:
    """Mean seconds of a search, a figure a round, as the index chooses and by its scan, in turn.

    Of the thread and not of the clock: a search waits for nothing, and other processes disturb less. The first search
    of each group is not counted: a store then finds the filter's documents, see `first_seconds`.
    """
    seconds: dict[str, list[float]] = {"auto": [], "exact": []}
    for turn in range(rounds + 1):
        spent = {"auto": 0.0, "exact": 0.0}
        group = -1
        for asked, (number, query) in enumerate(turns):
            if number != group:
                search(number, query, None)
            group = number
            for way in ("auto", "exact") if (turn + asked) % 2 else ("exact", "auto"):
                start = time.thread_time()
                search(number, query, None if way == "auto" else way)
                spent[way] += time.thread_time() - start
        if turn > 0:  # the first warms up
            for way in spent:
                seconds[way].append(spent[way] / len(turns))
    return seconds


def facts(
    work: Workload, kind: str, case: Case, recalls: np.ndarray, seconds: dict[str, list[float]]
) -> dict[str, Any]:
    return {
        "kind": kind,
        "filter": case.name,
        "passing": case.share(),
        "recall": float(recalls.mean()),
        "queries": len(recalls),
        "seconds": seconds,
        "ratio": ratio_interval(seconds["auto"], seconds["exact"], work.seed),
    }


def measure_index(
    work: Workload, index: trivium.VectorIndex, kind: str, case: Case, truth: np.ndarray
) -> dict[str, Any]:
    queries = work.queries[kind]
    allowed = [index.filter(group.mask) for group in case.groups]

    def search(number: int, query: int, way: str | None = None) -> trivium.Neighbors:
        return index.search(queries[query], k=K, filter=allowed[number], index=way)

    every = asked_in_turn(case, len(queries))
    some = asked_in_turn(case, work.sizes.timed_queries)
    asked = [query for _, query in every]
    hops = 0

    def labels(number: int, query: int) -> np.ndarray:
        nonlocal hops
        found = search(number, query)
        hops += found.hops
        return found.labels

    recalls = recall(found_by(labels, every), truth[asked])
    scanned = found_by(lambda number, query: search(number, query, "exact").labels, some)
    seconds = timed(search, some, work.sizes.filter_rounds)
    return {
        **facts(work, kind, case, recalls, seconds),
        "hops": hops / len(every),
        "recall_of_scan": float(recall(scanned, truth[[query for _, query in some]]).mean()),
    }


def filled_store(work: Workload, path: pathlib.Path) -> trivium.Store:
    store = trivium.open(path, durability="async")
    store.add_space("text", dimension=work.base.shape[1])
    store.add_expert("one", space="text")
    metadata = metadata_of(work)
    for start in range(0, len(metadata), work.sizes.batch):
        rows = range(len(metadata))[start : start + work.sizes.batch]
        part = slice(rows.start, rows.stop)
        store.upsert([f"d{row}" for row in rows], vectors=work.base[part], metadata=metadata[part])
    store.build(threads=work.sizes.threads)
    return store


def measure_store(
    work: Workload, store: trivium.Store, kind: str, case: Case, truth: np.ndarray
) -> dict[str, Any]:
    """The same through metadata. The documents of a filter are found by its first search, then kept for a while."""
    queries = work.queries[kind]
    conditions = [json.dumps(group.condition) for group in case.groups]
    first = []
    for condition, group in zip(conditions, case.groups):
        start = time.thread_time()
        store.search(queries[group.queries[0]], k=K, filter=condition, documents=False)
        first.append(time.thread_time() - start)
        if store.count(condition) != group.mask.sum():
            raise RuntimeError(
                f"filters: {condition} passes {store.count(condition)}, expected {group.mask.sum()}"
            )

    def search(number: int, query: int, way: str | None = None) -> trivium.Hits:
        return store.search(queries[query], k=K, filter=conditions[number], index=way, documents=False)

    some = asked_in_turn(case, work.sizes.store_queries)
    found = found_by(lambda number, query: [int(id[1:]) for id in search(number, query).ids], some)
    recalls = recall(found, truth[[query for _, query in some]])
    seconds = timed(search, some, work.sizes.filter_rounds)
    return {**facts(work, kind, case, recalls, seconds), "first_seconds": float(np.median(first))}


def run(work: Workload, say: Any) -> dict[str, Any]:
    cases = [
        (kind, case, truth_of(case, work.base, queries))
        for kind, queries in work.queries.items()
        for case in cases_of(work, queries)
    ]
    found: dict[str, Any] = {}
    for profile in PROFILES:
        index = trivium.VectorIndex(dimension=work.base.shape[1], profile=profile, threads=work.sizes.threads)
        index.add(np.arange(len(work.base), dtype=np.uint64), work.base)
        found[profile] = [measure_index(work, index, *case) for case in cases]
        say(f"filters: {profile} measured")
    with tempfile.TemporaryDirectory(dir=work.scratch) as place:
        with filled_store(work, pathlib.Path(place) / "store") as store:
            # One kind: what differs from an index alone is not the queries.
            asked = list(work.queries)[-1]
            found["store"] = [measure_store(work, store, *case) for case in cases if case[0] == asked]
    say("filters: store measured")
    return {"by_index": found}


def checks(found: dict[str, Any]) -> list[Check]:
    answer = []
    for name, measured in found["by_index"].items():
        worst = min(measured, key=lambda each: each["recall"])
        what = f"{name}: lowest recall ({worst['filter']}, {worst['kind']})"
        answer.append(recall_at_least(what, worst["recall"], RECALL))
        slowest = max(measured, key=lambda each: each["ratio"]["ratio"])
        what = f"{name}: largest time / scan ({slowest['filter']}, {slowest['kind']})"
        answer.append(at_most(what, slowest["ratio"], SLOWDOWN))
    return answer


def markdown(found: dict[str, Any]) -> str:
    header = ["index", "queries", "filter", "passing", "recall", "of the scan", "hops", "us", "scan us"]
    header += ["x scan", "first us"]
    rows = []
    for name, measured in found["by_index"].items():
        for each in measured:
            row = [name, each["kind"], each["filter"], f"{100 * each['passing']:.2g} %"]
            row.append(f"{each['recall']:.4f}")
            row.append(f"{each['recall_of_scan']:.4f}" if "recall_of_scan" in each else "")
            row.append(f"{each['hops']:.0f}" if "hops" in each else "")
            row += [f"{1e6 * np.median(each['seconds'][way]):,.0f}" for way in ("auto", "exact")]
            row.append(interval_text(each["ratio"], "ratio"))
            rows.append([*row, f"{1e6 * each['first_seconds']:,.0f}" if "first_seconds" in each else ""])
    text = "Hops: 0 where the index chose to scan. Microseconds of the thread, one query a call. The store has profile "
    text += "speed; first: a filter that it has not seen, whose documents it must find in the metadata.\n\n"
    return text + table(header, rows)
