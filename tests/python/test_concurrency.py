# SPDX-License-Identifier: Apache-2.0
"""Threads, asyncio, progress, interrupts, other processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import trivium
from support import make_collection

SRC_PATHS = os.pathsep.join(path for path in sys.path if path)


def run_python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `code` in another process with the same package."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": SRC_PATHS},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_async_twins_give_the_same_answers(tmp_path: Path, rng: np.random.Generator) -> None:
    data = make_collection(rng, 60, 8)
    qrels = [{id: 1} for id in data.ids]

    async def work() -> None:
        with trivium.open(tmp_path / "kb") as store:
            store.add_space("s", 8)
            store.add_expert("e", "s")
            assert (await store.aupsert(data.ids, data.vectors, data.texts)).written == 60
            assert (await store.abuild()).rows_sealed == 60
            hits, batch = await asyncio.gather(
                store.asearch(data.vectors[3], k=2), store.asearch_batch(data.vectors[:5], k=1)
            )
            assert hits.ids[0] == "d3" and batch.ids == [[id] for id in data.ids[:5]]
            assert (await store.aevaluate(data.vectors, qrels)).macro.ndcg_at_10 == 1
            assert (await store.atrain_dispatch(data.vectors, qrels)).queries == 60
            assert await store.adelete(ids=["d0"]) == 1
            assert await store.acount() == 59
            documents = await store.aget(["d1", "d0"])
            assert documents[0] is not None and documents[1] is None
            await store.acompact()
            await store.averify()
            await store.asnapshot(tmp_path / "copy")
            with pytest.raises(trivium.InvalidArgument):
                await store.asearch(data.vectors[3], k=0)
            await store.aclose()

    asyncio.run(work())


def test_event_loop_runs_while_the_engine_works(tmp_path: Path, rng: np.random.Generator) -> None:
    """A build of a second or so on a worker thread must leave the loop and its timers alone."""
    data = make_collection(rng, 4000, 64)

    async def work() -> int:
        ticks = 0
        with trivium.open(tmp_path / "kb") as store:
            store.add_space("s", 64)
            await store.aupsert(data.ids, data.vectors)
            build = asyncio.create_task(store.abuild(threads=1))  # type: ignore[arg-type]
            while not build.done():
                await asyncio.sleep(0.002)
                ticks += 1
            await build
        return ticks

    assert asyncio.run(work()) >= 5


def test_threads_search_at_the_same_time(tmp_path: Path, rng: np.random.Generator) -> None:
    """While one thread is inside the engine another one gets the GIL: searches overlap a long batch."""
    data = make_collection(rng, 3000, 64)
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("s", 64)
        store.add_expert("e", "s")
        store.upsert(data.ids, data.vectors)
        queries = np.tile(data.vectors, (3, 1))
        spans: dict[str, tuple[float, float]] = {}

        def batch() -> None:
            start = time.monotonic()
            store.search_batch(queries, k=10, index="exact")
            spans["batch"] = (start, time.monotonic())

        thread = threading.Thread(target=batch)
        thread.start()
        ends = []
        while thread.is_alive():
            assert store.search(data.vectors[7], k=1).ids == ["d7"]
            ends.append(time.monotonic())
        thread.join()
        start, end = spans["batch"]
        overlapping = [moment for moment in ends if start < moment < end]
        assert len(overlapping) >= 3, (len(overlapping), end - start)


def test_many_threads_read_and_write(tmp_path: Path, rng: np.random.Generator) -> None:
    data = make_collection(rng, 400, 16)
    failures: list[BaseException] = []
    with trivium.open(tmp_path / "kb", durability="async") as store:
        store.add_space("s", 16)
        store.add_expert("e", "s")
        store.upsert(data.ids[:100], data.vectors[:100])

        def write(part: int) -> None:
            for row in range(100 * part, 100 * part + 100, 20):
                store.upsert(data.ids[row : row + 20], data.vectors[row : row + 20], partition=f"p{part}")

        def read() -> None:
            for row in range(60):
                assert store.search(data.vectors[row], k=1).ids == [f"d{row}"]
                assert store.get(f"d{row}", partition="main") is not None

        def guarded(work, *arguments) -> None:
            try:
                work(*arguments)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=guarded, args=(write, part)) for part in (1, 2, 3)]
        threads += [threading.Thread(target=guarded, args=(read,)) for _ in range(3)]
        threads.append(threading.Thread(target=guarded, args=(store.build,)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert store.count() == 400


def test_progress_callable_sees_the_work(tmp_path: Path, rng: np.random.Generator) -> None:
    data = make_collection(rng, 1500, 16)
    seen: list[tuple[str, int, int]] = []
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("s", 16)
        store.upsert(data.ids, data.vectors, progress=lambda *event: seen.append(event))
        store.build(progress=lambda *event: seen.append(event))
    assert "build" in {stage for stage, _, _ in seen}
    for stage, done, total in seen:
        assert isinstance(stage, str) and (total == 0 or 0 <= done <= total)


def test_progress_true_is_silent_in_a_pipe(store: trivium.Store, capfd: pytest.CaptureFixture[str]) -> None:
    store.build(progress=True)
    assert capfd.readouterr() == ("", "")


def test_progress_true_draws_on_a_terminal() -> None:
    from trivium._progress import TerminalProgress

    class Terminal:
        text = ""

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> None:
            self.text += text

        def flush(self) -> None:
            pass

    terminal = Terminal()
    bar = TerminalProgress(terminal)  # type: ignore[arg-type]
    bar("build", 1, 4)
    bar("build", 4, 4)
    bar("write", 7, 0)
    bar.close()
    assert "\rbuild 1/4 (25 %)" in terminal.text and "\rbuild 4/4 (100 %)" in terminal.text
    assert terminal.text.endswith("\n") and "\rwrite 7" in terminal.text


def test_exception_of_a_progress_callback_stops_the_build(tmp_path: Path, rng: np.random.Generator) -> None:
    class Enough(Exception):
        pass

    def stop(stage: str, done: int, total: int) -> None:
        raise Enough(stage)

    data = make_collection(rng, 1500, 16)
    with trivium.open(tmp_path / "kb") as store:
        store.add_space("s", 16)
        store.add_expert("e", "s")
        store.upsert(data.ids, data.vectors)
        with pytest.raises(Enough):
            store.build(progress=stop)
        assert store.inspect().vector_sets[0].unsealed == 1500
        assert store.search(data.vectors[9], k=1).ids == ["d9"]
        assert store.build().rows_sealed == 1500


@pytest.fixture
def interruptible():
    """Ctrl-C works in this process even where whoever started it ignores SIGINT, as a shell's `&` does."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_stops_a_build(tmp_path: Path, rng: np.random.Generator, interruptible) -> None:
    data = make_collection(rng, 30_000, 64)
    with trivium.open(tmp_path / "kb", durability="async") as store:
        store.add_space("s", 64)
        store.upsert(data.ids, data.vectors)
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        start = time.monotonic()
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            store.build(threads=1)
        assert time.monotonic() - start < 10
        assert store.inspect().vector_sets[0].unsealed == 30_000


