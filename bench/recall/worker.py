# SPDX-License-Identifier: Apache-2.0
"""A contender in a process of its own, pinned, told what to do over a pipe."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import pathlib
import signal
import tempfile
from typing import Any

# Every library that starts threads by itself reads one of these when it is loaded.
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


class WorkerFailed(Exception):
    """The command failed, timed out, or the process ended; the text is one line for the report."""


class WorkerTimedOut(WorkerFailed):
    """The command took longer than it may; the process was ended."""


def serve(connection: multiprocessing.connection.Connection, name: str, cores: list[int], log: str) -> None:
    """The child: answers commands until the pipe closes."""
    os.sched_setaffinity(0, cores)
    file = os.open(log, os.O_WRONLY | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    session = None
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:
            return
        try:
            if session is None:
                from session import Session

                session = Session(name)
            answer = (True, getattr(session, method)(*arguments))
        except Exception as error:
            text = " ".join(str(error).split()) or type(error).__name__
            answer = (False, text[:300])
        connection.send(answer)


class Worker:
    """Starts the process; use as a context manager or call `close`."""

    def __init__(self, name: str, cores: list[int], threads: int) -> None:
        self.name = name
        handle, log = tempfile.mkstemp(prefix=f"bench-{name}-", suffix=".log")
        os.close(handle)
        self.log = pathlib.Path(log)
        kept = {variable: os.environ.get(variable) for variable in THREAD_VARIABLES}
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
        try:
            context = multiprocessing.get_context("spawn")
            self.connection, theirs = context.Pipe()
            self.process = context.Process(target=serve, args=(theirs, name, cores, log), daemon=True)
            self.process.start()
            theirs.close()
        finally:
            for variable, value in kept.items():
                os.environ.pop(variable) if value is None else os.environ.update({variable: value})

    def call(self, method: str, *arguments: Any, timeout: float | None = None) -> Any:
        """The answer of Session.METHOD. Raises WorkerFailed."""
        try:
            self.connection.send((method, arguments))
            if not self.connection.poll(timeout):
                self.close()
                raise WorkerTimedOut(f"{method} took longer than {timeout:.0f} s")
            done, answer = self.connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise WorkerFailed(self.last_words(method)) from None
        if not done:
            raise WorkerFailed(answer)
        return answer

    def last_words(self, method: str) -> str:
        """How the process ended, and the last line that it printed."""
        self.process.join(10)
        code = self.process.exitcode
        how = f"by {signal.Signals(-code).name}" if code is not None and code < 0 else f"with status {code}"
        lines = self.log.read_text(errors="replace").split("\n") if self.log.exists() else []
        said = [line.strip() for line in lines if line.strip() and not line.startswith(("Traceback", " "))]
        return f"process ended {how} in {method}" + (f": {said[-1][:200]}" if said else "")

    def close(self) -> None:
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.connection.close()
        self.log.unlink(missing_ok=True)

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
