# SPDX-License-Identifier: Apache-2.0
"""What a store learns: how its graphs are walked, which experts answer, how they read queries."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from . import _trivium
from ._arguments import (
    as_dict,
    async_twin,
    progress_callback,
)
from ._queries import is_texts, more_query_sets, query_count, query_sets, unjudged
from ._types import (
    Array,
    Progress,
    Qrels,
    Queries,
    Query,
    TreeUse,
    Vectors,
)
from .errors import InvalidArgument
from .graph_reports import SegmentDrift, SegmentWalk
from .reports import (
    AdapterReport,
    DispatchReport,
    TrainGraphReport,
)
from .tree_reports import TrainTreeReport, TreeInspection

_SEARCH = _trivium.SearchOptions()  # the engine's defaults
_TRAIN = _trivium.TrainDispatchOptions()
_ADAPTER = _trivium.TrainAdapterOptions()
_TREE = _trivium.TreeTrainingOptions()


def _background(queries: Queries | None) -> tuple[list[str], Queries | None]:
    """Texts, or vectors."""
    if isinstance(queries, str):
        raise TypeError("background: a str, expected a list of texts, an array or a dict of arrays")
    if queries is None:
        return [], None
    if query_count(queries) == 0:  # not the same as none: there would be no guard
        raise InvalidArgument("background: 0 queries, expected at least 10, or None")
    return ([], queries) if not is_texts(queries) else (list(queries), None)


class StoreTraining:
    """The part of `Store` that trains, and that shows what was learned."""

    _core: _trivium.Store

    def train_graph(
        self,
        queries: Sequence[str] | Vectors | None = None,
        expert: str | None = None,
        *,
        entries: bool = True,
        edges: bool = True,
        codes: bool = True,
        fine_tune: bool = False,
        recall: float = 0.95,
        seed: int = 0,
        threads: int = 0,
        ignore_gate: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        progress: Progress = False,
    ) -> TrainGraphReport:
        """Teaches graphs where to look from sample queries; no judgements are needed. Build first.

        queries: texts, which are encoded, or vectors (n x dimension, or {space: such an array}): at least 100 and
        better thousands, like those to come. None: up to 5,000 are made from the documents, of their titles (metadata
        "title", else the first sentence of the text), and encoded. expert: whose vectors to train; None: all. In each
        sealed segment of 2,048 rows or more, starting points (`entries`), edges (`edges`) and codes of edges (`codes`;
        entries and codes only with the profile "speed") are learned from four fifths of the queries and kept where the
        others need fewer hops for it at equal `recall`, and queries like the documents no more than 1 % more
        (`ignore_gate`: in any case). The queries are kept in the segment, at most one for eight rows: they teach the
        graphs that `build` and `compact` make later, and with `fine_tune` they are asked again, with the new ones or,
        where `queries` is None, alone. `inspect` shows what is trained. Where it fails, or Ctrl-C stops it, the store
        is unchanged; with `checkpoint`, a file that is kept until training ends, the same call then goes on from there.
        Raises InvalidArgument for too few or bad queries, NotFound for an expert, FailedPrecondition without a sealed
        segment to train, an encoder for texts, or texts to make queries from. About 2 ms a query for 160,000 x 384
        on two threads and 0.3 ms a row for codes.
        """
        if isinstance(queries, str):
            raise TypeError("queries: a str, expected a list of texts, an array or a dict of arrays")
        path = "" if checkpoint is None else os.fspath(checkpoint)
        options = _trivium.GraphTrainingOptions(
            entries, edges, codes, fine_tune, recall, seed, threads, ignore_gate, path
        )
        texts = list(queries) if queries is not None and is_texts(queries) else []
        if isinstance(queries, Mapping) and not queries:  # no space: not the same as no queries
            raise InvalidArgument("queries: 0, expected at least 100, or None")
        vectors = None if texts else queries
        with progress_callback(progress) as callback:
            return self._core.train_graph(texts, vectors, expert or "", options, callback)

    def graph_drift(
        self,
        queries: Sequence[str] | Vectors | None = None,
        expert: str | None = None,
        *,
        recall: float = 0.95,
        vertices: int = 10,
        threads: int = 0,
    ) -> list[SegmentDrift]:
        """What `train_graph` is still worth, for each trained graph of an expert, or of all.

        queries: as for `train_graph`, such as the latest of a log; None: those that were held out when it was
        trained. Compares hops at equal `recall` with those of the same graph untaught, and lists `vertices` documents
        each that helped and that harmed most. Raises FailedPrecondition where nothing is trained.
        """
        if isinstance(queries, str):
            raise TypeError("queries: a str, expected a list of texts, an array or a dict of arrays")
        texts = list(queries) if queries is not None and is_texts(queries) else []
        return self._core.graph_drift(
            texts, None if texts else queries, expert or "", recall, vertices, threads
        )

    def trace_walks(
        self, query: Query, expert: str | None = None, *, k: int = _SEARCH.k, beam_width: int | None = None
    ) -> list[SegmentWalk]:
        """Where the walks for one query go, vertex by vertex, in each graph of an expert, or of all.

        Of a trained graph also where they would go with what was learned undone. For inspection: slow.
        """
        return self._core.trace_walks(as_dict(query), expert or "", k, beam_width or 0)

    def train_dispatch(
        self,
        queries: Queries | None = None,
        qrels: Qrels | None = None,
        validation: tuple[Queries, Qrels] | tuple[Queries, Qrels, Sequence[str]] | None = None,
        groups: Sequence[str] | None = None,
        seed: int = _TRAIN.seed,
        *,
        routers: Sequence[str] | None = None,
        query_ids: Sequence[str] | None = None,
        drop_self: bool | Collection[str] = False,
        background: Queries | None = None,
        guard_acceptance: float = _TRAIN.guard_acceptance,
        label_free: bool = False,
        threads: int = _TRAIN.threads,
        progress: Progress = False,
    ) -> DispatchReport:
        """Learns from n judged queries which expert answers what.

        queries: n texts, n x dimension floats, or such an array by space. qrels: for each query the grades of
        its documents, by id or (partition, id); those of unknown documents are counted and left out.
        validation: queries and qrels (and groups) to judge by; without it every query is judged by routers
        trained on the others, queries that share a relevant document together. groups: the name of each query's
        set; averages are
        over sets. routers: names to try, all by default. query_ids with drop_self: a hit whose id is the
        query's own is ignored, in all sets or in those named.

        background: ordinary queries that no expert serves, at least 10 and better hundreds. With them a guard
        learns to tell whether a query is served at all; it accepts the share `guard_acceptance` of those that are
        (0: whatever balances acceptance and rejection best), and rejects what `search(on_reject=...)` says only if
        it tells held-out queries apart: see `guard`. Without them there is none.

        label_free: without qrels; routers learn from what the experts hold (`moments`, and better `tree`, where
        `train_tree(use="partition")` came before), where the encoder is at hand from their descriptions
        (`description`), and where there are queries, and 3 experts or more that search the same documents, from how
        much their answers agree (`agreement`). Nothing can be compared, so the dispatch is off by default and
        answers to `search(router="tree")` and so on; it takes the place of any trained before.

        The trained dispatch becomes the default only if it gains on validation: see `enabled` and `reason`.
        """
        texts, vectors = _background(background)
        options = _trivium.TrainDispatchOptions(routers, seed, threads, guard_acceptance, label_free)
        train: list[_trivium.QuerySet] = []
        if queries is not None and (qrels is not None or label_free):
            judgements = unjudged(queries) if qrels is None else qrels
            train = query_sets(queries, judgements, groups, query_ids, drop_self)
        elif not label_free or qrels is not None:
            raise TypeError("queries, qrels: None, expected both, or no qrels and label_free=True")
        held_out = more_query_sets("validation", validation)
        with progress_callback(progress) as callback:
            return self._core.train_dispatch(options, train, held_out, texts, vectors, callback)

    def train_adapter(
        self,
        queries: Queries,
        qrels: Qrels,
        expert: str | None = None,
        groups: Sequence[str] | None = None,
        rank: int = _ADAPTER.rank,
        seed: int = _ADAPTER.seed,
        *,
        query_ids: Sequence[str] | None = None,
        drop_self: bool | Collection[str] = False,
        threads: int = _ADAPTER.threads,
        progress: Progress = False,
    ) -> AdapterReport:
        """Learns from n judged queries how experts should read queries: as W @ q, renormalised.

        Arguments as of `train_dispatch`. expert: whose adapter; None: one for each expert with at least 10
        queries (those with a relevant document in its partition; over all partitions, the group of its name) and
        no adapter given to it, and one a space for all domains together, in which every group is heard equally
        often. rank: of what is learned, 0 for the full matrix.

        Searches that name an expert use its adapter, experts="auto" that of all domains where dispatch does not
        choose, if held-out queries gain: each is read by an adapter learned from the others, queries that share
        a relevant document apart. Others stay reachable by adapters=True. Only spaces of the cosine metric. Where
        it fails the store is unchanged. Train dispatch afterwards, on the same queries if you
        like: it reads each by the adapter that did not learn from it.
        """
        options = _trivium.TrainAdapterOptions(expert or "", rank, seed, threads)
        train = query_sets(queries, qrels, groups, query_ids, drop_self)
        with progress_callback(progress) as callback:
            return self._core.train_adapter(options, train, callback)

    def train_tree(
        self,
        queries: Queries | None = None,
        qrels: Qrels | None = None,
        use: TreeUse = "representation",
        space: str | None = None,
        groups: Sequence[str] | None = None,
        seed: int = _TREE.seed,
        *,
        depth: int = _TREE.depth,
        mlp: bool = False,
        steps: int = _TREE.steps,
        query_ids: Sequence[str] | None = None,
        drop_self: bool | Collection[str] = False,
        threads: int = _TREE.threads,
        ignore_gate: bool = False,
        checkpoint: str | os.PathLike[str] | None = None,
        entropy_weight: float = 0.0,
        progress: Progress = False,
    ) -> TrainTreeReport:
        """Teaches spaces a tree from their vectors, and better also from queries like those to come.

        queries: None, n texts, which are encoded, n x dimension floats, or such an array by space. qrels: as of
        `train_dispatch`, or None. use: "representation" learns a soft tree, so that what two vectors share of its
        nodes stands for their similarity: `search(index="tree", level=...)`. "partition" deals the documents to cells
        and learns from the queries which to read first: `search(index="cells")`. space: None is every space of the
        cosine metric that the queries can be read for and whose tree was not given. groups, query_ids and drop_self:
        as of `train_dispatch`.

        depth: levels, so 2^depth leaves, 1 to 12 (partition: 16); 0: 10, or less for fewer than 4,096 documents.
        mlp: splits with a hidden layer instead of linear ones. steps: at most. entropy_weight: 0 or more; how much
        each document is urged to lie in few nodes, which costs quality ("Sharpness" in docs/tree.md). Kept where it
        stands for the vectors better than the tree that training began with, on what was held out (`ignore_gate`: in
        any case), in place of the one before; `build`, `compact` and `upsert` go on with it. Where a space has an
        adapter of all domains in use, the tree learns from what that makes of the queries, as searches ask it. Where
        it fails, or Ctrl-C stops it, the store is unchanged; with `checkpoint`, a file that is kept until training
        ends, the same call then goes on from there. Raises InvalidArgument, NotFound for a space, FailedPrecondition
        for fewer than 64 documents, another metric, or queries that cannot be encoded.
        """
        if isinstance(queries, str):
            raise TypeError("queries: a str, expected a list of texts, an array or a dict of arrays")
        if queries is None and qrels is not None:
            raise TypeError("qrels: given without queries, expected both, queries alone, or neither")
        path = "" if checkpoint is None else os.fspath(checkpoint)
        options = _trivium.TreeTrainingOptions(
            use, depth, mlp, steps, seed, threads, ignore_gate, path, entropy_weight
        )
        sets: list[_trivium.QuerySet] = []
        if queries is not None:
            if query_count(queries) == 0:
                raise InvalidArgument("queries: 0, expected at least one, or None")
            judgements = unjudged(queries) if qrels is None else qrels
            sets = query_sets(queries, judgements, groups, query_ids, drop_self)
        with progress_callback(progress) as callback:
            return self._core.train_tree(sets, space or "", options, callback)

    def set_tree(
        self,
        tree: Literal["given"] | None = "given",
        space: str | None = None,
        *,
        threads: int = 0,
    ) -> None:
        """Gives a space the tree over whose leaves its vectors are distributions, made elsewhere; None: takes it away.

        Each vector, of a document or a query, holds the shares of the 2^D leaves of a perfect binary tree from left
        to right, D from 1 to 12, at any scale: cosine spaces keep directions, and a distribution is its direction
        over its sum. `search(index="tree", level=...)` then ranks by what distributions share, without a gate. It
        takes the place of the tree before, until `train_tree` names the space. From now on vectors and queries with
        a component below 0 are refused there. Masses are rounded to bytes whose unit is chosen for the documents
        (`inspect` says what that keeps): call it again when they have changed much. space: None is the store's only
        one. Raises InvalidArgument for a document with a component below 0, FailedPrecondition for another
        metric, a dimension that is no power of two, or no document; NotFound.
        """
        if tree is not None and tree != "given":
            raise InvalidArgument(f"tree: {str(tree)[:80]!r}, expected 'given' or None")
        self._core.set_tree(tree is not None, space or "", threads)

    def inspect_tree(
        self,
        space: str | None = None,
        *,
        levels: int = 4,
        node: int | None = None,
        question: Query | None = None,
        document: str | None = None,
        partition: str | None = None,
        terms: int = 8,
        typical: int = 3,
    ) -> TreeInspection:
        """What the nodes of a space's tree hold: documents, balance, entropy, partitions, words, typical documents.

        space: None is the only one with a tree. levels: of nodes told of, below the root. node: only this one.
        question: a text or a vector (dimension,) whose way through the tree is told instead, with its
        probabilities, and, with `document` (an id, of `partition` where several have it), where that document
        leaves it. terms, typical: at most, a node, 0 to 1,000. Reads texts: slow. Raises FailedPrecondition without
        a tree, NotFound.
        """
        return self._core.inspect_tree(
            space or "", levels, node or 0, terms, typical, as_dict(question), document or "", partition or ""
        )

    def set_adapter(self, matrix: Array | None, expert: str | None = None, space: str | None = None) -> None:
        """Gives an expert, or all domains of a space, an adapter made elsewhere; None takes it away.

        matrix: dimension x dimension; a query q is read as matrix @ q, renormalised for the cosine metric. Used
        from now on, without a gate. space: None is the store's only one. Raises NotFound.
        """
        self._core.set_adapter(matrix, expert or "", space or "")

    def get_adapter(self, expert: str | None = None, space: str | None = None) -> Array | None:
        """The adapter of an expert, or of all domains of a space, dimension x dimension; None: there is none."""
        return self._core.get_adapter(expert or "", space or "")

    # Searching

    atrain_graph = async_twin(train_graph)
    agraph_drift = async_twin(graph_drift)
    atrace_walks = async_twin(trace_walks)
    atrain_dispatch = async_twin(train_dispatch)
    atrain_adapter = async_twin(train_adapter)
    atrain_tree = async_twin(train_tree)
    aset_tree = async_twin(set_tree)
    ainspect_tree = async_twin(inspect_tree)
