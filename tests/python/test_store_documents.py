# SPDX-License-Identifier: Apache-2.0
"""Writing, reading, deleting and counting documents."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import trivium
from support import Collection


def test_document_comes_back_as_written(store: trivium.Store) -> None:
    document = store.get("d3")
    assert document is not None
    assert (document.id, document.partition, document.text) == ("d3", "main", "text d3")
    assert document.metadata == {"row": 3, "even": False, "tag": "a"}


def test_get_is_aligned_with_ids_and_none_where_absent(store: trivium.Store) -> None:
    documents = store.get(["d5", "nothing", "d1"])
    assert [document and document.id for document in documents] == ["d5", None, "d1"]
    assert store.get("nothing") is None
    assert store.get([]) == []


def test_upsert_reports_what_it_wrote_and_replaces_whole(store: trivium.Store) -> None:
    report = store.upsert(["d0", "new"], np.ones((2, 16), np.float32))
    assert (report.written, report.replaced) == (2, 1)
    document = store.get("d0")
    assert document is not None
    assert (document.text, document.metadata) == ("", {})
    assert store.count() == 201


def test_on_conflict_error_changes_nothing(store: trivium.Store) -> None:
    with pytest.raises(trivium.AlreadyExists, match="d0"):
        store.upsert(["new", "d0"], np.ones((2, 16), np.float32), on_conflict="error")
    assert store.get("new") is None


def test_documents_without_vectors_are_kept(store: trivium.Store) -> None:
    store.upsert(["bare"], texts=["only text"])
    document = store.get("bare")
    assert document is not None and document.text == "only text"
    assert "bare" not in store.search(np.ones(16, np.float32), k=300).ids


def test_texts_and_metadata_may_be_none_for_single_documents(store: trivium.Store) -> None:
    store.upsert(["x", "y"], np.ones((2, 16), np.float32), texts=[None, "b"], metadata=[{"a": 1}, None])
    x, y = store.get(["x", "y"])
    assert x is not None and y is not None
    assert (x.text, x.metadata, y.text, y.metadata) == ("", {"a": 1}, "b", {})


def test_text_and_metadata_keep_every_unicode_character(store: trivium.Store) -> None:
    text = "naïve — 漢字 🜁 \u0000 end"
    store.upsert(["ünï"], np.ones((1, 16), np.float32), [text], [{"ключ": "значение 🜂", "n": [1, 2.5, None]}])
    document = store.get("ünï")
    assert document is not None
    assert document.text == text
    assert document.metadata == {"ключ": "значение 🜂", "n": [1, 2.5, None]}


def test_delete_by_ids_by_filter_and_by_partition(store: trivium.Store, collection: Collection) -> None:
    assert store.delete(ids=["d0", "d1", "absent"]) == 2
    assert store.delete(filter={"field": "row", "op": ">=", "value": 190}) == 10
    assert store.delete(ids=["d2", "d3"], filter={"field": "even", "op": "==", "value": True}) == 1
    assert store.get("d3") is not None
    assert store.delete(partition="main") == 187
    assert store.count() == 0


def test_deleted_documents_are_not_found(store: trivium.Store, collection: Collection) -> None:
    assert store.search(collection.vectors[0], k=1).ids == ["d0"]
    store.delete(ids=["d0"])
    assert "d0" not in store.search(collection.vectors[0], k=200).ids


def test_update_metadata_replaces_it_and_keeps_the_rest(store: trivium.Store) -> None:
    store.update_metadata(["d1", "d2"], [{"a": 1}, None])
    d1, d2 = store.get(["d1", "d2"])
    assert d1 is not None and d2 is not None
    assert (d1.metadata, d1.text, d2.metadata) == ({"a": 1}, "text d1", {})
    assert store.count({"field": "a", "op": "exists", "value": True}) == 1


def test_update_metadata_of_an_unknown_id_changes_nothing(store: trivium.Store) -> None:
    with pytest.raises(trivium.NotFound, match="absent"):
        store.update_metadata(["d1", "absent"], [{"a": 1}, {"a": 2}])
    document = store.get("d1")
    assert document is not None and "a" not in document.metadata


def test_scan_visits_in_order_of_writing(store: trivium.Store, collection: Collection) -> None:
    store.upsert(["last"], texts=["t"], partition="side")
    assert [document.id for document in store.scan()] == [*collection.ids, "last"]
    assert [document.id for document in store.scan(partition="side")] == ["last"]
    odd = store.scan({"field": "even", "op": "==", "value": False}, partition="main")
    assert [document.id for document in odd] == collection.ids[1::2]


def test_scan_of_many_documents_is_paged_and_allows_writing(tmp_path: Path) -> None:
    with trivium.open(tmp_path / "kb") as store:
        ids = [f"x{row}" for row in range(1000)]
        store.upsert(ids, texts=ids)
        seen = []
        for document in store.scan():
            if document.id == "x0":
                store.delete(ids=["x999"])
            seen.append(document.id)
        assert seen == ids[:-1]


def test_count_takes_filter_and_partition(store: trivium.Store) -> None:
    assert store.count() == 200
    assert store.count(json.dumps({"field": "tag", "op": "in", "value": ["a", "b"]})) == 134
    assert store.count(partition="main") == 200


def test_id_in_several_partitions_needs_the_partition(store: trivium.Store) -> None:
    store.upsert(["d0"], texts=["other"], partition="side")
    with pytest.raises(trivium.InvalidArgument, match="main.*side|side.*main"):
        store.get("d0")
    document = store.get("d0", partition="side")
    assert document is not None and document.text == "other"
    with pytest.raises(trivium.InvalidArgument, match="d0"):
        store.update_metadata(["d0"], [{"a": 1}])
    store.update_metadata(["d0"], [{"a": 1}], partition="side")
    main = store.get("d0", partition="main")
    assert main is not None and "a" not in main.metadata


def test_store_keeps_everything_when_reopened(tmp_path: Path, collection: Collection) -> None:
    with trivium.open(tmp_path / "kb", durability="async") as store:
        store.add_space("plain", 16)
        store.upsert(collection.ids, collection.vectors, collection.texts, collection.metadata)
        store.build()
        store.upsert(["late"], np.ones((1, 16), np.float32))
    with trivium.open(tmp_path / "kb", create=False) as store:
        assert store.count() == 201
        assert store.has_space("plain")
        document = store.get("d7")
        assert document is not None and document.metadata["row"] == 7


def test_readable_reprs(store: trivium.Store) -> None:
    assert "kb" in repr(store)
    document = store.get("d3")
    assert repr(document).startswith("Document(id='d3', partition='main', text='text d3'")
    hits = store.search(np.ones(16, np.float32), k=7)
    assert repr(hits).startswith("<7 hits: main/d")
    assert repr(hits[0]).startswith("Hit(id='d")
    assert "Route(mode=" in repr(hits.route) and "Trace(distance_computations=" in repr(hits.trace)
    assert repr(store.search_batch(np.ones((2, 16), np.float32), k=3)) == "<Batch of 2 queries, k=3>"


def test_what_was_deleted_is_not_counted_again(store: trivium.Store, collection) -> None:
    store.upsert(["x", "y"], metadata=[{"odd": 1}, {"odd": 2}], partition="extra")
    odd = {"field": "odd", "op": "==", "value": 1}
    assert store.count(partition="extra") == 2 and store.count(odd, partition="extra") == 1
    assert store.delete(partition="extra", filter=odd) == 1
    assert store.count(odd, partition="extra") == 0 and store.count(partition="extra") == 1
    assert store.delete(partition="extra", filter=odd) == 0
    store.upsert(["z"], metadata=[{"odd": 1}], partition="extra")
    assert store.count(odd, partition="extra") == 1
    assert store.delete(partition="extra") == 2 and store.count(partition="extra") == 0
