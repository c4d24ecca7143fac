# SPDX-License-Identifier: Apache-2.0
"""Dispatch over 17 text collections, from the shell's side: build, train, evaluate.

One expert a collection, one space (MiniLM, 384-d), no adapters: shape S3. Trained on the train judgements,
reported once on the test judgements. Workload, in order:

  build           17 partitions with ready vectors; seconds, peak memory beside the raw vectors
  train           `trivium train dispatch`; seconds
  evaluate all    every partition, merged by score
  evaluate auto   what the trained store does by itself, with --compare: every router, fusions, oracles

Usage: dispatch_benchmark.py --binary build/release/bin/trivium --output build/bench/dispatch.json
Data: $TRIVIUM_DATA, or ../shared/data beside the repository.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def data_directory():
    return pathlib.Path(os.environ.get("TRIVIUM_DATA", ROOT.parent / "shared" / "data"))


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
        sys.exit(f"dispatch_benchmark: {' '.join(map(str, command[:3]))}: exit {process.returncode}")
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


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/release/bin/trivium")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "build/bench/dispatch.json")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=pathlib.Path, help="leave the store there")
    options = parser.parse_args()
    data = data_directory()
    if not (data / "retrieval").is_dir():
        sys.exit(
            f"dispatch_benchmark: data: {data}, expected the collections of shared/data (set TRIVIUM_DATA)"
        )
    names = sorted(
        path.name for path in (data / "retrieval").iterdir() if (path / "corpus.jsonl.gz").exists()
    )
    work = pathlib.Path(tempfile.mkdtemp(prefix="trivium-bench-"))
    store = options.keep or work / "store"
    try:
        command = [options.binary, "build", store, "--json"]
        for name in names:
            command += ["--corpus", f"{name}={data / 'retrieval' / name / 'corpus.jsonl.gz'}"]
            command += ["--vectors", f"{name}={data / 'embeddings/minilm-384' / name}.documents.npy"]
        _, build_seconds, build_peak = run(command)
        inspected = json.loads(run([options.binary, "inspect", store, "--json"])[0])
        text, train_seconds, train_peak = run(
            [
                options.binary,
                "train",
                "dispatch",
                store,
                "--json",
                "--seed",
                options.seed,
                *query_arguments(data, names, "train"),
            ]
        )
        training = json.loads(text)
        test = query_arguments(data, names, "test")
        everything = json.loads(
            run([options.binary, "evaluate", store, "--json", "--experts", "all", *test])[0]
        )
        auto = json.loads(
            run([options.binary, "evaluate", store, "--json", "--experts", "auto", "--compare", *test])[0]
        )
    finally:
        shutil.rmtree(work, ignore_errors=True)
    raw_bytes = inspected["documents"] * 384 * 4
    report = {
        "benchmark": "dispatch",
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": {"processor": processor(), "cores": os.cpu_count(), "kernels": inspected.get("kernels")},
        "seed": options.seed,
        "collections": names,
        "documents": inspected["documents"],
        "build": {
            "seconds": build_seconds,
            "peak_bytes": build_peak,
            "raw_vector_bytes": raw_bytes,
            "peak_over_raw": build_peak / raw_bytes,
        },
        "train": {"seconds": train_seconds, "peak_bytes": train_peak, "report": training},
        "evaluate": {"all": everything, "auto": auto},
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(
        f"documents {report['documents']}, build {build_seconds:.1f} s, peak {build_peak / raw_bytes:.2f} x raw vectors, "
        f"train {train_seconds:.1f} s"
    )
    print(f"{'answer':<18}{'nDCG@10':>9}{'experts/query':>15}{'distances/query':>17}")
    for name, row in (("--experts all", everything["macro"]), ("--experts auto", auto["macro"])):
        print(
            f"{name:<18}{row['ndcg@10']:>9.4f}{row['experts_per_query']:>15.2f}"
            f"{row['distance_computations_per_query']:>17.0f}"
        )
    print("what else could answer (--compare):")
    for row in auto["macro"]["compare"]:
        print(
            f"  {row['name']:<16}{row['ndcg@10']:>9.4f}{row['experts_per_query']:>15.2f}"
            f"{row['distance_computations_per_query']:>17.0f}"
        )
    print(f"written: {options.output}")


if __name__ == "__main__":
    main()
