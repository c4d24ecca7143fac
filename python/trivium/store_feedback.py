# SPDX-License-Identifier: Apache-2.0
"""What users made of answers, and experts that are no longer asked for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import _trivium
from ._arguments import as_dict, async_twin
from ._queries import query_count
from ._trivium import Hits
from ._types import Queries, Query
from .errors import InvalidArgument
from .reports import FeedbackReport

Named = Sequence[Any]
"""Documents by id or (partition, id)."""


def _each(queries: Queries) -> list[Any]:
    """The queries one by one."""
    if isinstance(queries, str):
        raise TypeError("queries: a str, expected a list of texts, an array or a dict of arrays")
    if isinstance(queries, Mapping):
        count = query_count(queries)
        return [{space: np.asarray(array)[row] for space, array in queries.items()} for row in range(count)]
    return list(queries)


class StoreFeedback:
    """The part of `Store` that learns from use."""

    _core: _trivium.Store

    def feedback(
        self,
        query: Query,
        hits: Hits,
        relevant: Named | None = None,
        clicked: Named | None = None,
        source: str | None = None,
    ) -> FeedbackReport:
        """Says what was made of an answer: routes of experts="auto" are corrected by it from now on.

        query, hits: as `search` was asked and what it returned; the first 10 hits count. relevant or clicked, at
        least one: hits that were of use, by id or (partition, id); an empty list says that none was. A click counts
        half as much as a judgement, no click a quarter. source: who says so (a user, a session): all of one source
        together counts at most a twentieth.

        Durable on return, and nothing is trained again: docs/feedback.md says how routes follow. The newest 2,048
        are kept, also when dispatch is trained. An expert that keeps being asked and keeps failing is put into
        quarantine. Raises FailedPrecondition where dispatch is not trained or the store is read-only.
        """
        return self._core.feedback([as_dict(query)], [hits], [relevant], [clicked], [source])

    def feedback_batch(
        self,
        queries: Queries,
        hits: Sequence[Hits],
        relevant: Sequence[Named | None] | None = None,
        clicked: Sequence[Named | None] | None = None,
        sources: Sequence[str | None] | None = None,
    ) -> FeedbackReport:
        """`feedback` for n answers in the order they were given, all or none: faster than as many calls.

        queries: n texts, n x dimension floats, or such an array by space. The rest: n each.
        """
        each = _each(queries)
        columns = {"hits": hits, "relevant": relevant, "clicked": clicked, "sources": sources}
        for what, column in columns.items():
            if column is not None and len(column) != len(each):
                raise InvalidArgument(
                    f"{what}: {len(column)} entries, expected {len(each)}, one for each query"
                )
        lists = {what: None if column is None else list(column) for what, column in columns.items()}
        return self._core.feedback(
            [as_dict(query) for query in each],
            list(hits),
            lists["relevant"],
            lists["clicked"],
            lists["sources"],
        )

    def quarantine(self, expert: str, reason: str = "") -> None:
        """Stops experts="auto" from asking an expert, until `lift_quarantine`; naming it, and "all", still do.

        reason: up to 500 bytes, shown by `inspect` and in routes. Raises NotFound.
        """
        self._core.quarantine(expert, reason)

    def lift_quarantine(self, expert: str) -> None:
        """Ends a quarantine, however it came about; earlier feedback is not held against the expert again."""
        self._core.lift_quarantine(expert)

    afeedback = async_twin(feedback)
    afeedback_batch = async_twin(feedback_batch)
    aquarantine = async_twin(quarantine)
    alift_quarantine = async_twin(lift_quarantine)
