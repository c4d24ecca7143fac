# SPDX-License-Identifier: Apache-2.0
"""train_tree with a checkpoint: what was stopped goes on to the same tree."""

import numpy as np
import pytest

import trivium

DIMENSION, DOCUMENTS = 8, 300
TRAINING = {
    "depth": 4,
    "steps": 2000,
    "threads": 1,
    "ignore_gate": True,
}  # a look, and a checkpoint, every 1,000
RNG = np.random.default_rng(6)
ROWS = (3 * RNG.standard_normal((6, DIMENSION)))[np.arange(DOCUMENTS) % 6] + RNG.standard_normal(
    (DOCUMENTS, DIMENSION)
)


class Stop(Exception):
    pass


def made(path):
    store = trivium.open(path)
    store.add_space("dense", DIMENSION)
    store.upsert([str(row) for row in range(DOCUMENTS)], {"dense": ROWS.astype(np.float32)})
    return store


def learned(folder):
    """The bytes of the tree."""
    (file,) = (folder / "segments").glob("*.tree")
    return file.read_bytes()


def stop_after(share):
    def progress(stage, done, total):
        if stage == "steps" and done >= share * total:
            raise Stop

    return progress


def test_a_stopped_training_goes_on_to_the_same_tree(tmp_path):
    at = tmp_path / "at"
    with made(tmp_path / "whole") as whole:
        steps = whole.train_tree(**TRAINING).spaces[0].steps
    with made(tmp_path / "stopped") as store:
        with pytest.raises(Stop):
            store.train_tree(checkpoint=at, progress=stop_after(0.5), **TRAINING)
        assert at.exists() and store.inspect().spaces[0].tree is None
        assert not list((tmp_path / "stopped" / "segments").glob("*.tree"))
        seen = []
        report = store.train_tree(checkpoint=str(at), progress=lambda *call: seen.append(call), **TRAINING)
        assert [done / total for stage, done, total in seen if stage == "steps" and done] == [1.0]
        assert report.spaces[0].steps == steps and not at.exists()
    assert learned(tmp_path / "stopped") == learned(tmp_path / "whole")


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    at = tmp_path / "at"
    with made(tmp_path / "kb") as store:
        with pytest.raises(Stop):
            store.train_tree(checkpoint=at, progress=stop_after(0.5), **TRAINING)
        for other in ({"seed": 1}, {"entropy_weight": 0.5}):
            with pytest.raises(trivium.FailedPrecondition, match="another"):
                store.train_tree(checkpoint=at, **TRAINING, **other)
        at.write_bytes(at.read_bytes()[:-9])
        with pytest.raises(trivium.DataLoss, match="at"):
            store.train_tree(checkpoint=at, **TRAINING)


def test_a_higher_entropy_weight_makes_sharper_trees(tmp_path):
    with made(tmp_path / "kb") as store:
        options = {**TRAINING, "steps": 300}
        plain, sharp = (
            store.train_tree(entropy_weight=weight, **options).spaces[0].levels[-1].entropy
            for weight in (0, 5)
        )
        assert sharp < plain
        for wrong in (-1, float("nan"), float("inf")):
            with pytest.raises(trivium.InvalidArgument, match="entropy_weight: .*, expected 0 or more"):
                store.train_tree(entropy_weight=wrong, **options)
        with pytest.raises(trivium.InvalidArgument, match="0 with use partition"):
            store.train_tree(use="partition", entropy_weight=1)
