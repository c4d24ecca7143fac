# SPDX-License-Identifier: Apache-2.0
"""Running the `trivium` command, and saying where a figure came from, for the benches of this folder."""

import datetime
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def data_directory():
    """$TRIVIUM_DATA, or shared/data beside the repository; ends the program where it is not there."""
    data = pathlib.Path(os.environ.get("TRIVIUM_DATA", ROOT.parent / "shared" / "data"))
    if not (data / "retrieval").is_dir():
        sys.exit(f"bench: data: {data}, expected the collections of shared/data (set TRIVIUM_DATA)")
    return data


def collection_names(data):
    return sorted(path.name for path in (data / "retrieval").iterdir() if (path / "corpus.jsonl.gz").exists())


def run(command):
    """Runs to the end; returns stdout, seconds and the peak resident bytes of that process."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen([str(part) for part in command], stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        text = out.read()
    if process.returncode != 0:
        sys.exit(f"bench: {' '.join(map(str, command[:3]))}: exit {process.returncode}")
    return text, seconds, usage.ru_maxrss * 1024


def query_arguments(data, names, split):
    arguments = []
    for name in names:
        folder = data / "retrieval" / name
        arguments += ["--queries", f"{name}={folder / 'queries.jsonl'}"]
        arguments += ["--qrels", f"{name}={folder / 'qrels' / split}.tsv"]
        arguments += ["--query-vectors", f"{name}={data / 'embeddings/minilm-384' / name}.queries.npy"]
    return arguments + ["--drop-self", "arguana"]


def commit():
    found = subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    )
    return found.stdout.strip() or None


def processor():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )


def origin(benchmark):
    """The first fields of every report."""
    return {
        "benchmark": benchmark,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": {"processor": processor(), "cores": os.cpu_count()},
    }


def write_report(path, report):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=1) + "\n")
