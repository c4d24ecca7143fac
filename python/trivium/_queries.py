# SPDX-License-Identifier: Apache-2.0
"""Judged queries: arrays or texts with their judgements, split into the sets that averages are made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from . import _trivium
from ._types import Qrels, Queries
from .errors import InvalidArgument


def is_texts(queries: object) -> bool:
    """Whether `queries` is a sequence of texts rather than vectors."""
    return (
        isinstance(queries, Sequence)
        and not isinstance(queries, str)
        and all(isinstance(query, str) for query in queries)
    )


def query_count(queries: Queries) -> int:
    """Rows of the first space's array, or texts."""
    if isinstance(queries, Mapping):
        return len(next(iter(queries.values()), ()))
    return len(queries)


def unjudged(queries: Queries) -> Qrels:
    """No judgement for each query, of which there is at least one."""
    if query_count(queries) == 0:
        raise InvalidArgument("queries: 0, expected at least one, or None")
    return [{} for _ in range(query_count(queries))]


def query_sets(
    queries: Queries,
    qrels: Qrels,
    groups: Sequence[str] | None,
    query_ids: Sequence[str] | None = None,
    drop_self: bool | Collection[str] = False,
) -> list[_trivium.QuerySet]:
    """One set for each name in `groups`, in the order of their first appearance; one in all without `groups`."""
    if isinstance(queries, str):
        raise TypeError("queries: a str, expected a list of texts, an array or a dict of arrays")
    if isinstance(qrels, Mapping):
        raise TypeError("qrels: a dict, expected a list with one dict of grades for each query")
    count = query_count(queries)
    _check_aligned("qrels", qrels, count)
    _check_aligned("groups", groups, count)
    _check_aligned("query_ids", query_ids, count)
    rows: dict[str, list[int]] = {"": list(range(count))}
    if groups is not None:
        rows = {}
        for row, name in enumerate(groups):
            rows.setdefault(name, []).append(row)
    return [_query_set(name, queries, qrels, query_ids, drop_self, chosen) for name, chosen in rows.items()]


def more_query_sets(
    what: str, judged: tuple[Queries, Qrels] | tuple[Queries, Qrels, Sequence[str]] | None
) -> list[_trivium.QuerySet]:
    """The sets of a keyword argument that takes queries, qrels and perhaps groups; none for None."""
    if judged is None:
        return []
    if len(judged) not in (2, 3):
        raise InvalidArgument(
            f"{what}: {len(judged)} items, expected (queries, qrels) or (queries, qrels, groups)"
        )
    return query_sets(judged[0], judged[1], judged[2] if len(judged) == 3 else None)


def _query_set(
    name: str,
    queries: Queries,
    qrels: Qrels,
    query_ids: Sequence[str] | None,
    drop_self: bool | Collection[str],
    rows: list[int],
) -> _trivium.QuerySet:
    texts: list[str] | None = None
    vectors: Any = None
    if isinstance(queries, Mapping):
        vectors = {space: np.asarray(array)[rows] for space, array in queries.items()}
    elif is_texts(queries):
        texts = _pick(queries, rows)
    else:
        vectors = np.asarray(queries)[rows]
    return _trivium.QuerySet(
        name,
        texts,
        vectors,
        _pick(qrels, rows),
        None if query_ids is None else _pick(query_ids, rows),
        drop_self if isinstance(drop_self, bool) else name in drop_self,
    )


def _pick(items: Any, rows: list[int]) -> list[Any]:
    return [items[row] for row in rows]


def _check_aligned(what: str, items: Sequence[object] | None, count: int) -> None:
    if items is not None and len(items) != count:
        raise InvalidArgument(f"{what}: {len(items)} entries, expected {count}, one for each query")
