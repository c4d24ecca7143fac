# SPDX-License-Identifier: Apache-2.0
"""Store.train_graph without queries: they are made from the documents."""

import numpy as np
import pytest
from taught_graphs import refuse

import trivium

ROWS, DIMENSION = 2100, 24
KINDS = "zinc iron copper silver gold lead tin nickel cobalt chrome".split()


def word(number):
    """A number in letters."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


class Encoder:
    """Bags of words as vectors, near to each other where texts share words; remembers what it was asked."""

    dimension = DIMENSION
    fingerprint = "words:1"

    def __init__(self):
        self.queries = []

    def __call__(self, texts, kind):
        if kind == "query":
            self.queries += texts
        rows = np.zeros((len(texts), DIMENSION), np.float32)
        for row, text in zip(rows, texts):
            for each in text.lower().split():
                row += np.random.default_rng(int.from_bytes(each.encode()[:8], "big")).standard_normal(
                    DIMENSION
                )
        return rows


def fill(store, texts, metadata=None, partition="main"):
    rows = np.random.default_rng(0).standard_normal((len(texts), DIMENSION)).astype(np.float32)
    ids = [f"d{row}" for row in range(len(texts))]
    store.upsert(ids, {"words": rows}, texts=texts, metadata=metadata, partition=partition)


@pytest.fixture
def encoder():
    return Encoder()


@pytest.fixture
def store(tmp_path, encoder):
    with trivium.open(tmp_path / "kb", encoders={"bag": encoder}) as opened:
        opened.add_space("words", DIMENSION, encoder="bag")
        opened.add_expert("one", "words", "main")
        yield opened


def sentences(count, kind="zinc"):
    return [f"The {kind} of {word(row)} {word(7 * row)}. And what follows here." for row in range(count)]


def test_queries_are_made_where_none_are_given(store, encoder):
    fill(store, sentences(ROWS))
    store.build()
    report = store.train_graph(ignore_gate=True)
    training = report.graphs[0].training
    assert training.generated and training.enabled
    assert training.training_queries + training.validation_queries <= len(encoder.queries) == ROWS
    assert set(encoder.queries) == {f"The zinc of {word(row)} {word(7 * row)}" for row in range(ROWS)}
    (record,) = store.inspect().vector_sets[0].training
    assert record["generated"] is True
    report = store.train_graph(encoder.queries[:300], ignore_gate=True)
    assert not report.graphs[0].training.generated
    assert store.inspect().vector_sets[0].training[0]["generated"] is False


def test_titles_come_before_sentences_and_what_says_the_same_comes_once(store, encoder):
    texts = [f"{KINDS[row % 10].upper()} number {row}. More." for row in range(ROWS)]
    metadata = [{"title": f"About {word(row)}"} if row < 150 else None for row in range(ROWS)]
    fill(store, texts, metadata)
    store.build()
    store.train_graph(ignore_gate=True)
    titles = {f"About {word(row)}" for row in range(150)}
    assert titles <= set(encoder.queries)
    others = [query for query in encoder.queries if query not in titles]
    assert len(encoder.queries) == 160 and {other.split()[0].lower() for other in others} == set(KINDS)


def test_at_most_five_thousand_are_drawn_by_seed(store, encoder):
    fill(store, sentences(5300))
    store.build()
    drawn = []
    for seed in (1, 1, 2):
        encoder.queries.clear()
        store.train_graph(seed=seed)
        drawn.append(list(encoder.queries))
    assert [len(set(queries)) for queries in drawn] == [5000] * 3
    assert drawn[0] == drawn[1] and set(drawn[0]) != set(drawn[2])


def test_only_documents_of_what_is_trained_are_asked_about(store, encoder):
    store.add_expert("two", "words", "other")
    fill(store, sentences(ROWS))
    fill(store, sentences(ROWS, "gold"), partition="other")
    store.build()
    store.train_graph(expert="two")
    assert encoder.queries and all("gold" in query for query in encoder.queries)


def test_what_stands_in_the_way_is_told(store, encoder, tmp_path):
    fill(store, [None] * ROWS)
    store.build()
    for given in ([], {}, np.zeros((0, DIMENSION), np.float32)):
        refuse(lambda given=given: store.train_graph(given), trivium.InvalidArgument, "queries")
    refuse(store.train_graph, trivium.FailedPrecondition, "2100 documents without a text, expected texts")
    fill(store, ["Zinc. Different text."] * ROWS)
    store.build()
    refuse(store.train_graph, trivium.InvalidArgument, "training queries: 1, expected at least 100")
    fill(store, sentences(ROWS))
    store.build()
    store.close()
    with trivium.open(tmp_path / "kb") as without:
        refuse(without.train_graph, trivium.FailedPrecondition, "encoder 'bag'")
    with trivium.open(tmp_path / "other") as other:
        other.add_space("words", DIMENSION)
        other.add_expert("one", "words", "main")
        fill(other, sentences(ROWS))
        other.build()
        refuse(other.train_graph, trivium.FailedPrecondition, "space 'words'.*encoder")
