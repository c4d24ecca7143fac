# SPDX-License-Identifier: Apache-2.0
"""Encoders behind a pipe: what can go wrong with them, and what it says."""

import json
import os
import shlex
import subprocess
import sys

import pytest
from conftest import REPOSITORY, corpus_arguments, fake_encoder
from fake_encoder import embed
from retrieval_files import write_json_lines, write_npy


@pytest.fixture
def build(trivium, tmp_path):
    def run(command, texts=("good", "bad")):
        write_json_lines(tmp_path / "a.jsonl", [{"_id": i, "text": text} for i, text in enumerate(texts)])
        arguments = ["--corpus", f"a={tmp_path}/a.jsonl", "--encoder", "fake", "--encoder-command", command]
        return trivium("build", tmp_path / "store", *arguments, "--json")

    return run


@pytest.mark.parametrize(
    "options, code, mentions",
    [
        (["--fail-on", "bad"], 1, ["this text is unspeakable", "text 1", "'bad'"]),
        (["--exit-on", "bad"], 1, ["exit code 3", "the model burst"]),
        (["--exit-on", ""], 1, ["exit code 3", "the model burst"]),
        (["--wrong-dimension-on", "bad"], 2, ["dimension 17", "expected 16"]),
        (["--nan-on", "bad"], 2, ["nan"]),
        (["--garbage"], 1, ["frame"]),
    ],
)
def test_an_encoder_that_misbehaves_is_one_line_and_no_store(build, tmp_path, options, code, mentions):
    build(fake_encoder(*options)).must_fail(code, "'fake'", *mentions)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "option, code", [("--fail-on", 1), ("--exit-on", 1), ("--wrong-dimension-on", 2), ("--nan-on", 2)]
)
def test_an_encoder_that_misbehaves_leaves_an_existing_store_alone(build, content, tmp_path, option, code):
    script = tmp_path / "encoder.sh"  # one command whose behaviour changes: the store knows it by its command
    command = fake_encoder().split("=", 1)[1]
    script.write_text(command)
    build(f"fake=sh {script}", texts=["first", "second"]).json
    before = content(tmp_path / "store")
    script.write_text(f"{command} {option} bad")
    build(f"fake=sh {script}", texts=["good", "bad"]).must_fail(code, "'fake'")
    assert content(tmp_path / "store") == before


def test_another_encoder_under_the_same_name_is_refused(build, content, tmp_path):
    build(fake_encoder(), texts=["first"]).json
    before = content(tmp_path / "store")
    build(fake_encoder("--noise"), texts=["second"]).must_fail(1, "fingerprint")
    assert content(tmp_path / "store") == before


def test_a_command_that_does_not_exist_is_named(build, tmp_path):
    build("fake=/no/such/program").must_fail(1, "exit code 127", "/no/such/program")
    assert not (tmp_path / "store").exists()


def test_a_command_that_says_nothing_and_ends(build):
    build("fake=true").must_fail(1, "'fake'", "exit code 0")


def test_pipes_do_not_block_on_long_texts_and_much_noise(build):
    report = build(
        fake_encoder("--noise"), texts=["word " * 200_000, *(f"text {i} " * 50 for i in range(3000))]
    ).json
    assert report["encoded"] == 3001


def test_an_encoder_that_reads_everything_before_it_answers(build, tmp_path):
    """Reads 400 lines first: the tool must not wait for an answer to each."""
    script = tmp_path / "late.py"
    script.write_text(
        "import struct, sys\n"
        "sys.stdin.readline(); sys.stdout.buffer.write(struct.pack('<Iff', 2, 1, 0)); sys.stdout.buffer.flush()\n"
        "lines = [sys.stdin.readline() for _ in range(400)]\n"
        "sys.stdout.buffer.write(struct.pack('<Iff', 2, 0, 1) * 400)\n"
    )
    command = f"fake={shlex.quote(sys.executable)} {shlex.quote(str(script))}"
    assert build(command, texts=[f"text {i}" for i in range(400)]).json["encoded"] == 400


def test_no_encoder_starts_that_is_not_needed(trivium, data, tmp_path):
    """Every text has vectors, and the query is one."""
    log = tmp_path / "log"
    command = ["--encoder-command", fake_encoder("--log", log)]
    arguments = [*corpus_arguments(data, ["law"]), "--encoder", "fake"]
    trivium("build", tmp_path / "s", *arguments, *command, "--json").json
    write_npy(tmp_path / "q.npy", [embed("law1")])
    trivium("search", tmp_path / "s", "--vector", tmp_path / "q.npy", *command, "--json").json
    trivium("inspect", tmp_path / "s", "--json").json
    assert not log.exists()


def test_texts_reach_the_encoder_as_they_are(trivium, build, tmp_path):
    texts = ['quote " backslash \\ newline \n tab \t', "ünïcode ✓ 😀", "'; rm -rf / #"]
    log = tmp_path / "log"
    build(fake_encoder("--log", log), texts=texts).json
    requests = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [r["text"] for r in requests if r["kind"] == "document"] == texts


def test_a_store_never_names_a_command(trivium, tmp_path, build):
    """The store of a stranger: its encoder's name is looked up, never run."""
    build(fake_encoder()).json
    outcome = trivium("search", tmp_path / "store", "text")
    outcome.must_fail(1, "fake")


PYTHON = REPOSITORY / ".venv/bin/python"
HAS_MINILM = (
    PYTHON.exists()
    and not subprocess.run(
        [PYTHON, "-c", "import trivium.encoders as e; e.MiniLM().fingerprint"],
        capture_output=True,
        cwd="/",
    ).returncode
)


@pytest.mark.skipif(not HAS_MINILM, reason="the project's .venv has no trivium.encoders with minilm")
def test_minilm_is_built_in_and_has_the_fingerprint_of_the_python_package(trivium, tmp_path):
    write_json_lines(
        tmp_path / "a.jsonl", [{"_id": 1, "text": "A cat sat."}, {"_id": 2, "text": "Interest rates."}]
    )
    env = {"TRIVIUM_PYTHON": str(PYTHON)}
    corpus = ["--corpus", f"a={tmp_path}/a.jsonl"]
    trivium("build", tmp_path / "s", *corpus, "--encoder", "minilm", "--json", env=env).json
    (space,) = trivium("inspect", tmp_path / "s", "--json").json["spaces"]
    expected = subprocess.run(
        [PYTHON, "-c", "import trivium.encoders as e; print(e.MiniLM().fingerprint)"],
        capture_output=True,
        check=True,
        cwd="/",
        env={**os.environ},
    )
    assert (space["dimension"], space["encoder_fingerprint"]) == (384, expected.stdout.decode().strip())
    hits = trivium("search", tmp_path / "s", "a pet", "--json", env=env).json["hits"]
    assert hits[0]["id"] == "1"
