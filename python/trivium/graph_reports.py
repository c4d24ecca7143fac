# SPDX-License-Identifier: Apache-2.0
"""What is seen of graphs: what training them is still worth, and where walks go.

Vertices are named by the label of a `VectorIndex` or the id of a store's document, None where that was deleted.
"""

from __future__ import annotations

from dataclasses import dataclass

from .reports import Report


@dataclass(frozen=True, eq=False)
class VertexUse(Report):
    """How often the walks of canary queries came by a vertex."""

    id: int | str | None
    expanded: int
    """Walks that expanded it."""
    led: int
    """Walks in which it was a result or on the way to one."""


@dataclass(frozen=True, eq=False)
class GraphDriftReport(Report):
    """What training is worth now. Hops are vertices expanded a query, at equal recall, on canary queries."""

    queries: int
    rows: int
    rows_then: int
    """When it was trained."""
    edges_kept: float
    """Share of the learned edges that are still there."""
    hops: float
    hops_untaught: float
    """In the same graph with what was learned undone."""
    hop_ratio: float
    hop_ratio_interval: tuple[float, float]
    """95 %, bootstrap over the queries."""
    hop_ratio_then: float
    """When it was trained, on the queries held out."""
    train_again: bool
    """Whether it does not surely save hops any more, saves surely less than it did, or a fifth more rows came."""
    reason: str
    helpful: list[VertexUse]
    """Those that led somewhere most often."""
    harmful: list[VertexUse]
    """Those expanded in vain most often."""


@dataclass(frozen=True, eq=False)
class SegmentDrift(Report):
    """Of one trained graph of a store."""

    space: str
    partition: str
    drift: GraphDriftReport


@dataclass(frozen=True, eq=False)
class WalkStep(Report):
    """A vertex that a walk expanded."""

    id: int | str | None
    score: float
    """As of a hit: larger is better."""
    origin: int
    """The earlier step whose edge first led here; -1: the walk began here."""
    learned: bool
    """Whether that edge, or this starting point, was learned."""
    led: bool
    """It is a result or on the way to one."""


@dataclass(frozen=True, eq=False)
class GraphWalk(Report):
    """One walk."""

    hops: int
    distance_computations: int
    """Estimates from codes included."""
    recall: float
    """Share of the true k nearest that were found."""
    found: list[int | str | None]
    vertices: list[WalkStep]
    """In the order in which they were expanded."""


@dataclass(frozen=True, eq=False)
class WalkTrace(Report):
    """The walk for one query over a graph as it is and, where it was trained, with what was learned undone."""

    walk: GraphWalk
    untaught: GraphWalk | None


@dataclass(frozen=True, eq=False)
class SegmentWalk(WalkTrace):
    """Of one graph of a store."""

    space: str
    partition: str
    rows: int
