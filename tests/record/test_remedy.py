"""What a message says about a damaged run."""

from dataclasses import replace
from pathlib import Path

from lampbench.record.paths import run_path
from lampbench.record.remedy import remedy


def test_the_command_of_the_run_is_repeated(record):
    run = record("base", command="lampbench run --method base")
    assert remedy(run.path, run.manifest) == (
        "restore it, or delete it and repeat `lampbench run --method base`"
    )


def test_a_long_command_and_none(record):
    run = record("base")
    long = replace(run.manifest, command="lampbench run " + "--set a.b=1 " * 50)
    assert "repeat the command that its manifest.json names" in remedy(run.path, long)
    none = replace(run.manifest, command="")
    assert "run base on news_headline again" in remedy(run.path, none)


def test_without_a_manifest_the_place_tells_the_command():
    folder = run_path(Path("results"), "news_headline", "org/Model", "my method", "k")
    assert remedy(folder, None).endswith(
        "`lampbench run --method 'my method' --task news_headline --model org/Model` with the "
        "options of that run"
    )
    unknown = run_path(Path("results"), "t" * 500, "m", "x", "k")
    assert remedy(unknown, None) == "restore it, or delete it and run it again"
