"""A tokenizer with one chat template: one BOS, one end of turn, and data is nothing but text."""

import re
from functools import cached_property
from typing import Any

from lampbench.core.fidelity import Fidelity
from lampbench.engine.chat_template import CHAT_TEMPLATES, load_chat_template
from lampbench.util.errors import LampbenchError
from lampbench.util.whole_characters import whole_characters

# Llama's own template writes a date into the prompt; newer ones take today's date unless told.
_DATE = "26 Jul 2024"
_SYSTEM, _USER, _ANSWER = "probe of the system", "probe of the user", "probe of the assistant"
_OPTION = f"--chat-template ({', '.join(CHAT_TEMPLATES)})"
CHOOSE_TEMPLATE = f"choose another one with {_OPTION}"
"""What to do about a template that does not serve."""


class ChatTokenizer:
    """A tokenizer with a chat template: texts and chat prompts as token ids.

    `chat_template` names one of CHAT_TEMPLATES; None is the tokenizer's own. `training` only
    matters with `--fidelity reference`.

    Raises:
        LampbenchError: the tokenizer has no chat template and none is named.
    """

    def __init__(
        self, tokenizer: Any, chat_template: str | None, fidelity: Fidelity, *, training: bool
    ) -> None:
        self.tokenizer = tokenizer
        own = tokenizer.chat_template
        self.chat_template = load_chat_template(chat_template) if chat_template else own
        if not self.chat_template:
            raise LampbenchError(
                f"{tokenizer.name_or_path}: the tokenizer has no chat template; choose one with "
                f"{_OPTION}"
            )
        self._reference_bos = fidelity.reference_bos
        self._training = training

    def prompt_ids(self, system: str, user: str, generation_prompt: bool = True) -> list[int]:
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
            added = self.default_ids("a")[:1] == [bos] and not self._training
            return [bos, *ids] if added else ids
        if bos not in ids:
            ids = [bos, *ids]
        self._require_one_beginning(ids, bos)
        return ids

    def plain_ids(self, text: str) -> list[int]:
        """Token ids of text that is nothing but text."""
        return self._encode(self._defused(text))

    def default_ids(self, text: str) -> list[int]:
        """Token ids of plain text with what the tokenizer adds around it by itself."""
        return list(self.tokenizer(self._defused(text))["input_ids"])

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
                f"token that ends an answer; {CHOOSE_TEMPLATE}"
            )
        return int(found)

    @cached_property
    def bos(self) -> int | None:
        """The token that begins a sequence; None if neither tokenizer nor template uses one."""
        token = self.tokenizer.bos_token_id
        if token is None:
            return None
        rendered = self._render([_message("user", _USER)], generation=True)
        used = token in self.default_ids("a")[:1] or token in self._encode(rendered)
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
        text = whole_characters(text)
        return self._special.sub(lambda match: f"{match[0][0]} {match[0][1:]}", text)

    def _require_one_beginning(self, ids: list[int], bos: int) -> None:
        count = ids.count(bos)
        doubled = ids[1:2] == [bos] if self._bos_opens_turns else count > 1
        if doubled or ids[0] != bos:
            raise LampbenchError(
                f"{self.tokenizer.name_or_path}: the chat template puts {count} tokens "
                "that begin a sequence into a prompt, or not at its start; "
                f"{CHOOSE_TEMPLATE}"
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


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
