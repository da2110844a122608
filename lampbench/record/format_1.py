"""Runs in the first recorded format (lampbench 0.1), read as if they were in today's.

There, predictions and scores are JSON lines, each prediction repeats its reference, and a file
`TASK/FINGERPRINT.inputs.jsonl`, which may be missing, has fields of queries and beginnings of past
texts. Whatever writes such a run again writes today's format.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import Any

from lampbench.record.dataset_files import (
    RecordedHistory,
    RecordedQuery,
    histories_files,
    queries_files,
    write_histories,
    write_queries,
)
from lampbench.record.manifest import MANIFEST, Manifest
from lampbench.record.paths import escape
from lampbench.record.recorded_file import open_recorded
from lampbench.record.run_files import check_scores, checked_content
from lampbench.record.typed_json import from_json, loads
from lampbench.scoring.prediction_row import PredictionRow
from lampbench.scoring.score_table import ScoreTable
from lampbench.util.atomic import replace
from lampbench.util.regular_file import read_regular

PREDICTION_LINES, SCORE_LINES = "predictions.jsonl", "scores.jsonl"
INPUT_LINES = "inputs.jsonl"

_RENAMED = {
    "": {
        "choices": "method_parts",
        "parts": "hyperparameters",
        "model_info": "model_details",
        "prompts_cut": "prompts_shortened",
        "set_aside": "failed_users",
    },
    "dataset": {"asked": "options"},
    "options": {"split": "split_by", "parts": "splits"},
    "model": {"template": "chat_template"},
    "stage": {"cut": "prompts_shortened"},
    "prediction": {"clipped": "truncated", "prompt_cut": "prompt_tokens_dropped"},
    "scores": {"clipped": "truncated"},
}
"""Today's names by part of the record and earlier name."""


def is_format_1(manifest: bytes) -> bool:
    """Whether the content of a manifest.json is of this format."""
    try:
        content = loads(manifest)
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("format") == 1


class Format1Run:
    """The content of a run's folder. Everything is read when it is asked for.

    Raises:
        ValueError: from every method, where the content is not what was written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def manifest(self) -> Manifest:
        """The manifest, with the digests of the files that are there and of those of today."""
        content = dict(loads(read_regular(self._path / MANIFEST)))
        del content["format"]
        content = _renamed(content, "")
        data = content.get("dataset")
        if not isinstance(data, dict):
            raise ValueError(f"{MANIFEST}: dataset must be an object")
        data = _renamed(data, "dataset")
        data["options"] = _renamed(data["options"], "options") if data.get("options") else None
        parts = content.get("method_parts", {})
        made = {
            **content,
            "dataset": {**data, "queries_file": _NO_FILE, "histories_file": _NO_FILE},
            "model_details": _renamed(content.get("model_details", {}), "model"),
            "stages": [_renamed(stage, "stage") for stage in content.get("stages", ())],
            "scores": _renamed(content.get("scores", {}), "scores"),
            "method_parts": {name: _part(part) for name, part in parts.items()},
        }
        manifest = from_json(Manifest, made)
        if set(manifest.files) != {PREDICTION_LINES, SCORE_LINES}:
            raise ValueError(f"{MANIFEST} does not record the hashes of its files")
        rows = self._predictions(manifest)
        queries, past = self._queries(manifest, rows), self.histories(manifest)
        data = manifest.dataset.with_files(queries_files(queries), histories_files(past))
        return replace_fields(manifest, dataset=data)

    def predictions(self, manifest: Manifest) -> list[PredictionRow]:
        """The answers, with references."""
        return self._predictions(manifest)

    def queries(self, manifest: Manifest) -> list[RecordedQuery]:
        """The queries that were answered."""
        return self._queries(manifest, self._predictions(manifest))

    def scores(self, manifest: Manifest) -> ScoreTable:
        """The scores, whose means are those of the manifest."""
        rows = self._lines(SCORE_LINES, manifest)
        return check_scores(ScoreTable.from_rows(_renamed(row, "scores") for row in rows), manifest)

    def histories(self, manifest: Manifest) -> list[RecordedHistory]:
        """The beginnings of past texts; none where they were not recorded."""
        return [
            RecordedHistory(row["user"], name, text)
            for row in self._inputs(manifest)
            for name, text in row["history"]
        ]

    def write_shared_files(self, manifest: Manifest, root: Path) -> None:
        """Write what today's format has beside the runs."""
        write_queries(root, manifest.task, self.queries(manifest))
        write_histories(root, manifest.task, self.histories(manifest))

    def _predictions(self, manifest: Manifest) -> list[PredictionRow]:
        return [
            from_json(PredictionRow, _renamed(row, "prediction"))
            for row in self._lines(PREDICTION_LINES, manifest)
        ]

    def _queries(self, manifest: Manifest, rows: list[PredictionRow]) -> list[RecordedQuery]:
        fields = {
            (row["user"], name): given
            for row in self._inputs(manifest)
            for name, given in row["queries"]
        }
        return [
            from_json(
                RecordedQuery,
                {
                    "user": row.user, "query": row.query, "reference": row.reference,
                    "fields": fields.get((row.user, row.query), {}),
                },
            )
            for row in rows
        ]  # fmt: skip

    def _lines(self, name: str, manifest: Manifest) -> list[dict[str, Any]]:
        content = checked_content(self._path / name, manifest.files[name])
        return list(_rows(name, content))

    def _inputs(self, manifest: Manifest) -> list[dict[str, Any]]:
        fingerprint = escape(manifest.dataset.fingerprint)
        file = self._path.absolute().parents[2] / f"{fingerprint}.{INPUT_LINES}"
        if not file.is_file():
            return []
        with open_recorded(file) as stream:
            rows = list(_rows(file.name, stream.read()))
        if any(not {"user", "history", "queries"} <= row.keys() for row in rows):
            raise ValueError(f"{file.name}: a line has no user, history or queries")
        return rows


