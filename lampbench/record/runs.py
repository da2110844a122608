"""Recorded runs: `results/<task>/<model>/<method>/<key>/`, each complete or not there at all.

A run's folder holds `manifest.json`, `predictions.jsonl` and `scores.jsonl` (one line a query,
in the same order). The manifest carries the SHA-256 of both files.
"""

import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from lampbench.scoring.aggregate import aggregate, counts
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import file_digest

FORMAT = 1
MANIFEST, PREDICTIONS, SCORES = "manifest.json", "predictions.jsonl", "scores.jsonl"
TEMPORARY, REPLACED = ".tmp-", ".old-"

_REQUIRED: dict[str, type] = {
    "key": str, "method": str, "task": str, "model": str, "seed": int, "preset": str,
    "fidelity": str, "overrides": dict, "parts": dict, "dataset": dict, "model_info": dict,
    "created": str,
}  # fmt: skip
_DATASET: dict[str, type] = {
    "source": str, "fingerprint": str, "query_fingerprint": str, "synthetic": bool,
}  # fmt: skip
_LONGEST = 120
_UNSAFE = re.compile(rb"[^A-Za-z0-9_.@+-]")
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Run:
    """A finished run. `predictions` and `scores` are read anew from disk at each access."""

    path: Path
    manifest: Mapping[str, Any]

    @property
    def predictions(self) -> list[dict[str, Any]]:
        """One row a query: user, query, prediction, reference, token counts."""
        return list(_rows(self.path / PREDICTIONS))

    @property
    def scores(self) -> list[dict[str, Any]]:
        """One row a query: user, query and a number for each metric."""
        return list(_rows(self.path / SCORES))


