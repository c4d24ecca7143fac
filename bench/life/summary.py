# SPDX-License-Identifier: Apache-2.0
"""The Markdown of a result of life_benchmark.py, made from its JSON file alone."""

from __future__ import annotations

import json
import pathlib
from typing import Any

from report import table


def verdicts(result: dict[str, Any]) -> str:
    rows = []
    for name, section in result["sections"].items():
        if "failed" in section:
            rows.append([name, f"could not run: {section['failed']}", "", "", "failed"])
        for check in section.get("checks", []):
            rows.append([name, check["what"], check["figure"], check["requirement"], check["verdict"]])
    return table(["section", "what", "figure", "requirement", ""], rows)


def markdown(result: dict[str, Any]) -> str:
    data, machine = result["dataset"], result["machine"]
    counted = [f"{kind} {count:,}" for kind, count in data["queries"].items()]
    installed = [f"{name} {version}" for name, version in result["versions"].items() if version]
    text = f"# {result.get('title', 'Life of a graph index')} on {data['name']}\n\n"
    text += f"{data['rows']:,} x {data['dimension']} of {data['domains']} domains: {data['description']}.\n"
    text += f"{machine['cpu']}, {machine['cores']} cores, {' '.join(machine['caches'].values())} caches; "
    text += f"trivium kernels {machine['trivium_kernels']}, commit {machine['commit']}, {machine['when']}, "
    text += f"load {machine['load_average']:.1f} at the start, {result['seconds']:.0f} s.\n"
    text += (
        f"Test queries: {', '.join(counted)}; recall@10; [95 % bootstrap interval]; seed {result['seed']}.\n"
    )
    text += f"Versions: {', '.join(installed)}.\n\n{verdicts(result)}"
    text += "close: the interval holds the limit.\n"
    for name, section in result["sections"].items():
        if "failed" not in section:
            text += f"\n## {name.capitalize()} ({section['seconds']:.0f} s)\n\n{section['markdown']}"
    return text


def write(path: pathlib.Path) -> str:
    """Writes the .md beside the JSON file; returns it."""
    text = markdown(json.loads(path.read_text()))
    path.with_suffix(".md").write_text(text)
    return text
