# SPDX-License-Identifier: Apache-2.0
"""delete, inspect, verify, compact, snapshot, restore."""

import json
import shutil

import pytest


def documents(trivium, store):
    info = trivium("inspect", store, "--json").json
    return {p["name"]: p["documents"] for p in info["partitions"]}


def test_delete_by_partition_filter_and_ids(trivium, store, tmp_path):
    odd = json.dumps({"field": "parity", "op": "==", "value": "odd"})
    assert trivium("delete", store, "--partition", "law", "--filter", odd, "--json").json == {"deleted": 30}
    assert documents(trivium, store) == {"medical": 60, "law": 30, "cooking": 60}

    (tmp_path / "ids").write_text('d0\n\n{"_id": "d2"}\r\nd4\nabsent\n')
    report = trivium("delete", store, "--partition", "cooking", "--ids", tmp_path / "ids", "--json").json
    assert report == {"deleted": 3}
    assert documents(trivium, store)["cooking"] == 57

    assert trivium("delete", store, "--filter", odd).out == "60 documents deleted\n"
    assert sum(documents(trivium, store).values()) == 30 + 30 + 27


def test_deleted_documents_are_not_found(trivium, store, data):
    trivium("delete", store, "--partition", "law", "--json").json
    found = trivium(
        "search", store, "--vector", first_row(data), "-k", 200, "--experts", "all", "--json"
    ).json
    assert len(found["hits"]) == 120 and all(hit["partition"] != "law" for hit in found["hits"])


def first_row(data):
    """A file with one query vector."""
    from fake_encoder import embed
    from retrieval_files import write_npy

    return write_npy(data / "one.npy", [embed("law1 law2")])


@pytest.mark.parametrize(
    "text, mention",
    [("", "ids"), ("\n\n", "ids"), ('a\n{"id": 1}\n', ":2"), ('{"_id": \n', ":1"), ('{"_id": null}\n', ":1")],
)
def test_a_wrong_ids_file_deletes_nothing(trivium, store, tmp_path, text, mention):
    (tmp_path / "ids").write_text(text)
    trivium("delete", store, "--ids", tmp_path / "ids").must_fail(2, mention)
    trivium("delete", store, "--ids", tmp_path / "absent").must_fail(3, "absent")
    assert sum(documents(trivium, store).values()) == 180


def test_an_id_of_several_partitions_needs_the_partition(trivium, store, tmp_path):
    (tmp_path / "ids").write_text("d0\n")
    trivium("delete", store, "--ids", tmp_path / "ids").must_fail(2, "d0", "law", "medical")


def test_inspect_text_names_everything(trivium, trained_store):
    outcome = trivium("inspect", trained_store)
    assert outcome.code == 0 and outcome.err == ""
    for word in ("180 documents", "kernels", "default", "medical", "law", "cooking", "dispatch:"):
        assert word in outcome.out


def test_verify_counts_what_it_read(trivium, trained_store):
    report = trivium("verify", trained_store, "--json").json
    assert report["ok"] is True and report["documents"] == 180 and report["vectors"] == 180
    assert report["files"] >= 3 and report["bytes"] > 0
    assert trivium("verify", trained_store).out.startswith("whole: ")


def test_compact_merges_segments_and_drops_deleted_rows(trivium, store, data):
    from retrieval_files import Collection

    sport = Collection("law", seed=1)
    folder = store.parent / "more"
    folder.mkdir()
    for document in sport.documents:
        document["_id"] = "more-" + document["_id"]
    sport.write(folder)
    trivium(
        "build", store, "--corpus", f"law={folder}/law.jsonl", "--vectors", f"law={folder}/law.npy", "--json"
    ).json
    trivium("delete", store, "--partition", "cooking", "--json").json
    report = trivium("compact", store, "--json").json
    assert report["segments_before"] >= report["segments_after"] == 2 and report["rows_dropped"] == 60
    after = {v["partition"]: v for v in trivium("inspect", store, "--json").json["vector_sets"]}
    assert (after["law"]["segments"], after["law"]["rows"]) == (1, 120)
    assert all(v["deleted"] == 0 for v in after.values())
    assert trivium("compact", store).out.startswith("segments: ")


def test_snapshot_and_restore_hold_the_same(trivium, trained_store, content, tmp_path):
    report = trivium("snapshot", trained_store, tmp_path / "copy", "--json").json
    assert report == {"source": str(trained_store), "destination": str(tmp_path / "copy")}
    trivium("restore", tmp_path / "copy", tmp_path / "again", "--json").json
    originals = content(trained_store)
    for path in ("copy", "again"):
        held = content(tmp_path / path)
        assert held["hits"] == originals["hits"]
        for key in ("documents", "partitions", "spaces", "experts", "dispatch"):
            assert held["inspect"][key] == originals["inspect"][key]


def test_snapshot_and_restore_never_overwrite(trivium, trained_store, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("dear")
    trivium("snapshot", trained_store, tmp_path / "full").must_fail(2, "full")
    trivium("restore", trained_store, tmp_path / "full").must_fail(2, "full")
    assert (tmp_path / "full" / "letter").read_text() == "dear"


def test_a_store_can_be_copied_with_cp(trivium, trained_store, content, tmp_path):
    shutil.copytree(trained_store, tmp_path / "copy")
    assert content(tmp_path / "copy")["hits"] == content(trained_store)["hits"]


def test_delete_refuses_an_empty_condition(trivium, store):
    before = trivium("inspect", store, "--json").json["documents"]
    for flag in ("--filter", "--ids"):
        outcome = trivium("delete", store, flag, "", "--partition", "law")
        assert outcome.code == 2 and f"{flag}: ''" in outcome.err and outcome.out == ""
    assert trivium("inspect", store, "--json").json["documents"] == before
