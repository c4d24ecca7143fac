# SPDX-License-Identifier: Apache-2.0
"""Bad input: the right exception, one clear line, the store unchanged."""

from __future__ import annotations

import os
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trivium
from support import contents

ONE = np.ones((1, 16), np.float32)
QUERY = np.ones(16, np.float32)


def with_value(row: int, value: float) -> np.ndarray:
    vectors = np.ones((4, 16), np.float32)
    vectors[row, 5] = value
    return vectors


def zero_row(row: int) -> np.ndarray:
    vectors = np.ones((4, 16), np.float32)
    vectors[row] = 0
    return vectors


FOUR = ["n0", "n1", "n2", "n3"]

# name: call, exception, what its message must say
BAD_CALLS: dict[str, tuple[Callable[[trivium.Store], Any], type[Exception], str]] = {
    "NaN component": (
        lambda s: s.upsert(FOUR, with_value(2, np.nan)),
        trivium.InvalidArgument,
        r"(?i)nan.*|row 2",
    ),
    "infinite component": (lambda s: s.upsert(FOUR, with_value(1, np.inf)), trivium.InvalidArgument, "row 1"),
    "float64 that float32 cannot hold": (
        lambda s: s.upsert(["n"], np.full((1, 16), 1e300)),
        trivium.InvalidArgument,
        "row 0",
    ),
    "NaN in a query": (
        lambda s: s.search(with_value(0, np.nan)[0]),
        trivium.InvalidArgument,
        "(?i)nan|finite",
    ),
    "NaN in a batch of queries": (
        lambda s: s.search_batch(with_value(3, np.nan)),
        trivium.InvalidArgument,
        "row 3",
    ),
    "zero vector with cosine": (lambda s: s.upsert(FOUR, zero_row(3)), trivium.InvalidArgument, "row 3"),
    "zero query with cosine": (lambda s: s.search(np.zeros(16, np.float32)), trivium.InvalidArgument, "zero"),
    "wrong dimension of documents": (
        lambda s: s.upsert(FOUR, np.ones((4, 15), np.float32)),
        trivium.InvalidArgument,
        "15.*16",
    ),
    "wrong dimension of a query": (
        lambda s: s.search(np.ones(17, np.float32)),
        trivium.InvalidArgument,
        "17.*16",
    ),
    "rows unlike ids": (
        lambda s: s.upsert(FOUR[:3], np.ones((4, 16), np.float32)),
        trivium.InvalidArgument,
        "4.*3",
    ),
    "texts unlike ids": (lambda s: s.upsert(FOUR, texts=["a"]), trivium.InvalidArgument, "texts.*1.*4"),
    "metadata unlike ids": (
        lambda s: s.upsert(FOUR, metadata=[{}]),
        trivium.InvalidArgument,
        "metadata.*1.*4",
    ),
    "one-dimensional documents": (
        lambda s: s.upsert(["n"], QUERY),
        trivium.InvalidArgument,
        r"shape \(16,\)",
    ),
    "two-dimensional query": (
        lambda s: s.search(np.ones((2, 16), np.float32)),
        trivium.InvalidArgument,
        r"shape \(2, 16\)",
    ),
    "ragged list": (
        lambda s: s.upsert(["a", "b"], [[1.0], [1.0, 2.0]]),
        trivium.InvalidArgument,
        "different lengths",
    ),
    "duplicate ids in a batch": (
        lambda s: s.upsert(["n0", "n1", "n0"], np.ones((3, 16), np.float32)),
        trivium.InvalidArgument,
        "n0.*twice",
    ),
    "empty id": (lambda s: s.upsert([""], ONE), trivium.InvalidArgument, "id"),
    "id over 512 bytes": (lambda s: s.upsert(["x" * 513], ONE), trivium.InvalidArgument, "512"),
    "id that is no str": (lambda s: s.upsert([7], ONE), TypeError, "ids: a int, expected a str"),
    "ids that are one str": (lambda s: s.upsert("abc", ONE), TypeError, "ids: a str, expected a list"),
    "invalid UTF-8 in an id": (lambda s: s.upsert(["\udcff"], ONE), trivium.InvalidArgument, "ids: .*UTF-8"),
    "invalid UTF-8 in a text": (
        lambda s: s.upsert(["n"], ONE, texts=["\ud800"]),
        trivium.InvalidArgument,
        r"texts: .*UTF-8.*row 0",
    ),
    "invalid UTF-8 in metadata": (
        lambda s: s.upsert(["n"], ONE, metadata=[{"a": "\ud800"}]),
        trivium.InvalidArgument,
        "metadata: .*UTF-8",
    ),
    "metadata that is no dict": (
        lambda s: s.upsert(["n"], ONE, metadata=["{}"]),
        TypeError,
        r"metadata: a str, expected a dict or None \(row 0\)",
    ),
    "metadata that JSON cannot say": (
        lambda s: s.upsert(["n"], ONE, metadata=[{"when": object()}]),
        TypeError,
        "metadata",
    ),
    "NaN in metadata": (
        lambda s: s.upsert(["n"], ONE, metadata=[{"x": float("nan")}]),
        trivium.InvalidArgument,
        "metadata",
    ),
    "unknown space of documents": (lambda s: s.upsert(["n"], {"no": ONE}), trivium.NotFound, "no"),
    "unknown space of a query": (lambda s: s.search({"no": QUERY}), trivium.NotFound, "no"),
    "unknown space of an expert": (lambda s: s.add_expert("e", space="no"), trivium.NotFound, "no"),
    "unknown expert": (lambda s: s.search(QUERY, experts=["nobody"]), trivium.NotFound, "nobody"),
    "unknown expert to remove": (lambda s: s.remove_expert("nobody"), trivium.NotFound, "nobody"),
    "no experts": (lambda s: s.search(QUERY, experts=[]), trivium.InvalidArgument, "experts"),
    "space of a name that is taken": (lambda s: s.add_space("plain", 17), trivium.AlreadyExists, "plain"),
    "expert twice": (lambda s: s.add_expert("one", "plain"), trivium.AlreadyExists, "one"),
    "dimension 0": (lambda s: s.add_space("z", 0), trivium.InvalidArgument, "dimension: 0"),
    "dimension below 0": (lambda s: s.add_space("z", -4), trivium.InvalidArgument, "dimension: -4"),
    "unknown metric": (
        lambda s: s.add_space("z", 4, metric="manhattan"),
        trivium.InvalidArgument,
        "manhattan",
    ),
    "adapter of another shape": (
        lambda s: s.add_expert("e", "plain", adapter=np.eye(4, dtype=np.float32)),
        trivium.InvalidArgument,
        "adapter",
    ),
    "adapter that is not square": (
        lambda s: s.add_expert("e", "plain", adapter=np.ones((16, 4), np.float32)),
        trivium.InvalidArgument,
        r"adapter: shape \(16, 4\)",
    ),
    "cost below 0": (lambda s: s.add_expert("e", "plain", cost=-1), trivium.InvalidArgument, "cost"),
    "space named ../x": (lambda s: s.add_space("../x", 4), trivium.InvalidArgument, r"space: '\.\./x'"),
    "expert named ../x": (
        lambda s: s.add_expert("../x", "plain"),
        trivium.InvalidArgument,
        r"expert: '\.\./x'",
    ),
    "partition named ../x": (
        lambda s: s.upsert(["n"], ONE, partition="../x"),
        trivium.InvalidArgument,
        r"partition: '\.\./x'",
    ),
    "empty query": (lambda s: s.search(""), trivium.InvalidArgument, "(?i)query|text"),
    "query without vectors": (lambda s: s.search({}), trivium.InvalidArgument, "(?i)query|text|vector"),
    "text where no space has an encoder": (
        lambda s: s.search("hello"),
        trivium.FailedPrecondition,
        "encoder",
    ),
    "k of 0": (lambda s: s.search(QUERY, k=0), trivium.InvalidArgument, "k: 0"),
    "k below 0": (lambda s: s.search(QUERY, k=-1), trivium.InvalidArgument, "k: -1"),
    "k over the limit": (lambda s: s.search(QUERY, k=10_001), trivium.InvalidArgument, "k: 10001"),
    "batch with k of 0": (lambda s: s.search_batch(ONE, k=0), trivium.InvalidArgument, "k: 0"),
    "batch of a str": (lambda s: s.search_batch("hello"), TypeError, "queries: a str"),
    "unknown index": (lambda s: s.search(QUERY, index="magic"), trivium.InvalidArgument, "index: 'magic'"),
    "unknown include": (
        lambda s: s.search(QUERY, include=["all"]),
        trivium.InvalidArgument,
        "include: 'all'",
    ),
    "top_p of 0": (lambda s: s.search(QUERY, top_p=0.0), trivium.InvalidArgument, "top_p"),
    "max_experts of 0": (lambda s: s.search(QUERY, max_experts=0), trivium.InvalidArgument, "max_experts"),
    "timeout of 0": (lambda s: s.search(QUERY, timeout=0), trivium.InvalidArgument, "timeout"),
    "threads below 0": (lambda s: s.build(threads=-1), trivium.InvalidArgument, "threads: -1"),
    "degree bound of 1": (lambda s: s.build(degree_bound=1), trivium.InvalidArgument, "degree_bound: 1"),
    "unknown durability": (
        lambda s: trivium.open(s.path + "x", durability="perhaps"),
        trivium.InvalidArgument,
        "durability: 'perhaps'",
    ),
    "unknown on_conflict": (
        lambda s: s.upsert(["n"], ONE, on_conflict="merge"),
        trivium.InvalidArgument,
        "merge",
    ),
    "filter that is no JSON": (lambda s: s.count("{"), trivium.InvalidArgument, "filter"),
    "empty filter": (lambda s: s.delete(filter=""), trivium.InvalidArgument, "filter"),
    "filter without a field": (
        lambda s: s.delete(filter={"op": "==", "value": 1}),
        trivium.InvalidArgument,
        "filter",
    ),
    "filter that is a list": (lambda s: s.delete(filter=[1]), TypeError, "filter: a list"),
    "filter with an unknown op": (
        lambda s: s.delete(filter={"field": "a", "op": "like", "value": 1}),
        trivium.InvalidArgument,
        "like",
    ),
    "filter of another kind": (
        lambda s: s.search(QUERY, filter={"nand": []}),
        trivium.InvalidArgument,
        "filter",
    ),
    "delete without a condition": (lambda s: s.delete(), trivium.InvalidArgument, "condition"),
    "qrels unlike queries": (
        lambda s: s.train_dispatch(ONE, [{}, {}]),
        trivium.InvalidArgument,
        "qrels: 2.*1",
    ),
    "qrels that are a dict": (lambda s: s.evaluate(ONE, {"d0": 1}), TypeError, "qrels: a dict"),
    "qrels of strs": (lambda s: s.evaluate(ONE, ["d0"]), TypeError, "qrels: a str.*row 0"),
    "qrels keyed by numbers": (lambda s: s.evaluate(ONE, [{3: 1}]), TypeError, "qrels: .*int.*row 0"),
    "qrels graded by words": (lambda s: s.evaluate(ONE, [{"d0": "good"}]), TypeError, "qrels: .*str.*row 0"),
    "groups unlike queries": (
        lambda s: s.evaluate(ONE, [{"d0": 1}], groups=["a", "b"]),
        trivium.InvalidArgument,
        "groups: 2.*1",
    ),
    "training without queries": (
        lambda s: s.train_dispatch(np.ones((0, 16), np.float32), []),
        trivium.InvalidArgument,
        ".",
    ),
    "unknown router": (
        lambda s: s.train_dispatch(np.eye(16), [{f"d{i}": 1} for i in range(16)], routers=["oracle"]),
        trivium.InvalidArgument,
        "oracle",
    ),
    "snapshot onto something": (lambda s: s.snapshot(Path(s.path).parent), trivium.AlreadyExists, "."),
}


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_call_is_refused_and_changes_nothing(store: trivium.Store, name: str) -> None:
    call, exception, message = BAD_CALLS[name]
    before = contents(store)
    with pytest.raises(exception, match=message) as caught:
        call(store)
    text = str(caught.value)
    assert "\n" not in text and len(text) < 400
    if exception is trivium.InvalidArgument:
        assert isinstance(caught.value, ValueError)
    assert contents(store) == before


