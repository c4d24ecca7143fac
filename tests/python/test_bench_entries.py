# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of the benchmark of entry vertices, on figures worked out by hand."""

import pathlib
import sys

import pytest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"
for folder in ("recall", "graph_routing", "graph_learning", "tree"):
    sys.path.insert(0, str(BENCH / folder))

import entries_benchmark  # noqa: E402


def curve(*points):
    return [
        {"recall": recall, "walked": walked, "routing": routing, "hops": hops}
        for recall, walked, routing, hops in points
    ]


def test_interpolates_between_the_beams_around_the_recall():
    found = curve((0.85, 100, 4, 10), (0.90, 200, 4, 20), (1.0, 400, 4, 40))
    assert entries_benchmark.at_recall(found, "walked") == pytest.approx(300)
    assert entries_benchmark.at_recall(found, "hops") == pytest.approx(30)
    assert entries_benchmark.at_recall(found[2:], "walked") == 400


def test_takes_the_first_beam_that_reaches_it_though_a_later_one_dips():
    found = curve((0.90, 200, 4, 20), (0.96, 300, 4, 30), (0.94, 350, 4, 35), (0.98, 500, 4, 50))
    assert entries_benchmark.at_recall(found, "walked") == pytest.approx(200 + 100 * 0.05 / 0.06)


def test_says_where_no_beam_reaches_it():
    with pytest.raises(ValueError, match=r"recall: at most 0\.910, expected a beam that reaches 0\.95"):
        entries_benchmark.at_recall(curve((0.90, 1, 1, 1), (0.91, 2, 1, 1)), "walked")


def test_table_counts_what_chose_the_entries():
    ways = {"sampled": curve((0.95, 240, 60, 9)), "tree 1": curve((0.95, 130, 20, 7))}
    assert entries_benchmark.table(ways)[2:] == [
        "| sampled | 300 | 60 | 9.0 | 1.00 |",
        "| tree 1 | 150 | 20 | 7.0 | 0.50 |",
    ]
