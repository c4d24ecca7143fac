# SPDX-License-Identifier: Apache-2.0
"""Arguments: help, version, and what is said about mistakes."""

import re

import pytest

COMMANDS = [
    "build",
    "train",
    "search",
    "evaluate",
    "feedback",
    "quarantine",
    "delete",
    "inspect",
    "verify",
    "compact",
    "snapshot",
    "restore",
]


def test_version_is_three_numbers(trivium):
    outcome = trivium("--version")
    assert outcome.code == 0 and outcome.err == ""
    assert re.fullmatch(r"trivium \d+\.\d+\.\d+\n", outcome.out)


def test_help_lists_exactly_the_commands_that_work(trivium):
    outcome = trivium("--help")
    assert outcome.code == 0 and outcome.err == ""
    listed = re.findall(r"^  (\w+) {2,}\S", outcome.out.split("Subcommands:")[1], re.MULTILINE)
    assert listed == COMMANDS


@pytest.mark.parametrize(
    "command", [[name] for name in COMMANDS] + [["train", "dispatch"], ["train", "graph"]]
)
def test_every_command_has_help(trivium, command):
    outcome = trivium(*command, "--help")
    assert outcome.code == 0 and outcome.err == ""
    assert "--help" in outcome.out


@pytest.mark.parametrize(
    "command", [[name] for name in COMMANDS if name != "train"] + [["train", "dispatch"], ["train", "graph"]]
)
def test_every_command_has_json(trivium, command):
    assert "--json" in trivium(*command, "--help").out


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--frobnicate"],
        ["frobnicate"],
        ["explore", "store"],
        ["train"],
        ["train", "graph", "store", "--recall"],
        ["train", "dispatch", "store"],
        ["inspect"],
        ["inspect", "a", "b"],
        ["inspect", "store", "--frobnicate"],
        ["search", "store", "text", "-k", "many"],
        ["search", "store", "text", "-k", "-1"],
        ["search", "store", "text", "--beam-width"],
        ["build", "store", "--config", "c.json", "--corpus", "a=b"],
        ["snapshot", "store"],
    ],
)
def test_wrong_arguments_exit_2_in_at_most_three_lines(trivium, arguments, tmp_path):
    outcome = trivium(*arguments, cwd=tmp_path)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("trivium: ") and outcome.err.count("\n") <= 3
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments, mention",
    [
        (["search", "absent", "text", "-k", "0"], "k: 0"),
        (["search", "absent", "text", "-k", "10001"], "k: 10001"),
        (["search", "absent", "text", "--index", "oak"], "--index: 'oak'"),
        (["search", "absent", "text", "--index", "tree:0"], "--index: 'tree:0'"),
        (["train", "tree", "absent", "--depth", "13"], "depth: 13"),
        (["train", "tree", "absent", "--use", "shade"], "use: 'shade'"),
        (["search", "absent", "text", "--experts", ""], "experts"),
        (["search", "absent", "text", "--top-p", "0"], "top_p"),
        (["search", "absent", "text", "--max-experts", "0"], "max_experts"),
        (["search", "absent", ""], "query: empty"),
        (["search", "absent"], "query: empty"),
        (["build", "absent"], "--corpus"),
        (["build", "absent", "--corpus", "file.jsonl"], "NAME=FILE"),
        (["build", "absent", "--corpus", "../x=file.jsonl"], "../x"),
        (["build", "absent", "--corpus", "a=f", "--vectors", "../s:a=f.npy"], "../s"),
        (["build", "absent", "--corpus", "a=f", "--vectors", "b=f.npy"], "'b'"),
        (["build", "absent", "--corpus", "a=f", "--metric", "manhattan"], "manhattan"),
        (["build", "absent", "--corpus", "a=f", "--encoder", "unheard-of"], "unheard-of"),
        (["build", "absent", "--corpus", "a=f", "--encoder-command", "nonsense"], "nonsense"),
        (["build", "absent", "--corpus", "a=f", "--threads", "-1"], "threads"),
        (["evaluate", "absent", "--queries", "q", "--qrels", "a=r"], "--qrels"),
        (["evaluate", "absent", "--queries", "a=q", "b=q", "--qrels", "a=r"], "'q'"),
        (["evaluate", "absent", "--queries", "a=q", "--qrels", "a=r", "--drop-self", "b"], "--drop-self"),
        (["train", "dispatch", "absent", "--queries", "../x=q", "--qrels", "../x=r"], "../x"),
        (["train", "dispatch", "absent"], "--queries: 0 files"),
        (
            ["train", "dispatch", "absent", "--queries", "a=q", "--qrels", "a=r", "--label-free"],
            "--qrels: 1 files, expected none beside",
        ),
        (
            ["train", "dispatch", "absent", "--validation-queries", "a=q", "--label-free"],
            "--validation-queries: 1 files",
        ),
        (["train", "graph", "absent", "--queries", "../x=q"], "../x"),
        (["delete", "absent"], "--ids"),
        (["delete", "absent", "--partition", "../x"], "../x"),
    ],
)
def test_flags_are_checked_before_the_store_is_looked_for(trivium, arguments, mention, tmp_path):
    trivium(*arguments, cwd=tmp_path).must_fail(2, mention)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "absent", "text"],
        ["inspect", "absent"],
        ["verify", "absent"],
        ["compact", "absent"],
        ["delete", "absent", "--partition", "p"],
        ["snapshot", "absent", "copy"],
        ["restore", "absent", "copy"],
    ],
)
def test_absent_store_exits_3_and_creates_nothing(trivium, arguments, tmp_path):
    trivium(*arguments, cwd=tmp_path).must_fail(3, "absent")
    assert list(tmp_path.iterdir()) == []


def test_absent_store_exits_3_when_trained_or_evaluated(trivium, data, tmp_path):
    files = ["--queries", data / "law.queries.jsonl", "--qrels", data / "law.train.tsv"]
    trivium("train", "dispatch", tmp_path / "absent", *files).must_fail(3, "absent")
    trivium("evaluate", tmp_path / "absent", *files).must_fail(3, "absent")
    assert list(tmp_path.iterdir()) == []
