"""Parse a task's published entries: input sentences into fields, profile entries into records."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from lampbench.core.dataset import Query, Record
from lampbench.core.task import FileFormat, HubSource, Task
from lampbench.data.parse_values import as_date, as_id, as_object, as_text
from lampbench.util.errors import LampbenchError, NoDataForTask, short_repr
from lampbench.util.hashing import digest


@dataclass(frozen=True)
class EntryParser:
    """Parses the entries of one task. Made by `entry_parser`.

    Attributes:
        task: the task's name.
        task_id: the task's name in the published files (`LaMP_4`).
        fields: the task's input fields.
        optional: those of them that may be absent.
        record: field -> key of a profile entry.
        target: key of what the user wrote, in a profile entry.
        pattern: matches an input sentence; its groups are the fields.
    """

    task: str
    task_id: str
    fields: tuple[str, ...]
    optional: tuple[str, ...]
    record: Mapping[str, str]
    target: str
    pattern: re.Pattern[str]

    def read_input(self, entry: Mapping[str, Any], where: str) -> dict[str, str]:
        """The fields of a query, cut out of the sentence in its `input`.

        Raises:
            LampbenchError: no input, not text, or not a sentence of this task.
        """
        if entry.get("input") is None:
            raise LampbenchError(
                f"{where}: input is missing; add the text that is asked, or remove the query"
            )
        sentence = as_text(entry["input"], where, "input")
        match = self.pattern.fullmatch(sentence)
        if match is None:
            raise LampbenchError(self._no_prompt(sentence, where))
        found = {name: (value or "").strip() for name, value in match.groupdict().items()}
        return {name: found[name] for name in found if found[name] or name in self.fields}

    def refuse_other_tasks(self, sentence: object, where: str, folder: Path) -> None:
        """Tell a source of another task, by its first input, from a damaged one of this task.

        A folder that is named after this task must hold its data: there nothing is refused.

        Raises:
            NoDataForTask: the input is a text, and not a prompt of this task.
        """
        own = {self.task, *task_folders(self.task_id)} & set(folder.parts)
        if not own and isinstance(sentence, str) and not self.pattern.fullmatch(sentence.strip()):
            raise NoDataForTask(self._no_prompt(sentence, where))

    def read_profile(self, entries: Sequence[object], where: str) -> Iterator[Record]:
        """The records of a profile; as `read_record`."""
        for number, entry in enumerate(entries, 1):
            yield self.read_record(entry, f"{where}: profile entry {number}")

    def read_record(self, value: object, where: str) -> Record:
        """A record from a profile entry; extra keys are ignored, `id` and date may be absent.

        Raises:
            LampbenchError: a key of this task is absent, or a value is not text.
        """
        entry = as_object(value, where)
        fields = {}
        for name, key in self.record.items():
            value = entry.get(key)
            if value is None and key not in entry and name not in self.optional:
                self._refuse_without(key, entry, where)
            field = as_text(value, where, key)
            if field or name in self.fields:
                fields[name] = field
        if self.target not in entry:
            self._refuse_without(self.target, entry, where)
        target = as_text(entry[self.target], where, self.target)
        date = entry.get("date", entry.get("year"))
        name = (
            as_id(entry["id"], where)
            if entry.get("id") is not None
            else digest([fields, target], 12)
        )
        return Record(name, fields, target, as_date(date, where))

    def input_key(self, item: Query | Record) -> int:
        """A digest of the fields that records and queries share: equal for the same text.

        Where they share none, what was written counts; a query whose reference is withheld is then
        equal to nothing.
        """
        if self.record:
            texts = [item.fields.get(name, "") for name in self.record]
        else:
            written = item.target if isinstance(item, Record) else item.reference
            texts = [item.id, "withheld"] if written is None else [written]
        shared = (" ".join(text.split()).casefold() for text in texts)
        return _digest_number("\0".join(shared))

    def record_key(self, record: Record) -> int:
        """A digest of a record's whole content, whatever its id."""
        inputs = [record.fields.get(name, "") for name in self.record]
        return _digest_number("\0".join([*inputs, record.target]))

    def _no_prompt(self, sentence: str, where: str) -> str:
        return (
            f"{where}: input is not a prompt of {self.task} ({self.task_id}): it begins with "
            f"{short_repr(sentence, 48)}; give this task's files or another --task"
        )

    def _refuse_without(self, key: str, entry: Mapping[str, Any], where: str) -> None:
        raise LampbenchError(
            f"{where}: has no {key!r}, which every entry of {self.task} ({self.task_id}) has (it "
            f"has {names_of(entry)}); add it, or give this task's files or another --task"
        )


def task_folders(task_id: str) -> list[str]:
    """The names that folders of published files have for a task (`LaMP_4`, `LaMP-4`)."""
    return list(dict.fromkeys([task_id, task_id.replace("_", "-")]))


def names_of(entry: Mapping[str, Any]) -> str:
    """The first keys of an entry, as an error shows them."""
    names = [short_repr(key, 20) for key in list(entry)[:8]]
    return ", ".join([*names, *(["..."] if len(entry) > len(names) else [])]) or "nothing"


def entry_parser(task: Task, spec: FileFormat | HubSource | None) -> EntryParser:
    """The parser of a task's files (`task.files`) or hub rows (`task.hub`).

    Raises:
        LampbenchError: the task declares no format, or one that cannot be used.
    """
    if spec is None or task.files is None:
        raise NoDataForTask(
            f"task {task.name} does not declare how such files look (`files` and `hub`); "
            "use --data bundled or lampbench:DIR"
        )
    try:
        pattern = re.compile(task.files.input, re.DOTALL | re.IGNORECASE)
    except re.error as error:
        raise LampbenchError(
            f"task {task.name}: files.input is not a valid regular expression ({error}); correct it"
        ) from None
    missing = [name for name in task.fields if name not in pattern.groupindex]
    if missing:
        raise LampbenchError(
            f"task {task.name}: files.input has no group for {', '.join(missing)}; add "
            f"(?P<{missing[0]}>...)"
        )
    return EntryParser(
        task.name,
        task.files.task_id,
        task.fields,
        task.optional,
        spec.record,
        spec.target,
        pattern,
    )


def _digest_number(content: str) -> int:
    return int.from_bytes(blake2b(content.encode(), digest_size=8).digest(), "big")
