# SPDX-License-Identifier: Apache-2.0
"""The store: documents with the indexes, experts and routers that find them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from types import TracebackType
from typing import Any, Literal, overload

from . import _trivium
from ._arguments import (
    as_dict,
    async_twin,
    filter_json,
    metadata_json,
    progress_callback,
    resolve_encoders,
)
from ._queries import is_texts, more_query_sets, query_sets
from ._search_options import DEFAULTS as _DEFAULTS
from ._search_options import search_options
from ._trivium import Batch, Document, Hits
from ._types import (
    Array,
    Encoder,
    ExpertKind,
    Experts,
    Filter,
    FusionName,
    IndexName,
    Metric,
    OnReject,
    Profile,
    Progress,
    Qrels,
    Queries,
    Query,
    RouteLike,
    Vectors,
)
from .evaluation_reports import EvaluationReport
from .reports import (
    BuildReport,
    CalibrationReport,
    CompactReport,
    StoreInfo,
    UpsertReport,
    VerifyReport,
)
from .store_feedback import StoreFeedback
from .store_training import StoreTraining

_BUILD = _trivium.BuildOptions()
_EVALUATE = _trivium.EvaluateOptions()

_SCAN_PAGE = 256  # documents fetched at a time


class Store(StoreTraining, StoreFeedback):
    """An open store; made by `trivium.open`. A context manager. Safe to use from several threads.

    Searches never wait for writers; writers wait for each other. Every call may raise the exceptions of
    `trivium.errors`; on InvalidArgument, and unless said otherwise on the others, nothing was changed.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        read_only: bool = False,
        create: bool = True,
        durability: Literal["sync", "async"] = "sync",
        encoders: Mapping[str, Encoder | str] | None = None,
    ) -> None:
        self.path = os.fspath(path)
        """The directory."""
        self.read_only = read_only
        self._core = _trivium.Store(self.path, read_only, create, durability, resolve_encoders(encoders))

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<trivium.Store '{self.path}'{' read-only' if self.read_only else ''}>"

    def close(self) -> None:
        """Closes the store and gives up its lock. Later calls raise FailedPrecondition; closing again does not."""
        self._core.close()

    def refresh(self) -> None:
        """Shows a read-only store what a writer has written since."""
        self._core.refresh()

    # What the store is made of

    def add_space(
        self, name: str, dimension: int, metric: Metric = "cosine", encoder: str | None = None
    ) -> None:
        """Adds the vectors of one encoder: 1 to 65,536 floats each.

        With `encoder`, texts are encoded by the callable of that name in `trivium.open(encoders=...)`;
        "minilm" is built in where its packages are installed. Adding the same space again does nothing; another
        one of that name raises AlreadyExists.
        """
        self._core.add_space(name, dimension, metric, encoder)

    def add_expert(
        self,
        name: str,
        space: str | None = None,
        partition: str | None = None,
        description: str = "",
        adapter: Array | None = None,
        cost: float = 1.0,
        *,
        kind: ExpertKind = "dense",
        k1: float = 0.9,
        b: float = 0.4,
    ) -> None:
        """Adds what a query can be sent to: vectors or words, of one partition or of all of them.

        kind "dense" searches the vectors of a space. `adapter` (dimension x dimension) makes it read a query q as
        adapter @ q, renormalised for the cosine metric.

        kind "lexical" searches texts by BM25 and has neither a space nor an adapter. It finds a document as soon
        as its text is written; words are compared in lower case, without plural endings and English stop words.
        `k1` >= 0 says how much more a word counts that occurs again, `b` (0 to 1) how much longer texts are held
        back. Queries without a text cannot be sent to it: "auto" and "all" leave it out then. Its statistics are
        those of all texts of its partitions, deleted ones included until `build` or `compact` drops them. One
        over all partitions is better than one for each: scores of different lexical experts are not compared.

        `cost` >= 0 is the relative price of asking it. A partition that does not exist comes to be. The other
        experts are not retrained. While there is no dense expert, every space counts as one. Raises
        AlreadyExists, NotFound (the space).
        """
        self._core.add_expert(name, space, partition, description, adapter, cost, kind, k1, b)

    def remove_expert(self, name: str) -> None:
        """Removes an expert, not its documents. Raises NotFound."""
        self._core.remove_expert(name)

    def has_space(self, name: str) -> bool:
        """Whether there is such a space."""
        return self._core.has_space(name)

    def has_expert(self, name: str) -> bool:
        """Whether there is such an expert."""
        return self._core.has_expert(name)

    # Documents

    def upsert(
        self,
        ids: Sequence[str],
        vectors: Vectors | None = None,
        texts: Sequence[str | None] | None = None,
        metadata: Sequence[Mapping[str, Any] | None] | None = None,
        partition: str = "main",
        on_conflict: Literal["replace", "error"] = "replace",
        progress: Progress = False,
        encode: bool = True,
    ) -> UpsertReport:
        """Writes n documents, all or none; those that exist are replaced whole. Durable on return.

        ids: n distinct texts of 1 to 512 bytes. vectors: n x dimension floats for the store's only space, or
        such an array by space; finite, and for the cosine metric not zero. texts, metadata: n each. Texts are
        encoded for every space that names an encoder and is not in `vectors`, unless `encode` is False.
        Documents without vectors are fine. An exception that `progress` raises is raised after the write.
        Raises AlreadyExists with on_conflict="error", NotFound (a space).
        """
        metadata_items = None if metadata is None else metadata_json(metadata)
        with progress_callback(progress) as callback:
            return self._core.upsert(
                ids, as_dict(vectors), texts, metadata_items, partition, on_conflict, encode, callback
            )

    @overload
    def get(self, ids: str, partition: str | None = None) -> Document | None: ...  # type: ignore[overload-overlap]
    @overload
    def get(self, ids: Sequence[str], partition: str | None = None) -> list[Document | None]: ...
    def get(
        self, ids: str | Sequence[str], partition: str | None = None
    ) -> Document | None | list[Document | None]:
        """The documents, aligned with `ids`; None where there is no such one. A single id gives a single one.

        Without `partition`, an id that several partitions hold raises InvalidArgument, which lists them.
        """
        if isinstance(ids, str):
            return self._core.get([ids], partition)[0]
        return self._core.get(ids, partition)

    def delete(
        self,
        ids: Sequence[str] | None = None,
        partition: str | None = None,
        filter: Filter | None = None,
    ) -> int:
        """Deletes the documents that meet every condition given, at least one; returns how many there were."""
        return self._core.delete(ids, partition, filter_json(filter))

    def update_metadata(
        self,
        ids: Sequence[str],
        metadata: Sequence[Mapping[str, Any] | None],
        partition: str | None = None,
    ) -> None:
        """Replaces the metadata of existing documents. Raises NotFound, which names the id."""
        self._core.update_metadata(ids, metadata_json(metadata), partition)

    def scan(self, filter: Filter | None = None, partition: str | None = None) -> Iterator[Document]:
        """Iterates over the matching documents of now, in the order they were written.

        Writing meanwhile is allowed: a document deleted before its turn is left out, one replaced is new.
        """
        keys = self._core.keys(filter_json(filter), partition)
        return self._documents(keys)

    def _documents(self, keys: list[tuple[str, str]]) -> Iterator[Document]:
        for partition, group in groupby(keys, key=itemgetter(0)):
            ids = [id for _, id in group]
            for start in range(0, len(ids), _SCAN_PAGE):
                for document in self._core.get(ids[start : start + _SCAN_PAGE], partition):
                    if document is not None:
                        yield document

    def count(self, filter: Filter | None = None, partition: str | None = None) -> int:
        """How many documents match."""
        return self._core.count(filter_json(filter), partition)

    # Building and training

    def build(
        self,
        progress: Progress = False,
        threads: int = _BUILD.threads,
        degree_bound: int = _BUILD.degree_bound,
        build_beam_width: int = _BUILD.build_beam_width,
        profile: Profile | None = None,
    ) -> BuildReport:
        """Seals the vectors written since the last build into segments with a graph each.

        Searches are right without it, only slower. threads: 0 means all processors. degree_bound, 4 to 256:
        neighbours a vertex; more costs memory and time, saves hops. build_beam_width: 0 is the default.
        profile: how every space's vectors are stored from now on, see `VectorIndex`; None keeps each space's own,
        first "speed". Segments that are there keep theirs until `compact(profile=...)`; what "balanced" or
        "small" rounded stays rounded, and "balanced" is refused with InvalidArgument, the store unchanged, while a
        vector with a component beyond 65,504 is stored. Ctrl-C stops it, with the store unchanged.
        """
        options = _trivium.BuildOptions(threads, degree_bound, build_beam_width, profile)
        with progress_callback(progress) as callback:
            return self._core.build(options, callback)

    def calibrate(
        self,
        queries: Vectors | None = None,
        target_recall: float = 0.95,
        k: int = 10,
        *,
        threads: int = 0,
        progress: Progress = False,
    ) -> CalibrationReport:
        """Finds the narrowest beam that reaches a recall, and makes it the default of the space's searches.

        queries: sample queries (n x dimension), or {space: such an array}; a few hundred real ones are best.
        None takes up to 200 of each space's own vectors, which are easier than questions. Recall is the share of
        the true k nearest vectors of the space that are found, before fusion. Kept in the store, shown by
        `inspect`. Build first. Raises NotFound for a space.
        """
        with progress_callback(progress) as callback:
            return self._core.calibrate(queries, target_recall, k, threads, callback)

    def search(
        self,
        query: Query,
        k: int = _DEFAULTS.k,
        experts: Experts = "auto",
        filter: Filter | None = None,
        include: Collection[str] = (),
        explain: bool = False,
        index: IndexName | None = None,
        beam_width: int | None = None,
        *,
        level: int | None = None,
        probes: int | None = None,
        documents: bool = _DEFAULTS.load_documents,
        router: str | None = None,
        top_p: float | None = None,
        max_experts: int | None = None,
        timeout: float | None = None,
        adapters: bool | None = None,
        second_look: bool = _DEFAULTS.second_look,
        memory: bool = _DEFAULTS.memory,
        fusion: FusionName | None = None,
        lexical_weight: float | None = None,
        on_reject: OnReject = "all",
        allowed_experts: Sequence[str] | None = None,
        partitions: Sequence[str] | None = None,
        cost: float | None = None,
        budget: int | None = None,
        route: RouteLike | None = None,
    ) -> Hits:
        """The k nearest documents, best first, with the route and the cost (`.route`, `.trace`).

        query: a text, which the encoder of a chosen expert's space encodes; a vector (dimension,); or vectors
        by space. k: 1 to 10,000. experts: "auto" (dispatch chooses), "all", or names.

        filter: {"field": F, "op": O, "value": V} with O one of == != < <= > >= in not_in exists, combined by
        {"and": [...]}, {"or": [...]}, {"not": {...}}, as a dict or JSON. A missing field matches only !=,
        not_in and exists: false. There are k hits whenever k documents pass.

        include: "vectors" gives each hit its vectors. explain: the route also lists experts not chosen, and
        `.route.explanation` says why: the nearest pilots, their votes, and what would change the choice.
        index: "graph" or "exact" overrides the store's choice. beam_width: candidates kept while walking a
        graph. "tree" ranks by what query and document share of the trained tree (`train_tree`), at `level` (1 to
        its depth; None: the depth): score and similarity are the shared mass, 0 to 1, and nothing is re-ranked.
        "cells" reads only the cells of a trained partition where the nearest vectors are likely, `probes` of them
        (None: as calibrated for recall 0.95). Both raise FailedPrecondition where a space that is searched has
        none. documents=False leaves text and metadata out. router: dispatch by this trained router, even one
        that the gate left off. top_p (0, 1] and max_experts override what training found. timeout: seconds, then DeadlineExceeded.
        adapters: True reads the query also by adapters that the gate left off, False by none; experts="all" is
        always plain. second_look: False leaves the route as it is; by default what the chosen experts find revises it
        as training found best, and more are asked where that is not sure (`.route.widened`). memory: False leaves
        hits as they are; by default those judged relevant for queries like this one are raised as training found best
        (`.route.remembered`). fusion: how the lists of several spaces, or of dense and lexical experts, become one: by their
        ranks ("rrf"), or by their scores, brought to 0..1 by the best and worst hit of each list and added
        ("convex"), with `lexical_weight` (0 to 1) the share of the lexical experts; without, "rrf" and 0.3, or for
        "auto" what training the dispatch found. on_reject: what
        "auto" answers a query that the guard takes for out of domain: "all" asks every expert, "plain" gives the
        untrained answer, "nothing" no hits; see `.route.rejected`.

        allowed_experts: who may be asked, by name; naming another one in `experts` is an error. partitions: where
        documents may be found, whatever an expert covers. cost (0 to 1): what "auto" may spend, as a share of
        what asking everybody costs (`add_expert(cost=...)`): 0 asks one expert, 1 all. budget: likewise, distances
        that the searches may compute, as estimated from the indexes. Either takes the place of top_p and
        max_experts: the most probable experts that are affordable are asked, or where no router chooses those
        with the most documents, and there may be fewer than k hits.

        route: answers as another query was answered, with the same experts, probabilities and mixture, without
        asking guard or router: `hits.route`, its `to_dict()`, or JSON. The hits are the same while the store
        and the other arguments are. Raises NotFound for experts that are gone.
        """
        options = search_options(
            experts=experts,
            filter=filter,
            index=index,
            beam_width=beam_width,
            level=level,
            probes=probes,
            router=router,
            top_p=top_p,
            max_experts=max_experts,
            adapters=adapters,
            second_look=second_look,
            memory=memory,
            fusion=fusion,
            lexical_weight=lexical_weight,
            on_reject=on_reject,
            allowed_experts=allowed_experts,
            partitions=partitions,
            cost=cost,
            budget=budget,
            k=k,
            include=include,
            documents=documents,
            timeout=timeout,
            route=route,
            explain=explain,
        )
        return self._core.search(as_dict(query), options)

    def search_batch(
        self,
        queries: Queries,
        k: int = _DEFAULTS.k,
        threads: int = 1,
        experts: Experts = "auto",
        filter: Filter | None = None,
        index: IndexName | None = None,
        beam_width: int | None = None,
        *,
        level: int | None = None,
        probes: int | None = None,
        router: str | None = None,
        top_p: float | None = None,
        max_experts: int | None = None,
        timeout: float | None = None,
        adapters: bool | None = None,
        second_look: bool = _DEFAULTS.second_look,
        memory: bool = _DEFAULTS.memory,
        fusion: FusionName | None = None,
        lexical_weight: float | None = None,
        on_reject: OnReject = "all",
        allowed_experts: Sequence[str] | None = None,
        partitions: Sequence[str] | None = None,
        cost: float | None = None,
        budget: int | None = None,
    ) -> Batch:
        """`search` for n texts or n x dimension floats, on `threads` threads (0: all processors).

        Faster than as many calls, also on one thread: queries that ask the same vectors take turns.
        The result has `.ids` and `.partitions` (a list for each query) and `.scores` (n x k float32, -inf where
        there is no hit); no texts and no routes.
        """
        if isinstance(queries, str):
            raise TypeError("queries: a str, expected a list of texts, an array or a dict of arrays")
        options = search_options(
            experts=experts,
            filter=filter,
            index=index,
            beam_width=beam_width,
            level=level,
            probes=probes,
            router=router,
            top_p=top_p,
            max_experts=max_experts,
            adapters=adapters,
            second_look=second_look,
            memory=memory,
            fusion=fusion,
            lexical_weight=lexical_weight,
            on_reject=on_reject,
            allowed_experts=allowed_experts,
            partitions=partitions,
            cost=cost,
            budget=budget,
            k=k,
            timeout=timeout,
        )
        texts = queries if is_texts(queries) else None
        vectors = None if texts is not None else as_dict(queries)
        return self._core.search_batch(vectors, texts, options, threads)

    def evaluate(
        self,
        queries: Queries,
        qrels: Qrels,
        groups: Sequence[str] | None = None,
        experts: Experts = "auto",
        filter: Filter | None = None,
        index: IndexName | None = None,
        beam_width: int | None = None,
        *,
        level: int | None = None,
        probes: int | None = None,
        depth: int = _EVALUATE.depth,
        compare: bool = _EVALUATE.compare,
        keep_runs: bool = _EVALUATE.keep_runs,
        training: tuple[Queries, Qrels] | tuple[Queries, Qrels, Sequence[str]] | None = None,
        typos: int = _EVALUATE.typos,
        query_ids: Sequence[str] | None = None,
        drop_self: bool | Collection[str] = False,
        router: str | None = None,
        top_p: float | None = None,
        max_experts: int | None = None,
        adapters: bool | None = None,
        second_look: bool = _DEFAULTS.second_look,
        memory: bool = _DEFAULTS.memory,
        fusion: FusionName | None = None,
        lexical_weight: float | None = None,
        on_reject: OnReject = "all",
        allowed_experts: Sequence[str] | None = None,
        partitions: Sequence[str] | None = None,
        cost: float | None = None,
        budget: int | None = None,
        progress: Progress = False,
    ) -> EvaluationReport:
        """Metrics as trec_eval computes them; arguments as of `train_dispatch` and `search`.

        depth: hits retrieved a query, at least 10. compare: also a row for each router, combination and oracle,
        and how well each router knows whom to ask. keep_runs: every query's hits in the report. training:
        queries, qrels (and groups) that the store learned from: metrics are also given over the `clean` queries,
        without a near twin (cosine 0.95) among these and without a relevant document in common with one. typos:
        with compare, typing errors in each text that is encoded, to see how many routes change (`route_flips`).
        """
        search = search_options(
            experts=experts,
            filter=filter,
            index=index,
            beam_width=beam_width,
            level=level,
            probes=probes,
            router=router,
            top_p=top_p,
            max_experts=max_experts,
            adapters=adapters,
            second_look=second_look,
            memory=memory,
            fusion=fusion,
            lexical_weight=lexical_weight,
            on_reject=on_reject,
            allowed_experts=allowed_experts,
            partitions=partitions,
            cost=cost,
            budget=budget,
        )
        options = _trivium.EvaluateOptions(search, depth, compare, keep_runs, typos)
        sets = query_sets(queries, qrels, groups, query_ids, drop_self)
        learned = more_query_sets("training", training)
        with progress_callback(progress) as callback:
            return self._core.evaluate(options, sets, learned, callback)

    # Care

    def inspect(self) -> StoreInfo:
        """What is in the store."""
        return self._core.inspect()

    def verify(self) -> VerifyReport:
        """Reads every byte. Raises DataLoss, which names the first damaged file."""
        return self._core.verify()

    def compact(
        self,
        progress: Progress = False,
        threads: int = _BUILD.threads,
        degree_bound: int = _BUILD.degree_bound,
        build_beam_width: int = _BUILD.build_beam_width,
        profile: Profile | None = None,
    ) -> CompactReport:
        """Merges each vector set into one segment without its deleted rows; arguments as of `build`."""
        options = _trivium.BuildOptions(threads, degree_bound, build_beam_width, profile)
        with progress_callback(progress) as callback:
            return self._core.compact(options, callback)

    def snapshot(self, destination: str | os.PathLike[str]) -> None:
        """Copies the store, as it is at one moment, to a new directory. Raises AlreadyExists."""
        self._core.snapshot(os.fspath(destination))

    aupsert = async_twin(upsert)
    adelete = async_twin(delete)
    aupdate_metadata = async_twin(update_metadata)
    acount = async_twin(count)
    abuild = async_twin(build)
    acalibrate = async_twin(calibrate)
    asearch = async_twin(search)
    asearch_batch = async_twin(search_batch)
    aevaluate = async_twin(evaluate)
    averify = async_twin(verify)
    acompact = async_twin(compact)
    asnapshot = async_twin(snapshot)
    arefresh = async_twin(refresh)
    aclose = async_twin(close)

    async def aget(self, ids: Sequence[str], partition: str | None = None) -> list[Document | None]:
        """`get` of several ids, on a worker thread."""
        return await async_twin(type(self._core).get)(self._core, ids, partition)


def open(
    path: str | os.PathLike[str],
    read_only: bool = False,
    create: bool = True,
    durability: Literal["sync", "async"] = "sync",
    encoders: Mapping[str, Encoder | str] | None = None,
) -> Store:
    """Opens the store in directory `path`, making it if it is absent and `create` is true.

    One process may write; any number may open with read_only=True beside it and `refresh`. durability: a write
    returns when it is on disk ("sync"), or when the operating system has it ("async": a crash of the machine may
    lose the last writes, never an earlier one). encoders: callables for the texts of spaces, by the names that
    spaces carry: callable(texts, kind) -> n x dimension floats, with kind "query" or "document".

    Raises NotFound, StoreLocked, DataLoss, PermissionDenied.
    """
    return Store(path, read_only, create, durability, encoders)


def restore(source: str | os.PathLike[str], destination: str | os.PathLike[str]) -> None:
    """Copies a snapshot, verified first, to a new directory. Raises AlreadyExists where that holds anything."""
    _trivium.restore(os.fspath(source), os.fspath(destination))
