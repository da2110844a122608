"""Recorded runs, and what is kept between runs: artifacts, journals, checkpoints, locks."""

import gzip
import json
import math
import tempfile
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import canonical
from tests.fuzz.formats import Files, Format, change_files
from tests.fuzz.mutations import mutated_value

_KIND, _KEY = "adapter", "0123"


def files_in(folder: Path) -> Files:
    """The content of all files in a folder."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def _run() -> Files:
    from lampbench.scoring import PredictionRow, ScoreTable
    from tests.shared.recorded import record_rows

    rows = [PredictionRow(user, "1", f"answer of {user}", "the reference") for user in ("u", "v")]
    scores = ScoreTable.from_rows(
        [{"user": row.user, "query": "1", "rouge1": 0.5, "reference_words": 2} for row in rows]
    )
    with tempfile.TemporaryDirectory() as folder:
        record_rows(
            Path(folder) / "results", rows, scores, fields={"text": "new"}, history={"r": "past"},
            hyperparameters={"decoding.alpha": {"value": 0.3}}, overrides={"decoding.alpha": 0.3},
            stages=[{"stage": "predict"}],
        )  # fmt: skip
        return {name: text for name, text in files_in(Path(folder)).items() if "lock" not in name}


def _change_run(random: Random, folder: Path, files: Mapping[str, bytes]) -> None:
    """Most of the time other values under the right hashes, as a faulty program would write."""
    if random.random() < 0.3:
        return change_files(random, folder, files)
    name = random.choice(sorted(files))
    manifest_name = next(one for one in files if one.endswith("manifest.json"))
    manifest = json.loads(files[manifest_name])
    del manifest["sha256"]
    if name == manifest_name:
        manifest = mutated_value(random, manifest)
    else:
        value = mutated_value(random, json.loads(gzip.decompress(files[name])))
        content = json.dumps(value).encode()
        packed = gzip.compress(content, 1)
        digest = sha256(content).hexdigest()
        kind = name.split(".")[-3]
        if kind in ("queries", "histories"):
            new = f"{digest[:16]}.{kind}.json.gz"
            (folder / name).with_name(new).write_bytes(packed)
            manifest["dataset"][f"{kind}_file"] = {"name": new, "sha256": digest}
        else:
            (folder / name).write_bytes(packed)
            manifest["files"][Path(name).name] = sha256(packed).hexdigest()
    if isinstance(manifest, dict):
        manifest["sha256"] = sha256(canonical(manifest).encode()).hexdigest()
    (folder / manifest_name).write_text(json.dumps(manifest))
    return None


def _read_runs(folder: Path) -> None:
    from lampbench.record.runs import load_runs

    runs, problems = load_runs(folder / "results")
    for run in runs:
        for prediction in run.predictions:
            assert isinstance(prediction.prediction, str)
            assert all(math.isfinite(reward) for reward in prediction.rewards)
        for values in run.scores.columns.values():
            assert all(value is None or math.isfinite(value) for value in values)
        for query in run.queries.values():
            assert all(isinstance(text, str) for text in query.fields.values())
        for records in run.histories.values():
            assert all(isinstance(text, str) for text in records.values())
    for problem in problems:
        raise LampbenchError(str(problem))


def _artifact() -> Files:
    from lampbench.execution.cache import Cache

    with tempfile.TemporaryDirectory() as folder:
        cache = Cache(Path(folder), print)
        payload = cache.partial(_KIND, _KEY) / "adapter"
        payload.mkdir()
        (payload / "weights").write_bytes(b"weights" * 9)
        cache.commit(_KIND, _KEY, payload, {"units": 1})
        return files_in(Path(folder))


def _read_artifact(folder: Path) -> None:
    """Only what was written is believed; all else is moved away and said."""
    from lampbench.execution.cache import Cache
    from lampbench.execution.cache_contents import artifacts, damaged_artifacts

    said: list[str] = []
    cache = Cache(folder, said.append)
    for artifact in artifacts(folder):
        artifact.description()
    list(damaged_artifacts(folder))
    there = (folder / _KIND / _KEY).is_dir()
    if cache.has(_KIND, _KEY):
        cache.meta(_KIND, _KEY)
        assert (folder / _KIND / _KEY / "adapter" / "weights").read_bytes() == b"weights" * 9
    else:
        assert not there or said


def _journal() -> Files:
    from lampbench.execution.journal import Journal

    with tempfile.TemporaryDirectory() as folder:
        journal = Journal[Any](
            Path(folder) / "journal.jsonl", "ann", lambda v: v, lambda v: v, print
        )
        for number in range(4):
            journal.add(f"q{number}", {"text": f"answer {number}", "score": 0.5})
        return files_in(Path(folder))


def _read_journal(folder: Path) -> None:
    from lampbench.execution.journal import Journal, lines_of

    file = folder / "journal.jsonl"
    if file.is_file():
        lines_of(file, "ann")
    journal = Journal[Any](file, "ann", lambda v: v, lambda v: v, lambda _: None)
    for name, value in journal.results.items():
        assert value == {"text": f"answer {name[1:]}", "score": 0.5}


@cache
def _checkpoint_job(folder: Path) -> Any:
    from tests.engine.engine_inputs import job

    return job(folder, "ann")


def _checkpoint() -> Files:
    import torch

    from lampbench.engine.batched.training_checkpoints import TrainingCheckpoints

    with tempfile.TemporaryDirectory() as folder:
        checkpoints = TrainingCheckpoints(_checkpoint_job(Path(folder)), print)
        checkpoints.save({"step": 3, "weights": torch.arange(12.0)})
        return files_in(Path(folder))


def _read_checkpoint(folder: Path) -> None:
    from lampbench.engine.batched.training_checkpoints import TrainingCheckpoints
    from tests.engine.engine_inputs import job

    state = TrainingCheckpoints(job(folder, "ann"), lambda _: None).load(4)
    assert state is None or (state["step"] == 3 and state["weights"].sum() == 66)


def _holder() -> Files:
    held = {"host": "elsewhere", "pid": 12, "since": 1.7e9, "command": "lampbench run"}
    return {"run.lock.holder": json.dumps(held).encode()}


def _read_holder(folder: Path) -> None:
    from lampbench.util.lock import describe_holder

    assert describe_holder(folder / "run.lock")


RUN_FORMATS = [
    Format("recorded runs", _run, _read_runs, change=_change_run),
    Format("cached artifacts", _artifact, _read_artifact),
    Format("journals", _journal, _read_journal),
    Format("training checkpoints", _checkpoint, _read_checkpoint),
    Format("who holds a lock", _holder, _read_holder),
]
