"""Control for OPPU: TAM's answers, exactly as long as OPPU's."""

from dataclasses import replace

from lampbench.plugin import Method, Prediction, TaskSFT, UserSFT, register_method

tam = TaskSFT()


@register_method("tam_length")
class TAMMatchedLength(Method):
    """TAM that gives as many tokens as OPPU gives to the same query.

    Word overlap depends on length. What OPPU gains over this control is no effect of length.
    """

    title = "TAM, OPPU's length"
    adaptation = tam
    measured = UserSFT(start=tam)
    answers_per_query = 2

    def predict(self, context, users):
        """OPPU answers; TAM answers with a budget, and a least length, of as many tokens."""
        asked = {user.id: self.requests(context, user) for user in users}
        lengths, again = {}, []
        for user, answers in context.answer(
            (user, [replace(one, weights=self.theirs(context, user)) for one in asked[user.id]])
            for user in users
        ):
            lengths[user.id] = [answer for (answer,) in answers]
            requests = zip(asked[user.id], lengths[user.id], strict=True)
            again.append((user, [self.as_long_as(model, one) for one, model in requests]))
        for user, answers in context.answer(again):
            rows = zip(user.queries, answers, lengths[user.id], strict=True)
            for query, (answer,), model in rows:
                own = replace(answer, truncated=model.truncated)  # the budget is no end by itself
                yield Prediction.of(user, query, own)

    def theirs(self, context, user):
        """The weights of the method whose length is matched."""
        return context.weights(self.measured, user)

    def as_long_as(self, model, request):
        """The request for an answer with as many tokens as `model` has, and at least one."""
        length = max(1, len(model.token_ids))
        spec = replace(request.spec, max_new_tokens=length, min_new_tokens=length)
        return replace(request, spec=spec)
