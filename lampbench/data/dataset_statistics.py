"""Dataset statistics as in the paper's Table 4.

The paper's lengths are tokens, not words: LaMP's own paper counts 10.1 words per headline and
162.3 words per input of scholarly titles, where Table 4 has 15.5 and 230.6; and its inputs are
whole prompts, instructions included. It does not say which tokenizer it used. So here an input is
the system message and the user message of the plain prompt, and the unit is white-space words
unless a tokenizer is named.
"""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from lampbench.core.dataset import Dataset, Record
from lampbench.core.task import Task
from lampbench.util.errors import LampbenchError

TextLength = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class MeanAndSd:
    """Mean and population standard deviation of `count` numbers; 0 if there are none."""

    mean: float
    sd: float
    count: int

    def __str__(self) -> str:
        return f"{self.mean:,.1f} ± {self.sd:,.1f}" if self.count else "-"


@dataclass(frozen=True, slots=True)
class Table4Row:
    """A row of Table 4, with the numbers of the test users beside it.

    `train_*` are the queries of the users who train the task adapter. `profile` is the number of
    records per test user; `profile_in` and `profile_out` are lengths over all these records, in
    `unit`s.
    """

    task: str
    source: str
    synthetic: bool
    unit: str
    train: int
    train_in: MeanAndSd
    train_out: MeanAndSd
    users: int
    queries: int
    profile: MeanAndSd
    profile_in: MeanAndSd
    profile_out: MeanAndSd
    notes: tuple[str, ...]


def dataset_statistics(dataset: Dataset, task: Task, length: TextLength, unit: str) -> Table4Row:
    """Statistics of a dataset; `length` gives a text's length in `unit`s.

    Of past records that are no examples of the task, and so have no prompt, the fields count.
    """

    def prompt_length(fields: Mapping[str, str]) -> int:
        prompt = task.prompt(fields)
        return length(f"{prompt.system}\n{prompt.text}")

    def record_length(fields: Mapping[str, str]) -> int:
        has_prompt = task.records_are_examples
        return prompt_length(fields) if has_prompt else length(" ".join(fields.values()))

    train = [query for user in dataset.train_users for query in user.queries]
    return Table4Row(
        task=dataset.task,
        source=dataset.source,
        synthetic=dataset.synthetic,
        unit=unit,
        train=len(train),
        train_in=mean_and_sd(prompt_length(query.fields) for query in train),
        train_out=mean_and_sd(length(query.reference or "") for query in train),
        users=len(dataset.test_users),
        queries=sum(len(user.queries) for user in dataset.test_users),
        profile=mean_and_sd(len(user.history) for user in dataset.test_users),
        profile_in=mean_and_sd(record_length(record.fields) for record in _records(dataset)),
        profile_out=mean_and_sd(length(record.target) for record in _records(dataset)),
        notes=dataset.notes,
    )


def _records(dataset: Dataset) -> Iterator[Record]:
    return (record for user in dataset.test_users for record in user.history)


def mean_and_sd(numbers: Iterable[float]) -> MeanAndSd:
    """Mean and population standard deviation; memory is needed for different numbers only."""
    times = Counter(map(float, numbers))
    if not times:
        return MeanAndSd(0.0, 0.0, 0)
    mean, sd = statistics.fmean(times.elements()), statistics.pstdev(times.elements())
    return MeanAndSd(mean, sd, times.total())


def length_in_words(text: str) -> int:
    """A text's length in words, separated by white space."""
    return len(text.split())


def length_in_tokens(folder: Path) -> TextLength:
    """A function for a text's length in tokens of a model, without special tokens.

    Args:
        folder: a model's folder, or its `tokenizer.json`.

    Raises:
        LampbenchError: there is no tokenizer, or it cannot be read.
    """
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json" if folder.is_dir() else folder
    wrong = f"{file}: cannot be read as a tokenizer"
    remedy = "give a tokenizer.json (--tokenizer)"
    if not file.is_file():
        raise LampbenchError(
            f"{file}: no such tokenizer; give a model's folder or its tokenizer.json (--tokenizer)"
        )
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the Rust side raises plain Exception
        raise LampbenchError(f"{wrong} ({error}); {remedy}") from None

    def length(text: str) -> int:
        try:
            return len(tokenizer.encode(text, add_special_tokens=False).ids)
        except Exception as error:
            raise LampbenchError(f"{wrong} ({error}); {remedy}") from None

    return length
