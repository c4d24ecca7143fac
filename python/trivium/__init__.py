# SPDX-License-Identifier: Apache-2.0
"""Trivium: an embedded retrieval engine that learns where to look.

    store = trivium.open("kb")
    store.add_space("text", dimension=384)
    store.add_expert("medicine", space="text", partition="medicine")
    store.upsert(ids, vectors=V, texts=texts, partition="medicine")
    store.build()
    for hit in store.search(query_vector, k=5):
        print(hit.id, hit.score, hit.text)

Importing this package opens no connection and loads no model.
"""

from collections.abc import Sequence

from . import evaluation_reports, graph_reports, reports, tree_reports
from ._trivium import (
    Batch,
    Document,
    ExpertConsidered,
    Hit,
    Hits,
    NearPilot,
    Route,
    RouteExplanation,
    RouteMargin,
    Trace,
    VectorFilter,
    kernel_name,
    version,
)
from .errors import (
    AlreadyExists,
    Cancelled,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ResourceExhausted,
    StoreLocked,
    TriviumError,
)
from .store import Store, open, restore
from .vector_index import Neighbors, VectorIndex

__version__: str = version()

Sequence.register(Hits)

__all__ = [
    "AlreadyExists",
    "Batch",
    "Cancelled",
    "DataLoss",
    "DeadlineExceeded",
    "Document",
    "ExpertConsidered",
    "FailedPrecondition",
    "Hit",
    "Hits",
    "InvalidArgument",
    "NearPilot",
    "Neighbors",
    "NotFound",
    "PermissionDenied",
    "ResourceExhausted",
    "Route",
    "RouteExplanation",
    "RouteMargin",
    "Store",
    "StoreLocked",
    "Trace",
    "TriviumError",
    "VectorFilter",
    "VectorIndex",
    "__version__",
    "evaluation_reports",
    "graph_reports",
    "kernel_name",
    "open",
    "reports",
    "restore",
    "tree_reports",
]
