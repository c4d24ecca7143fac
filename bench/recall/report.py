# SPDX-License-Identifier: Apache-2.0
"""The Markdown table and the plot of a result of graph_benchmark.py, made from its JSON file alone.

Usage: report.py RESULT.json...
"""

from __future__ import annotations

import argparse
import json
import pathlib
import statistics
import sys
from typing import Any

from resampling import ratio_interval


def is_ours(name: str) -> bool:
    return name.startswith("trivium")


def best_peer(line: dict[str, Any]) -> str | None:
    """The fastest contender that is neither ours nor the exact scan."""
    peers = {name: entry["qps"] for name, entry in line.items() if not is_ours(name) and name != "exact"}
    return max(peers, key=lambda name: peers[name]) if peers else None


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; the first column is text, the others are figures."""
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def ratio_text(above: dict[str, Any], below: dict[str, Any], seed: int) -> str:
    interval = ratio_interval(above["qps_by_round"], below["qps_by_round"], seed)
    return f"{interval['ratio']:.2f} [{interval['low']:.2f}, {interval['high']:.2f}]"


def speed_table(result: dict[str, Any], kind: str) -> str:
    """Queries per second at each target, with the ratio to the reference and for ours to the best peer."""
    targets = result["results"][kind]
    reference, seed = result["reference"], result["seed"]
    header = ["contender"]
    for target in targets:
        header += [f"QPS at {target}", f"x {reference}", "x best peer"]
    rows = []
    for name, facts in result["contenders"].items():
        if facts["status"] != "ran":
            continue
        cells = [f"**{name}**" if is_ours(name) else name]
        for line in targets.values():
            entry, peer = line.get(name), best_peer(line)
            if entry is None:
                cells += ["not reached", "", ""]
                continue
            cells.append(f"{entry['qps']:,.0f}{'*' if entry['always_above'] else ''}")
            cells.append(ratio_text(entry, line[reference], seed) if reference in line else "")
            cells.append(ratio_text(entry, line[peer], seed) if peer and is_ours(name) else "")
        rows.append(cells)
    return table(header, rows)


def best_peer_lines(result: dict[str, Any], kind: str) -> str:
    said = [
        f"{target} {best_peer(line)} ({line[best_peer(line)]['configuration']})"
        for target, line in result["results"][kind].items()
        if best_peer(line)
    ]
    return f"Best peer at {'; '.join(said)}.\n" if said else ""


def measured(facts: dict[str, Any]) -> dict[str, Any]:
    return {label: one for label, one in facts.get("configurations", {}).items() if "test" in one}


def cost_table(result: dict[str, Any], kind: str) -> str:
    """Build, memory, load, latency and call overhead of every configuration that was measured."""
    rows_of_base = result["dataset"]["rows"]
    header = [
        "contender",
        "configuration",
        "build s, 1 / 2 threads",
        "stored B / vector",
        "resident B / vector",
        "own figure B / vector",
        "load s",
        f"p50 / p99 us ({kind}, 0.95)",
        "empty call us",
    ]
    rows = []
    for name, facts in result["contenders"].items():
        for label, one in measured(facts).items():
            seconds, latency = one["build_seconds"], one["test"].get(kind, {}).get("latency")
            overhead = facts.get("overhead", {}).get("microseconds")
            own = one["load"]["library_bytes"]
            rows.append(
                [
                    name,
                    label,
                    " / ".join(f"{seconds[each]:.1f}" if each in seconds else "-" for each in ("1", "2")),
                    f"{one['stored_bytes'] / rows_of_base:,.0f}",
                    f"{one['load']['resident_bytes'] / rows_of_base:,.0f}",
                    f"{own / rows_of_base:,.0f}" if own else "-",
                    f"{one['load']['seconds']:.2f}",
                    f"{latency['p50_us']:.0f} / {latency['p99_us']:.0f}" if latency else "-",
                    f"{overhead:.1f}" if overhead is not None else "-",
                ]
            )
    return table(header, rows)


def absences(result: dict[str, Any]) -> str:
    lines = []
    for name, facts in result["contenders"].items():
        if facts["status"] != "ran":
            lines.append(f"- {name} did not run: {facts['reason']}\n")
            continue
        for label, one in facts["configurations"].items():
            if one.get("refused"):
                lines.append(f"- {name} with {label} did not compete: {one['refused']}\n")
        if facts.get("note"):
            lines.append(f"- {name}: {facts['note']}\n")
        if not facts["batch_call"] and "loop" not in facts.get("note", ""):
            lines.append(f"- {name}: called in a loop\n")
    return "".join(lines)


def disturbed(result: dict[str, Any]) -> str:
    """Says how many timed calls had to share their processor, so that a noisy run shows."""
    shares = [
        share
        for facts in result["contenders"].values()
        for one in measured(facts).values()
        for test in one["test"].values()
        for point in test["points"]
        for share in point.get("processor_share", [])
    ]
    low = sum(share < 0.98 for share in shares)
    return f"{low} of {len(shares)} timed calls got less than 98 % of their processor.\n"


def markdown(result: dict[str, Any]) -> str:
    data, machine, versions = result["dataset"], result["machine"], result["versions"]
    options = result["options"]
    kinds = list(result["results"])
    text = f"# Graph search on {data['name']}\n\n"
    text += f"{data['rows']:,} x {data['dimension']}, {data['metric']}: {data['description']}.\n"
    text += f"{machine['cpu']}, {machine['cores']} cores, {' '.join(machine['caches'].values())} caches; "
    text += f"trivium kernels {machine['trivium_kernels']}, commit {machine['commit']}, {machine['when']}.\n"
    text += (
        f"One thread, pinned; {options['rounds']} rounds of {options['chunk']} queries a call; recall@10; "
    )
    text += "medians over rounds; [95 % bootstrap interval, paired by round].\n"
    counted = [f"{kind} {count['test']:,}" for kind, count in data["queries"].items()]
    text += disturbed(result)
    text += "*: recall is above the target even at the contender's fastest search parameters.\n"
    text += f"Test queries: {', '.join(counted)}.\n"
    installed = [f"{name} {version}" for name, version in versions.items() if version]
    text += f"Versions: {', '.join(installed)}.\n"
    for kind in kinds:
        text += f"\n## {kind.capitalize()}\n\n{speed_table(result, kind)}\n{best_peer_lines(result, kind)}"
    if kinds:
        text += f"\n## Cost\n\n{cost_table(result, kinds[0])}"
    notes = absences(result)
    return text + (f"\n## Notes\n\n{notes}" if notes else "")


def plot(result: dict[str, Any], path: pathlib.Path) -> None:
    """PNG and SVG: a panel a kind, recall against median queries per second."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "trivium"
    from matplotlib import pyplot

    kinds = list(result["results"])
    figure, panels = pyplot.subplots(1, len(kinds), figsize=(6 * len(kinds), 5.5), squeeze=False, sharey=True)
    colours = matplotlib.colormaps["tab20"]
    for panel, kind in zip(panels[0], kinds):
        for number, (name, facts) in enumerate(result["contenders"].items()):
            for order, one in enumerate(measured(facts).values()):
                points = one["test"].get(kind, {}).get("points", [])
                line = sorted((point["recall"], statistics.median(point["qps"])) for point in points)
                panel.plot(
                    [recall for recall, _ in line],
                    [speed for _, speed in line],
                    marker="o" if is_ours(name) else ".",
                    linewidth=2.5 if is_ours(name) else 1,
                    color=colours(number % 20),
                    linestyle="-" if number < 20 else "--",
                    label=name if order == 0 else None,
                )
        panel.set(title=kind, xlabel="recall@10", yscale="log", xlim=(0.85, 1.001))
        panel.grid(True, which="both", alpha=0.3)
    panels[0][0].set_ylabel("queries per second, one thread")
    handles, labels = panels[0][0].get_legend_handles_labels()
    data = result["dataset"]
    figure.legend(handles, labels, loc="outside right center", fontsize="small")
    figure.suptitle(f"{data['name']}: {data['rows']:,} x {data['dimension']}, {result['machine']['cpu']}")
    figure.set_layout_engine("constrained")
    for suffix in (".png", ".svg"):
        figure.savefig(
            path.with_suffix(suffix), dpi=110, metadata={"Date": None} if suffix == ".svg" else None
        )
    pyplot.close(figure)


def write(path: pathlib.Path) -> str:
    """Writes the .md, .png and .svg beside the JSON file; returns the Markdown."""
    result = json.loads(path.read_text())
    text = markdown(result)
    path.with_suffix(".md").write_text(text)
    try:
        plot(result, path)
    except ImportError as error:
        print(f"report: no plot: {error}", file=sys.stderr)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=pathlib.Path, nargs="+", metavar="RESULT.json")
    for path in parser.parse_args().results:
        print(write(path), end="")


if __name__ == "__main__":
    main()