def test_k_larger_than_the_store_is_no_error(store: trivium.Store) -> None:
    assert len(store.search(QUERY, k=1000)) == 200


def test_judgements_of_unknown_documents_are_counted_not_fatal(store: trivium.Store) -> None:
    report = store.evaluate(ONE, [{"d0": 1, "ghost": 1, ("main", "phantom"): 2}])
    assert report.macro.unknown_judgements == 2
    assert report.macro.queries == 1


def test_store_that_is_not_there(tmp_path: Path) -> None:
    for options in ({"create": False}, {"read_only": True}):
        with pytest.raises(trivium.NotFound, match="nowhere") as caught:
            trivium.open(tmp_path / "nowhere", **options)
        assert isinstance(caught.value, KeyError) and not str(caught.value).startswith('"')
        assert not (tmp_path / "nowhere").exists()


def test_closed_store_says_so(tmp_path: Path) -> None:
    store = trivium.open(tmp_path / "kb")
    store.close()
    store.close()
    for call in (
        store.count,
        store.build,
        store.inspect,
        lambda: store.get("d"),
        lambda: store.add_space("s", 4),
    ):
        with pytest.raises(trivium.FailedPrecondition, match="closed"):
            call()


def test_read_only_store_refuses_writes(tmp_path: Path) -> None:
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("s", 16)
    with trivium.open(tmp_path / "kb", read_only=True) as store:
        writes: list[Callable[[], object]] = [
            lambda: store.upsert(["n"], ONE),
            lambda: store.delete(ids=["n"]),
            lambda: store.add_space("t", 4),
            lambda: store.add_expert("e", "s"),
            lambda: store.update_metadata(["n"], [{}]),
            store.build,
            store.compact,
        ]
        for write in writes:
            with pytest.raises(trivium.FailedPrecondition, match="read-only|read_only"):
                write()


