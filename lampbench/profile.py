"""User profiles: a few sentences that describe how a user writes (PAG)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lampbench.data.types import User
from lampbench.engine.protocol import GenerateRequest, GenerationSpec, Sampling
from lampbench.errors import LampbenchError
from lampbench.hashing import seed_from
from lampbench.hyper import hyper
from lampbench.prompt import Piece, Prompt
from lampbench.recipe import Owner, Recipe

if TYPE_CHECKING:
    from lampbench.context import Context

_SYSTEM = "You describe how people write."
_ASK = (
    "Below is earlier work of one user. Describe in a few sentences what is particular to this "
    "user: topics, tone, choice of words, recurring patterns.\n\n"
)


@dataclass(frozen=True)
class UserProfile(Recipe):
    """A profile written by a model from the user's history (Richardson et al., 2023).

    The paper has vicuna-7B write them: `--set profile.model=vicuna-7b`.
    """

    section = "profile"
    scope: ClassVar = "user"
    uses_prompting = False

    model: str = hyper(
        'who writes the profiles: "run" (the run\'s own model), "data" (the ones that came with '
        "the data), or a model's name",
        default="run",
    )
    records: int = hyper("most recent records shown to the writer", default=10, low=1)
    max_new_tokens: int = hyper("token budget of a profile", default=100, low=1)
    temperature: float = hyper("softmax temperature", default=0.7, low=1e-6)
    top_p: float = hyper("nucleus", default=1.0, low=1e-6, high=1.0)

    def model_name(self, run_model: str) -> str:
        """The profile writer."""
        return run_model if self.model in ("run", "data") else self.model

    def text(self, context: "Context", user: User) -> str:
        """The profile of a user."""
        return str(context.get(self, user)["profile"])

    def build(self, context: "Context", owners: Sequence[Owner]) -> Iterator[Owner]:
        """Write (or take over) the profiles of all users."""
        if self.model == "data":
            yield from self._from_data(context, owners)
            return
        spec = GenerationSpec(self.max_new_tokens, sampling=Sampling(self.temperature, self.top_p))
        work = [(owner, [self._request(context, owner, spec)]) for owner in owners]
        for owner, answers in context.generate(self, work):
            context.put(self, owner, {"profile": answers[0][0].text})
            yield owner

    def _from_data(self, context: "Context", owners: Sequence[Owner]) -> Iterator[Owner]:
        for owner in owners:
            assert owner is not None
            if owner.profile is None:
                raise LampbenchError(
                    f"user {owner.id}: {context.dataset.source} brings no profile; "
                    "have a model write it with --set profile.model=run"
                )
            context.put(self, owner, {"profile": owner.profile})
            yield owner

    def _request(self, context: "Context", owner: Owner, spec: GenerationSpec) -> GenerateRequest:
        assert owner is not None
        shown = [context.task.show(record) for record in owner.history[-self.records :]]
        if context.fidelity.profile_as_list:
            quoted = (Piece(str(shown), 1),)
        else:
            quoted = tuple(piece for text in shown for piece in (Piece(text, 1), Piece("\n\n")))
        prompt = Prompt(_SYSTEM, (Piece(_ASK), *quoted, Piece("Description:")))
        return GenerateRequest(
            id=owner.id,
            prompt=prompt,
            weights=(),
            spec=spec,
            seed=seed_from(context.seed, owner.id, self.section),
        )
