# SPDX-License-Identifier: Apache-2.0
"""The examples are programs that work: in Python, and in C++ against an installed tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON_EXAMPLES = sorted((ROOT / "examples/python").glob("*.py"))

# What an example must print, by its name.
EXPECTED = {
    "async_service": "after writing: document-123, 1000 documents",
    "knowledge_base": "kitchen-0",
    "train_dispatch": "best router:",
    "vector_index": "recall",
}


def run(command: list[str], **options) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=600, **options)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.mark.parametrize("example", PYTHON_EXAMPLES, ids=lambda path: path.stem)
def test_python_example(example: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    output = run([sys.executable, "-W", "error", str(example)], env=environment, cwd=tmp_path)
    assert EXPECTED[example.stem] in output


@pytest.fixture(scope="module")
def cpp_examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C++ examples, built against an installed copy of the build tree; the folder of their programs."""
    build = ROOT / os.environ.get("TRIVIUM_BUILD_DIR", "build/release")
    if not (build / "CMakeCache.txt").exists() or shutil.which("cmake") is None:
        pytest.skip(f"no build tree at {build} (TRIVIUM_BUILD_DIR)")
    folder = tmp_path_factory.mktemp("cpp")
    run(["cmake", "--install", str(build), "--prefix", str(folder / "prefix")])
    run(
        ["cmake", "-S", str(ROOT / "examples/cpp"), "-B", str(folder / "build"), "-DCMAKE_BUILD_TYPE=Release"]
        + [f"-DCMAKE_PREFIX_PATH={folder / 'prefix'}"]
    )
    run(["cmake", "--build", str(folder / "build")])
    return folder / "build"


def test_cpp_knowledge_base(cpp_examples: Path, tmp_path: Path) -> None:
    program = str(cpp_examples / "knowledge_base")
    for _ in range(2):  # the second run finds the store of the first
        first_line = run([program, str(tmp_path / "kb")]).splitlines()[0]
        assert "kitchen-0" in first_line and "dough" in first_line
    refused = subprocess.run([program], capture_output=True, text=True)
    assert refused.returncode == 2 and "usage" in refused.stderr


def test_cpp_nearest_labels(cpp_examples: Path, tmp_path: Path) -> None:
    assert "label 42" in run([str(cpp_examples / "nearest_labels"), str(tmp_path / "index")])


def test_installed_headers_are_complete(cpp_examples: Path, tmp_path: Path) -> None:
    """Public headers need the standard library, Abseil and each other: nothing of ours that is private."""
    include = cpp_examples.parent / "prefix/include"
    headers = sorted(path.name for path in (include / "trivium").glob("*.h"))
    assert {"engine.h", "vector_index.h"} <= set(headers)
    source = tmp_path / "all.cc"
    source.write_text("".join(f"#include <trivium/{name}>\n" for name in headers))
    run(["c++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-I", str(include), str(source)])
