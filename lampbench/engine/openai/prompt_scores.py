"""Log-probabilities of given responses, from a server that returns those of a prompt's tokens.

`prompt_logprobs` of a chat completion is vLLM's extension of the API. The answer is put into the
conversation as the assistant's turn, by the server's own chat template; where it begins is where
the same conversation without it ends.
"""

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Event, Lock
from typing import Any

from lampbench.core.prompt import Prompt
from lampbench.engine.openai.api_options import ApiOptions
from lampbench.engine.openai.chat_reply import MalformedReply, WrongReply, answering_model
from lampbench.engine.openai.chat_request import chat_messages, most_tokens
from lampbench.engine.openai.persistent_request import PersistentRequests
from lampbench.engine.openai.token_account import TokenCount
from lampbench.engine.protocol import ScoreRequest, ScoreResult
from lampbench.util.errors import LampbenchError, short_repr

_CHAT = "/chat/completions"


@dataclass(frozen=True, slots=True)
class _ScoredToken:
    """A token of a prompt, its text where the server gives it, and its log-probability (nats)."""

    id: int
    text: str | None
    logprob: float


@dataclass(frozen=True, slots=True)
class _ScoredPrompt:
    """All tokens of a prompt but the first, and what the server counts for them."""

    tokens: tuple[_ScoredToken, ...]
    counted: TokenCount | None


class PromptScores:
    """Scores responses, from any thread; the tokens of a prompt alone are asked for once."""

    def __init__(self, model: str, options: ApiOptions, requests: PersistentRequests) -> None:
        self._model, self._options, self._requests = model, options, requests
        self._prompts: dict[Prompt, tuple[_ScoredToken, ...]] = {}
        self._lock = Lock()

    def of(self, request: ScoreRequest, stop: Event) -> ScoreResult:
        """Natural-log probabilities of the response's tokens and of what ends its turn.

        Raises:
            LampbenchError: adapters or raw texts are asked for, the server returns no
                log-probabilities of a prompt, or its chat template does not put the answer after
                the prompt.
        """
        if request.weights or request.format == "raw":
            what = "adapters" if request.weights else "texts without a chat template"
            raise LampbenchError(
                f"{request.id}: an API scores no {what}; use an engine that runs the model itself"
            )
        before = self._prompt(request, stop)
        messages = [
            *chat_messages(request.prompt), {"role": "assistant", "content": request.response},
        ]  # fmt: skip
        most = most_tokens(request.prompt, 1) + TokenCount(
            len(request.response.encode("utf-8", "replace")), 0
        )
        whole = self._scored(messages, False, request.id, most, stop)
        begin = len(before)
        if [one.id for one in whole[:begin]] != [one.id for one in before] or len(whole) == begin:
            raise LampbenchError(
                f"{request.id}: {self._options.place} does not put an answer after the tokens of "
                "its prompt, so that it cannot be scored; use an engine that runs the model itself"
            )
        turn = _turn(whole[begin:], request.response)
        if turn is None:
            text = "".join(one.text or "" for one in whole[begin:])
            raise LampbenchError(
                f"{request.id}: the chat template of {self._options.place} writes an answer as "
                f"{short_repr(text)}, which is not the response with a token that ends its turn, "
                "so that it cannot be scored; switch reasoning off (docs/api-models.md), or use an "
                "engine that runs the model itself"
            )
        return ScoreResult(request.id, tuple(one.logprob for one in turn))

    def _prompt(self, request: ScoreRequest, stop: Event) -> tuple[_ScoredToken, ...]:
        known = self._prompts.get(request.prompt)
        if known is None:
            most = most_tokens(request.prompt, 1)
            messages = chat_messages(request.prompt)
            known = self._scored(messages, True, request.id, most, stop)
            with self._lock:
                self._prompts[request.prompt] = known
        return known

    def _scored(
        self,
        messages: list[dict[str, str]],
        generation_prompt: bool,
        what: str,
        most: TokenCount,
        stop: Event,
    ) -> tuple[_ScoredToken, ...]:
        body = {
            "model": self._model,
            "messages": messages,
            "max_tokens": 1,
            "temperature": 0,
            "prompt_logprobs": 1,
            "add_generation_prompt": generation_prompt,
            **{name: held for name, held in self._options.fields.items() if name != "seed"},
        }
        return self._requests.send(_CHAT, body, what, most, self._read, stop).tokens

    def _read(self, content: Any) -> _ScoredPrompt:
        if not isinstance(content, Mapping):
            raise MalformedReply("the reply is no JSON object")
        answering_model(content, self._model)
        found = content.get("prompt_logprobs")
        if found is None:
            raise WrongReply(
                "it returns no log-probabilities of a prompt (prompt_logprobs), as vLLM does, so "
                "that no response can be scored; use an engine that runs the model itself"
            )
        if not isinstance(found, list) or len(found) < 2:
            raise MalformedReply("prompt_logprobs is no list of tokens")
        return _ScoredPrompt(tuple(map(_token, found[1:])), _count(content.get("usage")))


def _token(entry: Any) -> _ScoredToken:
    """The prompt's own token in an entry, which also has the most probable one.

    Raises:
        MalformedReply: the entry has another form.
    """
    if not isinstance(entry, Mapping) or not 1 <= len(entry) <= 2:
        raise MalformedReply("an entry of prompt_logprobs does not hold one token and the best one")
    ordered = sorted(entry.items(), key=lambda item: -_rank(item[1]))  # the best one is last
    name, held = ordered[0]
    logprob, text = held.get("logprob"), held.get("decoded_token")
    if type(logprob) not in (int, float) or not math.isfinite(logprob) or logprob > 1e-3:
        raise MalformedReply(f"a log-probability is {logprob!r:.40}")
    if not str(name).isdecimal():
        raise MalformedReply(f"a token is called {name!r:.40}, not by its id")
    return _ScoredToken(int(name), text if isinstance(text, str) else None, min(logprob, 0.0))


def _rank(held: Any) -> int:
    rank = held.get("rank") if isinstance(held, Mapping) else None
    if type(rank) is not int or rank < 1:
        raise MalformedReply("an entry of prompt_logprobs has no rank")
    return rank


def _turn(tokens: tuple[_ScoredToken, ...], response: str) -> tuple[_ScoredToken, ...] | None:
    """The tokens of a response and the one that ends its turn, without what follows it; None if
    these are not there, as where a template writes the end of reasoning before an answer.

    White space plays no part. Where the server does not give a token's text, or only a part of a
    character, all tokens are taken but white space at the end.
    """
    texts = [one.text for one in tokens]
    if any(text is None or "\ufffd" in text for text in texts):
        end = len(tokens)
        while end > 1 and (text := texts[end - 1]) is not None and not text.strip():
            end -= 1
        return tokens[:end]
    wanted, seen = _bare(response), ""
    for number, text in enumerate(map(str, texts)):
        if text.strip() and _bare(seen) == wanted:
            return tokens[: number + 1]
        seen += text
    return None


def _bare(text: str) -> str:
    """The text without white space, in the form that tokenizers which change characters use."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def _count(usage: Any) -> TokenCount | None:
    read = usage.get("prompt_tokens") if isinstance(usage, Mapping) else None
    written = usage.get("completion_tokens") if isinstance(usage, Mapping) else None
    if type(read) is not int or type(written) is not int or min(read, written) < 0:
        return None
    return TokenCount(read, written)
