# SPDX-License-Identifier: Apache-2.0
"""The graph benchmark's choice of what to measure, its tables, and what it does with a contender that fails."""

import copy
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench" / "recall"))

import contender  # noqa: E402
import graph_benchmark  # noqa: E402
import report  # noqa: E402
import scaling  # noqa: E402
import timing  # noqa: E402
import tuning  # noqa: E402
import worker  # noqa: E402


def configuration(recalls, speeds, rounds=3):
    """Facts of a configuration whose test curve is its validation curve."""
    validation = [
        {"knob": {"ef": number}, "recall": recall, "qps": speed}
        for number, (recall, speed) in enumerate(zip(recalls, speeds))
    ]
    points = [
        {"knob": each["knob"], "recall": each["recall"], "qps": [each["qps"]] * rounds} for each in validation
    ]
    return {
        "configuration": {"M": len(recalls)},
        "build_seconds": {"2": 1.5},
        "stored_bytes": 1000,
        "load": {"seconds": 0.1, "resident_bytes": 2000, "library_bytes": None},
        "validation": {"questions": validation},
        "test": {"questions": {"points": points, "latency": {"p50_us": 10.0, "p99_us": 20.0}}},
    }


def contestant(one, **chosen):
    targets = {"0.90": None, "0.95": None, "0.99": None} | chosen
    return {
        "status": "ran",
        "note": "",
        "batch_call": True,
        "overhead": {"microseconds": 3.0, "rows": 16},
        "configurations": {"M=3": one},
        "chosen": {"questions": targets},
    }


@pytest.fixture
def result():
    reaching = dict.fromkeys(("0.90", "0.95", "0.99"), "M=3")
    contenders = {
        "trivium-speed": contestant(configuration([0.85, 0.92, 0.995], [4000, 3000, 1000]), **reaching),
        "rabitqlib": contestant(
            configuration([0.85, 0.92, 0.96], [3000, 2000, 1500]), **{"0.90": "M=3", "0.95": "M=3"}
        ),
        "hnswlib": contestant(configuration([0.91, 0.95, 0.99], [1000, 800, 400]), **reaching),
        "svs-lvq": {"status": "failed", "reason": "not this machine", "configurations": {}},
    }
    machine = {"cpu": "a processor", "cores": 2, "caches": {"L3 unified": "32M"}, "when": "today"}
    return {
        "dataset": {
            "name": "small",
            "description": "made up",
            "metric": "cosine",
            "rows": 10,
            "dimension": 4,
            "queries": {"questions": {"validation": 5, "test": 6}},
        },
        "machine": machine | {"trivium_kernels": "avx2", "commit": "abc"},
        "versions": {"numpy": "2", "lorann": None},
        "options": {"rounds": 3, "chunk": 6},
        "reference": "hnswlib",
        "seed": 0,
        "contenders": contenders,
        "results": timing.results(contenders, ["questions"]),
    }


def test_results_interpolate_every_round_and_mark_what_never_falls_to_the_target(result):
    line = result["results"]["questions"]["0.90"]
    assert line["hnswlib"]["qps_by_round"] == [1000, 1000, 1000]
    assert line["hnswlib"]["always_above"]
    assert not line["rabitqlib"]["always_above"]
    assert 2000 < line["rabitqlib"]["qps"] < 3000
    assert "rabitqlib" not in result["results"]["questions"]["0.99"]


def test_the_best_peer_is_neither_ours_nor_the_exact_scan():
    line = {name: {"qps": speed} for name, speed in (("trivium-speed", 9), ("exact", 8), ("a", 2), ("b", 3))}
    assert report.best_peer(line) == "b"
    assert report.best_peer({"exact": {"qps": 1}}) is None


def test_the_markdown_holds_the_ratios_the_absences_and_what_was_not_reached(result):
    text = report.markdown(result)
    row = next(line for line in text.splitlines() if line.startswith("| rabitqlib | 2"))
    assert "not reached" in row
    row = next(line for line in text.splitlines() if line.startswith("| hnswlib"))
    assert "| 1,000* | 1.00 [1.00, 1.00] |" in row
    assert "| **trivium-speed** |" in text
    assert "- svs-lvq did not run: not this machine" in text
    assert "Versions: numpy 2.\n" in text
    assert "0 of 0 timed calls got less" in text
    assert "Best peer at 0.90 rabitqlib (M=3)" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|") and "QPS" in line}
    assert widths == {11}


def test_every_row_of_a_table_has_as_many_cells_as_its_header(result):
    block = report.speed_table(result, "questions").splitlines() + [""]
    assert len({line.count("|") for line in block if line}) == 1
    assert len({line.count("|") for line in report.cost_table(result, "questions").splitlines()}) == 1


def test_a_run_in_which_nobody_could_take_part_still_makes_a_report(result):
    for facts in result["contenders"].values():
        facts.clear()
        facts.update(status="absent", reason="not installed")
    result["results"] = timing.results(result["contenders"], ["questions"])
    assert report.markdown(result).count("did not run: not installed") == 4


