# SPDX-License-Identifier: Apache-2.0
"""Synthetic collections, an exact reference, and a way to see whether a store changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import trivium


@dataclass
class Collection:
    ids: list[str]
    vectors: np.ndarray
    texts: list[str]
    metadata: list[dict[str, Any]]


def make_collection(
    rng: np.random.Generator, count: int, dimension: int, prefix: str = "d", centre: float = 0.0
) -> Collection:
    """`count` float32 vectors around `centre` on the first axis."""
    vectors = rng.standard_normal((count, dimension), dtype=np.float32)
    vectors[:, 0] += centre
    return Collection(
        ids=[f"{prefix}{row}" for row in range(count)],
        vectors=vectors,
        texts=[f"text {prefix}{row}" for row in range(count)],
        metadata=[{"row": row, "even": row % 2 == 0, "tag": "abc"[row % 3]} for row in range(count)],
    )


def unit(vectors: np.ndarray) -> np.ndarray:
    """Rows of length one."""
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def nearest(vectors: np.ndarray, query: np.ndarray, k: int) -> list[int]:
    """Rows by cosine, best first."""
    return [int(row) for row in np.argsort(-(unit(vectors) @ unit(query)), kind="stable")[:k]]


def contents(store: trivium.Store) -> object:
    """All that can be seen of a store's documents, spaces and experts."""
    info = store.inspect()
    documents = sorted((d.partition, d.id, d.text, repr(d.metadata)) for d in store.scan())
    return documents, info.to_dict()["spaces"], info.to_dict()["experts"], info.partitions


def letter_encoder(texts: list[str], kind: str) -> np.ndarray:
    """26 letter counts and a constant: a text encoder that a test can reason about."""
    rows = np.zeros((len(texts), 27), dtype=np.float32)
    rows[:, 26] = 0.1
    for row, text in enumerate(texts):
        for letter in text.lower():
            if "a" <= letter <= "z":
                rows[row, ord(letter) - ord("a")] += 1
    return rows
