# SPDX-License-Identifier: Apache-2.0
"""On what machine, and with which versions, was this measured?"""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import pathlib
import platform
import subprocess
from typing import Any

PACKAGES = (
    "trivium",
    "numpy",
    "rabitqlib",
    "hnswlib",
    "faiss-cpu",
    "usearch",
    "scalable-vs",
    "ngt",
    "pyvsag",
    "voyager",
    "lorann",
    "kannolo",
    "matplotlib",
)


def _cpu_model() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _cpu_flags() -> list[str]:
    told = ("sse4_2", "popcnt", "fma", "f16c", "avx", "avx2", "amx", "gfni")
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            flags = line.partition(":")[2].split()
            return sorted(
                flag for flag in flags if flag in told or flag.startswith(("avx512", "avx_", "amx"))
            )
    return []


def _caches() -> dict[str, str]:
    answer = {}
    for index in sorted(pathlib.Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        answer[f"L{level} {kind}".lower().replace("l", "L", 1)] = size
    return answer


def _text(path: str) -> str | None:
    file = pathlib.Path(path)
    return file.read_text().strip() if file.is_file() else None


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _commit() -> str | None:
    command = ["git", "-C", str(pathlib.Path(__file__).parent), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def _trivium_kernels() -> str | None:
    try:
        import trivium
    except ImportError:
        return None
    return trivium.kernel_name()


def versions() -> dict[str, str | None]:
    """Installed versions of the libraries; None for those that are absent."""
    answer: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            answer[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            answer[package] = None
    return answer


def describe() -> dict[str, Any]:
    return {
        "when": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "flags": _cpu_flags(),
        "caches": _caches(),
        "memory_bytes": _memory_bytes(),
        "huge_pages": _text("/sys/kernel/mm/transparent_hugepage/enabled"),
        "kernel": platform.release(),
        "load_average": os.getloadavg()[0],
        "trivium_kernels": _trivium_kernels(),
        "trivium_environment": {
            key: value for key, value in os.environ.items() if key.startswith("TRIVIUM_")
        },
    }
