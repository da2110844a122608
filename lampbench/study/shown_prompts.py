"""What a method shows the model for a query: each prompt as the model reads it. Nothing is made."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NoReturn

from lampbench.core.dataset import Dataset, Query, User
from lampbench.engine.decoded_answer import encode_sides
from lampbench.engine.model_config import context_length
from lampbench.engine.prompt_encoder import PromptEncoder
from lampbench.engine.protocol import (
    Completion,
    GenerateRequest,
    GenerationSpec,
    ScoreRequest,
    ScoreResult,
)
from lampbench.execution.check_requests import checked_requests
from lampbench.execution.executor import Executor
from lampbench.execution.plan import Plan
from lampbench.execution.reference_rendering import reference_rendering
from lampbench.plugin.context import UserRecipe
from lampbench.plugin.fault import told_as_the_plugins
from lampbench.registry import Registry
from lampbench.study.check_model import model_tokenizer
from lampbench.util.errors import LampbenchError, suggestion

_LISTED = 20
"""Ids that an error lists at most."""


@dataclass(frozen=True, slots=True)
class ShownPrompt:
    """A prompt as the model reads it.

    Attributes:
        user: the user's id.
        query: the query's id.
        request: number of the request, from 1; most methods make one per query.
        side: number of the side, from 1; 1 is the method's own. Contrastive methods have more.
        weights: the stages whose adapters read it, in order; () for the model as it is.
        text: the text with the chat template and its special tokens.
        tokens: its length in tokens.
        dropped: tokens that were removed so that prompt and answer fit the context.
    """

    user: str
    query: str
    request: int
    side: int
    weights: tuple[str, ...]
    text: str
    tokens: int
    dropped: int


def shown_prompts(plan: Plan, user: str | None, query: str | None) -> list[ShownPrompt]:
    """The prompts with which a method first asks the model about a query; nothing is trained.

    Without a user and a query, the first query of the first test user. Later questions of a method
    with its own `predict` depend on the model's answers, and are left out.

    Raises:
        LampbenchError: there is no such user or query, the method asks no model, its prompts need
            an artifact that is not in the cache, or a prompt does not fit the model's context.
    """
    asked, about = _chosen(plan.spec.dataset, user, query)
    encoder = _encoder(plan)
    found = []
    for number, request in enumerate(_first_requests(plan, replace(asked, queries=(about,))), 1):
        contrast = request.spec.contrast
        others = [weights for weights, _ in contrast.others] if contrast else []
        sides = zip(encode_sides(request, encoder), (request.weights, *others), strict=True)
        for side, (prompt, weights) in enumerate(sides, 1):
            text = encoder.tokenizer.decode(
                list(prompt.ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
            stages = tuple(path.parent.parent.name for path in weights)  # stage/key/adapter
            found.append(
                ShownPrompt(
                    asked.id, about.id, number, side, stages, text, len(prompt.ids), prompt.dropped
                )
            )
    return found


def _chosen(dataset: Dataset, user: str | None, query: str | None) -> tuple[User, Query]:
    for one in dataset.test_users:
        if user in (None, one.id):
            for asked in one.queries:
                if query in (None, asked.id):
                    return one, asked
    users = {one.id: [asked.id for asked in one.queries] for one in dataset.test_users}
    if user is not None and user not in users:
        raise LampbenchError(f"{dataset.source}: no test user {user!r}: {_near(user, [*users])}")
    whose = "the test users" if user is None else f"test user {user!r}"
    ids = [asked for name in ([user] if user else users) for asked in users[name]]
    raise LampbenchError(
        f"{dataset.source}: no query {query!r} of {whose}: {_near(str(query), ids)}"
    )


def _near(name: str, ids: Sequence[str]) -> str:
    near = suggestion(name, ids)
    return near if len(ids) <= _LISTED or near.startswith("did") else f"the first is {ids[0]}"


def _encoder(plan: Plan) -> PromptEncoder:
    executor = plan.executor
    engine = executor.engine_of(None)
    if not executor.engines.reads_model_files(engine):
        raise LampbenchError(
            f"engine {engine} has no tokenizer here, so the prompt cannot be shown; leave --engine "
            "out, and name a model whose files are here or on the hub"
        )
    spec = executor.model_spec
    tokenizer = model_tokenizer(spec, executor.engines.options.arguments)
    context = context_length(spec)
    if context is None:
        raise LampbenchError(f"{spec.location}: config.json states no max_position_embeddings")
    tokenizer.model_max_length = sys.maxsize  # it would warn of prompts that are then shortened
    return PromptEncoder(tokenizer, executor.chat_template, context, plan.spec.fidelity)


def _first_requests(plan: Plan, user: User) -> Sequence[GenerateRequest]:
    """The requests of the method's first question about a user's queries."""
    context, method = _Listening(plan), plan.method
    with told_as_the_plugins(f"method {method.name}"), suppress(_Asked):
        for _ in method.predict(context, [user]):
            pass
    if not context.asked:
        raise LampbenchError(f"method {method.name} asks no model about this query: no prompt")
    return context.asked


class _Asked(Exception):
    """A method has asked its first question."""


class _Listening(Executor):
    """A run that ends at the method's first question, which it keeps."""

    def __init__(self, plan: Plan) -> None:
        run = plan.executor
        registry = Registry(plan.spec.plugins)
        super().__init__(plan.spec, run.cache, run.engines, run.progress, registry=registry)
        self.asked: Sequence[GenerateRequest] = ()

    def get(self, recipe: UserRecipe, user: User) -> Any:
        if not self.cache.has(recipe.section, self.keys.of(recipe, user)):
            raise LampbenchError(
                f"the prompts of {self.spec.method.name} need the {recipe.section} of user "
                f"{user.id}, which is not in the cache {self.cache.root}; run the same options "
                "with `lampbench run` first"
            )
        return super().get(recipe, user)

    def answer(
        self, work: Iterable[tuple[User, Iterable[GenerateRequest]]]
    ) -> Iterator[tuple[User, list[list[Completion]]]]:
        self._end([request for user, some in work for request in self._checked(user, some)])

    def score(
        self,
        work: Iterable[tuple[User, Iterable[ScoreRequest]]],
        recipe: UserRecipe | None = None,
    ) -> Iterator[tuple[User, list[ScoreResult]]]:
        asked = [one for user, some in work for one in self._checked(user, some)]
        spec = GenerationSpec(max_new_tokens=1)
        self._end([GenerateRequest(one.id, one.prompt, one.weights, spec) for one in asked])

    def _checked(self, user: User, requests: Iterable[Any]) -> Sequence[Any]:
        return checked_requests(self.spec.method, user.id, requests)

    def _end(self, asked: Sequence[GenerateRequest]) -> NoReturn:
        self.asked = reference_rendering(self.fidelity, self.spec.method, asked)
        raise _Asked
