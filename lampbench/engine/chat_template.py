"""From prompts to token ids: one chat template, one BOS, one end of turn, for every method."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

from lampbench.core.fidelity import Fidelity
from lampbench.core.prompt import Prompt
from lampbench.util.errors import LampbenchError

TEMPLATES = ("mistral", "llama", "gemma", "qwen", "vicuna")
# Llama's own template writes a date into the prompt; newer ones ask the clock unless told.
_DATE = "26 Jul 2024"
_SYSTEM, _USER, _ANSWER = "probe of the system", "probe of the user", "probe of the assistant"


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of a prompt, and how many tokens of it were cut to fit."""

    ids: tuple[int, ...]
    cut: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A prompt with given responses, as token ids; `cut` whether anything was shortened."""

    prompt: tuple[int, ...]
    responses: tuple[tuple[int, ...], ...]
    cut: bool


def load_template(name: str) -> str:
    """The Jinja text of one of lampbench's templates.

    Raises:
        LampbenchError: there is no such template.
    """
    if name not in TEMPLATES:
        raise LampbenchError(
            f"no chat template is called {name!r}: there are {', '.join(TEMPLATES)}"
        )
    return files("lampbench.engine").joinpath("templates", f"{name}.jinja").read_text("utf-8")


def family_template(model_type: str) -> str:
    """The paper's custom template for a kind of model (`--fidelity reference` trains under it).

    Raises:
        LampbenchError: the paper has none.
    """
    for name in ("mistral", "llama", "gemma", "qwen"):
        if model_type.startswith(name):
            return name
    raise LampbenchError(
        f"the reference code has no chat template for models of type {model_type}; "
        "use --fidelity paper"
    )


class Encoder:
    """Renders and encodes under one chat template.

    `chat_template` names one of TEMPLATES, None is the tokenizer's own; `context` is the model's
    length in tokens. `training` matters to `--fidelity reference` only.
    """

    def __init__(
        self,
        tokenizer: Any,
        chat_template: str | None,
        context: int,
        fidelity: Fidelity,
        *,
        training: bool = False,
    ) -> None:
        self.tokenizer = tokenizer
        self.template = load_template(chat_template) if chat_template else tokenizer.chat_template
        if not self.template:
            raise LampbenchError(
                f"{tokenizer.name_or_path}: the tokenizer has no chat template; "
                f"choose one with --chat-template ({', '.join(TEMPLATES)})"
            )
        self.context = context
        self._reference_bos = fidelity.reference_bos
        self._training = training

    def prompt(self, request: str, prompt: Prompt, room: int) -> Encoded:
        """Token ids of a prompt that may take `room` tokens.

        What is too long is shortened in the pieces that may be: those of the highest rank first,
        the last of them first, from their end.

        Raises:
            LampbenchError: it does not fit even without them; the message names `request`.
        """
        texts = [piece.text for piece in prompt.pieces]
        order = sorted(
            (i for i, piece in enumerate(prompt.pieces) if piece.shrink),
            key=lambda i: (-prompt.pieces[i].shrink, -i),
        )
        ids = self._ids(prompt.system, "".join(texts))
        whole = len(ids)
        for i in order:
            while len(ids) > room and texts[i]:
                texts[i] = self._shortened(texts[i], len(ids) - room)
                ids = self._ids(prompt.system, "".join(texts))
        if len(ids) > room:
            raise LampbenchError(
                f"{request}: the prompt takes {len(ids)} tokens where {room} are left of the "
                f"model's {self.context}, and nothing of it may be shortened; lower the token "
                "budget (decoding.max_new_tokens) or choose a model with a longer context"
            )
        return Encoded(tuple(ids), whole - len(ids))

    def answered(self, request: str, prompt: Prompt, responses: Sequence[str]) -> Answered:
        """A prompt with responses to be trained on or scored, each with its end of turn (one).

        All responses share the prompt. A response may take half of the context, or more where the
        prompt is short; a longer one is cut from its end and gets no end of turn, since it did not
        end there.

        Raises:
            LampbenchError: the prompt does not fit beside the responses.
        """
        whole = len(self._ids(prompt.system, prompt.text))
        share = max(self.context // 2, self.context - whole)
        ids = [self.response(text) for text in responses]
        kept = [response[:share] for response in ids]
        encoded = self.prompt(request, prompt, self.context - max(map(len, kept)))
        cut = encoded.cut > 0 or any(len(response) > share for response in ids)
        return Answered(encoded.ids, tuple(kept), cut)

    def response(self, text: str | None) -> tuple[int, ...]:
        """Token ids of an answer with its end of turn; of None, none."""
        return () if text is None else (*self._plain(text), self.end_of_turn)

    def raw(self, prompt: str, response: str) -> list[int]:
        """Prompt and response without template, each tokenized on its own, as the reference code
        scores them (compute_scores.py:51-60): both begin with a BOS where the tokenizer adds one.
        """
        ids = [*self._default(prompt), *self._default(response)]
        return ids[: self.context]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of an answer's tokens, without white space around it."""
        text = self.tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return str(text).strip()

    def pieces(self, ids: Sequence[int]) -> tuple[str, ...]:
        """The text of each token alone; characters that span tokens show as U+FFFD."""
        return tuple(str(self.tokenizer.decode([token])) for token in ids)

    @cached_property
    def end_of_turn(self) -> int:
        """The token with which the template ends an assistant's turn, or else the EOS.

        Raises:
            LampbenchError: there is neither.
        """
        text = self._render([_said("user", _USER), _said("assistant", _ANSWER)], generation=False)
        after = self._encode(text.rpartition(_ANSWER)[2])
        special = set(self.tokenizer.all_special_ids) | set(self.tokenizer.added_tokens_decoder)
        ends = [token for token in after if token in special]
        found = ends[0] if ends else self.tokenizer.eos_token_id
        if found is None:
            raise LampbenchError(
                f"{self.tokenizer.name_or_path}: neither the chat template nor the tokenizer has a "
                "token that ends an answer; choose another template with --chat-template"
            )
        return int(found)

    def stop_ids(self, model: Any) -> frozenset[int]:
        """Every token that may end an answer: the model's, the tokenizer's, the template's."""
        told = model.generation_config.eos_token_id
        listed = told if isinstance(told, list) else [told]
        ends = [*listed, self.tokenizer.eos_token_id, self.end_of_turn]
        return frozenset(int(token) for token in ends if token is not None)

    @cached_property
    def bos(self) -> int | None:
        """The token that begins a sequence; None where neither tokenizer nor template uses one."""
        token = self.tokenizer.bos_token_id
        if token is None:
            return None
        rendered = self._render([_said("user", _USER)], generation=True)
        used = token in self._default("a")[:1] or token in self._encode(rendered)
        return int(token) if used else None

    @cached_property
    def _takes_system(self) -> bool:
        """Whether the template shows a system message; some reject it, some drop it."""
        from jinja2 import TemplateError

        messages = [_said("system", _SYSTEM), _said("user", _USER)]
        try:
            return _SYSTEM in self._render(messages, generation=True)
        except TemplateError:
            return False

    @cached_property
    def _special(self) -> re.Pattern[str]:
        added = self.tokenizer.added_tokens_decoder.values()
        texts = {*self.tokenizer.all_special_tokens, *(str(t) for t in added if t.special)}
        longest_first = sorted(filter(None, texts), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def _defused(self, text: str) -> str:
        """The text with a space inside whatever the tokenizer would take for a special token.

        Data is data: a review that says <s> or </s> neither begins nor ends a sequence.
        """
        return self._special.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)

    def _ids(self, system: str, user: str) -> list[int]:
        """Token ids of a chat prompt, ready for the assistant's answer."""
        system, user = self._defused(system), self._defused(user)
        messages = [_said("user", user)]
        if system and self._takes_system:
            messages.insert(0, _said("system", system))
        elif system:
            messages = [_said("user", f"{system}\n\n{user}")]
        # The paper's templates render stray white space, some of it in front of their BOS.
        ids = self._encode(self._render(messages, generation=True).lstrip())
        if self.bos is None:
            return ids
        if self._reference_bos:
            return ids if self._training else [self.bos, *ids]
        if self.bos not in ids:
            ids = [self.bos, *ids]
        if ids.count(self.bos) != 1 or ids[0] != self.bos:
            raise LampbenchError(
                f"{self.tokenizer.name_or_path}: the chat template puts {ids.count(self.bos)} "
                "tokens that begin a sequence into a prompt, or not in front; choose another "
                f"with --chat-template ({', '.join(TEMPLATES)})"
            )
        return ids

    def _render(self, messages: list[dict[str, str]], *, generation: bool) -> str:
        text = self.tokenizer.apply_chat_template(
            messages,
            chat_template=self.template,
            tokenize=False,
            add_generation_prompt=generation,
            date_string=_DATE,
        )
        return str(text)

    def _encode(self, text: str) -> list[int]:
        """Token ids of text in which special tokens count, and to which none are added."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _plain(self, text: str) -> list[int]:
        """Token ids of text that is nothing but text."""
        return self._encode(self._defused(text))

    def _default(self, text: str) -> list[int]:
        """Token ids of plain text with what the tokenizer adds around it by itself."""
        return list(self.tokenizer(self._defused(text))["input_ids"])

    def _shortened(self, text: str, tokens: int) -> str:
        """The text without at least its last `tokens` tokens, and always shorter."""
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        spans = encoded["offset_mapping"]
        if len(spans) <= tokens:
            return ""
        # The first dropped token's start: the bytes of one character may be several tokens.
        return text[: min(spans[len(spans) - tokens][0], len(text) - 1)]


def _said(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
