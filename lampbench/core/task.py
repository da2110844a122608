"""The Task plugin kind: fields, prompt, target, token budget, formats of published files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from lampbench.core.dataset import Query, Record
from lampbench.core.prompt import Piece, Prompt, fill
from lampbench.util.errors import LampbenchError

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
    model for a user's profile (Tan et al., 2024).

    These are used with `--fidelity reference` alone, and are the reference code's. Its wordings:
    `raw_input`, on which it trains the task adapter; `reference_template` and
    `reference_quotation`, in which it asks and quotes where the paper has other words;
    `reference_train_template`, on which it trains users' adapters where it tests on another one;
    `reference_example`, a quoted record without what the user wrote; `reference_search`, the text
    with which BM25 looks for records. `reference_parsing` is what it keeps of an answer.

    `record_fields` are the inputs of a past record where they are others than a query's (none, for
    posts without a question); `record_template` is the prompt on which such records train. Without
    it they are no examples of the task: they can be quoted, but nothing can be trained on them.
    `between_examples` and `after_examples` join quoted records to the prompt. Retrieval compares
    the fields `compared` of a query with the fields `indexed` of a record ("target" is its
    target); by default all of them.

    `choices` are the possible answers of a task that has a fixed set, in order, as they must be
    written. `metrics` judge the task beside the metrics of every run.
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
    record_fields: ClassVar[tuple[str, ...] | None] = None
    record_template: ClassVar[str | None] = None
    between_examples: ClassVar[str] = ""
    after_examples: ClassVar[str] = "\n"
    compared: ClassVar[tuple[str, ...] | None] = None
    indexed: ClassVar[tuple[str, ...] | None] = None
    choices: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[tuple[str, ...]] = ()
    profile_request: ClassVar[str] = (
        "Given this user's previous writing, describe in a few sentences what is particular to "
        "it: topics, tone, choice of words, recurring patterns. User History: "
    )
    raw_input: ClassVar[str | None] = None
    reference_template: ClassVar[str | None] = None
    reference_quotation: ClassVar[str | None] = None
    reference_example: ClassVar[str | None] = None
    reference_search: ClassVar[str | None] = None
    reference_train_template: ClassVar[str | None] = None
    reference_parsing: ClassVar[ReferenceParsing] = "quoted line"
    files: ClassVar[FileFormat | None] = None
    hub: ClassVar[HubSource | None] = None

    @property
    def fields_of_records(self) -> tuple[str, ...]:
        """The inputs that every past record has."""
        return self.fields if self.record_fields is None else self.record_fields

    @property
    def records_are_examples(self) -> bool:
        """Whether a past record is an input with its answer, on which one can train."""
        return self.record_fields is None or self.record_template is not None

    def prompt(self, fields: Mapping[str, str], *, template: str | None = None) -> Prompt:
        """The plain prompt of one record or query (paper, Appendix C), or another wording of it.

        Raises:
            LampbenchError: the fields are those of a record that is no example of the task.
        """
        words = template or self._template(fields)
        return Prompt(self.system, fill(words, fields, {self.shorten: 1}))

    def _template(self, fields: Mapping[str, str]) -> str:
        if self.record_fields is None or all(name in fields for name in self.fields):
            return self.template
        if self.record_template is None:
            raise LampbenchError(
                f"past records of {self.name} have no {' or '.join(self.fields)}, so there is no "
                "prompt for them; use a method that trains nothing on the history, or give the "
                "task a record_template"
            )
        return self.record_template

    def show(self, record: Record, *, example: str | None = None) -> str:
        """One past record as text, for a prompt that quotes history."""
        values = {**record.fields, "target": record.target}
        return "".join(piece.text for piece in fill(example or self.example, values, {}))

    def with_examples(self, prompt: Prompt, examples: Sequence[Piece]) -> Prompt:
        """The prompt with past records, already texts, quoted before it."""
        if not examples:
            return prompt
        between = (Piece(self.between_examples),) if self.between_examples else ()
        first, *others = examples
        joined = [piece for example in others for piece in (*between, example)]
        return prompt.before(first, *joined, Piece(self.after_examples))

    def query_text(self, item: Query | Record) -> str:
        """What retrieval looks for: the compared fields of a query or, in training, of a record."""
        named = [item.fields[name] for name in self.compared or () if name in item.fields]
        return " ".join(named or item.fields.values())

    def record_text(self, record: Record) -> str:
        """The text by which a past record is found."""
        values = {**record.fields, "target": record.target}
        return " ".join(values[name] for name in self.indexed or values)
