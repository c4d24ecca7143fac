# SPDX-License-Identifier: Apache-2.0
"""Fixtures: small stores on synthetic vectors."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import trivium
from support import Collection, make_collection


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes more than a few seconds; run by `make test-slow`")


MEMORY = Path("/dev/shm")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder in memory where there is such a thing: making a store waits for a disk several times."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def collection(rng: np.random.Generator) -> Collection:
    """200 documents of 16 floats with metadata."""
    return make_collection(rng, count=200, dimension=16)


@pytest.fixture
def store(tmp_path: Path, collection: Collection) -> Iterator[trivium.Store]:
    """The collection in partition `main` of a store with one space, `plain`, and one expert, `one`."""
    with trivium.open(tmp_path / "kb") as opened:
        opened.add_space("plain", dimension=collection.vectors.shape[1])
        opened.add_expert("one", space="plain", partition="main")
        opened.upsert(collection.ids, collection.vectors, collection.texts, collection.metadata)
        yield opened