@pytest.fixture
def closed_store(tmp_path: Path) -> Path:
    path = tmp_path / "kb"
    with trivium.open(path) as store:
        store.add_space("s", 16)
        store.add_expert("e", "s")
        store.upsert([f"d{i}" for i in range(300)], np.random.default_rng(1).standard_normal((300, 16)))
        store.build()
    return path


def test_damaged_segment_is_data_loss_with_its_name(closed_store: Path) -> None:
    segment = max((closed_store / "segments").iterdir(), key=lambda file: file.stat().st_size)
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 0x40
    segment.write_bytes(content)
    with pytest.raises(trivium.DataLoss, match=segment.name):
        with trivium.open(closed_store) as store:
            store.verify()


@pytest.mark.parametrize("name", ["TRIVIUM", "db", "segments"])
def test_store_with_a_part_missing_is_corrupt_not_absent(closed_store: Path, name: str) -> None:
    part = closed_store / name
    shutil.rmtree(part) if part.is_dir() else part.unlink()
    for create in (True, False):
        with pytest.raises(trivium.DataLoss):
            trivium.open(closed_store, create=create)


def test_store_of_a_newer_format_is_refused(closed_store: Path) -> None:
    marker = closed_store / "TRIVIUM"
    content = bytearray(marker.read_bytes())
    assert content[8:12] == b"\x01\0\0\0"
    content[8] = 9
    marker.write_bytes(content)
    with pytest.raises(
        (trivium.FailedPrecondition, trivium.DataLoss, trivium.InvalidArgument), match="TRIVIUM|format"
    ):
        trivium.open(closed_store)


