# SPDX-License-Identifier: Apache-2.0
"""What an evaluation finds."""

from __future__ import annotations

from dataclasses import dataclass

from .reports import ComparisonRow, Report


@dataclass(frozen=True, eq=False)
class QueryOutcome(Report):
    """One evaluated query."""

    id: str
    ndcg_at_10: float
    recall_at_10: float
    recall_at_100: float
    mrr_at_10: float
    latency_us: float
    distance_computations: int
    bytes_read: int
    """Of the index: blocks, neighbour lists, codes and rows."""
    experts: list[str]
    """Chosen."""
    probabilities: list[float]
    """Of these: by the router, else equal shares."""
    clean: bool | None
    """Whether it shares nothing with `training`; None where that was not given."""
    compared: list[float]
    """nDCG@10 of each row of the set's `compare`."""
    ids: list[str]
    """Hits, best first; with `keep_runs`."""
    partitions: list[str]
    scores: list[float]


@dataclass(frozen=True, eq=False)
class CleanMetrics(Report):
    """Metrics over the queries that share nothing with training."""

    sets: int
    """That have such queries."""
    queries: int
    ndcg_at_10: float
    recall_at_10: float
    recall_at_100: float
    mrr_at_10: float


@dataclass(frozen=True, eq=False)
class SetMetrics(Report):
    """Metrics as trec_eval computes them: linear gains, over queries with a positive judgement."""

    name: str
    queries: int
    skipped_queries: int
    """Queries without a positive judgement."""
    rejected_queries: int
    """Of `queries`, those that the guard rejected, whatever `on_reject` answered."""
    skipped_rejected_queries: int
    """Likewise of `skipped_queries`: how well it knows queries that need no retrieval, if they are such."""
    unknown_judgements: int
    ndcg_at_10: float
    recall_at_10: float
    recall_at_100: float
    mrr_at_10: float
    clean: CleanMetrics | None
    """With `training`."""
    experts_per_query: float
    """Distinct vector sets searched."""
    distance_computations_per_query: float
    distances: dict[str, float]
    """Distance computations per query, by kind."""
    bytes_read_per_query: float
    searches_per_query: float
    encoder_calls_per_query: float
    latency_us: dict[str, float]
    """p50, p95 and p99 in microseconds."""
    compare: list[ComparisonRow]
    """With `compare`."""
    outcomes: list[QueryOutcome]
    """One a counted query."""


@dataclass(frozen=True, eq=False)
class RouterMetrics(Report):
    """How well one router knows whom to ask. Its first expert is the most probable one that it chose."""

    name: str
    queries: int
    """For which it chose; for the others it knew nothing, and everybody is asked."""
    first_expert: dict[str, float]
    """Shares of these whose first expert holds a relevant document (`holds_relevant`), and of those of these that
    any expert answers whose first expert answers `best` by itself; ties are best."""
    calibration_error: dict[str, float]
    """Expected calibration error of the first expert's probability as a forecast of either, 15 bins of equal mass."""
    route_flips: float
    """Share of the queries with an encoded text whose first expert changes under `typos`; NaN: there are none."""
    aiq: dict[str, float]
    """Average nDCG@10 over budgets up to the cost of "all", in `distances` and in `experts`; see docs/evaluation.md."""
    budgets: list[ComparisonRow]
    """What it answers with "max_experts=1" and so on."""


@dataclass(frozen=True, eq=False)
class EvaluationReport(Report):
    """Metrics of every query set, and their mean over the sets."""

    sets: list[SetMetrics]
    macro: SetMetrics
    routers: list[RouterMetrics]
    """With `compare`: one a trained router."""

    def __repr__(self) -> str:
        metrics = f"nDCG@10 {self.macro.ndcg_at_10:.4f}, recall@100 {self.macro.recall_at_100:.4f}"
        return f"<EvaluationReport of {len(self.sets)} sets, {self.macro.queries} queries: {metrics}>"
