"""Prompting, the first choice of a method: what the prompt shows of the user's history."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from lampbench.core.dataset import Query, Record, User
from lampbench.core.prompt import Piece, Prompt
from lampbench.plugin.context import Context
from lampbench.plugin.hyperparameter import Part, hyper
from lampbench.plugin.user_profile import UserProfile

EXAMPLES, PROFILE = 3, 2
"""Shrink ranks: quoted history is shortened first, then the profile, then the task's field (1)."""


@dataclass(frozen=True)
class Prompting(Part):
    """Turns a query (or, in training, a past record) of a user into a prompt."""

    section = "prompting"

    @abstractmethod
    def render(self, context: Context, user: User, item: Query | Record) -> Prompt:
        """The prompt for one item of one user."""

    def quotes(self, user: User, item: Query | Record) -> list[Record]:
        """The past records that the prompt quotes, in the order in which it shows them."""
        return []


@dataclass(frozen=True)
class Plain(Prompting):
    """The task's prompt alone."""

    name: ClassVar = "plain"

    def render(self, context: Context, user: User, item: Query | Record) -> Prompt:
        """The task's prompt for the item's fields."""
        return context.task.prompt(item.fields)


@dataclass(frozen=True)
class RetrievalAugmented(Prompting):
    """The k records nearest to the query, quoted before the task's prompt (RAG)."""

    name: ClassVar = "retrieval_augmented"
    k: int = hyper("records quoted from the history", low=0)

    def render(self, context: Context, user: User, item: Query | Record) -> Prompt:
        """History quoted, then the task's prompt."""
        examples = quoted(context, self.quotes(user, item))
        return context.task.prompt(item.fields).before(*examples)

    def quotes(self, user: User, item: Query | Record) -> list[Record]:
        """The k nearest, best first."""
        return relevant(user, item, self.k)


@dataclass(frozen=True)
class ProfileAugmented(Prompting):
    """A written profile of the user, and the k nearest records "additionally" (PAG)."""

    name: ClassVar = "profile_augmented"
    k: int = hyper("records quoted from the history", low=0)
    profile: UserProfile = field(default_factory=UserProfile)

    def render(self, context: Context, user: User, item: Query | Record) -> Prompt:
        """Profile, quoted history, then the task's prompt."""
        text = self.profile.text(context, user)
        about = (Piece(text, PROFILE), Piece("\n"))
        examples = quoted(context, self.quotes(user, item))
        return context.task.prompt(item.fields).before(*about, *examples)

    def quotes(self, user: User, item: Query | Record) -> list[Record]:
        """The k nearest, best first."""
        return relevant(user, item, self.k)


def relevant(user: User, item: Query | Record, k: int) -> list[Record]:
    """The k records of the history nearest to `item`, best first; for a past record (in training)
    of what came before it.
    """
    return nearest(before(user, item), " ".join(item.fields.values()), k)


def quoted(context: Context, records: Sequence[Record]) -> tuple[Piece, ...]:
    """Records as pieces that may be shortened: one after the other, then a blank line, as in the
    reference code.
    """
    pieces = [Piece(context.quote(record), EXAMPLES) for record in records]
    return (*pieces, Piece("\n")) if pieces else ()


def before(user: User, item: Query | Record) -> Sequence[Record]:
    """The records written before `item`."""
    ids = [record.id for record in user.history]
    if isinstance(item, Record) and item.id in ids:
        return user.history[: ids.index(item.id)]
    return user.history


def nearest(history: Sequence[Record], text: str, k: int) -> list[Record]:
    """The k best records by BM25 (rank_bm25's BM25Okapi on white-space tokens), best first.

    Among equals the later record wins. Records without a token cannot be retrieved.
    """
    from rank_bm25 import BM25Okapi

    documents = [
        (record, tokens)
        for record in history
        if (tokens := " ".join([*record.fields.values(), record.target]).split())
    ]
    if not documents or k == 0:
        return []
    scores = BM25Okapi([tokens for _, tokens in documents]).get_scores(text.split())
    order = sorted(range(len(documents)), key=lambda i: (-scores[i], -i))
    return [documents[i][0] for i in order[:k]]
