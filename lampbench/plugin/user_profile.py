"""User profiles: a few sentences that describe how a user writes (PAG)."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from lampbench.core.dataset import User
from lampbench.core.prompt import Piece, Prompt
from lampbench.engine.capability import Capability
from lampbench.engine.protocol import GenerateRequest, GenerationSpec, Sampling
from lampbench.plugin.context import Context, UserRecipe
from lampbench.plugin.hyperparameter import hyper
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import seed_from


@dataclass(frozen=True)
class UserProfile(UserRecipe):
    """A profile written by a model from the user's history (Richardson et al., 2023).

    The paper has vicuna-7B write them: `--set profile.model=vicuna-7b`.
    """

    name: ClassVar = "user_profile"
    section = "profile"
    version: ClassVar = 3  # 2: random draws of the batched engine; 3: of a counter
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

    def needs(self) -> frozenset[Capability]:
        """Sampling; nothing where the profiles come with the data."""
        asks = self.model != "data"
        return frozenset({Capability.GENERATE, Capability.SAMPLE} if asks else ())

    def text(self, context: Context, user: User) -> str:
        """The profile of a user."""
        return str(context.get(self, user)["profile"])

    def build(self, context: Context, users: Sequence[User]) -> Iterator[User]:
        """Write the profiles of all users, or take those of the data."""
        if self.model == "data":
            yield from self._from_data(context, users)
            return
        spec = GenerationSpec(self.max_new_tokens, sampling=Sampling(self.temperature, self.top_p))
        work = [(user, [self._request(context, user, spec)]) for user in users]
        for user, answers in context.generate(self, work):
            context.put(self, user, {"profile": answers[0][0].text})
            yield user

    def _from_data(self, context: Context, users: Sequence[User]) -> Iterator[User]:
        for user in users:
            if user.profile is None:
                raise LampbenchError(
                    f"user {user.id}: {context.dataset.source} has no profile; "
                    "let a model write it with --set profile.model=run"
                )
            context.put(self, user, {"profile": user.profile})
            yield user

    def _request(self, context: Context, user: User, spec: GenerationSpec) -> GenerateRequest:
        seed = seed_from(context.seed, user.id, self.section)
        count = min(self.records, len(user.history))
        shown = [context.task.show(r) for r in random.Random(seed).sample(user.history, count)]
        quoted = [str(shown)] if context.fidelity.profile_as_list else shown
        pieces = (Piece(context.task.profile_request), *(Piece(text, 1) for text in quoted))
        return GenerateRequest(
            id=user.id,
            prompt=Prompt("", (*pieces, Piece("\nAnswer:"))),
            weights=(),
            spec=spec,
            seed=seed,
        )
