"""From prompts to token ids: one chat template, one BOS, one end of turn, for every method."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lampbench.core.fidelity import Fidelity
from lampbench.core.prompt import Prompt
from lampbench.engine.chat_template import (
    CHAT_TEMPLATES,
    load_chat_template,
    paper_chat_template,
)
from lampbench.util.errors import LampbenchError

TokenIds = tuple[int, ...]

# Llama's own template writes a date into the prompt; newer ones take today's date unless told.
_DATE = "26 Jul 2024"
_SYSTEM, _USER, _ANSWER = "probe of the system", "probe of the user", "probe of the assistant"
_CHOOSE = f"choose another one with --chat-template ({', '.join(CHAT_TEMPLATES)})"


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """Token ids of a prompt, and how many of its tokens were dropped to make it fit."""

    ids: TokenIds
    dropped: int


@dataclass(frozen=True, slots=True)
class EncodedResponses:
    """Token ids of a prompt and of given responses to it; `shortened` if anything was cut."""

    prompt: TokenIds
    responses: tuple[TokenIds, ...]
    shortened: bool


class PromptEncoder:
    """Renders prompts with one chat template and tokenizes them.

    `chat_template` names one of CHAT_TEMPLATES; None is the tokenizer's own. `context` is the
    model's context length in tokens. `training` only matters with `--fidelity reference`.

    Raises:
        LampbenchError: the tokenizer has no chat template and none is named.
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
        own = tokenizer.chat_template
        self.chat_template = load_chat_template(chat_template) if chat_template else own
        if not self.chat_template:
            raise LampbenchError(
                f"{tokenizer.name_or_path}: the tokenizer has no chat template; "
                f"choose one with --chat-template ({', '.join(CHAT_TEMPLATES)})"
            )
        self.context = context
        self._reference_bos = fidelity.reference_bos
        self._training = training

    def encode_prompt(
        self, request: str, prompt: Prompt, room: int, *, generation_prompt: bool = True
    ) -> EncodedPrompt:
        """Token ids of a prompt, at most `room`; `generation_prompt` as in `GenerateRequest`.

        A longer prompt is shortened in the pieces that allow it: those of the highest rank first,
        among these the last piece first, each from its end.

        Raises:
            LampbenchError: it does not fit even without these pieces, or the template leaves
                nothing of it; the message names `request`.
        """
        texts = [piece.text for piece in prompt.pieces]
        order = sorted(
            (i for i, piece in enumerate(prompt.pieces) if piece.shrink),
            key=lambda i: (-prompt.pieces[i].shrink, -i),
        )
        ids = self._ids(prompt.system, "".join(texts), generation_prompt)
        whole = len(ids)
        if not ids:
            raise LampbenchError(f"{request}: the chat template renders no token; {_CHOOSE}")
        for i in order:
            while len(ids) > room and texts[i]:
                texts[i] = self._shortened(texts[i], len(ids) - room)
                ids = self._ids(prompt.system, "".join(texts), generation_prompt)
        if len(ids) > room:
            raise LampbenchError(
                f"{request}: the prompt takes {len(ids)} tokens where {room} are left of the "
                f"model's {self.context}, and no part of it may be shortened; lower the token "
                "budget (decoding.max_new_tokens) or choose a model with a longer context"
            )
        return EncodedPrompt(tuple(ids), whole - len(ids))

    def encode_responses(
        self, request: str, prompt: Prompt, responses: Sequence[str]
    ) -> EncodedResponses:
        """Token ids of a prompt and of responses to train on or to score.

        All responses share the prompt, and each ends with one end-of-turn token. A response may
        take half of the context, or more if the prompt is short; a longer one is cut at its end
        and gets no end of turn, since it did not end there.

        Raises:
            LampbenchError: the prompt does not fit beside the responses; names `request`.
        """
        whole = len(self._ids(prompt.system, prompt.text))
        share = max(self.context // 2, self.context - whole)
        ids = [self.encode_response(text) for text in responses]
        kept = [response[:share] for response in ids]
        encoded = self.encode_prompt(request, prompt, self.context - max(map(len, kept)))
        shortened = encoded.dropped > 0 or any(len(response) > share for response in ids)
        return EncodedResponses(encoded.ids, tuple(kept), shortened)

    def encode_response(self, text: str | None) -> TokenIds:
        """Token ids of a response and its end of turn; none for None."""
        return () if text is None else (*self._plain(text), self.end_of_turn)

    def encode_raw(self, prompt: str, response: str) -> TokenIds:
        """Token ids of prompt and response without a chat template, at most the context.

        Each is tokenized on its own, as the reference code scores them (compute_scores.py:51-60):
        both begin with a BOS if the tokenizer adds one.
        """
        ids = (*self._default(prompt), *self._default(response))
        return ids[: self.context]

    def decode(self, ids: Sequence[int]) -> str:
        """Text of an answer's tokens, without special tokens and outer white space."""
        text = self.tokenizer.decode(
            list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return str(text).strip()

    def token_texts(self, ids: Sequence[int]) -> tuple[str, ...]:
        """Text of each token by itself; a character that spans tokens shows as U+FFFD."""
        return tuple(str(self.tokenizer.decode([token])) for token in ids)

    @cached_property
    def end_of_turn(self) -> int:
        """The token with which the template ends an assistant's turn, or else the EOS.

        Raises:
            LampbenchError: there is neither.
        """
        text = self._render(
            [_message("user", _USER), _message("assistant", _ANSWER)], generation=False
        )
        after = self._encode(text.rpartition(_ANSWER)[2])
        special = set(self.tokenizer.all_special_ids) | set(self.tokenizer.added_tokens_decoder)
        ends = [token for token in after if token in special]
        found = ends[0] if ends else self.tokenizer.eos_token_id
        if found is None:
            raise LampbenchError(
                f"{self.tokenizer.name_or_path}: neither the chat template nor the tokenizer has a "
                f"token that ends an answer; {_CHOOSE}"
            )
        return int(found)

    def stop_ids(self, model: Any) -> frozenset[int]:
        """All tokens that end an answer: the model's, the tokenizer's and the template's."""
        told = model.generation_config.eos_token_id
        listed = told if isinstance(told, list) else [told]
        ends = [*listed, self.tokenizer.eos_token_id, self.end_of_turn]
        return frozenset(int(token) for token in ends if token is not None)

    @cached_property
    def bos(self) -> int | None:
        """The token that begins a sequence; None if neither tokenizer nor template uses one."""
        token = self.tokenizer.bos_token_id
        if token is None:
            return None
        rendered = self._render([_message("user", _USER)], generation=True)
        used = token in self._default("a")[:1] or token in self._encode(rendered)
        return int(token) if used else None

    @cached_property
    def _bos_opens_turns(self) -> bool:
        """Whether the template writes the BOS once for every turn, as some of ChatML's kind do."""
        one = [_message("user", _USER)]
        three = [*one, _message("assistant", _ANSWER), *one]
        few, more = (
            self._encode(self._render(messages, generation=False)).count(
                self.tokenizer.bos_token_id
            )
            for messages in (one, three)
        )
        return more > few

    @cached_property
    def _takes_system(self) -> bool:
        """Whether the template shows a system message; some reject it, some drop it."""
        from jinja2 import TemplateError

        messages = [_message("system", _SYSTEM), _message("user", _USER)]
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

        Data is data: a review that contains <s> or </s> neither begins nor ends a sequence.
        """
        return self._special.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)

    def _ids(self, system: str, user: str, generation_prompt: bool = True) -> list[int]:
        """Token ids of a chat prompt, with or without what opens the assistant's turn."""
        system, user = self._defused(system), self._defused(user)
        messages = [_message("user", user)]
        if system and self._takes_system:
            messages.insert(0, _message("system", system))
        elif system:
            messages = [_message("user", f"{system}\n\n{user}")]
        # The paper's templates render stray white space, some of it in front of their BOS.
        ids = self._encode(self._render(messages, generation=generation_prompt).lstrip())
        bos = self.bos
        if bos is None:
            return ids
        if self._reference_bos:
            added = self._default("a")[:1] == [bos] and not self._training
            return [bos, *ids] if added else ids
        if bos not in ids:
            ids = [bos, *ids]
        self._require_one_beginning(ids, bos)
        return ids

    def _require_one_beginning(self, ids: list[int], bos: int) -> None:
        count = ids.count(bos)
        doubled = ids[1:2] == [bos] if self._bos_opens_turns else count > 1
        if doubled or ids[0] != bos:
            raise LampbenchError(
                f"{self.tokenizer.name_or_path}: the chat template puts {count} "
                f"tokens that begin a sequence into a prompt, or not at its start; {_CHOOSE}"
            )

    def _render(self, messages: list[dict[str, str]], *, generation: bool) -> str:
        text = self.tokenizer.apply_chat_template(
            messages,
            chat_template=self.chat_template,
            tokenize=False,
            add_generation_prompt=generation,
            date_string=_DATE,
            enable_thinking=False,  # Qwen3 would spend the token budget on it
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


def prompt_encoders(
    tokenizer: Any,
    model_type: str,
    chat_template: str | None,
    context: int,
    fidelity: Fidelity,
) -> tuple[PromptEncoder, PromptEncoder]:
    """Encoders of a model for inference and for training; arguments as for PromptEncoder.

    They differ with `--fidelity reference` only, which trains under the paper's template.

    Raises:
        LampbenchError: there is no chat template of that name, or none for this model.
    """
    paper = paper_chat_template(model_type) if fidelity.split_templates else None
    return (
        PromptEncoder(tokenizer, chat_template, context, fidelity),
        PromptEncoder(tokenizer, paper or chat_template, context, fidelity, training=True),
    )


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
