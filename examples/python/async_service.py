# SPDX-License-Identifier: Apache-2.0
"""Answers many questions at once in an asyncio program while documents are being added."""

from __future__ import annotations

import asyncio
import tempfile

import numpy as np

import trivium


async def add_documents(store: trivium.Store, vectors: np.ndarray) -> None:
    for start in range(0, len(vectors), 250):
        ids = [f"document-{row}" for row in range(start, start + 250)]
        await store.aupsert(ids, vectors[start : start + 250])
    await store.abuild()


async def main(directory: str) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((1000, 32), dtype=np.float32)
    with trivium.open(directory) as store:
        store.add_space("plain", dimension=32)
        store.add_expert("everything", space="plain")
        writing = asyncio.create_task(add_documents(store, vectors))
        answers = await asyncio.gather(*(store.asearch(vector, k=3) for vector in vectors[:20]))
        print(f"{len(answers)} answers while writing")
        await writing
        hits = await store.asearch(vectors[123], k=3)
        print(f"after writing: {hits.ids[0]}, {store.count()} documents")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(main(folder))
