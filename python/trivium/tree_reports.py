# SPDX-License-Identifier: Apache-2.0
"""What training a tree gave, and what is seen of one: `Store.train_tree`, `Store.inspect_tree`."""

from __future__ import annotations

from dataclasses import dataclass

from .reports import Report, TreeLevel


@dataclass(frozen=True, eq=False)
class CellRouterReport(Report):
    """What one way of choosing cells costs to find the ten nearest vectors with recall 0.95."""

    router: str
    """"centroids" (untrained), "map", "tree" or "levels"."""
    scanned: float
    """Vectors read, as a share of all, mean over the queries held out."""
    products: float
    """Inner products to choose the cells of a query."""
    ratio: float
    """Vectors read and products over those of "centroids"."""
    ratio_interval: tuple[float, float]
    """95 %, bootstrap over the queries."""
    rows_ratio: float
    """The same where documents are asked: what is like them must not pay."""


@dataclass(frozen=True, eq=False)
class CellReport(Report):
    """The cells of a partition."""

    cells: int
    used_cells: int
    largest_cell: int
    """Documents."""
    mean_cell: float
    validation_queries: int
    router: str
    """The default from now on."""
    routers: list[CellRouterReport]


@dataclass(frozen=True, eq=False)
class TrainedSpaceTree(Report):
    """What training gave one space."""

    space: str
    documents: int
    """Learned from; of more than 262,144 a sample."""
    queries: int
    """Likewise."""
    judged: int
    """Of these, with a relevant document in the space; representation only."""
    depth: int
    """0: nothing was learned, see `reason`."""
    steps: int
    """That were best on what was held out; representation only."""
    levels: list[TreeLevel]
    """Likewise."""
    cells: CellReport | None
    """Of a partition."""
    enabled: bool
    """Whether it is kept: the gate let it pass, or was to be ignored."""
    reason: str
    """Of the gate, in words."""
    seconds: float


@dataclass(frozen=True, eq=False)
class TrainTreeReport(Report):
    """What `Store.train_tree` learned."""

    use: str
    spaces: list[TrainedSpaceTree]
    unknown_judgements: int
    """Judgements that name a document the store does not hold."""
    seconds: float


@dataclass(frozen=True, eq=False)
class TreeTerm(Report):
    """A word of the texts of a node that those of its sibling use less."""

    term: str
    score: float
    """Log-odds ratio over its standard deviation: 1.96 is surprising."""


@dataclass(frozen=True, eq=False)
class TreeDocument(Report):
    """A typical document of a node."""

    id: str
    partition: str
    probability: float
    """Of the node."""


@dataclass(frozen=True, eq=False)
class TreeNode(Report):
    """A node, counted from 1, the root: the children of v are 2 v and 2 v + 1."""

    node: int
    level: int
    documents: float
    """Sum of their probabilities."""
    greedy: int
    """Documents that come here when each goes the more probable way."""
    balance: float
    """Share of `documents` that goes to the second child; 0 for a leaf."""
    split_entropy: float
    """Of the split, bits, mean over documents by their probability: 0 where all are sure."""
    partition: str
    """The most frequent of the greedy documents."""
    purity: float
    """Its share of them."""
    terms: list[TreeTerm]
    typical: list[TreeDocument]
    """Greedy documents nearest to their mean vector."""


@dataclass(frozen=True, eq=False)
class TreeStep(Report):
    """A node on the way of a question, which always goes to the more probable child."""

    node: int
    probability: float
    """Of the question."""
    document: float | None
    """Of the document asked for; None without one."""
    left: bool
    """Whether this is where that document goes another way, greedily."""


@dataclass(frozen=True, eq=False)
class TreeInspection(Report):
    """What the nodes of a tree hold, and the way of a question."""

    space: str
    depth: int
    documents: int
    nodes: list[TreeNode]
    path: list[TreeStep]
    """Empty without a question."""
