"""A chat completion as a server sends it, checked to be one answer to what was asked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lampbench.engine.openai.token_account import TokenCount

_COMPLETE = {"stop", "eos", "eos_token", "end_turn", "stop_sequence", "stop_token"}
_CUT = {"length", "max_tokens"}
_FILTERED = {"content_filter", "safety", "recitation", "prohibited_content", "sensitive", "refusal"}
_DENSE = 8.0  # characters per token; ordinary text has 3 to 6
_SHORT = 2_000  # characters of a prompt of which a cut is not looked for
_REASONING = re.compile(r"</?think(ing)?>|<thought>|<\|channel\|>")
_NEWEST = re.compile(r"[-@:]latest$")
_VERSION = re.compile(r"([-@:](\d{4}-\d\d-\d\d|\d{3,}))?([-@:](latest|preview))?")


class MalformedReply(Exception):
    """A reply that is no answer; the text says why."""


class WrongReply(Exception):
    """A reply that says it did something else than what was asked; sending again mends nothing."""


@dataclass(frozen=True, slots=True)
class ChatReply:
    """One answer.

    Attributes:
        text: the answer as it came; "" where it is withheld.
        truncated: whether the token budget ended it.
        withheld: why there is no answer; "" where there is one.
        model: the model that the server says answered; None where it does not say.
        fingerprint: its `system_fingerprint`, None where it has none.
        counted: the tokens that it counts; None where it does not.
    """

    text: str
    truncated: bool
    withheld: str
    model: str | None
    fingerprint: str | None
    counted: TokenCount | None


def read_chat_reply(content: Any, *, model: str, characters: int, most_new: int) -> ChatReply:
    """The answer in a reply to a prompt of so many `characters` with a budget of `most_new` tokens.

    Raises:
        MalformedReply: there is not exactly one complete choice of the known form.
        WrongReply: another model answered, the prompt or the answer was cut, the budget was not
            kept, or the answer has the model's reasoning in it.
    """
    if not isinstance(content, Mapping):
        raise MalformedReply("the reply is no JSON object")
    choice = _the_choice(content)
    message = choice.get("message")
    if not isinstance(message, Mapping):
        raise MalformedReply("the choice has no message")
    text, finish = message.get("content"), choice.get("finish_reason")
    if not isinstance(text, str | None):
        raise MalformedReply(f"the message's content is {type(text).__name__}, not text")
    answered_by = answering_model(content, model)
    text = text or ""
    counted = _count(content.get("usage"), bool(text.strip()), most_new)
    if counted is not None and characters > max(_SHORT, _DENSE * counted.read):
        raise WrongReply(
            f"the server says it read {counted.read:,} tokens of a prompt of {characters:,} "
            "characters: it cuts long prompts without saying so; raise its context length (ollama: "
            "num_ctx)"
        )
    if found := _REASONING.search(text):
        raise WrongReply(
            f"the answer has the model's reasoning in it ({found[0]}), which would be "
            "scored; have the server leave it out, or switch reasoning off (docs/api-models.md)"
        )
    withheld = _withheld(text, finish, message)
    truncated = str(finish).lower() in _CUT
    least = most_new - max(1, most_new // 8)  # some servers end a few tokens before the budget
    if truncated and not withheld and counted is not None and counted.written < least:
        raise WrongReply(
            f"it ended an answer after {counted.written:,} tokens for its length, and {most_new:,} "
            "were allowed: its context is full, or it bounds all answers (docs/api-models.md)"
        )
    return ChatReply(
        text="" if withheld else text,
        truncated=truncated,
        withheld=withheld,
        model=answered_by,
        fingerprint=_text_or_none(content.get("system_fingerprint")),
        counted=counted,
    )


def _the_choice(content: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = content.get("choices")
    if not isinstance(choices, list) or len(choices) != 1:
        found = f"{len(choices)} choices" if isinstance(choices, list) else "no choices"
        raise MalformedReply(f"the reply has {found} where one was asked for")
    choice = choices[0]
    if not isinstance(choice, Mapping):
        raise MalformedReply("the choice is no JSON object")
    if choice.get("index", 0) not in (0, None):
        raise MalformedReply(f"the choice has the index {choice['index']!r:.20}, not 0")
    return choice


def _withheld(text: str, finish: Any, message: Mapping[str, Any]) -> str:
    """Why there is no answer; "" where there is one."""
    refusal = message.get("refusal")
    ended = str(finish).lower()
    if ended in _FILTERED:
        return f"filtered by the server (finish_reason {ended})"
    if isinstance(refusal, str) and refusal and not text.strip():
        return "refused by the model"
    if ended not in _COMPLETE | _CUT:
        raise MalformedReply(f"the answer ended with finish_reason {finish!r:.40}")
    if text.strip():
        return ""
    if ended in _CUT:
        return "empty: the token budget was spent before the answer began, as by reasoning"
    return "empty"


def _count(usage: Any, has_text: bool, most_new: int) -> TokenCount | None:
    """The tokens that `usage` counts; None where it is missing or left at zero.

    Tokens of reasoning are written too, whether a server has them in `completion_tokens` or only
    in `total_tokens`.

    Raises:
        MalformedReply: the numbers contradict each other, or are none.
        WrongReply: there are more new tokens than the budget allows.
    """
    if usage is None:
        return None
    if not isinstance(usage, Mapping):
        raise MalformedReply("the usage is no JSON object")
    numbers = [usage.get(name) for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
    details = usage.get("completion_tokens_details")
    reasoning = details.get("reasoning_tokens") if isinstance(details, Mapping) else None
    if any(type(one) not in (int, type(None)) or not 0 <= (one or 0) < 2**40
           for one in (*numbers, reasoning)):  # fmt: skip
        raise MalformedReply(f"the usage holds no numbers of tokens ({dict(usage)!s:.60})")
    read, written, total = numbers
    if not read or written is None or (has_text and not written):
        return None
    if total is not None and total < read + written:
        raise MalformedReply(
            f"the usage contradicts itself: {total} tokens in total, {read} + {written} in parts"
        )
    visible = written - min(reasoning or 0, written)
    if visible > most_new + 1:  # some count the token that ends the turn
        raise WrongReply(
            f"the server counts {visible:,} new tokens where {most_new:,} were allowed: it ignores "
            "the token budget, or counts wrongly; use another server"
        )
    return TokenCount(read, (total or read + written) - read)


def answering_model(content: Mapping[str, Any], asked: str) -> str | None:
    """The model that a reply says answered; None where it does not say.

    Raises:
        WrongReply: it is not the one that was asked.
    """
    found = _text_or_none(content.get("model"))
    if found is not None and not same_model(asked, found):
        raise WrongReply(
            f"model {found!r} answered where {asked!r} was asked; give --model {found} if it is "
            "meant"
        )
    return found


def same_model(asked: str, answered: str) -> bool:
    """Whether a server may call the model that was asked for by another name.

    The answered name may leave out or add the organisation before a slash, and may add a date or a
    number of three digits or more, `latest` or `preview` at the end. "gpt-4o" may answer as
    "gpt-4o-2024-08-06", not as "gpt-4o-mini"; "qwen2" not as "qwen2.5".
    """
    whose, name = _parts(asked)
    answering, found = _parts(answered)
    if whose and answering and whose != answering:
        return False
    name = _NEWEST.sub("", name)
    return found.startswith(name) and _VERSION.fullmatch(found[len(name) :]) is not None


def _parts(name: str) -> tuple[str, str]:
    """Organisation ("" where there is none, as before a file's name) and name of a model."""
    organisation, _, own = name.rstrip("/").lower().rpartition("/")
    is_file = name.startswith("/") or organisation == "models"
    return "" if is_file else organisation, own.removesuffix(".gguf")


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
