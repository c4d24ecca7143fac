# SPDX-License-Identifier: Apache-2.0
"""Serves a text encoder over a pair of pipes, so that any program can use it.

In, one JSON object a line::

    {"kind": "query" | "document", "text": "..."}

Out, one frame a line, in order, little-endian::

    u32 dimension > 0   dimension x float32
    u32 0               u32 length   length bytes of UTF-8: why this line has no vector

A bad line costs its own frame and nothing else. Lines are encoded together as far as they are there already;
a line that stands alone is answered at once. Ends when its input ends.
"""

from __future__ import annotations

import json
import os
import queue
import struct
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import numpy as np

    Encode = Callable[[list[str], Any], np.ndarray]

# A batch is the grain of the client's progress bar: about two seconds of passages.
_LINES_PER_BATCH = 128
# Read ahead this far, so that a client may write many lines before it reads its first frame.
_LINES_READ_AHEAD = 65536


def serve(encode: Encode, source: BinaryIO, sink: BinaryIO) -> None:
    """Answers every line of ``source`` with a frame on ``sink``; returns at the end of ``source``.

    Args:
      encode: ``encode(texts, kind)`` returns an array of len(texts) x dimension floats.
    """
    lines: queue.Queue[bytes | None] = queue.Queue(_LINES_READ_AHEAD)

    def read() -> None:
        try:
            for line in source:
                lines.put(line)
        finally:
            lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    is_open = True
    while is_open:
        batch: list[bytes] = []
        line = lines.get()
        while line is not None:
            batch.append(line)
            if len(batch) == _LINES_PER_BATCH or lines.empty():
                break
            line = lines.get()
        is_open = line is not None
        sink.write(b"".join(_frames(encode, batch)))
        sink.flush()


def serve_stdio(encode: Encode) -> int:
    """Serves on stdin and stdout and returns the exit code."""
    # What a library prints must not end up between the frames.
    with os.fdopen(os.dup(1), "wb") as sink:
        os.dup2(2, 1)
        try:
            serve(encode, sys.stdin.buffer, sink)
        except KeyboardInterrupt:
            return 130
        except BrokenPipeError:  # the client has gone: nobody is left to tell
            os.dup2(os.open(os.devnull, os.O_WRONLY), sink.fileno())
            return 1
    return 0


def _frames(encode: Encode, lines: Sequence[bytes]) -> list[bytes]:
    frames = [b""] * len(lines)
    rows_by_kind: dict[str, list[int]] = {"query": [], "document": []}
    texts = [""] * len(lines)
    for row, line in enumerate(lines):
        try:
            kind, texts[row] = _parse(line)
            rows_by_kind[kind].append(row)
        except ValueError as error:
            frames[row] = _error_frame(str(error))
    for kind, rows in rows_by_kind.items():
        if not rows:
            continue
        try:
            vectors = encode([texts[row] for row in rows], kind)
            answers = [_vector_frame(vector) for vector in vectors]
            if len(answers) != len(rows):
                raise ValueError(f"{len(answers)} vectors, expected {len(rows)}")
        except Exception as error:  # whatever an encoder raises belongs to these lines, not to the next
            answers = [_error_frame(f"{type(error).__name__}: {error}")] * len(rows)
        for row, answer in zip(rows, answers):
            frames[row] = answer
    return frames


def _parse(line: bytes) -> tuple[str, str]:
    try:
        request = json.loads(line)
    except RecursionError:
        raise ValueError("line: too deeply nested, expected a JSON object") from None
    except ValueError as error:
        raise ValueError(f"line: {error}, expected a JSON object") from None
    if not isinstance(request, dict):
        raise ValueError(f"line: {type(request).__name__}, expected a JSON object")
    kind, text = request.get("kind"), request.get("text")
    if kind not in ("query", "document"):
        raise ValueError(f'kind: {json.dumps(kind)[:80]}, expected "query" or "document"')
    if not isinstance(text, str):
        raise ValueError(f"text: {type(text).__name__}, expected a string")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("text: half of a surrogate pair, expected valid Unicode") from None
    return kind, text


def _vector_frame(vector: np.ndarray) -> bytes:
    return struct.pack("<I", len(vector)) + vector.astype("<f4").tobytes()


def _error_frame(message: str) -> bytes:
    text = message.encode(errors="replace")
    return struct.pack("<II", 0, len(text)) + text