@dataclass(frozen=True, slots=True)
class Problem:
    """A folder that was left out, and why."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: left out: {self.reason}"


class _Damaged(Exception):
    """Why a folder is no run."""


def escape(component: str) -> str:
    """Any text as one readable, safe component of a path; distinct texts stay distinct.

    ASCII letters, digits and `_.@+-` stay as they are, other bytes of the UTF-8 text become
    `%XX`, and so do a leading or trailing dot, a leading hyphen and the first letter of a device
    name of Windows. Text with capitals gets `~` and 8 hex digits of its SHA-256, so that it
    differs from its lower-case twin where file systems ignore case. All this is undone by
    `unescape`. Results longer than 120 characters are cut and end in `~~` and 32 hex digits.
    """
    raw = component.encode("utf-8", "surrogatepass")
    text = _UNSAFE.sub(lambda found: b"%%%02X" % found[0][0], raw).decode("ascii")
    if text.startswith((".", "-")) or _RESERVED.match(text):
        text = f"%{ord(text[0]):02X}{text[1:]}"
    if text.endswith("."):
        text = f"{text[:-1]}%2E"
    digest = sha256(raw).hexdigest()
    if component != component.lower():
        text = f"{text}~{digest[:8]}"
    if len(text) > _LONGEST:
        text = f"{text[:80]}~~{digest[:32]}"
    return text or "%"


def unescape(name: str) -> str:
    """The text that `escape` made `name` from.

    Raises:
        ValueError: `name` was cut for its length, or `escape` never gives it.
    """
    if "~~" in name:
        raise ValueError(f"{name!r} was too long and cannot be undone")
    text = "" if name == "%" else name.partition("~")[0]
    try:
        component = unquote_to_bytes(text).decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name!r} is no escaped name") from error
    if escape(component) != name:
        raise ValueError(f"{name!r} is no escaped name")
    return component


def run_path(root: Path, task: str, model: str, method: str, key: str) -> Path:
    """The folder of a run, whether or not it is there."""
    return root.joinpath(*(escape(part) for part in (task, model, method, key)))


def write_run(
    root: Path,
    manifest: Mapping[str, Any],
    predictions: Sequence[Mapping[str, Any]],
    scores: Sequence[Mapping[str, Any]],
    *,
    replace: bool = False,
) -> Run:
    """Record a run. Its folder appears complete, or not at all if the process is killed.

    `format`, `files`, `counts` and `scores` (the means) are added to the manifest. Leftovers of
    killed writers of the same run are removed.

    Raises:
        LampbenchError: the run is there already and `replace` is false, or the disk refuses.
        ValueError: the manifest lacks a key, or scores and predictions are of different queries.
    """
    asked = [(row["user"], row["query"]) for row in predictions]
    if asked != [(row["user"], row["query"]) for row in scores] or len(set(asked)) < len(asked):
        raise ValueError("predictions and scores must hold the same queries, once, in one order")
    final = run_path(root, *(manifest[name] for name in ("task", "model", "method", "key")))
    content = {PREDICTIONS: _lines(predictions), SCORES: _lines(scores)}
    complete = {
        **manifest,
        "format": FORMAT,
        "files": {name: sha256(data).hexdigest() for name, data in content.items()},
        "counts": counts(scores),
        "scores": aggregate(scores),
    }
    try:
        _check_manifest(complete)
    except _Damaged as error:
        raise ValueError(str(error)) from error
    content[MANIFEST] = _json(complete, indent=1) + b"\n"
    temporary = final.with_name(f"{TEMPORARY}{final.name}-{secrets.token_hex(4)}")
    try:
        temporary.mkdir(parents=True)
        for name, data in content.items():
            _write(temporary / name, data)
        _sync_folder(temporary)
        _publish(temporary, final, replace)
    except OSError as error:
        raise LampbenchError(f"{final}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    for prefix in (TEMPORARY, REPLACED):
        for leftover in final.parent.glob(f"{prefix}{final.name}-*"):
            shutil.rmtree(leftover, ignore_errors=True)
    return Run(final, complete)


def read_run(folder: Path) -> Run:
    """One recorded run, checked as `load_runs` checks it.

    Raises:
        LampbenchError: the folder is no sound run.
    """
    path = folder.absolute()
    try:
        return Run(folder, _load(path.parents[3], path).manifest)
    except (_Damaged, IndexError) as error:
        raise LampbenchError(f"{folder}: no recorded run: {error}") from error


def load_runs(root: Path) -> tuple[list[Run], list[Problem]]:
    """Every sound run under `root`, and what was left out; both in order of their paths.

    Left out are half-written folders, manifests of another format, files that do not match their
    hashes or each other, and folders that stand where their manifest does not belong. Hidden
    folders of other programs are passed over. A `root` that is not there holds no runs.
    """
    runs: list[Run] = []
    problems: list[Problem] = []
    for path in _candidates(root):
        try:
            runs.append(_load(root, path))
        except _Damaged as damage:
            problems.append(Problem(path, str(damage)))
    return runs, problems


def _candidates(root: Path, depth: int = 4) -> Iterator[Path]:
    """Folders that are runs or ought to be."""
    if not root.is_dir():
        return
    for path in sorted(path for path in root.iterdir() if path.is_dir()):
        if path.name.startswith((TEMPORARY, REPLACED)):
            yield path
        elif path.name.startswith("."):
            continue
        elif depth == 1 or (path / MANIFEST).exists():
            yield path
        else:
            yield from _candidates(path, depth - 1)


def _load(root: Path, path: Path) -> Run:
    if path.name.startswith(TEMPORARY):
        raise _Damaged("half-written, its process was stopped; run the same command again")
    if path.name.startswith(REPLACED):
        raise _Damaged("set aside by a replacement that was stopped; run the same command again")
    manifest = _read_manifest(path / MANIFEST)
    names = [manifest[name] for name in ("task", "model", "method", "key")]
    if path != run_path(root, *names):
        belongs = run_path(Path(), *names).as_posix()
        raise _Damaged(f"its manifest belongs to {belongs}; a run cannot be moved or renamed")
    for name, recorded in manifest["files"].items():
        if not (path / name).is_file():
            raise _Damaged(f"{name} is missing")
        if file_digest(path / name) != recorded:
            raise _Damaged(f"{name} was changed after the run (its hash is not the manifest's)")
    run = Run(path, manifest)
    try:
        scores = run.scores
        same = manifest["counts"] == counts(scores) and _equal(
            manifest["scores"], aggregate(scores)
        )
    except (LampbenchError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise _Damaged(f"{SCORES} cannot be read ({error})") from error
    if not same:
        raise _Damaged(f"the scores in {MANIFEST} are not the means of {SCORES}")
    return run


def _read_manifest(file: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise _Damaged(f"half-written, there is no {MANIFEST}; delete the folder") from None
    except (OSError, ValueError, RecursionError) as error:
        raise _Damaged(f"{MANIFEST} cannot be read ({error})") from error
    if not isinstance(manifest, dict):
        raise _Damaged(f"{MANIFEST} is not an object")
    if manifest.get("format") != FORMAT:
        found = manifest.get("format")
        raise _Damaged(f"format {found!r}, this lampbench reads {FORMAT}; run it again")
    _check_manifest(manifest)
    return manifest


def _check_manifest(manifest: Mapping[str, Any]) -> None:
    required = {**_REQUIRED, "files": dict, "counts": dict, "scores": dict}
    for where, held, wanted in (
        ("", manifest, required),
        ("dataset.", manifest.get("dataset"), _DATASET),
    ):
        for name, kind in wanted.items():
            value = held.get(name) if isinstance(held, Mapping) else None
            if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
                raise _Damaged(f"{MANIFEST} lacks {where}{name}, or it is no {kind.__name__}")
    aside, stages = manifest.get("failed_users", {}), manifest.get("stages", [])
    if not isinstance(aside, dict) or not all(isinstance(why, str) for why in aside.values()):
        raise _Damaged(f"failed_users in {MANIFEST} is no object of reasons by user")
    if aside and not isinstance(manifest["dataset"].get("test_users"), int):
        raise _Damaged(f"{MANIFEST} lacks dataset.test_users, or it is no int")
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        raise _Damaged(f"stages in {MANIFEST} is no list of objects")
    if set(manifest["files"]) != {PREDICTIONS, SCORES}:
        raise _Damaged(f"{MANIFEST} does not record the hashes of {PREDICTIONS} and {SCORES}")


def _equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two sets of means agree up to rounding."""
    if one.keys() != other.keys():
        return False
    pairs = [(one[name].get(kind), other[name][kind]) for name in other for kind in other[name]]
    return all(
        a is b if a is None or b is None else math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
        for a, b in pairs
    )


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise LampbenchError(f"{file}, line {number}: not JSON ({error})") from error
            if not isinstance(row, dict):
                raise LampbenchError(f"{file}, line {number}: not an object")
            yield row


def _json(value: Any, indent: int | None = None) -> bytes:
    # A model may emit half a surrogate pair, which UTF-8 cannot hold: such a character becomes a
    # \uXXXX escape, which inside a JSON string means the same.
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False, indent=indent)
    return text.encode("utf-8", "backslashreplace")


def _lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(_json(row) + b"\n" for row in rows)


def _write(file: Path, data: bytes) -> None:
    with file.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _publish(temporary: Path, final: Path, replace: bool) -> None:
    aside = final.with_name(f"{REPLACED}{final.name}-{secrets.token_hex(4)}")
    replacing = final.exists()
    if replacing:
        if not replace:
            raise LampbenchError(f"{final}: this run is recorded already; --force replaces it")
        final.rename(aside)
    try:
        temporary.rename(final)
    except OSError:
        if replacing:
            aside.rename(final)
        raise
    _sync_folder(final.parent)
