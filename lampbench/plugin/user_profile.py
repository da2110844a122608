"""User profiles: a few sentences that describe how a user writes (PAG)."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from lampbench.core.dataset import User
from lampbench.core.prompt import Piece, Prompt
from lampbench.engine.protocol import GenerateRequest, GenerationSpec, Sampling
from lampbench.plugin.hyperparameter import hyper
from lampbench.plugin.recipe import Owner, Recipe
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import seed_from

if TYPE_CHECKING:
    from lampbench.run.executor import Context


@dataclass(frozen=True)
class UserProfile(Recipe):
    """A profile written by a model from the user's history (Richardson et al., 2023).

    The paper has vicuna-7B write them: `--set profile.model=vicuna-7b`.
    """

    name: ClassVar = "user_profile"
    section = "profile"
    version: ClassVar = 2  # 2: draws of the many-user engine
    scope: ClassVar = "user"
    uses_prompting = False

    model: str = hyper(
        'who writes the profiles: "run" (the run\'s own model), "data" (the ones that came with '
        "the data), or a model's name",
        default="run",
    )
    records: int = hyper("records shown to the writer, drawn at random", low=1)
    max_new_tokens: int = hyper("token budget of a profile", low=1)
    temperature: float = hyper("softmax temperature", low=1e-6)
    top_p: float = hyper("nucleus", low=1e-6, high=1.0)

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
        seed = seed_from(context.seed, owner.id, self.section)
        count = min(self.records, len(owner.history))
        shown = [context.task.show(r) for r in random.Random(seed).sample(owner.history, count)]
        quoted = [str(shown)] if context.fidelity.profile_as_list else shown
        pieces = (Piece(context.task.profile_request), *(Piece(text, 1) for text in quoted))
        return GenerateRequest(
            id=owner.id,
            prompt=Prompt("", (*pieces, Piece("\nAnswer:"))),
            weights=(),
            spec=spec,
            seed=seed,
        )
