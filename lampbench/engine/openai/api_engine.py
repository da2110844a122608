"""Answers and scores from a model behind an OpenAI-compatible API."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from threading import Event
from typing import Any, NoReturn

from lampbench.engine.openai.api_client import ApiClient
from lampbench.engine.openai.api_options import ApiOptions
from lampbench.engine.openai.chat_reply import ChatReply, read_chat_reply
from lampbench.engine.openai.chat_request import chat_body, most_tokens
from lampbench.engine.openai.parallel import in_parallel
from lampbench.engine.openai.persistent_request import PersistentRequests
from lampbench.engine.openai.prompt_scores import PromptScores
from lampbench.engine.openai.server_errors import OtherBudgetName, PromptFiltered, ServerErrors
from lampbench.engine.openai.token_account import TokenAccount
from lampbench.engine.protocol import (
    CombineJob,
    Completion,
    GenerateRequest,
    ScoreRequest,
    ScoreResult,
    Served,
    StepHook,
    TrainFailure,
    TrainJob,
    TrainResult,
)
from lampbench.util.errors import LampbenchError

_CHAT = "/chat/completions"
_BUDGET, _NEWER_BUDGET = "max_tokens", "max_completion_tokens"  # the same by two names


@dataclass(frozen=True, slots=True)
class _Asked:
    """One sample of a request."""

    request: GenerateRequest
    sample: int

    @property
    def name(self) -> str:
        """What messages call it."""
        many = f", sample {self.sample}" if self.request.samples > 1 else ""
        return f"{self.request.id}{many}"


class ApiEngine:
    """Asks one model behind an API, as `lampbench.engine.protocol` describes.

    It has no tokenizer: completions hold no token ids, their counts are the server's, and prompts
    are never shortened. `account` is shared by the engines of a command.

    Raises:
        LampbenchError: the environment has no usable key.
    """

    device = "remote"

    def __init__(
        self,
        model: str,
        options: ApiOptions,
        account: TokenAccount,
        say: Callable[[str], object],
    ) -> None:
        key = options.key()
        self._model, self._options, self._say = model, options, say
        self._client = ApiClient(options, key)
        self._errors = ServerErrors(options, model, key)
        self._requests = PersistentRequests(options, self._client, self._errors, account, say)
        self._scores = PromptScores(model, options, self._requests)
        self._budget_name = _BUDGET
        if key is not None and options.address.startswith("http:") and not options.on_this_machine:
            say(f"warning: the key in {options.key_name} goes to {options.host} unencrypted (http)")

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def generate(self, requests: Sequence[GenerateRequest]) -> Iterator[Completion]:
        """Answer prompts, many at the same time, each sample on its own.

        What was received before an error is yielded first.

        Raises:
            OutOfBudget: a budget is spent.
            LampbenchError: the server cannot be reached, refuses, or gives no usable answers; or,
                when all others are answered, an answer is filtered or empty.
        """
        asked = [_Asked(one, sample) for one in requests for sample in range(one.samples)]
        withheld: list[str] = []
        for one, reply in in_parallel(self._answer, asked, self._options.concurrency):
            if reply.withheld:
                withheld.append(f"{one.name}: {reply.withheld}")
                self._say(f"no answer to {withheld[-1]}")
                if self._options.withheld == "stop":
                    continue
            yield _completion(one, reply)
        if withheld and self._options.withheld == "stop":
            raise LampbenchError(
                f"{self._options.place} gave no answer to {len(withheld)} of {len(asked)} requests "
                f"({withheld[0]}); the others are kept: --engine-arg withheld=record records empty "
                "answers for these, and says so"
            )

    def score(self, requests: Sequence[ScoreRequest]) -> Iterator[ScoreResult]:
        """Log-probabilities of responses, from servers that return those of a prompt's tokens.

        Raises:
            LampbenchError: as `generate`, or the server returns no such log-probabilities.
        """
        for _, result in in_parallel(self._scores.of, requests, self._options.concurrency):
            yield result

    def train(
        self, jobs: Sequence[TrainJob], on_step: StepHook
    ) -> Iterator[TrainResult | TrainFailure]:
        """Nothing can be trained behind an API.

        Raises:
            LampbenchError: always.
        """
        self._refuse("trained")

    def combine(self, job: CombineJob) -> None:
        """Nothing can be combined behind an API.

        Raises:
            LampbenchError: always.
        """
        self._refuse("used")

    def _refuse(self, what: str) -> NoReturn:
        raise LampbenchError(
            f"{self._model} of {self._options.place}: no adapter can be {what} behind an API; "
            "choose a method without training"
        )

    def _answer(self, asked: _Asked, stop: Event) -> ChatReply:
        """The answer to one sample, asked for until it is there or cannot be had."""
        request = asked.request
        most = most_tokens(request.prompt, request.spec.max_new_tokens)
        characters = len(request.prompt.system) + len(request.prompt.text)

        def read(content: Any) -> ChatReply:
            reply = read_chat_reply(
                content,
                model=self._model,
                characters=characters,
                most_new=request.spec.max_new_tokens,
            )
            words, without_key = self._errors.words_of, self._errors.without_key
            return replace(
                reply,
                text=without_key(reply.text),
                model=reply.model and words(reply.model),
                fingerprint=reply.fingerprint and words(reply.fingerprint),
            )

        try:
            while True:
                name, fields = self._budget_name, self._options.fields
                body = chat_body(self._model, request, asked.sample, fields, name)
                try:
                    return self._requests.send(_CHAT, body, asked.name, most, read, stop)
                except OtherBudgetName as error:
                    if name == _NEWER_BUDGET:
                        raise LampbenchError(f"{asked.name}: refused: {error}") from error
                    self._budget_name = _NEWER_BUDGET
        except PromptFiltered as error:
            return ChatReply("", False, f"filtered by the server ({error})", None, None, None)


def _completion(asked: _Asked, reply: ChatReply) -> Completion:
    counted = reply.counted
    return Completion(
        id=asked.request.id,
        sample=asked.sample,
        text=reply.text.strip(),
        token_ids=(),
        prompt_tokens=counted.read if counted else 0,
        prompt_head=(),
        prompt_tokens_dropped=0,
        truncated=reply.truncated,
        served=Served(
            model=reply.model,
            fingerprint=reply.fingerprint,
            new_tokens=counted.written if counted else None,
            withheld=reply.withheld,
        ),
    )
