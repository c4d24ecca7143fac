# SPDX-License-Identifier: Apache-2.0
"""The options of searches, made from the keywords of `Store.search` and its relatives."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

from . import _trivium
from ._arguments import filter_json
from ._trivium import Route
from ._types import Experts, Filter, RouteLike
from .errors import InvalidArgument

DEFAULTS = _trivium.SearchOptions()
"""The engine's."""


def search_options(
    *,
    experts: Experts,
    filter: Filter | None,
    index: str | None,
    beam_width: int | None,
    router: str | None,
    top_p: float | None,
    max_experts: int | None,
    adapters: bool | None,
    fusion: str | None,
    lexical_weight: float | None,
    on_reject: str,
    allowed_experts: Sequence[str] | None,
    partitions: Sequence[str] | None,
    cost: float | None,
    budget: int | None,
    k: int = DEFAULTS.k,
    include: Collection[str] = (),
    documents: bool = False,
    timeout: float | None = None,
    route: RouteLike | None = None,
    explain: bool = False,
    level: int | None = None,
    probes: int | None = None,
    second_look: bool = DEFAULTS.second_look,
    memory: bool = DEFAULTS.memory,
) -> _trivium.SearchOptions:
    """Checked."""
    unknown = [include] if isinstance(include, str) else [name for name in include if name != "vectors"]
    if unknown:
        raise InvalidArgument(f"include: {unknown[0]!r}, expected a list out of 'vectors'")
    return _trivium.SearchOptions(
        k=k,
        experts=experts,
        filter=filter_json(filter),
        index=index,
        beam_width=DEFAULTS.beam_width if beam_width is None else beam_width,
        load_documents=documents,
        load_vectors=bool(include),
        router=router or "",
        top_p=top_p,
        max_experts=max_experts,
        timeout=timeout,
        adapters=adapters,
        fusion=fusion,
        lexical_weight=lexical_weight,
        on_reject=on_reject,
        allowed_experts=allowed_experts,
        partitions=partitions,
        cost=cost,
        budget=budget,
        route=_as_route(route),
        explain=explain,
        level=DEFAULTS.level if level is None else level,
        probes=DEFAULTS.probes if probes is None else probes,
        second_look=second_look,
        memory=memory,
    )


def _as_route(route: RouteLike | None) -> Route | None:
    if route is None or isinstance(route, Route):
        return route
    if isinstance(route, str):
        return Route.from_json(route)
    if not isinstance(route, Mapping):
        raise TypeError(f"route: a {type(route).__name__}, expected a Route, a dict or JSON")
    try:
        return Route.from_json(json.dumps(dict(route)))
    except TypeError as error:
        raise TypeError(f"route: {error}, expected what Route.to_dict gives") from None
