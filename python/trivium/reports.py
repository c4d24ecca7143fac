# SPDX-License-Identifier: Apache-2.0
"""What long work reports: dataclasses that are also read-only mappings.

As mappings they have the names of the command line's JSON: `report["macro"]["ndcg@10"]` is
`report.macro.ndcg_at_10`, and `report.to_dict()` is what `json.dumps` takes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any


class Report(Mapping[str, Any]):
    """Base of the reports: the mapping over a dataclass's fields."""

    def __getitem__(self, key: str) -> Any:
        if key not in list(self):
            raise KeyError(key)
        return getattr(self, key.replace("@", "_at_"))

    def __iter__(self) -> Iterator[str]:
        return (field.name.replace("_at_", "@") for field in fields(self))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(fields(self))  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers, all the way down; None for NaN, which JSON has not."""
        return {key: _plain(self[key]) for key in self}


def _plain(value: Any) -> Any:
    if isinstance(value, Report):
        return value.to_dict()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


@dataclass(frozen=True, eq=False)
class UpsertReport(Report):
    """What `Store.upsert` wrote."""

    written: int
    replaced: int
    """Of these, documents that existed."""
    encoded: int
    """Texts sent to an encoder."""
    encoded_from_cache: int
    """Texts whose vectors the store remembered."""


@dataclass(frozen=True, eq=False)
class BuildReport(Report):
    """What `Store.build` sealed."""

    segments_built: int
    rows_sealed: int
    texts_sealed: int
    """For lexical experts."""
    graphs_taught: int
    """Of them, by the queries that taught others of their vector set (`train_graph`)."""
    graphs_left_untaught: int
    """Of such vector sets: too small, or it did not pay."""
    seconds: float


@dataclass(frozen=True, eq=False)
class CalibratedSpace(Report):
    """What calibration chose for one space."""

    space: str
    beam_width: int
    """The default of its searches from now on."""
    recall: float
    """At that width, on the sample queries, against the exact scan."""
    reached: bool
    """Whether that is the target; otherwise beam_width is the widest that was tried."""
    queries: int


@dataclass(frozen=True, eq=False)
class CalibrationReport(Report):
    """What Store.calibrate found."""

    target_recall: float
    k: int
    spaces: list[CalibratedSpace]
    seconds: float


@dataclass(frozen=True, eq=False)
class VectorCalibrationReport(Report):
    """What VectorIndex.calibrate found."""

    target_recall: float
    k: int
    beam_width: int
    """The default of searches from now on."""
    recall: float
    """At that width, on the sample queries, against the exact scan."""
    reached: bool
    """Whether that is the target; otherwise beam_width is the widest that was tried."""
    queries: int
    seconds: float


@dataclass(frozen=True, eq=False)
class GraphTrainingReport(Report):
    """What teaching a graph gave. Hops are vertices expanded a query, at equal recall, on queries held out."""

    training_queries: int
    """Without near-identical twins of a query held out."""
    validation_queries: int
    generated: bool
    """Whether the queries were made from the documents."""
    entries: int
    """Starting points learned."""
    edges_added: int
    """Those that took the place of another included."""
    edges_replaced: int
    codes: bool
    """Whether codes of edges were learned."""
    hops_before: float
    hops_after: float
    hop_ratio: float
    """Trained over untrained."""
    hop_ratio_interval: tuple[float, float]
    """95 %, bootstrap over the queries."""
    round_hop_ratios: list[float]
    """The same after each round of edges; the best round was kept."""
    row_hop_ratio: float
    """The same where rows of the index are asked: these must not pay for the others."""
    former_hop_ratio: float
    """Trained over as it was trained before; NaN where it was not."""
    enabled: bool
    """Whether the gate let it become the graph that is searched."""
    reason: str
    seconds: float


@dataclass(frozen=True, eq=False)
class TrainedSegment(Report):
    """What training gave one graph of a store."""

    space: str
    partition: str
    rows: int
    training: GraphTrainingReport


@dataclass(frozen=True, eq=False)
class TrainGraphReport(Report):
    """What `Store.train_graph` taught."""

    graphs: list[TrainedSegment]
    too_small: int
    """Graphs of fewer than 2,048 rows, which are left as they are."""
    seconds: float


@dataclass(frozen=True, eq=False)
class CellDrift(Report):
    """How well the cells of a space still suit its documents."""

    space: str
    overfull: float
    """Share of the documents whose nearest cell is that of more than 4 times the mean."""
    rebuilt: int
    """Cells that were built anew, because that share was above 0.1."""


@dataclass(frozen=True, eq=False)
class CompactReport(Report):
    """What `Store.compact` merged."""

    segments_before: int
    segments_after: int
    rows_dropped: int
    """Deleted rows that took space until now."""
    graphs_taught: int
    """Of those built, by the queries that taught others of their vector set (`train_graph`)."""
    graphs_left_untaught: int
    """Of such vector sets: too small, or it did not pay."""
    cells: list[CellDrift]
    """Of the spaces that have a partition tree."""
    seconds: float


@dataclass(frozen=True, eq=False)
class VerifyReport(Report):
    """What `Store.verify` read and found whole."""

    files: int
    bytes: int
    documents: int
    vectors: int


@dataclass(frozen=True, eq=False)
class CleanComparison(Report):
    """One way of answering on the clean queries (`training`)."""

    ndcg_at_10: float
    gain: float
    gain_interval: tuple[float, float]


@dataclass(frozen=True, eq=False)
class ComparisonRow(Report):
    """One way of answering, measured: a router, "auto", "all", "all_adapted", "all_rrf" or an oracle.

    Figures that were not measured are NaN: all but the first three while training, the last ones of a budget.
    """

    name: str
    ndcg_at_10: float
    experts_per_query: float
    distance_computations_per_query: float
    gain: float
    """nDCG@10 minus that of "all"."""
    gain_interval: tuple[float, float]
    """95 %, paired bootstrap, queries resampled within their sets."""
    oracle_share: float
    """`gain` over that of "instance_oracle"."""
    oracle_share_interval: tuple[float, float]
    clean: CleanComparison | None


@dataclass(frozen=True, eq=False)
class GuardReport(Report):
    """Whether queries are served by any expert, each judged by a guard that did not learn from it."""

    enabled: bool
    """Whether the gate lets it reject queries."""
    reason: str
    """Of the gate, in words."""
    queries: int
    """Judged ones that it learned from."""
    background: int
    """Those that no expert serves."""
    threshold: float
    """Least probability of being served that is accepted."""
    acceptance: float
    """Share of `queries` accepted."""
    rejection: float
    """Share of `background` rejected."""
    auroc: float
    """Probability that it ranks a query above one of the background."""
    auroc_interval: tuple[float, float]
    """95 %, bootstrap."""


@dataclass(frozen=True, eq=False)
class DispatchReport(Report):
    """What training the dispatch found on queries that no router was trained on."""

    queries: int
    """Judged queries used, training and validation together."""
    validation_queries: int
    """Those it was judged on: all of them, by cross-validation, where none were given for it."""
    unknown_judgements: int
    """Judgements that name a document the store does not hold."""
    router: str
    """The best on validation."""
    enabled: bool
    """Whether the gate let it become what `experts="auto"` means."""
    reason: str
    """Of the gate, in words."""
    top_p: float
    max_experts: int
    prior_weight: float
    lexical_weight: float | None
    """Share of lexical experts in the answer of "auto", mean over experts, for whose queries it differs; None:
    merged by rank, or there are none."""
    mixture: dict[str, float] | None
    """Readings mixed in one query (`own`, `plain`: shares, 0 to 1); None: each expert asks as it reads it."""
    second_look: dict[str, float] | None
    """How what the chosen experts find revises their probabilities (`route_weight`, `score_weight`), how much these
    then count (`prior_weight`), and below which share (`widen_below`) more experts are asked (`max_experts`)."""
    memory: dict[str, float] | None
    """How documents judged relevant for earlier queries are raised for queries like them: above which cosine
    (`threshold`), how much (`weight`, mean over experts), by how many `experts`, from how many `queries`; None: not."""
    gain: float
    """nDCG@10 of `router` minus that of all experts, macro over sets."""
    gain_low: float
    gain_high: float
    """Paired bootstrap 95 % interval of the gain."""
    rows: list[ComparisonRow]
    guard: GuardReport | None
    """With `background`."""
    first_expert_changed: float | None
    """Share of the queries trained on whose first expert is another one than by the router that was the default
    before; None: there was none."""
    seconds: float


@dataclass(frozen=True, eq=False)
class TrainedAdapter(Report):
    """What training gave one adapter, on queries that it did not learn from."""

    expert: str | None
    """None: all domains."""
    space: str
    queries: int
    """Learned from; 0: nothing was learned, see `reason`."""
    steps: int
    """That were best on queries held out; 0: none was better than plain."""
    plain: float
    """Macro nDCG@10 of what the expert (of all domains: everybody) answers to plain queries."""
    adapted: float
    """To the same, each read by an adapter learned from others."""
    gain: float
    gain_low: float
    gain_high: float
    """Paired bootstrap 95 % interval of the gain."""
    enabled: bool
    """Whether that interval is above 0."""
    reason: str


@dataclass(frozen=True, eq=False)
class AdapterReport(Report):
    """What `Store.train_adapter` learned."""

    adapters: list[TrainedAdapter]
    unknown_judgements: int
    """Judgements that name a document the store does not hold."""
    seconds: float


@dataclass(frozen=True, eq=False)
class AdapterInfo(Report):
    """A query adapter of the store."""

    enabled: bool
    """Whether searches use it that do not say."""
    queries: int
    """It was learned from; 0: it was given."""
    reason: str
    """Of the gate, in words."""


@dataclass(frozen=True, eq=False)
class TreeLevel(Report):
    """How well a level of a tree stands for the vectors, when it was trained."""

    level: int
    overlap: float
    """Share of the ten documents nearest by vectors that are among the ten that share most with what was held out."""
    untrained: float
    """The same of the tree that training began with."""
    entropy: float
    """Bits of a document's distribution over the level's nodes, mean."""
    bytes_per_document: int
    """16-bit masses of its nodes."""


@dataclass(frozen=True, eq=False)
class TreeInfo(Report):
    """The tree of a space; `documents` and `queries` are those that it learned from.

    Of a given one, `documents` are those that there were.
    """

    enabled: bool
    """Whether the gate let it pass; else it was told not to ask."""
    depth: int
    documents: int
    queries: int
    levels: list[TreeLevel]
    reason: str
    """Of the gate, in words; of a given tree, what rounding its masses keeps."""
    given: bool
    """By `Store.set_tree`: nothing was learned."""


@dataclass(frozen=True, eq=False)
class CellsInfo(Report):
    """The cells of a space; `documents` and `queries` are those that they were learned from."""

    enabled: bool
    """Whether the gate let a learned router pass."""
    cells: int
    documents: int
    queries: int
    router: str
    """The one in use."""
    reason: str
    """Of the gate, in words."""


@dataclass(frozen=True, eq=False)
class SpaceInfo(Report):
    """A space of the store."""

    name: str
    dimension: int
    metric: str
    encoder: str
    """Name of its encoder; "" where vectors are given by the caller."""
    encoder_fingerprint: str
    """Of the encoder that wrote its vectors; "" if none did."""
    beam_width: int
    """Of searches that do not say; 0: the default."""
    target_recall: float
    """What beam_width was calibrated for; 0: it was not."""
    profile: str
    """How the vectors of segments built from now on are stored."""
    adapter: AdapterInfo | None
    """Of all domains."""
    tree: TreeInfo | None
    cells: CellsInfo | None


@dataclass(frozen=True, eq=False)
class ExpertFeedback(Report):
    """What the feedback in use says of an expert when it was asked."""

    answers: int
    predicted: float
    """Mean utility by the router."""
    observed: float
    """Mean utility by users."""
    evidence: float
    """That it keeps failing; at 10,000 it is put into quarantine."""


@dataclass(frozen=True, eq=False)
class FeedbackReport(Report):
    """What `Store.feedback` made of the users' reactions."""

    kept: int
    """In use from now on, and durable."""
    ignored: int
    """About experts that the store no longer has."""
    reduced: int
    """Kept, but counting less: repetitions, or much from one source."""
    in_use: int
    """In all; the newest 2,048."""
    quarantined: list[str]
    """Experts that this feedback brought into quarantine."""


