# SPDX-License-Identifier: Apache-2.0
"""Runs the built binary ($TRIVIUM_BINARY, else build/release/bin/trivium) on small collections made here."""

import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SUPPORT = REPOSITORY / "tests" / "support"
sys.path.insert(0, str(SUPPORT))

from retrieval_files import Collection  # noqa: E402  (after its folder is on the path)

BINARY = pathlib.Path(os.environ.get("TRIVIUM_BINARY", REPOSITORY / "build/release/bin/trivium")).resolve()
DOMAINS = ("medical", "law", "cooking")


def pytest_configure(config):
    if not BINARY.exists():
        pytest.exit(f"no binary at {BINARY}: run `make build` or set TRIVIUM_BINARY", returncode=2)


class Outcome:
    """What a run of the tool left behind."""

    def __init__(self, completed):
        self.code = completed.returncode
        self.out = completed.stdout.decode()
        self.err = completed.stderr.decode()

    @property
    def json(self):
        assert self.code == 0, self.err
        assert self.err == ""
        assert self.out.count("\n") == 1
        return json.loads(self.out)

    def must_fail(self, code, *mentions):
        """Exactly one line on stderr that mentions all of `mentions`, nothing on stdout."""
        assert self.code == code, (self.code, self.err)
        assert self.out == ""
        assert self.err.startswith("trivium: ") and self.err.endswith("\n")
        assert self.err.count("\n") == 1, self.err
        for mention in mentions:
            assert str(mention) in self.err
        return self


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """No configuration of whoever runs the tests."""
    home = tmp_path_factory.mktemp("home")
    variables = {key: value for key, value in os.environ.items() if not key.startswith("TRIVIUM_")}
    variables.pop("XDG_CONFIG_HOME", None)
    return {**variables, "HOME": str(home)}


@pytest.fixture(scope="session")
def trivium(environment):
    def run(*arguments, env=None, **options):
        completed = subprocess.run(
            [BINARY, *map(str, arguments)],
            capture_output=True,
            env={**environment, **(env or {})},
            timeout=120,
            stdin=subprocess.DEVNULL,
            **options,
        )
        return Outcome(completed)

    return run


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder with the files of three collections."""
    folder = tmp_path_factory.mktemp("data")
    for name in DOMAINS:
        Collection(name).write(folder)
    return folder


def corpus_arguments(data, names=DOMAINS):
    return [
        "--corpus",
        *(f"{n}={data / n}.jsonl" for n in names),
        "--vectors",
        *(f"{n}={data / n}.npy" for n in names),
    ]


def query_arguments(data, split, names=DOMAINS):
    return [
        "--queries",
        *(f"{n}={data / n}.queries.jsonl" for n in names),
        "--qrels",
        *(f"{n}={data / n}.{split}.tsv" for n in names),
        "--query-vectors",
        *(f"{n}={data / n}.queries.npy" for n in names),
    ]


@pytest.fixture(scope="session")
def built_store(trivium, data, tmp_path_factory):
    """Three partitions with an expert each in one space. Not to be written to."""
    store = tmp_path_factory.mktemp("built") / "store"
    trivium("build", store, *corpus_arguments(data), "--json").json
    return store


@pytest.fixture(scope="session")
def trained_store(trivium, data, built_store, tmp_path_factory):
    """The same with trained dispatch. Not to be written to."""
    store = tmp_path_factory.mktemp("trained") / "store"
    shutil.copytree(built_store, store)
    trivium("train", "dispatch", store, *query_arguments(data, "train"), "--json").json
    return store


@pytest.fixture
def store(built_store, tmp_path):
    """A copy of the built store to write to."""
    shutil.copytree(built_store, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture(scope="session")
def content(trivium, data):
    """content(store): all that a store holds, for comparison. RocksDB's own files may come and go."""
    question = data / "question.npy"
    from fake_encoder import embed
    from retrieval_files import write_npy

    write_npy(question, [embed("medical1 law2 cooking3")])

    def read(store):
        if not store.exists():
            return None
        found = trivium(
            "search",
            store,
            "--vector",
            question,
            "-k",
            10000,
            "--experts",
            "all",
            "--index",
            "exact",
            "--json",
        )
        segments = {path.name: path.read_bytes() for path in (store / "segments").iterdir()}
        return {
            "inspect": {**trivium("inspect", store, "--json").json, "path": None},
            "hits": found.json["hits"],
            "segments": segments,
            "identity": (store / "TRIVIUM").read_bytes(),
        }

    return read


@pytest.fixture(scope="session")
def original(built_store, content):
    """What the fixture `store` holds before a test writes to it."""
    return content(built_store)


def fake_encoder(*options):
    """The value of --encoder-command for an encoder called `fake`."""
    command = [sys.executable, str(SUPPORT / "fake_encoder.py"), *map(str, options)]
    return f"fake={shlex.join(command)}"