def test_second_process_meets_the_lock(store: trivium.Store) -> None:
    code = """
import sys, trivium
try:
    trivium.open(sys.argv[1])
except trivium.StoreLocked as error:
    print("locked:", error)
"""
    result = run_python(code, store.path)
    assert result.stdout.startswith("locked:") and "\n" not in result.stdout.strip(), result.stderr
    assert store.count() == 200


def test_second_writer_of_the_same_process_meets_the_lock(store: trivium.Store) -> None:
    with pytest.raises(trivium.StoreLocked):
        trivium.open(store.path)


def test_lock_ends_with_the_process_that_held_it(tmp_path: Path) -> None:
    code = """
import os, sys, signal, trivium
store = trivium.open(sys.argv[1])
store.upsert(["a"], texts=["written"])
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert run_python(code, str(tmp_path / "kb")).returncode == -signal.SIGKILL
    with trivium.open(tmp_path / "kb") as store:
        document = store.get("a")
        assert document is not None and document.text == "written"


def test_reader_beside_a_writer_sees_new_documents_after_refresh(store: trivium.Store, collection) -> None:
    with (
        trivium.open(store.path, read_only=True) as reader,
        trivium.open(store.path, read_only=True) as other,
    ):
        assert reader.count() == 200
        store.upsert(["new"], -collection.vectors[:1], ["fresh"])
        assert reader.get("new") is None
        reader.refresh()
        document = reader.get("new")
        assert document is not None and document.text == "fresh"
        assert reader.search(-collection.vectors[0], k=1).ids == ["new"]
        store.build()
        store.delete(ids=["new"])
        reader.refresh()
        assert reader.get("new") is None and reader.count() == 200
        assert reader.search(collection.vectors[8], k=1).ids == ["d8"]
        assert other.count() == 200 and other.get("new") is None


def test_reader_in_another_process_beside_the_writer(store: trivium.Store) -> None:
    code = """
import sys, trivium
with trivium.open(sys.argv[1], read_only=True) as reader:
    print(reader.count(), reader.get("d4").text)
"""
    result = run_python(code, store.path)
    assert result.stdout == "200 text d4\n", result.stderr


def test_interpreter_ends_cleanly_with_an_open_store(tmp_path: Path) -> None:
    code = """
import sys, threading, trivium
store = trivium.open(sys.argv[1], encoders={"e": lambda texts, kind: None})
store.add_space("s", 4, encoder="e")
store.upsert(["a"], [[1.0, 2.0, 3.0, 4.0]])
hits = store.search([1.0, 0.0, 0.0, 0.0])
"""
    result = run_python(code, str(tmp_path / "kb"))
    assert (result.returncode, result.stderr) == (0, ""), result
