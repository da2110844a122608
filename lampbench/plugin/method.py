"""The Method plugin kind: prompting x adaptation x decoding."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lampbench.core.dataset import Query, User
from lampbench.engine.protocol import Completion, GenerateRequest
from lampbench.plugin.context import Context, WeightsSource
from lampbench.plugin.decoding import Decoding, Greedy, no_spec
from lampbench.plugin.hyperparameter import Part, Setting, ValueSources, resolve
from lampbench.plugin.prompting import Plain, Prompting
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import seed_from


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answered query. `prompt_head` are the first token ids of the prompt, as the model saw
    them; a method that runs no model leaves the counts at zero. `tokens` and their `rewards`
    (equation 2, natural log) are there where contrastive decoding was asked for them. `quoted` are
    the ids of the past records that the prompt quotes.
    """

    user: str
    query: str
    text: str
    prompt_tokens: int = 0
    new_tokens: int = 0
    prompt_tokens_dropped: int = 0
    truncated: bool = False
    prompt_head: tuple[int, ...] = ()
    tokens: tuple[str, ...] = ()
    rewards: tuple[float, ...] = ()
    quoted: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, user: User, query: Query, answer: Completion, quoted: Sequence[str] = ()
    ) -> "Prediction":
        """A model's answer to a query, with its counts; `quoted` are ids of past records."""
        return cls(
            user.id,
            query.id,
            answer.text,
            answer.prompt_tokens,
            answer.new_tokens,
            answer.prompt_tokens_dropped,
            answer.truncated,
            answer.prompt_head,
            answer.token_texts,
            answer.rewards,
            tuple(quoted),
        )


class Method:
    """Prompting, adaptation and decoding; by default the base model's plain greedy answer.

    A method that does not fit these overrides `predict` and keeps everything else. It may say in
    `answers_per_query` how many answers it generates (0: it asks no model), for the estimate of
    a plan's cost, and in `min_history` how many past records every test user must have.
    """

    name: ClassVar[str]
    title: ClassVar[str] = ""
    answers_per_query: ClassVar[int | None] = None
    min_history: ClassVar[int] = 1
    prompting: Prompting = Plain()
    adaptation: WeightsSource | None = None
    decoding: Decoding = Greedy()

    def parts(self) -> dict[str, Part]:
        """Every part on the method, by attribute name (a plugin may have more than three)."""
        names = sorted(
            {name for kind in type(self).__mro__ for name in vars(kind)} | set(vars(self))
        )
        values = {name: getattr(self, name) for name in names if not name.startswith("__")}
        return {name: value for name, value in values.items() if isinstance(value, Part)}

    def resolved(self, layers: ValueSources) -> tuple["Method", dict[str, Setting]]:
        """A copy with every hyper-parameter set, and the settings with their sources.

        Raises:
            LampbenchError: a setting has no value or an impossible one, settings do not fit
                together, or the decoding has no `spec`.
        """
        settings: dict[str, Setting] = {}
        ready = copy.copy(self)
        for name, part in self.parts().items():
            setattr(ready, name, resolve(part, layers, f"method {self.name}", settings))
        try:
            ready.decoding.require_valid()
        except LampbenchError as error:
            raise LampbenchError(f"method {self.name}: {error}") from error
        own_answers = type(self).predict is not Method.predict
        if type(ready.decoding).spec is Decoding.spec and not own_answers:
            raise no_spec(ready.decoding)
        return ready, settings

    def generated_per_query(self) -> int | None:
        """How many answers to a query are generated; None where a `predict` does not say it."""
        if self.answers_per_query is not None:
            return self.answers_per_query
        own = type(self).predict is not Method.predict
        return None if own else self.decoding.answers_per_query

    def requests(self, context: Context, user: User) -> list[GenerateRequest]:
        """One request per query of a user: the method's prompt, weights and decoding."""
        weights = context.weights(self.adaptation, user)
        spec = self.decoding.spec(context, user)
        return [
            GenerateRequest(
                id=query.id,
                prompt=self.prompting.render(context, user, query),
                weights=weights,
                spec=spec,
                samples=self.decoding.answers_per_query,
                seed=seed_from(context.seed, user.id, "predict", query.id),
                other_prompts=self.decoding.other_prompts(context, user, query),
            )
            for query in user.queries
        ]

    def predict(self, context: Context, users: Sequence[User]) -> Iterator[Prediction]:
        """Answer every query of `users`, in any order."""
        asked = [(user, self.requests(context, user)) for user in users]
        for user, answers in self.decoding.answers(context, asked):
            for query, answer in zip(user.queries, answers, strict=True):
                quoted = self.prompting.quotes(context, user, query)
                yield Prediction.of(user, query, answer, [record.id for record in quoted])
