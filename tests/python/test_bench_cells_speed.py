# SPDX-License-Identifier: Apache-2.0
"""The table of the benchmark of cells by codes, of figures worked out by hand."""

import pathlib
import sys

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"
for folder in ("recall", "graph_routing", "graph_learning", "tree"):
    sys.path.insert(0, str(BENCH / folder))

import cells_speed_benchmark  # noqa: E402


def way(microseconds, exact, codes, size):
    return {
        "recall": 0.95,
        "microseconds": microseconds,
        "exact_distances": exact,
        "code_distances": codes,
        "bytes": size,
    }


def test_a_way_is_told_beside_the_rows_of_the_same_round():
    ways = {
        "rows": way([100, 900, 400], 4000, 500, 8_000_000),
        "codes": way([50, 100, 200], 100, 4500, 1_000_000),
        "probes": 7,
    }
    found = {
        "dataset": "made-up",
        "kind": "questions",
        "side": "test",
        "depths": {"10": {"cells": 1024, "profiles": {"speed": {"recalls": {"0.95": ways}}}}},
    }
    lines = cells_speed_benchmark.table(found).splitlines()
    assert lines[4] == "| 1,024 | speed | 0.95 | rows | 0.9500 | 2,500 | 1.0 x | 4,000 | 500 | 8,000 |"
    assert lines[5] == "| 1,024 | speed | 0.95 | codes | 0.9500 | 10,000 | 2.0 x | 100 | 4,500 | 1,000 |"
    assert len(lines) == 6


def test_what_is_timed_can_be_chosen():
    options = cells_speed_benchmark.parse(["--depths", "8", "--profiles", "small", "--rounds", "3"])
    assert (options.depths, options.profiles, options.rounds) == ("8", "small", 3)
