"""The prompts of a request and an answer as token ids, and the completion that reports it."""

from collections.abc import Sequence
from dataclasses import dataclass

from lampbench.engine.model_config import prompt_room
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


def encode_sides(request: GenerateRequest, encoder: PromptEncoder) -> tuple[EncodedPrompt, ...]:
    """The prompt of every side, the request's own first; each leaves room for the answer.

    Raises:
        LampbenchError: a prompt does not fit into the context, or nothing of it is left for one.
    """
    room = prompt_room(encoder.context, request.spec.max_new_tokens, request.id)
    encoded = {
        prompt: encoder.encode_prompt(
            request.id, prompt, room, generation_prompt=request.generation_prompt
        )
        for prompt in dict.fromkeys(request.prompts)
    }
    return tuple(encoded[prompt] for prompt in request.prompts)


def completion(
    request: GenerateRequest,
    sample: int,
    prompts: Sequence[EncodedPrompt],
    teacher_ids: TokenIds,
    answer: DecodedAnswer,
    encoder: PromptEncoder,
) -> Completion:
    """Report an answer to one sample of a request, whose sides were asked `prompts`."""
    prompt = prompts[0]
    return Completion(
        id=request.id,
        sample=sample,
        text=encoder.decode(answer.ids),
        token_ids=answer.ids,
        prompt_tokens=len(prompt.ids),
        prompt_head=prompt.ids[:_HEAD],
        prompt_tokens_dropped=sum(each.dropped for each in set(prompts)),
        truncated=answer.truncated,
        rewards=answer.rewards,
        token_texts=encoder.token_texts(answer.ids) if answer.rewards else (),
        teacher_ids=teacher_ids,
    )
