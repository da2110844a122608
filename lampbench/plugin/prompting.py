"""Prompting, the first choice of a method: what the prompt shows of the user's history."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from lampbench.core.dataset import Query, Record, User
from lampbench.core.prompt import Piece, Prompt
from lampbench.plugin.added_fields import added
from lampbench.plugin.context import Context
from lampbench.plugin.hyperparameter import Part, hyper
from lampbench.plugin.retrieval import BM25, Ranking, Retriever, retrieve
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

    def quotes(self, context: Context, user: User, item: Query | Record) -> list[Record]:
        """The user's past records that the prompt quotes, in the order in which it shows them."""
        return []


@dataclass(frozen=True)
class Plain(Prompting):
    """The task's prompt alone."""

    name: ClassVar = "plain"

    def render(self, context: Context, user: User, item: Query | Record) -> Prompt:
        """The task's prompt for the item's fields."""
        return plain_prompt(context, item)


@dataclass(frozen=True)
class RetrievalAugmented(Prompting):
    """The k records that the retriever chooses, quoted before the task's prompt (RAG)."""

    name: ClassVar = "retrieval_augmented"
    k: int = hyper("records quoted from the history", low=0)
    retriever: Retriever | Ranking = added(BM25())

    def render(self, context: Context, user: User, item: Query | Record) -> Prompt:
        """History quoted, then the task's prompt."""
        return quoting(context, self.quotes(context, user, item), item)

    def quotes(self, context: Context, user: User, item: Query | Record) -> list[Record]:
        """The records chosen, best first."""
        return retrieve(context, self.retriever, user, item, self.k)


@dataclass(frozen=True)
class ProfileAugmented(Prompting):
    """A written profile of the user, and the k retrieved records "additionally" (PAG)."""

    name: ClassVar = "profile_augmented"
    k: int = hyper("records quoted from the history", low=0)
    profile: UserProfile = field(default_factory=UserProfile)
    retriever: Retriever | Ranking = added(BM25())

    def render(self, context: Context, user: User, item: Query | Record) -> Prompt:
        """Profile, quoted history, then the task's prompt."""
        text = self.profile.text(context, user)
        about = (Piece(text, PROFILE), Piece("\n"))
        return quoting(context, self.quotes(context, user, item), item).before(*about)

    def quotes(self, context: Context, user: User, item: Query | Record) -> list[Record]:
        """The records chosen, best first."""
        return retrieve(context, self.retriever, user, item, self.k)


def plain_prompt(context: Context, item: Query | Record) -> Prompt:
    """The task's prompt for the item alone, in the words that the run's fidelity asks for."""
    task = context.task
    words = task.reference_template if context.fidelity.released_wording else None
    return task.prompt(item.fields, template=words)


def quoting(context: Context, records: Sequence[Record], item: Query | Record) -> Prompt:
    """The task's prompt for the item with past records in it, each of which may be shortened."""
    examples = [Piece(context.quote(record), EXAMPLES) for record in records]
    return context.task.with_examples(plain_prompt(context, item), examples)