@dataclass(frozen=True, eq=False)
class ExpertInfo(Report):
    """An expert of the store."""

    name: str
    kind: str
    """"dense", which searches vectors, or "lexical", which searches words."""
    space: str | None
    """None: lexical."""
    partition: str | None
    """None: all partitions."""
    description: str
    cost: float
    adapter: AdapterInfo | None
    k1: float | None
    """Of a lexical expert, as `b`: see `Store.add_expert`."""
    b: float | None
    quarantine: str | None
    """Why `experts="auto"` does not ask it; None: it does."""
    feedback: ExpertFeedback


@dataclass(frozen=True, eq=False)
class TextSetInfo(Report):
    """The texts of one partition, as lexical experts search them."""

    partition: str
    documents: int
    """Live documents with a text."""
    unsealed: int
    """Of these, not yet in a segment: `Store.build` seals them."""
    deleted: int
    """Deleted ones that wait for `Store.build` or `Store.compact`; until then statistics count them."""
    segments: int
    bytes: int


@dataclass(frozen=True, eq=False)
class VectorSetInfo(Report):
    """The vectors of one space over one partition."""

    space: str
    partition: str
    rows: int
    """Live vectors."""
    unsealed: int
    """Of these, not yet in a segment: `Store.build` seals them."""
    deleted: int
    """Rows in segments that wait for `Store.compact`."""
    segments: int
    bytes: int
    tree_bytes: int
    """Of the files beside the segments: what trees and cells say of their rows."""
    training: list[dict[str, Any] | None]
    """What taught the graph of each segment (`train_graph`); None: nothing did."""


@dataclass(frozen=True, eq=False)
class DispatchInfo(Report):
    """The dispatch in use."""

    trained: bool
    enabled: bool
    router: str
    reason: str
    pilots: int
    feedback: int
    """Reactions of users in use."""
    top_p: float
    prior_weight: float
    lexical_weight: float | None
    mixture: dict[str, float] | None
    second_look: dict[str, float] | None
    memory: dict[str, float] | None
    """All four as in `DispatchReport`."""
    max_experts: int
    guard: GuardReport | None
    """As trained."""


@dataclass(frozen=True, eq=False)
class StoreInfo(Report):
    """What is in a store."""

    path: str
    uuid: str
    format_version: int
    version: str
    kernels: str
    """Instruction set of the distance kernels in use."""
    documents: int
    partitions: dict[str, int]
    """Documents by partition."""
    spaces: list[SpaceInfo]
    experts: list[ExpertInfo]
    vector_sets: list[VectorSetInfo]
    text_sets: list[TextSetInfo]
    dispatch: DispatchInfo
