# SPDX-License-Identifier: Apache-2.0
"""Small judged collections for tests, and the files they come in. Standard library only."""

import gzip
import json
import random
import struct

from fake_encoder import embed

WORDS_PER_DOCUMENT = 12
WORDS_PER_QUERY = 5
VOCABULARY = 150


class Collection:
    """Documents of one domain in words of its own, and queries that each quote one document."""

    def __init__(self, name, document_count=60, query_count=40, seed=0):
        rng = random.Random(f"{name}{seed}")
        vocabulary = [f"{name}{i}" for i in range(VOCABULARY)]
        self.name = name
        self.documents = [
            {
                "_id": f"d{i}",
                "title": f"Title {i}",
                "text": " ".join(rng.sample(vocabulary, WORDS_PER_DOCUMENT)),
                "metadata": {"year": 2000 + i % 20, "parity": "odd" if i % 2 else "even"},
            }
            for i in range(document_count)
        ]
        self.queries = []
        self.judgements = []
        for i in range(query_count):
            document = self.documents[(7 * i) % document_count]
            words = rng.sample(document["text"].split(), WORDS_PER_QUERY)
            self.queries.append({"_id": f"q{i}", "text": " ".join(words)})
            self.judgements.append((f"q{i}", document["_id"], 1))

    def document_texts(self):
        return [f"{d['title']}. {d['text']}" for d in self.documents]

    def write(self, folder, train_share=0.5):
        """Writes NAME.jsonl, .npy, .queries.jsonl, .queries.npy, .train.tsv and .test.tsv to `folder`."""
        write_json_lines(folder / f"{self.name}.jsonl", self.documents)
        write_npy(folder / f"{self.name}.npy", [embed(text) for text in self.document_texts()])
        write_json_lines(folder / f"{self.name}.queries.jsonl", self.queries)
        write_npy(folder / f"{self.name}.queries.npy", [embed(query["text"]) for query in self.queries])
        train_count = int(train_share * len(self.judgements))
        write_judgements(folder / f"{self.name}.train.tsv", self.judgements[:train_count])
        write_judgements(folder / f"{self.name}.test.tsv", self.judgements[train_count:])


def write_json_lines(path, objects):
    text = "".join(json.dumps(item) + "\n" for item in objects)
    if str(path).endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")
    return path


def write_judgements(path, judgements):
    lines = ["query-id\tcorpus-id\tscore"] + ["\t".join(map(str, row)) for row in judgements]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_npy(path, rows, kind="<f4"):
    """Writes float32 or float16 rows as NumPy would."""
    columns = len(rows[0]) if rows else 0
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': ({len(rows)}, {columns}), }}"
    header += " " * (-(10 + len(header) + 1) % 64) + "\n"
    data = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    code = {"<f4": "f", "<f2": "e"}[kind]
    data += b"".join(struct.pack(f"<{columns}{code}", *row) for row in rows)
    path.write_bytes(data)
    return path


def write_fvecs(path, rows):
    path.write_bytes(b"".join(struct.pack(f"<i{len(row)}f", len(row), *row) for row in rows))
    return path
