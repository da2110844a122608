"""From prompts and responses to token ids that fit the context, the same for every method."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lampbench.core.fidelity import Fidelity
from lampbench.core.prompt import Prompt
from lampbench.engine.chat_template import paper_chat_template
from lampbench.engine.chat_tokenizer import CHOOSE_TEMPLATE, ChatTokenizer
from lampbench.util.errors import LampbenchError
from lampbench.util.whole_characters import whole_characters

TokenIds = tuple[int, ...]


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
        self._chat = ChatTokenizer(tokenizer, chat_template, fidelity, training=training)
        self.tokenizer, self.chat_template = tokenizer, self._chat.chat_template
        self.context = context

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
        texts = [whole_characters(piece.text) for piece in prompt.pieces]
        order = sorted(
            (i for i, piece in enumerate(prompt.pieces) if piece.shrink),
            key=lambda i: (-prompt.pieces[i].shrink, -i),
        )
        ids = self._chat.prompt_ids(prompt.system, "".join(texts), generation_prompt)
        whole = len(ids)
        if not ids:
            raise LampbenchError(
                f"{request}: the chat template renders no token; {CHOOSE_TEMPLATE}"
            )
        for i in order:
            while len(ids) > room and texts[i]:
                texts[i] = self._shortened(texts[i], len(ids) - room)
                ids = self._chat.prompt_ids(prompt.system, "".join(texts), generation_prompt)
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
        whole = len(self._chat.prompt_ids(prompt.system, prompt.text))
        share = max(self.context // 2, self.context - whole)
        ids = [self.encode_response(text) for text in responses]
        kept = [response[:share] for response in ids]
        encoded = self.encode_prompt(request, prompt, self.context - max(map(len, kept)))
        shortened = encoded.dropped > 0 or any(len(response) > share for response in ids)
        return EncodedResponses(encoded.ids, tuple(kept), shortened)

    def encode_response(self, text: str | None) -> TokenIds:
        """Token ids of a response and its end of turn; none for None."""
        return () if text is None else (*self._chat.plain_ids(text), self.end_of_turn)

    def encode_raw(self, prompt: str, response: str) -> TokenIds:
        """Token ids of prompt and response without a chat template, at most the context.

        Each is tokenized on its own, as the reference code scores them (compute_scores.py:51-60):
        both begin with a BOS if the tokenizer adds one.
        """
        ids = (*self._chat.default_ids(prompt), *self._chat.default_ids(response))
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

    @property
    def end_of_turn(self) -> int:
        """The token with which the template ends an assistant's turn, or else the EOS.

        Raises:
            LampbenchError: there is neither.
        """
        return self._chat.end_of_turn

    def stop_ids(self, model: Any) -> frozenset[int]:
        """All tokens that end an answer: the model's, the tokenizer's and the template's."""
        told = model.generation_config.eos_token_id
        listed = told if isinstance(told, list) else [told]
        ends = [*listed, self.tokenizer.eos_token_id, self.end_of_turn]
        return frozenset(int(token) for token in ends if token is not None)

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
