"""Control for OPPU: TAM's answers, exactly as long as OPPU's."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lampbench.plugin import (
    Completion,
    Context,
    GenerateRequest,
    Method,
    Prediction,
    TaskSFT,
    User,
    UserSFT,
    register_method,
)

tam = TaskSFT()


@register_method("tam_length")
class TAMMatchedLength(Method):
    """TAM that gives as many tokens as OPPU gives to the same query.

    Word overlap depends on length. What OPPU gains over this control is no effect of length.
    Source: defined here.
    """

    title = "TAM, OPPU's length"
    adaptation = tam
    measured = UserSFT(start=tam)
    answers_per_query = 2

    def predict(self, context: Context, users: Sequence[User]) -> Iterator[Prediction]:
        """OPPU answers; TAM answers with a budget, and a least length, of as many tokens."""
        asked = {user.id: self.requests(context, user) for user in users}
        measuring = []
        for user in users:
            own = context.weights(self.measured, user)
            measuring.append((user, [replace(one, weights=own) for one in asked[user.id]]))
        models = {user.id: [one for (one,) in found] for user, found in context.answer(measuring)}
        matched = [(user, list(map(as_long_as, models[user.id], asked[user.id]))) for user in users]
        for user, answers in context.answer(matched):
            for query, (answer,), model in zip(user.queries, answers, models[user.id], strict=True):
                # that the budget is spent says nothing here: OPPU's answer may have ended itself
                yield Prediction.of(user, query, replace(answer, truncated=model.truncated))


def as_long_as(model: Completion, request: GenerateRequest) -> GenerateRequest:
    """The request for an answer with as many tokens as `model` has, and at least one."""
    length = max(1, len(model.token_ids))
    spec = replace(request.spec, max_new_tokens=length, min_new_tokens=length)
    return replace(request, spec=spec)
