"""Control: the user's most similar past text, copied."""

from collections.abc import Iterator, Sequence

from lampbench.plugin import Context, Method, Prediction, User, register_method, relevant


@register_method("copy_nearest")
class CopyNearest(Method):
    """The target of the record that BM25 finds nearest to the query; runs no model.

    Source: defined here.
    """

    title = "Nearest, copied"
    answers_per_query = 0

    def predict(self, context: Context, users: Sequence[User]) -> Iterator[Prediction]:
        """One record per query, as RAG would quote it first."""
        for user in users:
            for query in user.queries:
                found = relevant(user, query, 1)
                text = found[0].target if found else ""
                yield Prediction(user.id, query.id, text, quoted=tuple(one.id for one in found))
