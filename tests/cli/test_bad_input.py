# SPDX-License-Identifier: Apache-2.0
"""Bad input: one clear line, the right exit code, and a store that is as it was.

Encoders that misbehave are in test_encoder.py, flags out of range in test_usage.py.
"""

import ctypes
import ctypes.util
import math
import os
import shutil
import signal
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from conftest import BINARY, corpus_arguments, fake_encoder, query_arguments
from fake_encoder import DIMENSION, embed
from retrieval_files import Collection, write_json_lines, write_judgements, write_npy

ROW = 1234  # the bad one: beyond the first batches, so that something would have been written before it


@pytest.fixture
def big(tmp_path):
    """A corpus of several batches, as documents and vectors to spoil."""
    collection = Collection("law", document_count=1500)
    rows = [embed(text) for text in collection.document_texts()]
    return collection.documents, rows


@pytest.fixture
def build_law(trivium, tmp_path):
    """Builds what is in tmp_path/law.* into a store."""

    def run(store):
        return trivium("build", store, *corpus_arguments(tmp_path, ["law"]))

    return run


@pytest.fixture
def refuse(build_law, store, content, original, tmp_path):
    """refuse(code, mentions): the build fails like that, on a store that exists and on one that does not."""

    def check(code, *mentions):
        build_law(store).must_fail(code, *mentions)
        assert content(store) == original
        build_law(tmp_path / "new").must_fail(code, *mentions)
        assert not (tmp_path / "new").exists()

    return check


def write_law(folder, documents, rows):
    write_json_lines(folder / "law.jsonl", documents)
    write_npy(folder / "law.npy", rows)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_components_that_are_not_finite(big, refuse, tmp_path, value):
    documents, rows = big
    rows[ROW][5] = value
    write_law(tmp_path, documents, rows)
    refuse(2, "law.npy", f"row {ROW}", "finite")


def test_zero_vector_with_cosine(big, refuse, tmp_path):
    documents, rows = big
    rows[ROW] = [0.0] * DIMENSION
    write_law(tmp_path, documents, rows)
    refuse(2, "law.npy", f"row {ROW}", "zero", "cosine")


def test_zero_vector_is_fine_with_other_metrics(trivium, big, tmp_path):
    documents, rows = big
    rows[ROW] = [0.0] * DIMENSION
    write_law(tmp_path, documents, rows)
    for metric in ("inner_product", "squared_l2"):
        arguments = [*corpus_arguments(tmp_path, ["law"]), "--metric", metric, "--json"]
        assert trivium("build", tmp_path / metric, *arguments).json["documents"]["written"] == 1500


def test_wrong_dimension_for_the_space(build_law, store, content, original, tmp_path):
    collection = Collection("law")
    write_law(tmp_path, collection.documents, [embed(text, 8) for text in collection.document_texts()])
    build_law(store).must_fail(2, "dimension: 8", f"expected {DIMENSION}", "law.npy")
    assert content(store) == original


def test_two_corpora_of_different_dimension(trivium, tmp_path):
    for name, dimension in (("a", 4), ("b", 8)):
        write_json_lines(tmp_path / f"{name}.jsonl", [{"_id": "x", "text": "x"}])
        write_npy(tmp_path / f"{name}.npy", [embed("x", dimension)])
    outcome = trivium("build", tmp_path / "new", *corpus_arguments(tmp_path, ["a", "b"]))
    outcome.must_fail(2, "dimension: 8", "expected 4", "b.npy")
    assert not (tmp_path / "new").exists()


def test_duplicate_ids(big, refuse, tmp_path):
    documents, rows = big
    documents[ROW]["_id"] = documents[7]["_id"]
    write_law(tmp_path, documents, rows)
    refuse(2, "'d7'", "twice", "law.jsonl", ROW + 1)


@pytest.mark.parametrize("change", [-1, 1])
def test_row_count_other_than_the_corpus(big, refuse, tmp_path, change):
    documents, rows = big
    write_law(tmp_path, documents, rows[:-1] if change < 0 else [*rows, rows[0]])
    refuse(2, f"{1500 + change} rows", "expected 1500", "law.npy", "law.jsonl")


