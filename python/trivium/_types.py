# SPDX-License-Identifier: Apache-2.0
"""Types of arguments, for annotations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Union

import numpy as np
import numpy.typing as npt

from ._trivium import Route

Array = npt.NDArray[np.floating[Any]]
"""float32 in C order is used without a copy; float16 and float64 are converted; other types are refused."""

Vectors = Union[Array, Mapping[str, Array]]
"""n x dimension, for the store's only space; or such an array for each space."""

Query = Union[str, Array, Mapping[str, Array]]
"""A text; a vector (dimension,) in the store's only space; or a vector for each space."""

Queries = Union[Sequence[str], Array, Mapping[str, Array]]
"""n texts; an n x dimension array; or such an array for each space."""

Qrels = Sequence[Mapping[Any, float]]
"""For each query the grades of its documents, by id or (partition, id). A grade <= 0 is not relevant."""

Filter = Union[str, Mapping[str, Any]]
"""A condition on metadata, as a dict or as JSON; see `Store.search`."""

Experts = Union[str, Sequence[str]]
"""\"auto\", \"all\", or names."""

IndexName = Literal["graph", "exact", "tree", "cells"]

VectorIndexName = Literal["graph", "exact"]

TreeUse = Literal["representation", "partition"]

ExpertKind = Literal["dense", "lexical"]

FusionName = Literal["rrf", "convex"]

OnReject = Literal["all", "plain", "nothing"]
"""What answers a query that the guard rejects; see `Store.search`."""

RouteLike = Union[Route, Mapping[str, Any], str]
"""A route to take again: `hits.route`, `hits.route.to_dict()`, or JSON of it, as `trivium search --json` prints."""

Profile = Literal["speed", "balanced", "small"]
"""How vectors are stored; see VectorIndex."""

Metric = Literal["cosine", "inner_product", "squared_l2"]

Encoder = Callable[[list[str], Literal["query", "document"]], Array]
"""encoder(texts, kind) -> n x dimension. Its attributes are used if it has them: `dimension` (int), and
`fingerprint` (str), which changes whenever the same text would give another vector and lets the store remember
encodings."""

Progress = Union[bool, Callable[[str, int, int], object]]
"""False: silent. True: a line on stderr if that is a terminal. A callable: callback(stage, done, total) with
total 0 where it is not known; what it raises stops the work, which then changes nothing."""
