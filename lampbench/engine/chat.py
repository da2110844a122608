"""From prompts to token ids: one chat template, one BOS, one end of turn, for every method."""

from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

from lampbench.errors import LampbenchError
from lampbench.fidelity import Fidelity
from lampbench.prompt import Prompt

TEMPLATES = ("mistral", "llama", "gemma", "qwen")
_PROBE, _ANSWER = "probe of the user", "probe of the assistant"


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids of a prompt, and how many tokens of it were cut to fit."""

    ids: tuple[int, ...]
    cut: int


def load_template(name: str) -> str:
    """The Jinja text of one of the paper's templates (Appendix D).

    Raises:
        LampbenchError: there is no such template.
    """
    if name not in TEMPLATES:
        raise LampbenchError(
            f"no chat template is called {name!r}: there are {', '.join(TEMPLATES)}"
        )
    return files("lampbench.engine").joinpath("templates", f"{name}.jinja").read_text("utf-8")


class Encoder:
    """Renders and encodes under one chat template; `context` is the model's length in tokens."""

    def __init__(
        self, tokenizer: Any, template: str | None, context: int, fidelity: Fidelity
    ) -> None:
        self.tokenizer = tokenizer
        self.template = load_template(template) if template else tokenizer.chat_template
        if not self.template:
            raise LampbenchError(
                f"{tokenizer.name_or_path}: the tokenizer has no chat template; "
                f"choose one with --template ({', '.join(TEMPLATES)})"
            )
        self.context = context
        self.fidelity = fidelity

    def encode(self, request: str, prompt: Prompt, room: int, *, training: bool = False) -> Encoded:
        """Token ids of a prompt that may take `room` tokens; only shrinkable pieces are cut.

        Raises:
            LampbenchError: it does not fit even without them.
        """
        texts = [piece.text for piece in prompt.pieces]
        order = sorted(
            (i for i, piece in enumerate(prompt.pieces) if piece.shrink),
            key=lambda i: (-prompt.pieces[i].shrink, -i),
        )
        ids = self._ids(prompt.system, "".join(texts), training)
        whole = len(ids)
        for i in order:
            while len(ids) > room and texts[i]:
                texts[i] = self._shortened(texts[i], len(ids) - room)
                ids = self._ids(prompt.system, "".join(texts), training)
        if len(ids) > room:
            raise LampbenchError(
                f"{request}: the prompt takes {len(ids)} tokens where {room} are left of the "
                f"model's {self.context}, and nothing of it may be shortened; lower "
                "decoding.max_new_tokens or choose a model with a longer context"
            )
        return Encoded(tuple(ids), whole - len(ids))

    def response(self, text: str, room: int | None = None) -> tuple[list[int], bool]:
        """Token ids of an answer and its end of turn (one), and whether it was cut to `room`.

        A cut answer has no end of turn: it did not end there.
        """
        ids = [*self.tokenizer.encode(text, add_special_tokens=False), self.end_of_turn]
        if room is not None and len(ids) > room:
            return ids[:room], True
        return ids, False

    def decode(self, ids: list[int]) -> str:
        """The text of an answer's tokens."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True)).strip()

    @cached_property
    def end_of_turn(self) -> int:
        """The token with which the template ends an assistant's turn, or else the EOS."""
        messages = [
            {"role": "user", "content": _PROBE},
            {"role": "assistant", "content": _ANSWER},
        ]
        text = self._render(messages, generation=False)
        after = self.tokenizer.encode(text.rpartition(_ANSWER)[2], add_special_tokens=False)
        special = set(self.tokenizer.all_special_ids) | set(self.tokenizer.added_tokens_decoder)
        ends = [token for token in after if token in special and token != self.bos]
        return int(ends[0]) if ends else int(self.tokenizer.eos_token_id)

    @cached_property
    def bos(self) -> int | None:
        """The token that begins a sequence, None for models that have none."""
        token = self.tokenizer.bos_token_id
        adds = self.tokenizer.encode("a", add_special_tokens=True)[:1] == [token]
        renders = self.tokenizer.bos_token and self.tokenizer.bos_token in self.template
        return token if token is not None and (adds or renders or self._template_has_bos) else None

    @cached_property
    def _template_has_bos(self) -> bool:
        bos = self.tokenizer.bos_token
        text = self._render([{"role": "user", "content": _PROBE}], generation=True)
        return bool(bos) and bos in text

    @cached_property
    def _takes_system(self) -> bool:
        """Whether the template shows a system message; some reject it, some drop it."""
        from jinja2 import TemplateError

        try:
            return "probe of the system" in self._render(
                [
                    {"role": "system", "content": "probe of the system"},
                    {"role": "user", "content": _PROBE},
                ],
                generation=True,
            )
        except TemplateError:
            return False

    def _render(self, messages: list[dict[str, str]], *, generation: bool) -> str:
        return str(
            self.tokenizer.apply_chat_template(
                messages,
                chat_template=self.template,
                tokenize=False,
                add_generation_prompt=generation,
            )
        )

    def _ids(self, system: str, text: str, training: bool) -> list[int]:
        messages = [{"role": "user", "content": text}]
        if system and self._takes_system:
            messages.insert(0, {"role": "system", "content": system})
        elif system:
            messages[0]["content"] = f"{system}\n{text}"
        rendered = self._render(messages, generation=True)
        ids: list[int] = self.tokenizer.encode(rendered, add_special_tokens=False)
        if self.fidelity.reference_bos:
            return self._reference_bos(ids, training)
        if self.bos is not None:
            body = len(ids) - next((i for i, t in enumerate(ids) if t != self.bos), len(ids))
            ids = [self.bos, *ids[len(ids) - body :]]
        return ids

    def _reference_bos(self, ids: list[int], training: bool) -> list[int]:
        """No BOS added in training; at inference the tokenizer's on top of the template's."""
        if training or self.bos is None:
            return ids
        return [self.bos, *ids]

    def _shortened(self, text: str, tokens: int) -> str:
        """The text without at least its last `tokens` tokens."""
        encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        kept = encoded["offset_mapping"][: max(0, len(encoded["input_ids"]) - tokens)]
        return text[: kept[-1][1]] if kept else ""