def test_the_scaling_table_orders_sizes_and_leaves_gaps(result):
    larger = copy.deepcopy(result)
    larger["dataset"]["rows"] = 1000
    larger["results"]["questions"]["0.95"]["hnswlib"]["qps"] = 400.0
    del larger["results"]["questions"]["0.95"]["rabitqlib"]
    lines = scaling.scaling_table([larger, result], "questions", "0.95").splitlines()
    assert lines[0] == "| contender | 10 rows | 1,000 rows | last / first |"
    assert "| hnswlib | 800 | 400 | 0.50 |" in lines
    assert any(line.startswith("| rabitqlib |") and line.endswith("| - | - |") for line in lines)


def test_only_search_parameters_near_the_targets_are_measured_again():
    one = configuration(
        [0.5, 0.6, 0.7, 0.8, 0.94, 0.96, 0.97, 0.99], [9e3, 8e3, 7e3, 6e3, 5e3, 4e3, 3e3, 2e3]
    )
    facts = contestant(one, **{"0.95": "M=3"})
    assert [knob["ef"] for knob in timing.wanted_knobs(facts, "M=3", "questions")] == [3, 4, 5, 6]


def test_a_contender_that_reaches_no_target_is_measured_at_its_best():
    facts = contestant(configuration([0.5, 0.6, 0.7], [30, 20, 10]))
    assert [knob["ef"] for knob in timing.wanted_knobs(facts, "M=3", "questions")] == [1, 2]


def test_quick_fills_only_what_was_not_said():
    options = graph_benchmark.parse(["--quick", "--rounds", "3"])
    assert (options.dataset, options.rounds, options.configurations) == ("minilm-20k", 3, 1)
    assert graph_benchmark.parse([]).contenders == "all"
    assert set(contender.QUICK) <= set(contender.CONTENDERS)


def test_a_contender_that_is_unknown_here_is_absent_with_a_reason():
    with pytest.raises(contender.Unavailable, match="not installed"):
        original = contender.CONTENDERS["hnswlib"]
        try:
            contender.CONTENDERS["hnswlib"] = "peers.no_such_peer:Nothing"
            contender.make_contender("hnswlib")
        finally:
            contender.CONTENDERS["hnswlib"] = original


def test_limits_are_equal_for_all():
    limits = tuning.Limits(2.0, 10.0, 2, 1, 100, 0, (0,))
    cached = type("Cached", (), {})()
    data = type("Data", (), {"rows": 10, "dimension": 4})()
    spare = 10 * (16 + tuning.SPARE_BYTES)
    cached.about = {"build_seconds": {"2": 9.0}, "stored_bytes": spare}
    assert tuning.refusal(cached, data, limits) is None
    cached.about["stored_bytes"] = spare + 1
    assert "bytes a vector" in tuning.refusal(cached, data, limits)
    cached.about["build_seconds"]["2"] = 11.0
    assert "build took" in tuning.refusal(cached, data, limits)


class Crashing:
    """A worker whose process ends at the second question."""

    def __init__(self):
        self.calls = 0

    def call(self, *_, timeout=None):
        self.calls += 1
        if self.calls > 1:
            raise worker.WorkerFailed("process ended by SIGSEGV in measure")
        return 0.9, 100.0, 1.0

    def close(self):
        pass


def test_a_contender_that_crashes_while_it_is_timed_leaves_the_others_alone():
    class Steady(Crashing):
        def call(self, *_, timeout=None):
            return 0.9, 100.0, 1.0

    data = type("Data", (), {"folder": None, "queries": {"questions": {"test": 6}}})()
    entries = [
        timing.Entry(name, "M=3", {"test": {}}, process, {"questions": [{"knob": {}, "qps": []}]})
        for name, process in (("bad", Crashing()), ("good", Steady()))
    ]
    bad, good = entries
    said = []
    timing.first_pass(entries, data, said.append)
    timing.run_rounds(entries, data, ["questions"], 3, 3, said.append)
    assert entries == [good]
    assert good.asked["questions"][0]["qps"] == [100.0] * 3
    assert bad.facts == {"refused": "process ended by SIGSEGV in measure"}
    assert "bad M=3: process ended by SIGSEGV in measure" in said


def test_a_process_that_fails_ends_or_hangs_is_one_line():
    core = sorted(os.sched_getaffinity(0))[0]
    with worker.Worker("trivium-speed", [core], 1) as process:
        with pytest.raises(worker.WorkerFailed, match="no attribute 'nonsense'"):
            process.call("nonsense", timeout=60)
        about = process.call("about", 100, 8, "cosine", timeout=60)
        assert about["configurations"] == [{"profile": "speed"}]
        process.process.kill()
        with pytest.raises(worker.WorkerFailed, match="process ended by SIGKILL in about"):
            process.call("about", 100, 8, "cosine", timeout=60)