@pytest.mark.parametrize("keep", [0, 5, 20, 64, 127, 129, -1])
def test_truncated_vector_file(refuse, tmp_path, keep):
    collection = Collection("law")
    collection.write(tmp_path)
    data = (tmp_path / "law.npy").read_bytes()
    (tmp_path / "law.npy").write_bytes(data[:keep])
    refuse(2, "law.npy")


@pytest.mark.parametrize(
    "start",
    [b"not a vector file at all", b"\x93NUMPY\x09\x00", bytes(range(256)) * 16],
    ids=["text", "version", "bytes"],
)
def test_vector_file_that_is_no_npy(refuse, tmp_path, start):
    Collection("law").write(tmp_path)
    (tmp_path / "law.npy").write_bytes(start)
    refuse(2, "law.npy")


def test_npy_of_another_type(refuse, tmp_path):
    Collection("law").write(tmp_path)
    data = (tmp_path / "law.npy").read_bytes()
    (tmp_path / "law.npy").write_bytes(data.replace(b"<f4", b"<i4"))
    refuse(2, "law.npy", "<i4")


def test_vector_file_with_an_unknown_ending(trivium, data, tmp_path):
    shutil.copy(data / "law.npy", tmp_path / "law.vec")
    arguments = ["--corpus", f"law={data}/law.jsonl", "--vectors", f"law={tmp_path}/law.vec"]
    trivium("build", tmp_path / "new", *arguments).must_fail(2, "law.vec", ".npy")


def test_components_beyond_the_profile_balanced(big, trivium, store, content, original, tmp_path):
    documents, rows = big
    rows[ROW][5] = -70000.0
    write_law(tmp_path, documents, rows)
    arguments = [*corpus_arguments(tmp_path, ["law"]), "--space", "raw", "--metric", "squared_l2"]

    def build(path, *options):
        return trivium("build", path, *arguments, *options)

    for path in (store, tmp_path / "new"):
        build(path, "--profile", "balanced").must_fail(
            2, "law.npy", f"row {ROW}", "-70000", "65504", "balanced"
        )
    assert content(store) == original
    assert not (tmp_path / "new").exists()

    # Stored already: the build that wants the profile names the document, and the store is as it was.
    assert build(tmp_path / "new").code == 0
    before = trivium("inspect", tmp_path / "new", "--json").json
    for command in ("build", "compact"):
        more = arguments if command == "build" else []
        trivium(command, tmp_path / "new", *more, "--profile", "balanced").must_fail(2, "-70000", "65504")
        assert trivium("inspect", tmp_path / "new", "--json").json == before
    trivium("compact", tmp_path / "new", "--profile", "balanced").must_fail(
        2, f"'d{ROW}'", "component 5", "raw"
    )


@pytest.mark.parametrize(
    "line",
    [
        b'{"_id": "x", "text": "unfinished',
        b"[]",
        b"5",
        b'{"text": "no id"}',
        b'{"_id": "", "text": "empty id"}',
        b'{"_id": null, "text": "null id"}',
        b'{"_id": "no text"}',
        b'{"_id": "x", "text": 5}',
        b'{"_id": "x", "text": "t", "metadata": []}',
        b'{"_id": "x", "text": "invalid UTF-8 \xff"}',
        b'{"_id": "\xc3\x28", "text": "invalid UTF-8"}',
        b'{"_id": "x", "text": "half a pair \\ud800"}',
    ],
    ids=range(12),
)
def test_malformed_corpus_line(big, refuse, tmp_path, line):
    documents, rows = big
    write_law(tmp_path, documents, rows)
    lines = (tmp_path / "law.jsonl").read_bytes().splitlines(keepends=True)
    lines[ROW] = line + b"\n"
    (tmp_path / "law.jsonl").write_bytes(b"".join(lines))
    refuse(2, f"law.jsonl:{ROW + 1}")


def test_id_that_is_too_long(big, refuse, tmp_path):
    documents, rows = big
    documents[ROW]["_id"] = "x" * 513
    write_law(tmp_path, documents, rows)
    refuse(2, "513", "512", "law.jsonl")


