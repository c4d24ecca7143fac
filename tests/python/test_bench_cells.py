# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of the benchmark of cells, on figures worked out by hand."""

import pathlib
import sys

import numpy as np
import pytest

BENCH = pathlib.Path(__file__).resolve().parents[2] / "bench"
for folder in ("recall", "graph_routing", "graph_learning", "tree"):
    sys.path.insert(0, str(BENCH / folder))

import cells_benchmark  # noqa: E402


class Quantizer:
    """Four cells on a line, at 0, 1, 2 and 3."""

    ntotal = 4

    def search(self, queries, count):
        distances = np.abs(queries - np.arange(4)[None, :])
        order = np.argsort(distances, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(distances, order, axis=1), order


def test_steps_are_those_of_the_driver():
    steps = cells_benchmark.step_numbers(20)
    assert list(steps) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 18, 20]


def test_ivf_counts_rows_and_answers_of_the_nearest_cells():
    cell_of = np.array([0, 0, 0, 1, 2, 2, 3, 3, 3, 3])
    answers = np.array([[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], [9, 9, 9, 9, 9, 9, 9, 9, 9, 0]])
    curve = cells_benchmark.ivf_curve(Quantizer(), cell_of, np.array([[0.2], [2.9]]), answers)
    assert curve.hits.tolist() == [[3, 4, 6, 10], [9, 9, 9, 10]]
    assert curve.rows.tolist() == [[3, 4, 6, 10], [4, 6, 7, 10]]
    assert curve.products.tolist() == [4, 4, 4, 4]


def test_a_cost_lies_between_steps():
    curve = cells_benchmark.Curve(np.array([[8, 10]]), np.array([[100, 300]]), np.array([10, 20]))
    assert curve.at(0.9) == pytest.approx((200, 15))
    assert curve.at(0.5) == pytest.approx((100, 10))


def test_a_ratio_has_an_interval_that_holds_it():
    rng = np.random.default_rng(0)
    hits = np.stack([rng.integers(0, 9, 300), np.full(300, 10)], axis=1)
    rows = np.stack([rng.integers(1, 50, 300), rng.integers(100, 200, 300)], axis=1)
    rival = cells_benchmark.Curve(hits, rows, np.array([4, 4]))
    half = cells_benchmark.Curve(hits, rows / 2, np.array([4, 4]))
    assert cells_benchmark.ratio(half, rival, 0.95, 0) == pytest.approx([0.5, 0.5, 0.5])
    other = cells_benchmark.Curve(hits, rng.permutation(rows), np.array([4, 4]))
    value, low, high = cells_benchmark.ratio(other, rival, 0.95, 0)
    assert low < value < high


def test_requirements_are_checked():
    def router(value, products):
        return {"ratio": [value, value, value], "within": {"products": products}}

    report = {"cells": 1024, "used_cells": 1023, "largest_cell": 500, "mean_cell": 150.0}
    kinds = {kind: {"ivf": {}, "map": router(0.65, 1024)} for kind in ("questions", "documents")}
    deep = {"questions": {"tree": router(1, 7000), "levels": router(1, 6000)}}
    found = {
        "threads": 2,
        "depths": {
            "10": {"report": report | {"router": "map"}, "kinds": kinds, "cpu_seconds": 100},
            "16": {
                "report": report | {"router": "levels", "used_cells": 1024},
                "kinds": deep,
                "cpu_seconds": 500,
            },
        },
    }
    met = [check["met"] for check in cells_benchmark.checks(found)]
    assert met == [False, True, True, True, True, True, True, True, False, True]
    del kinds["documents"]  # --kinds questions
    met = [check["met"] for check in cells_benchmark.checks(found)]
    assert met == [False, True, True, True, True, True, True, False, True]


def test_kinds_are_known_and_have_questions(capsys):
    assert cells_benchmark.parse(["--kinds", "questions,documents"]).kinds == "questions,documents"
    for kinds in ("documents", "questions,answers", ""):
        with pytest.raises(SystemExit) as ended:
            cells_benchmark.parse(["--kinds", kinds])
        assert ended.value.code == 2
        assert f"--kinds: {kinds}, expected questions" in capsys.readouterr().err
