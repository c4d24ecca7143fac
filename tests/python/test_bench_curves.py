# SPDX-License-Identifier: Apache-2.0
"""The graph benchmark's arithmetic: recall, curves, choices and intervals, on figures worked out by hand."""

import math
import pathlib
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench" / "recall"))

import curves  # noqa: E402
import resampling  # noqa: E402


def test_recall_counts_each_accepted_label_once():
    accepted = np.array([[1, 2, 3, -1]])
    assert curves.recall_of_rows(np.array([[1, 2, 9]]), accepted, 3).tolist() == pytest.approx([2 / 3])
    assert curves.recall_of_rows(np.array([[1, 1, 1]]), accepted, 3).tolist() == pytest.approx([1 / 3])


def test_recall_accepts_any_of_the_rows_tied_with_the_last():
    accepted = np.array([[1, 2, 3, 4]])
    assert curves.recall_of_rows(np.array([[1, 2], [3, 4]]), accepted.repeat(2, axis=0), 2).tolist() == [1, 1]
    assert curves.recall_of_rows(np.array([[1, 7]]), accepted, 2).tolist() == [0.5]


def test_recall_does_not_take_a_missing_answer_for_a_hit():
    assert curves.recall_of_rows(np.array([[-1, -1]]), np.array([[5, 6, -1]]), 2).tolist() == [0]


def test_the_envelope_leaves_out_what_is_beaten_in_both():
    points = [(0.90, 100.0), (0.80, 90.0), (0.95, 50.0), (0.95, 60.0), (0.99, 10.0)]
    assert curves.envelope(points) == [0, 3, 4]


def test_a_point_that_is_hardly_beaten_is_measured_again():
    points = [(0.94, 95.0), (0.96, 100.0), (0.99, 50.0)]
    assert curves.envelope(points) == [1, 2]
    assert curves.around(points, [0.95]) == [0, 1, 2]


def test_speed_between_two_points_is_interpolated_in_its_logarithm():
    assert curves.speed_at([(0.9, 100.0), (1.0, 25.0)], 0.95) == pytest.approx(50.0)


def test_speed_at_a_point_is_the_points():
    assert curves.speed_at([(0.9, 100.0), (0.95, 80.0), (1.0, 25.0)], 0.95) == 80.0


def test_speed_below_the_first_point_is_not_extrapolated():
    assert curves.speed_at([(0.97, 100.0), (0.99, 50.0)], 0.9) == 100.0


def test_speed_above_the_last_point_does_not_exist():
    assert curves.speed_at([(0.9, 100.0)], 0.95) is None
    assert curves.speed_at([], 0.5) is None


def test_a_noisy_point_below_the_envelope_changes_nothing():
    clean = [(0.9, 100.0), (1.0, 25.0)]
    assert curves.speed_at([*clean, (0.92, 10.0)], 0.95) == pytest.approx(curves.speed_at(clean, 0.95))


def test_the_points_around_a_target_are_those_that_the_interpolation_uses():
    points = [(0.5, 500.0), (0.8, 400.0), (0.9, 300.0), (0.94, 200.0), (0.96, 100.0), (0.99, 50.0)]
    assert curves.around(points, [0.95], each_side=1) == [3, 4]
    assert curves.around(points, [0.4]) == [0, 1]
    assert curves.around(points, [1.0]) == [4, 5]
    assert curves.around(points, []) == []


def test_the_configuration_is_chosen_anew_at_each_target():
    lines = {"fast": [(0.8, 900.0), (0.95, 300.0)], "thorough": [(0.9, 400.0), (0.99, 200.0)]}
    assert curves.fastest_configuration(lines, 0.8) == "fast"
    assert curves.fastest_configuration(lines, 0.96) == "thorough"
    assert curves.fastest_configuration(lines, 0.999) is None


def test_a_ratio_that_is_the_same_in_every_round_has_no_width():
    speeds = np.array([100.0, 50.0, 80.0, 20.0, 70.0])
    interval = resampling.ratio_interval((1.5 * speeds).tolist(), speeds.tolist())
    assert [interval[name] for name in ("ratio", "low", "high")] == pytest.approx([1.5, 1.5, 1.5])


def test_the_interval_holds_the_ratio_and_is_the_same_every_time():
    rng = np.random.default_rng(1)
    above, below = 200 + 10 * rng.standard_normal(9), 100 + 5 * rng.standard_normal(9)
    first = resampling.ratio_interval(above.tolist(), below.tolist(), seed=3)
    assert first == resampling.ratio_interval(above.tolist(), below.tolist(), seed=3)
    assert first["low"] <= first["ratio"] <= first["high"]
    assert math.isclose(first["ratio"], np.median(above) / np.median(below))


def test_rounds_that_do_not_pair_are_refused():
    with pytest.raises(ValueError, match="expected two equal"):
        resampling.ratio_interval([1.0, 2.0], [1.0])
