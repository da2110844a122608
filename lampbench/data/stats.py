"""Dataset statistics as in the paper's Table 4.

The paper's lengths are tokens, not words: LaMP's own paper counts 10.1 words a headline and 162.3
words an input of scholarly titles, where Table 4 has 15.5 and 230.6; and its inputs are whole
prompts, instructions included. Which tokenizer it used is not said. So here an input is the
system message and the user message of the plain prompt, and the unit is white-space words unless
a tokenizer is named.
"""

import statistics
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from lampbench.core.dataset import Dataset
from lampbench.core.task import Task
from lampbench.util.errors import LampbenchError

Length = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and standard deviation (of the population) of `count` numbers; 0 where there is none."""

    mean: float
    sd: float
    count: int

    def __str__(self) -> str:
        return f"{self.mean:,.1f} ± {self.sd:,.1f}" if self.count else "-"


@dataclass(frozen=True, slots=True)
class Stats:
    """A row of Table 4, with the test side beside it.

    `train_*` are the queries of the users who train the task adapter. `profile` counts the
    records of each test user; `profile_in` and `profile_out` are lengths over all these records.
    """

    task: str
    source: str
    synthetic: bool
    unit: str
    train: int
    train_in: Spread
    train_out: Spread
    users: int
    queries: int
    profile: Spread
    profile_in: Spread
    profile_out: Spread
    notes: tuple[str, ...]


def measure(dataset: Dataset, task: Task, length: Length, unit: str) -> Stats:
    """Statistics of a dataset; `length` gives a text's length in `unit`s."""

    def prompt(fields: Mapping[str, str]) -> int:
        made = task.prompt(fields)
        return length(f"{made.system}\n{made.text}")

    train = [query for user in dataset.train_users for query in user.queries]
    records = [record for user in dataset.test_users for record in user.history]
    return Stats(
        task=dataset.task,
        source=dataset.source,
        synthetic=dataset.synthetic,
        unit=unit,
        train=len(train),
        train_in=spread(prompt(query.fields) for query in train),
        train_out=spread(length(query.reference or "") for query in train),
        users=len(dataset.test_users),
        queries=sum(len(user.queries) for user in dataset.test_users),
        profile=spread(len(user.history) for user in dataset.test_users),
        profile_in=spread(prompt(record.fields) for record in records),
        profile_out=spread(length(record.target) for record in records),
        notes=dataset.notes,
    )


def spread(numbers: Iterable[float]) -> Spread:
    """Mean and standard deviation."""
    values = [float(number) for number in numbers]
    if not values:
        return Spread(0.0, 0.0, 0)
    return Spread(statistics.fmean(values), statistics.pstdev(values), len(values))


def words(text: str) -> int:
    """The number of words between white space."""
    return len(text.split())


def tokens_of(folder: Path) -> Length:
    """The length in tokens of a model's tokenizer, without special tokens.

    Args:
        folder: a model's folder, or its `tokenizer.json`.

    Raises:
        LampbenchError: no tokenizer that can be read.
    """
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json" if folder.is_dir() else folder
    if not file.is_file():
        raise LampbenchError(f"{file}: no such tokenizer; give a model's folder (--tokenizer)")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the Rust side raises plain Exception
        raise LampbenchError(f"{file}: is no tokenizer: {error}") from None
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
