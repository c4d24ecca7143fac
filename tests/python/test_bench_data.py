# SPDX-License-Identifier: Apache-2.0
"""The graph benchmark's data: no twins across a split, ties in the ground truth, subsets that nest."""

import pathlib
import sys

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench" / "recall"))

import datasets  # noqa: E402
import ground_truth  # noqa: E402
import splits  # noqa: E402


def with_twins(rng, count, dimension=24):
    """`count` random rows and for each a near-identical one."""
    rows = splits.unit_rows(rng.standard_normal((count, dimension)))
    twins = splits.unit_rows(rows + 0.01 * rng.standard_normal(rows.shape))
    return np.concatenate([rows, twins])


def test_distinct_rows_are_the_first_of_each(rng):
    rows = rng.standard_normal((3, 4)).astype(np.float16)
    assert splits.distinct_rows(rows[[0, 1, 0, 2, 1]]).tolist() == [0, 1, 3]


def test_twins_are_joined_through_a_chain():
    angles = np.arccos(0.96) * np.arange(3)
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert rows[0] @ rows[2] < 0.95
    assert len(set(splits.twin_groups(rows).tolist())) == 1
    assert len(set(splits.twin_groups(rows, cosine=0.97).tolist())) == 3


def test_twin_groups_do_not_depend_on_the_block(rng):
    rows = with_twins(rng, 40)
    assert splits.twin_groups(rows).tolist() == splits.twin_groups(rows, block=7).tolist()


def test_no_query_has_a_twin_on_the_other_side_even_of_another_kind(rng):
    rows = with_twins(rng, 150)
    order = rng.permutation(len(rows))
    kinds = {"one": rows[order[:200]], "other": rows[order[200:]]}
    split = splits.split_by_twins(kinds, cap=1000, seed=5)
    sides = {
        side: np.concatenate([kinds[kind][split[kind][side]] for kind in kinds]) for side in splits.SIDES
    }
    assert (sides["validation"] @ sides["test"].T).max() < splits.TWIN_COSINE
    assert len(sides["validation"]) + len(sides["test"]) == len(rows)


def test_both_sides_get_about_half_and_no_more_than_the_cap(rng):
    kinds = {"one": rng.standard_normal((400, 24)), "other": rng.standard_normal((90, 24))}
    split = splits.split_by_twins(kinds, cap=60, seed=5)
    assert [len(split["one"][side]) for side in splits.SIDES] == [60, 60]
    assert all(40 <= len(split["other"][side]) <= 50 for side in splits.SIDES)
    assert not set(split["one"]["validation"]) & set(split["one"]["test"])


def test_queries_that_occur_twice_are_asked_once(rng):
    rows = rng.standard_normal((50, 24))
    split = splits.split_by_twins({"one": np.concatenate([rows, rows])}, cap=1000, seed=5)
    assert sum(len(split["one"][side]) for side in splits.SIDES) == 50


@pytest.mark.parametrize("metric", ["cosine", "l2"])
def test_the_ground_truth_is_the_order_of_an_independent_scan(rng, metric):
    base, queries = (rng.standard_normal((count, 12)).astype(np.float32) for count in (300, 20))
    if metric == "cosine":
        base, queries = splits.unit_rows(base), splits.unit_rows(queries)
    distances = ((queries[:, None, :].astype(float) - base[None].astype(float)) ** 2).sum(axis=2)
    accepted = ground_truth.accepted_labels(base, queries, metric, k=10, block=7)
    assert accepted[:, :10].tolist() == np.argsort(distances, axis=1)[:, :10].tolist()
    assert (accepted[:, 10:] == -1).all()


def test_rows_as_near_as_the_last_are_accepted():
    base = np.array([[0, 0], [0, 3], [3, 0], [0, -3], [5, 5]], dtype=np.float32)
    accepted = ground_truth.accepted_labels(base, np.zeros((1, 2), dtype=np.float32), "l2", k=2)
    assert accepted[0, 0] == 0
    assert sorted(accepted[0][accepted[0] >= 0].tolist()) == [0, 1, 2, 3]


def test_a_base_smaller_than_k_is_all_accepted():
    base = np.eye(3, dtype=np.float32)
    accepted = ground_truth.accepted_labels(base, base[:1], "cosine", k=10)
    assert sorted(accepted[0][accepted[0] >= 0].tolist()) == [0, 1, 2]


def test_subsets_nest_and_hold_out_the_same_rows(rng, tmp_path):
    rows = rng.standard_normal((600, 16)).astype(np.float16)
    questions = splits.unit_rows(rng.standard_normal((80, 16)))
    raw = datasets.Raw(rows, {"questions": questions}, 100, "documents", "cosine", "synthetic")
    small, large = tmp_path / "small", tmp_path / "large"
    small.mkdir()
    large.mkdir()
    about = datasets.write(raw, 200, small)
    assert datasets.write(raw, None, large)["rows"] == 500
    assert (about["rows"], about["dimension"]) == (200, 16)
    assert (np.load(large / "base.npy")[:200] == np.load(small / "base.npy")).all()
    for name in ("documents.test.queries.npy", "questions.validation.queries.npy"):
        assert (np.load(large / name) == np.load(small / name)).all()
    held, base = np.load(small / "documents.test.queries.npy"), np.load(large / "base.npy")
    assert (held @ base.T).max() < 0.9999


def test_missing_data_is_one_clear_line(monkeypatch, tmp_path):
    monkeypatch.setenv("TRIVIUM_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="expected shared/data \\(set TRIVIUM_DATA\\)"):
        datasets.prepare("sift-128")
