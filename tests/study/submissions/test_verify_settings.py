"""`lampbench verify`: settings, parts and names that a submission states."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lampbench.plugin.hyperparameter import SourcedValue
from lampbench.record.manifest import Manifest
from lampbench.record.recorded_run import Run
from lampbench.record.write import write_run
from lampbench.scoring.score_table import ScoreTable
from lampbench.study.verify_settings import _other_parts
from lampbench.study.verify_submission import verify_submission
from tests.shared.recorded_fixtures import Call
from tests.shared.submissions import forge, name_again, refused, run_folder


def test_settings_that_are_no_defaults_are_refused(folder: Path) -> None:
    def change(manifest: Manifest, scores: ScoreTable) -> tuple[Manifest, ScoreTable]:
        values = dict(manifest.hyperparameters)
        path = "decoding.repetition_penalty"
        values[path] = replace(values[path], value=1.5)
        return replace(manifest, hyperparameters=values), scores

    forge(folder, change)
    (line,) = refused(verify_submission(folder))
    assert "the stated settings have key" in line


@pytest.mark.parametrize(
    ("named", "field"),
    [
        ({"decoding": {"part": "contrastive"}}, "decoding"),
        ({"decoding": {}}, "decoding"),
        ({"decoding": None}, "decoding"),
        ({"prompting": {"part": "plain", "retriever": {"part": "bm25"}}}, "prompting"),
        ({"predict": {"part": "Mine"}}, "predict"),
    ],
)
def test_parts_that_the_method_does_not_have_are_refused(
    folder: Path, named: dict[str, Any], field: str
) -> None:
    """Tables of what a method contrasts with go by them."""

    def change(manifest: Manifest, scores: ScoreTable) -> tuple[Manifest, ScoreTable]:
        return replace(manifest, method_parts={**manifest.method_parts, **named}), scores

    forge(folder, change)
    (line,) = refused(verify_submission(folder))
    assert line.startswith("method_parts names") and f"as {field}, which method base" in line


@pytest.mark.parametrize("title", ["method_title", "task_title"])
def test_a_run_under_another_title_is_refused(folder: Path, title: str) -> None:
    """Tables name rows and columns by it."""
    other: dict[str, Any] = {title: "CoPe"}
    forge(folder, lambda manifest, scores: (replace(manifest, **other), scores))
    (line,) = refused(verify_submission(folder))
    assert line.startswith("method_title and task_title are") and "'CoPe'" in line


def test_code_of_others_that_was_not_run_is_refused(folder: Path) -> None:
    """Tables leave out runs by the code of others."""
    forge(folder, lambda manifest, scores: (replace(manifest, plugins={"task": "a"}), scores))
    (line,) = refused(verify_submission(folder))
    assert line.startswith("plugins names code of its own")


def test_parts_that_an_earlier_version_did_not_name_may_be_missing() -> None:
    now = {"prompting": {"part": "rag", "retriever": {"part": "bm25"}}, "adaptation": None}
    then = {**now, "prompting": {"part": "rag"}}
    assert _other_parts(then, now) == _other_parts(now, now) == ""
    assert _other_parts({"adaptation": None}, now) == "prompting"


def test_overrides_that_are_hidden_are_refused(folder: Path, base: Run) -> None:
    """The key of other settings is right, but the manifest says that they are the defaults."""
    from lampbench.study.replan import Replanner

    path = "decoding.repetition_penalty"
    values = {**base.manifest.hyperparameters}
    values[path] = replace(values[path], value=1.5)
    manifest = replace(base.manifest, hyperparameters=values)
    key = Replanner(folder.parent / "cache").plan(manifest, folder).folder.name
    shutil.rmtree(run_folder(folder))
    write_run(folder, replace(manifest, key=key), base.predictions, base.scores)
    name_again(folder)
    (line,) = refused(verify_submission(folder))
    assert "not the defaults with the stated overrides" in line


def test_what_a_manifest_names_is_never_read(folder: Path) -> None:
    """A submission may name any file of the machine that checks it."""

    def change(manifest: Manifest, scores: ScoreTable) -> tuple[Manifest, ScoreTable]:
        assert manifest.dataset.options
        options = replace(manifest.dataset.options, data="lampbench:/nowhere/at/all")
        return replace(manifest, dataset=replace(manifest.dataset, options=options)), scores

    forge(folder, change)
    found = verify_submission(folder)
    assert refused(found) == []
    (run,) = [one for _, one in found.runs]
    assert any("give its place with --data" in line for line in run.unchecked)
    assert any(line.startswith("style: reads histories") for line in run.unchecked)
    assert refused(verify_submission(folder, data="bundled")) == []


@pytest.mark.parametrize("place", ["hyperparameters", "overrides"])
def test_no_folder_that_a_setting_names_is_read(folder: Path, tmp_path: Path, place: str) -> None:
    """Such as that of an embedding model, whose content counts in the key."""

    def change(manifest: Manifest, scores: ScoreTable) -> tuple[Manifest, ScoreTable]:
        named: Any = str(tmp_path)
        if place == "hyperparameters":
            named = SourcedValue(named, "--set")
        changed: dict[str, Any] = {place: {**getattr(manifest, place), "embeddings.model": named}}
        return replace(manifest, **changed), scores

    forge(folder, change)
    (run,) = [one for _, one in verify_submission(folder).runs]
    assert any("embeddings.model names a folder" in line for line in run.unchecked)
    assert not run.refused


def test_a_setting_that_no_path_can_be_is_refused_as_a_setting(folder: Path) -> None:
    forge(
        folder,
        lambda manifest, scores: (
            replace(manifest, overrides={"embeddings.model": "x" * 400}), scores
        ),
    )  # fmt: skip
    assert any("cannot be planned" in line for line in refused(verify_submission(folder)))


@pytest.mark.parametrize(
    "engine", [{"engine": "vllm"}, {"stage_engines": {"predict": "vllm"}}], ids=["run", "stage"]
)
@pytest.mark.parametrize("command", ["verify", "cache gc"])
def test_no_program_that_a_submission_names_is_run(
    folder: Path, call: Call, tmp_path: Path, engine: dict[str, Any], command: str
) -> None:
    program, trace = tmp_path / "program", tmp_path / "trace"
    program.write_text(f"#!/bin/sh\ntouch {trace}\necho 0.32.0\n")
    program.chmod(0o755)

    def change(manifest: Manifest, scores: ScoreTable) -> tuple[Manifest, ScoreTable]:
        arguments = {"vllm": {"python": str(program)}}
        details = replace(manifest.model_details, engine_arguments=arguments, **engine)
        return replace(manifest, model_details=details), scores

    forge(folder, change)
    if command == "verify":
        (run,) = [one for _, one in verify_submission(folder).runs]
        assert any("engine vllm is not asked here" in line for line in run.unchecked)
    else:
        results = tmp_path / "results"
        shutil.copytree(folder, results / "submissions" / "group-x")
        (tmp_path / "cache" / "locks").mkdir(parents=True)
        code, _, err = call("cache", "gc", "--cache-dir", "cache", "--results", results)
        assert (code, err) == (0, "")
    assert not trace.exists()
