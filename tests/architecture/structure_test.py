# SPDX-License-Identifier: Apache-2.0
"""The structure that ARCHITECTURE.md promises, checked on the files themselves.

Run by ctest as `structure_test.py TEST COMPILER`; every test is a ctest test of its own.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What each folder's files may include, by the first part of the path in quotes.
ALLOWED = {
    "base": {"base"},
    "kernels": {"base", "kernels"},
    "storage": {"base", "storage"},
    "index": {"base", "kernels", "storage", "index"},
    "routing": {"base", "kernels", "storage", "index", "routing"},
    "api": {"base", "kernels", "storage", "index", "routing", "api", "trivium"},
    "api/cli": {"api/cli", "trivium"},
    "api/include": {"trivium"},
    "python": {"python", "bindings", "trivium"},
}
LIBRARIES = {"absl", "nlohmann", "CLI", "faiss", "hnswlib", "rocksdb", "pybind11"}
QUOTED = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
ANY = re.compile(r'^\s*#\s*include\s+[<"]([^>"]+)[>"]', re.M)


def sources(folder):
    skip = {"api": ("cli", "include")}.get(folder, ())
    for path in sorted((ROOT / folder).rglob("*")):
        if path.suffix in {".h", ".cc"} and path.relative_to(ROOT / folder).parts[0] not in skip:
            yield path


def includes_point_downward():
    for folder, allowed in ALLOWED.items():
        for path in sources(folder):
            for name in QUOTED.findall(path.read_text()):
                own_folder = (path.parent / name).exists()
                first = name.split("/")[0]
                known = first in LIBRARIES or own_folder or any(name.startswith(a + "/") for a in allowed)
                if not known:
                    yield f"{path.relative_to(ROOT)}: includes {name}, expected only {sorted(allowed)}"


def public_headers_name_no_library_types():
    ok = re.compile(r"^(trivium/|absl/(status|types/span)|[a-z_]+$)")
    for path in sources("api/include"):
        for name in ANY.findall(path.read_text()):
            if not ok.match(name):
                yield f"{path.relative_to(ROOT)}: includes {name}, expected std, absl/status or absl/types/span"


def public_headers_compile_alone(compiler):
    for path in sources("api/include"):
        name = path.relative_to(ROOT / "api/include")
        with tempfile.NamedTemporaryFile("w", suffix=".cc") as unit:
            unit.write(f'#include "{name}"\n#include "{name}"\n')
            unit.flush()
            done = subprocess.run(
                [
                    compiler,
                    "-std=c++20",
                    "-fsyntax-only",
                    "-Wall",
                    "-Wextra",
                    "-Werror",
                    f"-I{ROOT / 'api/include'}",
                    unit.name,
                ],
                capture_output=True,
                text=True,
            )
        if done.returncode != 0:
            yield f"{name}: {done.stderr.splitlines()[0]}"


def routing_leaves_training_out():
    """An embedded build can drop the trainers: nothing else in routing/ includes them."""
    for path in sources("routing"):
        if (
            any(word in path.name for word in ("trainer", "tuner", "learner", "regression"))
            or "learning" in path.parts
        ):
            continue
        for name in QUOTED.findall(path.read_text()):
            if name.endswith(("_trainer.h", "_tuner.h")) or name.startswith("routing/learning/"):
                yield f"{path.relative_to(ROOT)}: includes {name}"


def files_stay_small():
    for folder in ALLOWED:
        for path in sources(folder):
            lines = path.read_text().count("\n")
            if lines > 600:
                yield f"{path.relative_to(ROOT)}: {lines} lines, expected at most 600"


def documents_name_existing_files():
    for document in sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").glob("*.md")):
        text = document.read_text()
        for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text):
            if not (document.parent / link).exists():
                yield f"{document.name}: links to {link}, which does not exist"
        for name in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:h|cc|py|sh|md))`", text):
            if not (ROOT / name).exists():
                yield f"{document.name}: names {name}, which does not exist"


def architecture_is_short():
    words = len((ROOT / "ARCHITECTURE.md").read_text().split())
    if words >= 1500:
        yield f"ARCHITECTURE.md: {words} words, expected under 1500"


def main():
    test = globals()[sys.argv[1]]
    problems = list(test(sys.argv[2]) if test is public_headers_compile_alone else test())
    print("\n".join(problems) or "ok")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
