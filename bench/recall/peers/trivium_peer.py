# SPDX-License-Identifier: Apache-2.0
"""Trivium's own graph index, in its three profiles."""

from __future__ import annotations

import hashlib
import pathlib

import numpy as np
from contender import Configuration, Contender, Knob, Unavailable, beams

import trivium


class _Trivium(Contender):
    distribution = "trivium"
    profile = ""

    def configurations(self, rows: int, dimension: int, metric: str) -> list[Configuration]:
        return [{"profile": self.profile}]

    def ladders(self, configuration: Configuration) -> list[list[Knob]]:
        return [[{"beam_width": width} for width in beams()]]

    def build(
        self, base: np.ndarray, metric: str, configuration: Configuration, threads: int, folder: pathlib.Path
    ) -> None:
        metric = {"cosine": "cosine", "l2": "squared_l2"}[metric]
        options = {"dimension": base.shape[1], "metric": metric, "threads": threads}
        try:
            self.index = trivium.VectorIndex(**options, profile=self.profile)
        except TypeError as error:
            if "profile" not in str(error):
                raise
            if self.profile != "speed":
                raise Unavailable("this build of trivium has no profiles") from None
            self.index = trivium.VectorIndex(**options)
        self.index.add(np.arange(len(base), dtype=np.uint64), np.ascontiguousarray(base))

    def save(self, folder: pathlib.Path) -> None:
        self.index.save(folder / "index")

    def load(self, folder: pathlib.Path, dimension: int, metric: str, configuration: Configuration) -> None:
        self.index = trivium.VectorIndex.load(folder / "index", threads=1)

    def set_knob(self, knob: Knob) -> None:
        self.beam_width = knob["beam_width"]

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        return self.index.search_batch(
            queries, k=k, threads=1, index="graph", beam_width=max(self.beam_width, k)
        ).labels

    def memory_bytes(self) -> int | None:
        parts = getattr(self.index, "memory_bytes", lambda: None)()
        return sum(parts.values()) if parts else None

    def fingerprint(self) -> str:
        extension = pathlib.Path(trivium.__file__).parent.glob("_trivium*.so")
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(extension)))
        return f"{trivium.__version__}-{digest.hexdigest()[:12]}"


class TriviumSpeed(_Trivium):
    profile = "speed"


class TriviumBalanced(_Trivium):
    profile = "balanced"


class TriviumSmall(_Trivium):
    profile = "small"
