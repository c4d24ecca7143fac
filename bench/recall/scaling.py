# SPDX-License-Identifier: Apache-2.0
"""How the speed falls as the set grows: one Markdown table from the results of several sizes.

Usage: scaling.py RESULT.json...
"""

from __future__ import annotations

import argparse
import json
import pathlib
from typing import Any

from report import is_ours, table


def scaling_table(results: list[dict[str, Any]], kind: str, target: str) -> str:
    """A row a contender: queries per second at the target for each size, and the last over the first."""
    ordered = sorted(results, key=lambda result: result["dataset"]["rows"])
    names = list(dict.fromkeys(name for result in ordered for name in result["contenders"]))
    rows = []
    for name in names:
        speeds = [
            result["results"].get(kind, {}).get(target, {}).get(name, {}).get("qps") for result in ordered
        ]
        if not any(speeds):
            continue
        kept = f"{speeds[-1] / speeds[0]:.2f}" if speeds[0] and speeds[-1] else "-"
        cells = [f"{speed:,.0f}" if speed else "-" for speed in speeds]
        rows.append([f"**{name}**" if is_ours(name) else name, *cells, kept])
    sizes = [f"{result['dataset']['rows']:,} rows" for result in ordered]
    return table(["contender", *sizes, "last / first"], rows)


def markdown(results: list[dict[str, Any]], target: str = "0.95") -> str:
    kinds = dict.fromkeys(kind for result in results for kind in result["results"])
    parts = [
        f"## {kind.capitalize()}: QPS at recall {target}\n\n{scaling_table(results, kind, target)}"
        for kind in kinds
    ]
    return "\n".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=pathlib.Path, nargs="+", metavar="RESULT.json")
    parser.add_argument("--target", default="0.95", choices=["0.90", "0.95", "0.99"])
    options = parser.parse_args()
    print(markdown([json.loads(path.read_text()) for path in options.results], options.target), end="")


if __name__ == "__main__":
    main()
