"""How a task's published records and inputs are read: entries in, Record and fields out."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lampbench.core.dataset import Record
from lampbench.core.task import FileFormat, HubSource, Task
from lampbench.data.field_values import day, identifier, mapping, text
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest


@dataclass(frozen=True)
class Form:
    """A task's file format, ready to read with. Made by `form_of`."""

    task: str
    task_id: str
    fields: tuple[str, ...]
    optional: tuple[str, ...]
    record: Mapping[str, str]
    target: str
    pattern: re.Pattern[str]

    def read_input(self, value: object, where: str) -> dict[str, str]:
        """The fields of a query, cut out of its `input` sentence.

        Raises:
            LampbenchError: no text, or not a sentence of this task.
        """
        sentence = text(value, where, "input")
        match = self.pattern.fullmatch(sentence)
        if match is None:
            raise LampbenchError(
                f"{where}: the input is not that of {self.task} ({self.task_id}): it begins "
                f"{sentence[:48]!r}; give this task's files or another --task"
            )
        found = {name: (value or "").strip() for name, value in match.groupdict().items()}
        return {name: found[name] for name in found if found[name] or name in self.fields}

    def read_record(self, value: object, where: str) -> Record:
        """A record from a profile entry; extra keys are passed over, `id` and date may be absent.

        Raises:
            LampbenchError: a key of this task is absent, or a value is no text.
        """
        entry = mapping(value, where)
        fields = {}
        for name, key in self.record.items():
            if key not in entry and name not in self.optional:
                self._absent(key, entry, where)
            field = text(entry.get(key), where, key)
            if field or name in self.fields:
                fields[name] = field
        if self.target not in entry:
            self._absent(self.target, entry, where)
        target = text(entry[self.target], where, self.target)
        date = entry.get("date", entry.get("year"))
        name = (
            identifier(entry["id"], where)
            if entry.get("id") is not None
            else digest([fields, target], 12)
        )
        return Record(name, fields, target, day(date, where))

    def input_key(self, fields: Mapping[str, str]) -> int:
        """A digest of the fields that records and queries share: equal for the same text."""
        shared = (" ".join(fields.get(name, "").split()).casefold() for name in self.record)
        return _key("\0".join(shared))

    def record_key(self, record: Record) -> int:
        """A digest of a record's whole content, whatever its id."""
        return _key("\0".join([*(record.fields.get(n, "") for n in self.record), record.target]))

    def _absent(self, key: str, entry: Mapping[str, Any], where: str) -> None:
        raise LampbenchError(
            f"{where}: has no {key!r}, as entries of {self.task} ({self.task_id}) have; it has "
            f"{', '.join(map(repr, entry)) or 'nothing'}; give this task's files or another --task"
        )


def form_of(task: Task, spec: FileFormat | HubSource | None) -> Form:
    """The reader of a task's files (`task.files`) or hub rows (`task.hub`).

    Raises:
        LampbenchError: the task declares no format, or one that cannot be used.
    """
    if spec is None or task.files is None:
        raise LampbenchError(
            f"task {task.name} says nothing of such files (its `files` and `hub`): "
            "use --data bundled or lampbench:DIR"
        )
    try:
        pattern = re.compile(task.files.input, re.DOTALL | re.IGNORECASE)
    except re.error as error:
        raise LampbenchError(
            f"task {task.name}: files.input is no regular expression: {error}"
        ) from None
    missing = [name for name in task.fields if name not in pattern.groupindex]
    if missing:
        raise LampbenchError(
            f"task {task.name}: files.input has no group for {', '.join(missing)}: add (?P<...>)"
        )
    return Form(
        task.name,
        task.files.task_id,
        task.fields,
        task.optional,
        spec.record,
        spec.target,
        pattern,
    )


def same_task(found: str, task_id: str) -> bool:
    """Whether two task ids mean the same (`LaMP_4`, `LaMP-4`, `lamp 4`)."""
    plain = re.compile(r"[^a-z0-9]")
    return plain.sub("", found.lower()) == plain.sub("", task_id.lower())


def _key(content: str) -> int:
    raw = hashlib.blake2b(content.encode(), digest_size=8).digest()
    return int.from_bytes(raw, "big")
