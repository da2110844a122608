"""The wheel and the source archive: what is in them, and that they work outside the checkout."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from lampbench.engine.models import BUNDLED

ROOT = Path(__file__).resolve().parent.parent
MIB = 2**20


def run(*command: object, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked() -> list[str]:
    listed = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    return [name for name in listed if name and (ROOT / name).is_file()]


def build_wheel(source: Path, output: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run(*pip, "--wheel-dir", output, source, cwd=source)
    (built,) = output.glob("*.whl")
    return built


def files_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is tracked: setuptools leaves a build folder beside what it builds."""
    copy = tmp_path_factory.mktemp("source")
    for name in tracked():
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(source, tmp_path_factory.mktemp("wheel"))


def test_it_has_the_packages_and_nothing_else(wheel: Path) -> None:
    expected = set()
    for name in tracked():
        top, _, rest = name.partition("/")
        if top == "lampbench":
            expected.add(name)
        elif top in ("methods", "tasks"):
            expected.add(f"lampbench/{top}/{rest}")
    assert files_of(wheel) == expected


def test_it_stays_small(wheel: Path) -> None:
    assert wheel.stat().st_size < 40 * MIB
    with zipfile.ZipFile(wheel) as archive:
        weights = [i for i in archive.infolist() if i.filename.endswith(".safetensors")]
    assert len(weights) == len(BUNDLED)
    assert all(file.file_size <= 16 * MIB for file in weights)


def test_the_source_archive_makes_the_same_wheel(source: Path, wheel: Path, tmp_path: Path) -> None:
    # as `python -m build` does, without fetching a build environment
    code = "import sys, setuptools.build_meta as backend; backend.build_sdist(sys.argv[1])"
    run(sys.executable, "-c", code, tmp_path, cwd=source)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    (unpacked,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert not (unpacked / "tests").exists() and not (unpacked / "results").exists()
    again = build_wheel(unpacked, tmp_path)
    assert again.name == wheel.name
    assert files_of(again) == files_of(wheel)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site]
    run(*pip, wheel, cwd=site)
    return site


def test_it_works_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    def lampbench(*arguments: str) -> str:
        return run(
            sys.executable, "-m", "lampbench", *arguments, cwd=tmp_path, PYTHONPATH=str(installed)
        )

    assert "Usage: lampbench" in lampbench("--help")
    assert "oppu_dpo" in lampbench("list", "methods")
    methods = json.loads(lampbench("list", "methods", "--format", "json"))["methods"]
    assert {"base", "rag", "pag", "tam", "oppu", "cope"} <= {one["name"] for one in methods}
    assert all(one["origin"].startswith(str(installed)) for one in methods)
    assert "topic_writing" in lampbench("list", "tasks")
    assert "review_writing" in lampbench("data", "stats", "--task", "review_writing")
    assert "task_sft" in lampbench("run", "--method", "cope", "--task", "all", "--dry-run")


def test_a_plugin_type_checks_against_it(installed: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        '"""A plugin."""\n'
        "from lampbench.plugin import Method, RetrievalAugmented, register_method\n\n\n"
        '@register_method("mine")\n'
        "class Mine(Method):\n"
        '    """Mine."""\n\n'
        "    prompting = RetrievalAugmented(k=1)\n"
    )
    # silent: the wheel's own imports were checked where it was made
    options = ["--strict", "--config-file=", "--follow-imports=silent"]
    checker = [sys.executable, "-m", "mypy", *options, plugin]
    assert "Success" in run(*checker, cwd=tmp_path, MYPYPATH=str(installed))
    plugin.write_text(plugin.read_text().replace("RetrievalAugmented(k=1)", "3"))
    done = subprocess.run(
        [str(part) for part in checker],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Incompatible types in assignment" in done.stdout
