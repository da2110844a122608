"""Draft and refine: the model drafts, then rewrites its draft beside the user's profile."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lampbench.plugin import (
    Context,
    GenerateRequest,
    Method,
    Piece,
    Prediction,
    User,
    UserProfile,
    register_method,
)

REVISE = "Rewrite the draft below so that it reads as if this author had written it.\n"


@register_method("draft_refine")
class DraftAndRefine(Method):
    """Two passes: a draft that knows nothing of the user, and its revision for the user.

    Self-refinement (Madaan et al., 2023) with a written profile (Richardson et al., 2023) in place
    of the model's own feedback.
    """

    title = "Draft and refine"
    profile = UserProfile()
    answers_per_query = 2

    def predict(self, context: Context, users: Sequence[User]) -> Iterator[Prediction]:
        """Draft all users' queries together, then refine all of them together."""
        drafting = [(user, self.requests(context, user)) for user in users]
        refining = [
            (user, self.revisions(context, user, [draft.text for (draft,) in drafts]))
            for user, drafts in context.answer(drafting)
        ]
        for user, answers in context.answer(refining):
            for query, (answer,) in zip(user.queries, answers, strict=True):
                yield Prediction.of(user, query, answer)

    def revisions(
        self, context: Context, user: User, drafts: Sequence[str]
    ) -> list[GenerateRequest]:
        """The same requests, with profile and draft before the task's prompt."""
        profile = Piece(self.profile.text(context, user), shrink=2)
        about = [Piece("The author: "), profile, Piece("\n" + REVISE + "Draft: ")]
        return [
            replace(one, prompt=one.prompt.before(*about, Piece(draft, shrink=3), Piece("\n")))
            for one, draft in zip(self.requests(context, user), drafts, strict=True)
        ]