def as_nobody(work: Callable[[], None]) -> int:
    """Exit status of `work` in a child process without root's rights: 0, or 1 where it raised."""
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            work()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_directory_without_write_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o555)

    def work() -> None:
        with pytest.raises(trivium.PermissionDenied, match="locked") as caught:
            trivium.open(folder / "kb")
        assert isinstance(caught.value, PermissionError) and "\n" not in str(caught.value)

    assert as_nobody(work) == 0
    assert list(folder.iterdir()) == []


def test_store_without_write_permission_can_be_read(closed_store: Path) -> None:
    closed_store.parent.chmod(0o755)
    for path in [closed_store, *closed_store.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)

    def work() -> None:
        with pytest.raises(trivium.PermissionDenied):
            trivium.open(closed_store)
        with trivium.open(closed_store, read_only=True) as store:
            assert store.count() == 300

    assert as_nobody(work) == 0
    for path in [closed_store, *closed_store.rglob("*")]:
        path.chmod(0o755)


def test_path_that_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("no store")
    with pytest.raises(trivium.TriviumError, match="file"):
        trivium.open(path)
    assert path.read_text() == "no store"


def test_folder_that_holds_something_else_is_not_made_a_store(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(trivium.TriviumError):
        trivium.open(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["notes.txt"]
