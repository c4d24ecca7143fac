# SPDX-License-Identifier: Apache-2.0
"""A knowledge base with two experts: write texts, build, search with a filter, read the route.

Usage: python knowledge_base.py [DIRECTORY]
"""

from __future__ import annotations

import sys
import tempfile
import zlib

import numpy as np

import trivium

TOPICS = {
    "kitchen": [
        ("Knead the dough for ten minutes and let it rise.", 2019),
        ("Roast the peppers until the skin is black.", 2021),
        ("Whisk the egg whites with sugar until stiff.", 2023),
    ],
    "garden": [
        ("Prune the roses in early spring.", 2018),
        ("Water tomatoes in the morning, at the roots.", 2022),
        ("Let the compost rise in temperature before you turn it.", 2024),
    ],
}


class WordEncoder:
    """Counts words by hash: finds texts that share words. A real program would call its model here."""

    dimension = 256
    fingerprint = "words-256"

    def __call__(self, texts: list[str], kind: str) -> np.ndarray:
        rows = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, text in zip(rows, texts):
            for word in text.lower().split():
                row[zlib.crc32(word.strip(".,?").encode()) % self.dimension] += 1
        return rows


def fill(store: trivium.Store) -> None:
    store.add_space("words", dimension=WordEncoder.dimension, encoder="words")
    for topic, entries in TOPICS.items():
        store.add_expert(topic, space="words", partition=topic, description=f"advice for the {topic}")
        store.upsert(
            ids=[f"{topic}-{row}" for row in range(len(entries))],
            texts=[text for text, _ in entries],
            metadata=[{"year": year} for _, year in entries],
            partition=topic,
        )
    store.build(progress=True)


def main(directory: str) -> None:
    with trivium.open(directory, encoders={"words": WordEncoder()}) as store:
        if not store.has_space("words"):
            fill(store)
        for filter in (None, {"field": "year", "op": ">=", "value": 2020}):
            hits = store.search("how long must the dough rise?", k=2, filter=filter)
            for hit in hits:
                print(f"{hit.score:.3f}  {hit.id:10}  {hit.metadata['year']}  {hit.text}")
            print(f"asked: {', '.join(hits.route.chosen)}; {hits.trace.distance_computations} distances\n")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as folder:
            main(folder)
