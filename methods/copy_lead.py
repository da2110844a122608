"""Control: the beginning of the query's own text, as long as the user usually writes."""

from collections.abc import Iterator, Sequence
from statistics import median

from lampbench.plugin import Context, Method, Prediction, User, register_method


@register_method("copy_lead")
class CopyLead(Method):
    """The first words of the query, as many as the user's median target has; runs no model.

    Source: defined here, after the lead baseline of summarization (Nallapati et al., "SummaRuNNer",
    AAAI 2017), with the user's length.
    """

    title = "Lead, copied"
    answers_per_query = 0

    def predict(self, context: Context, users: Sequence[User]) -> Iterator[Prediction]:
        """One beginning per query, empty for a user without a history."""
        for user in users:
            lengths = [len(record.target.split()) for record in user.history]
            count = round(median(lengths)) if lengths else 0
            for query in user.queries:
                words = " ".join(query.fields.values()).split()
                yield Prediction(user.id, query.id, " ".join(words[:count]))
