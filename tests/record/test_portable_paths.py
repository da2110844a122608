"""No manifest names a home folder."""

import json
import shutil
from pathlib import Path

import pytest

from lampbench.bundled import DATA
from lampbench.cli.main import main
from lampbench.record.portable_paths import portable, portable_value
from lampbench.record.runs import load_runs


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A home and a project below it, in which the test works."""
    project = tmp_path / "home" / "ann" / "project"
    project.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(project.parent))
    monkeypatch.chdir(project)
    return project


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("{project}/data", "data"),
        ("{project}", "."),
        ("{project}/", ""),
        ("{home}", "~"),
        ("{home}/data", "~/data"),
        ("lamp:{home}/data", "lamp:~/data"),
        ("--data=lamp:{project}/data --cache-dir '{home}/my cache'",
         "--data=lamp:data --cache-dir '~/my cache'"),
        ("run_all(data='{home}/d', results=PosixPath('{project}/r'))",
         "run_all(data='~/d', results=PosixPath('r'))"),
        ("{home}2/data and {project}-b/x", "{home}2/data and ~/project-b/x"),
        ("/mnt{home}/data", "/mnt{home}/data"),
        ("/other/data", "/other/data"),
        ("no path at all", "no path at all"),
    ],
)  # fmt: skip
def test_paths_become_relative(places, given, expected):
    names = {"project": places, "home": places.parent}
    assert portable(given.format(**names)) == expected.format(**names)


def test_the_root_as_home_changes_nothing(places, monkeypatch):
    monkeypatch.setenv("HOME", "/")
    monkeypatch.chdir("/")
    assert portable("/usr/share") == "/usr/share"


def test_values_inside_values(places):
    value = {"a": [str(places / "x"), 1, None], "b": (str(places.parent),)}
    assert portable_value(value) == {"a": ["x", 1, None], "b": ("~",)}


def test_a_manifest_names_no_home_and_its_data_are_found_again(places, on_fake_engine, capsys):
    home = places.parent
    shutil.copytree(DATA, home / "data")
    config = home / "settings.toml"
    config.write_text("[decoding]\nrepetition_penalty = 1.1\n")
    command = [
        "run", "--method", "base", "--task", "news_headline", "--users", "2",
        "--data", f"lampbench:{home / 'data'}", "--cache-dir", str(home / "cache"),
        "--results", str(places / "results"), "--config", str(config),
    ]  # fmt: skip
    assert ended(command) == 0
    file = next(Path("results").rglob("manifest.json"))
    assert str(home) not in file.read_text()
    found = json.loads(file.read_text())
    assert found["dataset"]["options"]["data"] == "lampbench:~/data"
    assert "--data 'lampbench:~/data'" in found["command"] or "lampbench:~/data" in found["command"]
    assert "--results results" in found["command"] and "~/cache" in found["command"]
    capsys.readouterr()
    assert ended(["score", "--metric", "style", "--metric", "history_copy"]) == 0
    assert "null" not in capsys.readouterr().err
    (run,), problems = load_runs(Path("results"))
    assert problems == [] and run.manifest.mean("style") is not None
    assert ended(["run", *command[1:7], "--data", "lampbench:~/data", "--config", str(config)]) == 0
    assert "already recorded" in capsys.readouterr().err


def ended(command):
    with pytest.raises(SystemExit) as left:
        main(command)
    return left.value.code
