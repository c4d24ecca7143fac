# SPDX-License-Identifier: Apache-2.0
"""Built indexes and validation curves, kept between runs.

A folder of build/bench/cache/indexes belongs to one (data set, contender, library version, configuration) and holds
`about.json` (build seconds, sizes, validation curve or the reason there is none) and, while it is wanted, `index/`.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import shutil
from typing import Any

from contender import Configuration
from datasets import CACHE


def label(configuration: Configuration) -> str:
    """The configuration in one line, as the tables show it."""
    return " ".join(f"{name}={value}" for name, value in configuration.items())


class CachedIndex:
    def __init__(self, dataset_key: str, contender: str, version: str, configuration: Configuration) -> None:
        text = json.dumps([dataset_key, contender, version, configuration], sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        self.folder = CACHE / "indexes" / f"{dataset_key}-{contender}-{digest}"
        self.index = self.folder / "index"
        self.about: dict[str, Any] = {}
        if (self.folder / "about.json").is_file():
            self.about = json.loads((self.folder / "about.json").read_text())

    def empty(self) -> pathlib.Path:
        """A fresh folder to build into; it becomes `index` by `keep`."""
        place = self.folder / "partial"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        return place

    def keep(self) -> None:
        shutil.rmtree(self.index, ignore_errors=True)
        (self.folder / "partial").rename(self.index)

    def note(self, **facts: Any) -> None:
        """Adds to about.json."""
        self.about |= facts
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = self.folder / "about.json.partial"
        partial.write_text(json.dumps(self.about, indent=1) + "\n")
        partial.rename(self.folder / "about.json")

    def drop_index(self) -> None:
        """Frees the disk; facts stay."""
        shutil.rmtree(self.index, ignore_errors=True)
        shutil.rmtree(self.folder / "partial", ignore_errors=True)
