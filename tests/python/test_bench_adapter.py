# SPDX-License-Identifier: Apache-2.0
"""The adapter for ann-benchmarks answers through the interface that ann-benchmarks calls."""

import importlib.util
import pathlib
import sys

import numpy as np
import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "bench" / "ann_benchmarks"


@pytest.fixture(scope="module")
def driver():
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location("run_locally", FOLDER / "run_locally.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(FOLDER))


@pytest.mark.parametrize("metric", ["angular", "euclidean"])
@pytest.mark.parametrize("batch", [False, True])
def test_recall_rises_to_one_with_the_beam(driver, metric, batch):
    points = driver.clustered(3000, 16)
    algorithm = driver.Trivium(metric)
    lines = list(driver.run(algorithm, points[50:], points[:50], metric, widths=(10, 400), batch=batch))
    assert lines[0][0] == "Trivium(speed, beam_width=10)"
    assert lines[0][1] <= lines[1][1]
    assert lines[1][1] > 0.97
    assert lines[1][3] > 0


def test_one_query_gives_a_row_of_labels(driver):
    points = driver.clustered(500, 16)
    algorithm = driver.Trivium("angular")
    algorithm.fit(points)
    algorithm.set_query_arguments(50)
    assert algorithm.query(points[7], 5)[0] == 7
    assert np.asarray(algorithm.query(points[7], 5)).shape == (5,)


def test_a_metric_of_another_kind_is_refused(driver):
    with pytest.raises(NotImplementedError, match="metric: hamming, expected one of angular, euclidean"):
        driver.Trivium("hamming")


def test_the_configuration_names_the_class_and_its_module():
    text = (FOLDER / "config.yml").read_text()
    assert "constructor: Trivium" in text
    assert "module: ann_benchmarks.algorithms.trivium" in text
