# SPDX-License-Identifier: Apache-2.0
"""Inspecting, verifying, compacting, copying."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import trivium
from support import Collection, contents


def test_inspect_lists_what_is_there(store: trivium.Store) -> None:
    store.build()
    store.upsert(["bare"], texts=["t"], partition="side")
    info = store.inspect()
    assert (info.documents, info.partitions) == (201, {"main": 200, "side": 1})
    assert info.kernels == trivium.kernel_name() and info.version == trivium.__version__
    space = info.spaces[0]
    assert (space.name, space.dimension, space.metric, space.encoder) == ("plain", 16, "cosine", "")
    expert = info.experts[0]
    assert (expert.name, expert.space, expert.partition, expert.adapter) == ("one", "plain", "main", None)
    sets = {(one.space, one.partition): one for one in info.vector_sets}
    main = sets["plain", "main"]
    assert (main.rows, main.unsealed, main.segments) == (200, 0, 1) and main.bytes > 200 * 16 * 4
    assert not info.dispatch.trained
    assert info["spaces"][0]["metric"] == "cosine" and info.to_dict()["documents"] == 201


def test_verify_counts_what_it_read(store: trivium.Store) -> None:
    store.build()
    report = store.verify()
    assert (report.documents, report.vectors) == (200, 200) and report.files > 0 and report.bytes > 0


def test_compact_drops_deleted_rows_and_merges_segments(store: trivium.Store, collection: Collection) -> None:
    store.build()
    store.upsert([f"x{row}" for row in range(50)], collection.vectors[:50] * 2)
    store.build()
    store.delete(ids=collection.ids[:30])
    before = store.inspect().vector_sets[0]
    assert before.segments == 2 and before.deleted == 30
    report = store.compact()
    assert (report.segments_before, report.segments_after, report.rows_dropped) == (2, 1, 30)
    after = store.inspect().vector_sets[0]
    assert (after.segments, after.deleted, after.rows) == (1, 0, 220)
    assert store.search(collection.vectors[40], k=2, index="exact").ids in (["d40", "x40"], ["x40", "d40"])


def test_snapshot_and_restore(store: trivium.Store, tmp_path: Path, collection: Collection) -> None:
    store.build()
    store.upsert(["late"], collection.vectors[:1])
    before = contents(store)
    store.snapshot(tmp_path / "copy")
    store.delete(partition="main")
    trivium.restore(tmp_path / "copy", tmp_path / "restored")
    with trivium.open(tmp_path / "restored") as restored:
        assert contents(restored) == before
        assert restored.search(collection.vectors[3], k=1).ids == ["d3"]
    with pytest.raises(trivium.AlreadyExists):
        trivium.restore(tmp_path / "copy", tmp_path / "restored")
    with pytest.raises(trivium.NotFound):
        trivium.restore(tmp_path / "nothing", tmp_path / "other")


def test_closed_store_may_be_copied_as_a_folder(tmp_path: Path) -> None:
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("s", 4)
        store.add_expert("e", "s")
        store.upsert(["a", "b"], np.eye(4, dtype=np.float32)[:2])
        store.build()
    shutil.copytree(tmp_path / "kb", tmp_path / "moved")
    shutil.rmtree(tmp_path / "kb")
    with trivium.open(tmp_path / "moved") as store:
        assert store.search(np.eye(4)[1], k=1).ids == ["b"]


def test_snapshot_into_the_store_itself_is_refused(store: trivium.Store, tmp_path: Path) -> None:
    inside = Path(store.path) / "segments" / "copy"
    with pytest.raises(trivium.InvalidArgument, match="outside the store"):
        store.snapshot(inside)
    assert not inside.exists()