def test_empty_and_absent_corpus(trivium, data, tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    vectors = ["--vectors", f"law={data}/law.npy"]
    trivium("build", tmp_path / "new", "--corpus", f"law={tmp_path}/empty.jsonl", *vectors).must_fail(
        2, "empty.jsonl"
    )
    trivium("build", tmp_path / "new", "--corpus", f"law={tmp_path}/none.jsonl", *vectors).must_fail(
        3, "none.jsonl"
    )
    trivium("build", tmp_path / "new", "--corpus", f"law={tmp_path}", *vectors).must_fail(2, tmp_path)
    trivium(
        "build", tmp_path / "new", "--corpus", f"law={data}/law.jsonl", "--vectors", "law=none.npy"
    ).must_fail(3, "none.npy")
    assert not (tmp_path / "new").exists()


def test_corrupt_gzip_corpus(trivium, data, tmp_path):
    write_json_lines(tmp_path / "law.jsonl.gz", Collection("law").documents)
    packed = (tmp_path / "law.jsonl.gz").read_bytes()
    (tmp_path / "law.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    arguments = ["--corpus", f"law={tmp_path}/law.jsonl.gz", "--vectors", f"law={data}/law.npy"]
    trivium("build", tmp_path / "new", *arguments).must_fail(2, "law.jsonl.gz")
    assert not (tmp_path / "new").exists()


def test_neither_vectors_nor_encoder(trivium, data, store, content, original, tmp_path):
    trivium("build", store, "--corpus", f"law={data}/law.jsonl").must_fail(2, "law", "--vectors", "--encoder")
    assert content(store) == original
    trivium("build", tmp_path / "new", "--corpus", f"law={data}/law.jsonl").must_fail(
        2, "--vectors", "--encoder"
    )
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "arguments, mention",
    [
        (["--metric", "squared_l2"], "squared_l2"),
        (["--encoder", "fake", "--encoder-command", fake_encoder()], "fake"),
    ],
)
def test_flags_that_contradict_the_store(trivium, data, store, content, original, arguments, mention):
    trivium("build", store, *corpus_arguments(data, ["law"]), *arguments).must_fail(2, mention, "default")
    assert content(store) == original


@pytest.fixture(scope="module")
def vector(tmp_path_factory):
    return write_npy(tmp_path_factory.mktemp("vector") / "q.npy", [embed("law1")])


@pytest.mark.parametrize(
    "arguments, code, mention",
    [
        (["--experts", "nobody"], 3, "nobody"),
        (["--experts", "law,nobody"], 3, "nobody"),
        (["--filter", "{"], 2, "filter"),
        (["--filter", '{"field":"year","op":"~","value":1}'], 2, "~"),
        (["--filter", "[]"], 2, "filter"),
    ],
)
def test_search_that_names_what_is_not_there(trivium, built_store, vector, arguments, code, mention):
    trivium("search", built_store, "--vector", vector, *arguments).must_fail(code, mention)


def test_unknown_space(trivium, data, built_store, vector):
    trivium("search", built_store, "--vector", f"nowhere={vector}").must_fail(3, "nowhere")
    arguments = ["--queries", data / "law.queries.jsonl", "--qrels", data / "law.test.tsv"]
    arguments += ["--query-vectors", f"nowhere:={data}/law.queries.npy"]
    trivium("evaluate", built_store, *arguments).must_fail(3, "nowhere")


def test_query_vectors_that_are_wrong(trivium, built_store, tmp_path):
    for name, rows, mention in [
        ("long", [embed("x", 17)], "17"),
        ("two", [embed("x"), embed("y")], "2 rows"),
        ("nan", [[math.nan] * DIMENSION], "nan"),
        ("zero", [[0.0] * DIMENSION], "zero"),
    ]:
        write_npy(tmp_path / f"{name}.npy", rows)
        trivium("search", built_store, "--vector", tmp_path / f"{name}.npy").must_fail(2, mention)


def test_text_without_an_encoder(trivium, built_store):
    outcome = trivium("search", built_store, "a text")
    assert outcome.code in (1, 2)
    outcome.must_fail(outcome.code, "default")


def test_query_of_invalid_utf8(trivium, data, tmp_path):
    arguments = [
        "--corpus",
        f"law={data}/law.jsonl",
        "--encoder",
        "fake",
        "--encoder-command",
        fake_encoder(),
    ]
    trivium("build", tmp_path / "s", *arguments, "--json").json
    completed = subprocess.run(
        [BINARY, "search", tmp_path / "s", b"caf\xe9", "--encoder-command", fake_encoder()],
        capture_output=True,
        check=False,
    )
    assert completed.returncode == 2 and completed.stdout == b""
    assert completed.stderr.count(b"\n") == 1 and b"UTF-8" in completed.stderr


@pytest.mark.parametrize(
    "queries, qrels, mention",
    [
        ('{"_id": "q0", "text": "x"}\nnonsense\n', None, "queries.jsonl:2"),
        ('{"_id": "q0"}\n', None, "queries.jsonl:1"),
        (None, "q0\td0\t1\n", "qrels.tsv:1"),
        (None, "query-id\tcorpus-id\tscore\nq0\td0\n", "qrels.tsv:2"),
        (None, "query-id\tcorpus-id\tscore\nq0\td0\t1\nq1\td1\thigh\n", "qrels.tsv:3"),
        (None, "query-id\tcorpus-id\tscore\nq999\td0\t1\n", "qrels.tsv"),
        (None, "query-id\tcorpus-id\tscore\n", "qrels.tsv"),
    ],
)
def test_malformed_queries_and_judgements(
    trivium, data, store, content, original, tmp_path, queries, qrels, mention
):
    shutil.copy(data / "law.queries.jsonl", tmp_path / "queries.jsonl")
    shutil.copy(data / "law.test.tsv", tmp_path / "qrels.tsv")
    if queries is not None:
        (tmp_path / "queries.jsonl").write_text(queries)
    if qrels is not None:
        (tmp_path / "qrels.tsv").write_text(qrels)
    files = ["--queries", f"law={tmp_path}/queries.jsonl", "--qrels", f"law={tmp_path}/qrels.tsv"]
    trivium("evaluate", store, *files).must_fail(2, mention)
    trivium("train", "dispatch", store, *files).must_fail(2, mention)
    assert content(store) == original


def test_query_vectors_of_another_length_than_the_queries(trivium, data, store, content, original, tmp_path):
    write_npy(tmp_path / "q.npy", [embed("x")] * 39)
    arguments = ["--queries", f"law={data}/law.queries.jsonl", "--qrels", f"law={data}/law.test.tsv"]
    arguments += ["--query-vectors", f"law={tmp_path}/q.npy"]
    trivium("evaluate", store, *arguments).must_fail(2, "39 rows", "expected 40", "q.npy")
    trivium("train", "dispatch", store, *arguments).must_fail(2, "39 rows", "expected 40", "q.npy")
    assert content(store) == original


def test_query_vectors_that_are_not_finite(trivium, data, built_store, tmp_path):
    rows = [embed("x")] * 40
    rows[33] = [math.inf] * DIMENSION
    write_npy(tmp_path / "q.npy", rows)
    arguments = ["--queries", f"law={data}/law.queries.jsonl", "--qrels", f"law={data}/law.test.tsv"]
    trivium("evaluate", built_store, *arguments, "--query-vectors", f"law={tmp_path}/q.npy").must_fail(
        2, "row 33"
    )


def test_judgements_of_a_partition_that_is_not_there(trivium, data, store, content, original):
    files = ["--queries", f"sport={data}/law.queries.jsonl", "--qrels", f"sport={data}/law.test.tsv"]
    trivium("evaluate", store, *files).must_fail(3, "sport")
    trivium("train", "dispatch", store, *files).must_fail(3, "sport")
    assert content(store) == original


def test_training_without_any_known_document(trivium, data, store, content, original, tmp_path):
    write_judgements(tmp_path / "qrels.tsv", [("q0", "nobody", 1)])
    arguments = ["--queries", f"law={data}/law.queries.jsonl", "--qrels", f"law={tmp_path}/qrels.tsv"]
    arguments += ["--query-vectors", f"law={data}/law.queries.npy"]
    outcome = trivium("train", "dispatch", store, *arguments)
    assert outcome.code in (1, 2)
    outcome.must_fail(outcome.code, "training queries")
    assert content(store) == original


def test_filter_and_delete_of_unknown_partition(trivium, store, content, original):
    trivium("delete", store, "--partition", "nowhere").must_fail(3, "nowhere")
    trivium("delete", store, "--filter", "{").must_fail(2, "filter")
    assert content(store) == original


def test_store_of_a_newer_format(trivium, store):
    name = ctypes.util.find_library("xxhash")
    if name is None:
        pytest.skip("no libxxhash to write a valid checksum with")
    library = ctypes.CDLL(name)
    library.XXH3_64bits.restype = ctypes.c_uint64
    library.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    identity = bytearray((store / "TRIVIUM").read_bytes()[:-8])
    identity[8:12] = struct.pack("<I", 999)
    checksum = library.XXH3_64bits(bytes(identity), len(identity))
    (store / "TRIVIUM").write_bytes(bytes(identity) + struct.pack("<Q", checksum))
    for command in (["inspect", store], ["verify", store], ["delete", store, "--partition", "law"]):
        outcome = trivium(*command)
        assert outcome.code in (1, 2)
        outcome.must_fail(outcome.code, "format", "999")


@pytest.mark.parametrize("name", ["TRIVIUM", "segments/000001.seg", "db/CURRENT"])
@pytest.mark.parametrize("damage", ["flipped", "truncated", "absent"])
def test_damaged_files_exit_4(trivium, store, name, damage):
    path = store / name
    data = bytearray(path.read_bytes())
    if damage == "absent":
        path.unlink()
    else:
        data[len(data) // 2] ^= 0x10
        path.write_bytes(data if damage == "flipped" else data[: len(data) // 2])
    trivium("verify", store).must_fail(4, path.name if name != "db/CURRENT" else "db")


class Writer:
    """A build that holds the store's lock until it is told to stop."""

    def __init__(self, store, corpus, folder, environment):
        started = folder / "started"
        command = f"fake=touch {started}; sleep 60"
        self.process = subprocess.Popen(
            [
                BINARY,
                "build",
                store,
                "--corpus",
                corpus,
                "--encoder",
                "fake",
                "--space",
                "text",
                "--encoder-command",
                command,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        for _ in range(500):
            if started.exists():
                return
            time.sleep(0.02)
        raise AssertionError("the build did not start its encoder")

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out.decode(), err.decode()


def test_store_in_use_by_another_process(trivium, data, store, content, original, environment, tmp_path):
    writer = Writer(store, f"law={data}/law.jsonl", tmp_path, environment)
    try:
        trivium("build", store, *corpus_arguments(data, ["law"])).must_fail(6, store)
        trivium("delete", store, "--partition", "law").must_fail(6, store)
        trivium("compact", store).must_fail(6, store)
        trivium("train", "dispatch", store, *query_arguments(data, "train")).must_fail(6, store)
        assert content(store) == original  # readers are not kept out
    finally:
        code, out, err = writer.interrupt()
    assert (code, out, err) == (130, "", "trivium: interrupted\n")
    assert content(store) == original


def test_interrupt_of_a_first_build_leaves_nothing(data, environment, tmp_path):
    writer = Writer(tmp_path / "new", f"law={data}/law.jsonl", tmp_path, environment)
    assert writer.interrupt() == (130, "", "trivium: interrupted\n")
    assert not (tmp_path / "new").exists()


def test_read_only_directory(built_store, data, content, original):
    """Root may write anywhere, so the tool runs as nobody when the tests run as root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        store = folder / "store"
        shutil.copytree(built_store, store)
        shutil.copytree(data, folder / "data")
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        shutil.copy(BINARY, folder / "trivium")
        identity = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}

        def run(*arguments):
            return subprocess.run(
                [folder / "trivium", *arguments], capture_output=True, check=False, text=True, **identity
            )

        try:
            corpus = [str(argument) for argument in corpus_arguments(folder / "data", ["law"])]
            for outcome in (
                run("build", store, *corpus),
                run("build", folder / "new", *corpus),
                run("delete", store, "--partition", "law"),
                run("compact", store),
                run("snapshot", store, folder / "copy"),
            ):
                assert outcome.returncode == 1, outcome.stderr
                assert outcome.stdout == ""
                assert outcome.stderr.startswith("trivium: ") and outcome.stderr.count("\n") == 1
            assert run("inspect", store, "--json").returncode == 0
            assert content(store) == original
        finally:
            for path in [folder, *folder.rglob("*")]:
                path.chmod(0o755)


def test_output_that_nobody_reads_is_no_crash(built_store):
    with subprocess.Popen(
        [BINARY, "inspect", built_store], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.wait(timeout=30) in (0, 1)
        assert process.stderr.read().count(b"\n") <= 1
