"""The Task plugin kind: fields, prompt, target, token budget, formats of published files."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

from lampbench.core.dataset import Record
from lampbench.core.prompt import Prompt, fill

Family = Literal["lamp", "longlamp"]
ReferenceParsing = Literal["after marker", "quoted line", "numbered line"]


@dataclass(frozen=True)
class HubSource:
    """Where a task is in the `LongLaMP/LongLaMP` repository of the Hugging Face hub."""

    config: str
    user_key: str
    record: Mapping[str, str]
    target: str


@dataclass(frozen=True)
class FileFormat:
    """How the LaMP and OPPU/CoPe files of a task look.

    `task_id` is the name in their `"task"` key, `input` a regular expression whose groups are the
    task's fields as they stand in a query's `input`, `record` maps field -> key of a profile
    entry, `target` is the key of what the user wrote.
    """

    task_id: str
    input: str
    record: Mapping[str, str]
    target: str


class Task:
    """A task is declared: subclasses set the attributes below and need no code.

    `fields` are the inputs of a record and a query (those in `optional` may be absent),
    `target_name` names what is written. `template` is the user message with `{field}` places and
    `example` one past record with `{target}`, for prompts that show history. `shorten` is the one
    field that is cut when a prompt does not fit. `family` chooses the default hyper-parameters
    (paper, section 4.1). `profile_request` asks a
    model for a user's profile (Tan et al., 2024). `raw_input`, `reference_example` and
    `reference_train_template` are the reference code's wordings where it trains the task adapter,
    quotes history and trains users' adapters on other words than it tests (`--fidelity reference`);
    `reference_parsing` is what it keeps of an answer there.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    family: ClassVar[Family]
    fields: ClassVar[tuple[str, ...]]
    optional: ClassVar[tuple[str, ...]] = ()
    target_name: ClassVar[str]
    shorten: ClassVar[str]
    system: ClassVar[str]
    template: ClassVar[str]
    example: ClassVar[str]
    max_new_tokens: ClassVar[int]
    profile_request: ClassVar[str] = (
        "Given this user's previous writing, describe in a few sentences what is particular to "
        "it: topics, tone, choice of words, recurring patterns. User History: "
    )
    raw_input: ClassVar[str | None] = None
    reference_example: ClassVar[str | None] = None
    reference_train_template: ClassVar[str | None] = None
    reference_parsing: ClassVar[ReferenceParsing] = "quoted line"
    files: ClassVar[FileFormat | None] = None
    hub: ClassVar[HubSource | None] = None

    def prompt(self, fields: Mapping[str, str], *, template: str | None = None) -> Prompt:
        """The plain prompt of one record or query (paper, Appendix C), or another wording of it."""
        return Prompt(self.system, fill(template or self.template, fields, {self.shorten: 1}))

    def show(self, record: Record, *, example: str | None = None) -> str:
        """One past record as text, for a prompt that quotes history."""
        values = {**record.fields, "target": record.target}
        return "".join(piece.text for piece in fill(example or self.example, values, {}))
