"""Retrieval: which of a user's past records a prompt quotes."""

import random
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from lampbench.core.dataset import Query, Record, User
from lampbench.plugin.context import Context
from lampbench.plugin.hyperparameter import Part
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import seed_from

Item = Query | Record
Ranking = Callable[[Sequence[Record], str, int], Sequence[Record]]
"""A function that gets past records, the text that is asked and k, and returns at most k of the
records, best first. `nearest` is one."""

_RECORD_WORDS, _RECORD_WORDS_IN_TRAINING = 368, 768


@dataclass(frozen=True)
class Retriever(Part):
    """Chooses past records for an item: a query or, in training, a past record."""

    section = "retriever"

    @abstractmethod
    def rank(
        self, context: Context, user: User, item: Item, history: Sequence[Record], k: int
    ) -> list[Record]:
        """At most k records of `history`, best first.

        `history` are the user's records from before the item, in their order. What a task compares
        are the texts `context.task.query_text(item)` and `context.task.record_text(record)`.
        """


@dataclass(frozen=True)
class BM25(Retriever):
    """The records that share rare words with the item: as `nearest`."""

    name: ClassVar = "bm25"

    def rank(
        self, context: Context, user: User, item: Item, history: Sequence[Record], k: int
    ) -> list[Record]:
        """The k best, best first."""
        task = context.task
        if context.fidelity.split_on_blanks:
            return _as_released(context, item, history, k)
        return nearest(history, task.query_text(item), k, task.record_text)


@dataclass(frozen=True)
class Recent(Retriever):
    """The latest records, whatever the item: LaMP's `recency` (Salemi et al., 2024)."""

    name: ClassVar = "recent"

    def rank(
        self, context: Context, user: User, item: Item, history: Sequence[Record], k: int
    ) -> list[Record]:
        """The last k, the latest first."""
        return list(reversed(history))[:k]


@dataclass(frozen=True)
class RandomRecords(Retriever):
    """Any records, drawn without replacement; each item has draws of its own, by the run's seed."""

    name: ClassVar = "random_records"

    def rank(
        self, context: Context, user: User, item: Item, history: Sequence[Record], k: int
    ) -> list[Record]:
        """K records in random order."""
        seed = seed_from(context.seed, user.id, self.section, item.id)
        return random.Random(seed).sample(list(history), min(k, len(history)))


def retrieve(
    context: Context, retriever: Retriever | Ranking, user: User, item: Item, k: int
) -> list[Record]:
    """The records that a retriever chooses from what came before the item.

    Raises:
        LampbenchError: the retriever gave more than k records, one twice, or one that is not in
            the history before the item.
    """
    history = before(user, item)
    if isinstance(retriever, Retriever):
        found = list(retriever.rank(context, user, item, history, k))
    else:
        found = list(retriever(history, context.task.query_text(item), k))
    known = {id(record) for record in history}
    if len({id(record) for record in found} & known) != len(found) or len(found) > k:
        name = getattr(retriever, "__name__", type(retriever).__name__)
        raise LampbenchError(
            f"retriever {name} chose {len(found)} records for item {item.id!r} of user "
            f"{user.id!r}; it must return at most {k} of the {len(history)} records it was given, "
            "each once"
        )
    return found


def relevant(user: User, item: Item, k: int) -> list[Record]:
    """The k records of the history nearest to `item`, best first; for a past record (in training)
    of what came before it.
    """
    return nearest(before(user, item), " ".join(item.fields.values()), k)


def before(user: User, item: Item) -> Sequence[Record]:
    """The records written before `item`."""
    ids = [record.id for record in user.history]
    if isinstance(item, Record) and item.id in ids:
        return user.history[: ids.index(item.id)]
    return user.history


def whole_text(record: Record) -> str:
    """All that a record consists of: its fields and its target."""
    return " ".join([*record.fields.values(), record.target])


def nearest(
    history: Sequence[Record],
    text: str,
    k: int,
    text_of: Callable[[Record], str] = whole_text,
    words_of: Callable[[str], list[str]] = str.split,
) -> list[Record]:
    """The k best records by BM25 (rank_bm25's BM25Okapi on white-space tokens), best first.

    Among equals the later record wins. Records without a token cannot be retrieved. `text_of`
    gives the text by which a record is found, `words_of` the tokens of a text.

    This BM25 gives a word that half of the records have no weight, and one that more have a weight
    that may be negative. Of two or three records, the first is often not the nearest.
    """
    from rank_bm25 import BM25Okapi

    documents = [(record, tokens) for record in history if (tokens := words_of(text_of(record)))]
    if not documents or k == 0:
        return []
    scores = BM25Okapi([tokens for _, tokens in documents]).get_scores(words_of(text))
    order = sorted(range(len(documents)), key=lambda i: (-scores[i], -i))
    return [documents[i][0] for i in order[:k]]


def _as_released(context: Context, item: Item, history: Sequence[Record], k: int) -> list[Record]:
    """BM25 as in the reference code: texts with their instruction, split at every blank.

    Fields are first cut to so many words, joined by single blanks: 368 of a record that a query
    asks for (OPPU.py:295), 768 of a record and of the item itself in training (OPPU.py:225-235).
    """
    trains = isinstance(item, Record)
    words = _RECORD_WORDS_IN_TRAINING if trains else _RECORD_WORDS
    fields = {name: _cut(text, words) if trains else text for name, text in item.fields.items()}
    task, search = context.task, context.task.reference_search
    asked = task.prompt(fields, template=search).text if search else task.query_text(item)

    def as_quoted(record: Record) -> str:
        cut = {name: _cut(text, words) for name, text in record.fields.items()}
        return context.quote(replace(record, fields=cut, target=_cut(record.target, words)))

    return nearest(history, asked, k, as_quoted, lambda text: text.split(" "))


def _cut(text: str, words: int) -> str:
    return " ".join(text.split()[:words])
