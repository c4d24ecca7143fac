# SPDX-License-Identifier: Apache-2.0
"""Progress of long work on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO

ProgressCallback = Callable[[str, int, int], object]
"""Called as callback(stage, done, total); total is 0 where it is not known."""


class TerminalProgress:
    """One line that is written over, at most ten times a second; silent where `stream` is no terminal."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._active = self._stream.isatty()
        self._stage = ""
        self._next_time = 0.0

    def __call__(self, stage: str, done: int, total: int) -> None:
        if not self._active:
            return
        now = time.monotonic()
        if stage == self._stage and now < self._next_time and done != total:
            return
        if stage != self._stage and self._stage:
            self._stream.write("\n")
        self._stage, self._next_time = stage, now + 0.1
        share = f"{done}/{total} ({100 * done // total} %)" if total else str(done)
        self._stream.write(f"\r{stage} {share}\x1b[K")
        self._stream.flush()

    def close(self) -> None:
        """Ends the line."""
        if self._active and self._stage:
            self._stream.write("\n")
            self._stream.flush()