def forget_inputs(file: Path, user: str) -> bool:
    """Remove a user's line from a file of inputs; whether there was one.

    Raises:
        OSError: the file cannot be read or written.
    """
    lines = read_regular(file).splitlines(keepends=True)
    kept = [line for line in lines if not _is_of(line, user)]
    if len(kept) < len(lines):
        replace(file, b"".join(kept))
    return len(kept) < len(lines)


def _is_of(line: bytes, user: str) -> bool:
    try:
        row = loads(line)
    except ValueError:
        return False
    return isinstance(row, dict) and row.get("user") == user


_NO_FILE = {"name": f"{'0' * 16}.queries.json.gz", "sha256": ""}
"""Stands where a digest is not computed yet."""


def _rows(name: str, content: bytes) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line:
            continue
        try:
            row = loads(line)
        except ValueError as error:
            raise ValueError(f"{name}, line {number}: {error}") from error
        if not isinstance(row, dict):
            raise ValueError(f"{name}, line {number}: not an object")
        yield row


def _renamed(content: Any, part: str) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise ValueError(f"{MANIFEST}: {part or 'it'} must be an object")
    names = _RENAMED[part]
    return {names.get(str(name), str(name)): value for name, value in content.items()}


def _part(part: Any) -> Any:
    """A part with the names of today in place of those of classes."""
    if not isinstance(part, Mapping):
        return part
    inside = {name: _part(value) for name, value in part.items() if name != "part"}
    return {"part": _PARTS.get(str(part.get("part")), part.get("part")), **inside}


_PARTS = {
    "BestOfN": "lowest_reward",
    "Contrastive": "contrastive",
    "Greedy": "greedy",
    "Plain": "plain",
    "ProfileAugmented": "profile_augmented",
    "RetrievalAugmented": "retrieval_augmented",
    "Samples": "samples",
    "TaskSFT": "task_sft",
    "UserDPO": "user_dpo",
    "UserSFT": "user_sft",
}
"""Names of parts by that of the class, which format 1 recorded."""
