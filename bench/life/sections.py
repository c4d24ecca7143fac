# SPDX-License-Identifier: Apache-2.0
"""A benchmark of several sections: each is a module with `run`, `checks` and `markdown`, and fails alone.

Its driver chooses some of them, describes what they work on, and writes a JSON file with a table made from it.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pathlib
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import datasets


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


def add_section_options(parser: argparse.ArgumentParser, names: Iterable[str], output: pathlib.Path) -> None:
    parser.add_argument("--sections", default=",".join(names), help="comma-separated (default: %(default)s)")
    parser.add_argument("--output", type=pathlib.Path, default=output)


def chosen(parser: argparse.ArgumentParser, text: str, names: Iterable[str]) -> list[str]:
    """The sections that `--sections` names; the parser's error for others."""
    sections = text.split(",")
    if unknown := [name for name in sections if name not in names]:
        parser.error(f"--sections: '{unknown[0]}', expected some of {', '.join(names)}")
    return sections


def described(dataset: Any, domain_count: int) -> dict[str, Any]:
    """What a result says of its data set."""
    told = {name: getattr(dataset, name) for name in ("name", "key", "description", "rows", "dimension")}
    return told | {"seed": datasets.SEED, "domains": domain_count}


def run_sections(
    modules: dict[str, str],
    found: dict[str, Any],
    work: Any,
    keep: Callable[[dict[str, Any]], None],
    start: float,
) -> None:
    """Those that the options in `found` name; `keep` gets `found` after each, as far as it is."""
    for name in found["options"]["sections"]:
        say(f"section {name}")
        found["sections"][name] = run_section(modules[name], work)
        found["seconds"] = time.monotonic() - start
        keep(found)


def drive(
    path: pathlib.Path,
    run: Callable[[Callable[[dict[str, Any]], None]], dict[str, Any]],
    write: Callable[[pathlib.Path], str],
) -> None:
    """Runs and prints the table that `write` makes; ends with status 1 if a section or what it needs failed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        found = run(lambda result: save(path, result))
    except FileNotFoundError as error:
        sys.exit(f"{pathlib.Path(sys.argv[0]).stem}: {error}")
    print(write(path), end="")
    say(f"written: {path} and its .md; {found['seconds']:.0f} s")
    if any("failed" in section for section in found["sections"].values()):
        sys.exit(1)


def save(path: pathlib.Path, result: dict[str, Any]) -> None:
    path.write_text(json.dumps(result, indent=1) + "\n")
