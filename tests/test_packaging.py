"""The wheel: what it holds, and that it works where the checkout is not."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lampbench.engine.models import BUNDLED

ROOT = Path(__file__).resolve().parent.parent
MIB = 2**20


def run(*command, cwd, **environment):
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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    # A copy of what is tracked: setuptools leaves a build folder beside what it builds.
    for name in tracked():
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    run(*pip, "--wheel-dir", out, source, cwd=source)
    (built,) = out.glob("*.whl")
    return built


def tracked():
    listed = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    return [name for name in listed if name and (ROOT / name).is_file()]


def test_it_holds_the_packages_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = set()
    for name in tracked():
        top, _, rest = name.partition("/")
        if top == "lampbench":
            expected.add(name)
        elif top in ("methods", "tasks"):
            expected.add(f"lampbench/{top}/{rest}")
    assert held == expected


def test_it_stays_small(wheel):
    assert wheel.stat().st_size < 40 * MIB
    with zipfile.ZipFile(wheel) as archive:
        weights = [i for i in archive.infolist() if i.filename.endswith(".safetensors")]
    assert len(weights) == len(BUNDLED)
    assert all(file.file_size <= 16 * MIB for file in weights)


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site]
    run(*pip, wheel, cwd=site)
    return site


def test_it_works_outside_the_checkout(installed, tmp_path):
    def lampbench(*arguments):
        return run(
            sys.executable, "-m", "lampbench", *arguments, cwd=tmp_path, PYTHONPATH=str(installed)
        )

    listed = lampbench("list", "methods")
    assert str(installed) in listed
    assert {"base", "rag", "pag", "tam", "oppu", "cope"} <= {
        line.split()[0] for line in listed.splitlines() if line
    }
    assert "topic_writing" in lampbench("list", "tasks")
    assert "review_writing" in lampbench("data", "stats", "--task", "review_writing")
    assert "task_sft" in lampbench("run", "--method", "cope", "--task", "all", "--dry-run")


def test_a_plugin_type_checks_against_it(installed, tmp_path):
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
