# SPDX-License-Identifier: Apache-2.0
"""A benchmark of several sections: each is a module with `run`, `checks` and `markdown`, and fails alone."""

from __future__ import annotations

import importlib
import json
import pathlib
import sys
import time
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def run_section(
    name: str, work: Any, module: Callable[[str], ModuleType] = importlib.import_module
) -> dict[str, Any]:
    """Raw figures, checks and table of the section in module `name`; or why it could not run, under `failed`."""
    start = time.monotonic()
    try:
        section = module(name)
        raw = section.run(work, say)
        return {
            "raw": raw,
            "checks": [check.to_dict() | {"verdict": check.verdict()} for check in section.checks(raw)],
            "markdown": section.markdown(raw),
            "seconds": time.monotonic() - start,
        }
    except Exception as error:  # the other sections shall run all the same
        traceback.print_exc()
        text = " ".join(str(error).split())
        say(f"{name} failed: {text}")
        return {"failed": f"{type(error).__name__}: {text}"[:300], "seconds": time.monotonic() - start}


def save(path: pathlib.Path, result: dict[str, Any]) -> None:
    path.write_text(json.dumps(result, indent=1) + "\n")
