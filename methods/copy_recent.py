"""Control: the user's most recent text, copied."""

from collections.abc import Iterator, Sequence

from lampbench.plugin import Context, Method, Prediction, User, register_method


@register_method("copy_recent")
class CopyRecent(Method):
    """The target of the last record of the history, whatever the query; runs no model.

    Source: defined here.
    """

    title = "Most recent, copied"
    answers_per_query = 0

    def predict(self, context: Context, users: Sequence[User]) -> Iterator[Prediction]:
        """The same answer to every query of a user."""
        for user in users:
            text = user.history[-1].target if user.history else ""
            for query in user.queries:
                yield Prediction(user.id, query.id, text)
