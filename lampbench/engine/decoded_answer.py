"""An answer as token ids, and the completion that reports it."""

from dataclasses import dataclass

from lampbench.engine.prompt_encoder import EncodedPrompt, PromptEncoder, TokenIds
from lampbench.engine.protocol import Completion, GenerateRequest

_HEAD = 8  # token ids of a prompt that a completion shows


@dataclass(frozen=True, slots=True)
class DecodedAnswer:
    """The chosen tokens, without the stop token; `truncated` if the token budget ended them.

    `rewards` are equation 2 of each token, in nats, if the request asks for them.
    """

    ids: TokenIds
    truncated: bool
    rewards: tuple[float, ...] = ()


def completion(
    request: GenerateRequest,
    sample: int,
    prompt: EncodedPrompt,
    teacher_ids: TokenIds,
    answer: DecodedAnswer,
    encoder: PromptEncoder,
) -> Completion:
    """Report an answer to one sample of a request, which was asked as `prompt`."""
    return Completion(
        id=request.id,
        sample=sample,
        text=encoder.decode(answer.ids),
        token_ids=answer.ids,
        prompt_tokens=len(prompt.ids),
        prompt_head=prompt.ids[:_HEAD],
        prompt_tokens_dropped=prompt.dropped,
        truncated=answer.truncated,
        rewards=answer.rewards,
        token_texts=encoder.token_texts(answer.ids) if answer.rewards else (),
        teacher_ids=teacher_ids,
    )
