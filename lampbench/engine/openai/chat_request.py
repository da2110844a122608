"""A request as the body of a chat completion."""

from collections.abc import Mapping
from typing import Any

from lampbench.core.prompt import Prompt
from lampbench.engine.openai.token_account import TokenCount
from lampbench.engine.protocol import GenerateRequest
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import seed_from

_TEMPLATE = 128  # tokens that a chat template adds, at most


def chat_messages(prompt: Prompt) -> list[dict[str, str]]:
    """The system instruction, if there is one, and the user's message."""
    system = [{"role": "system", "content": prompt.system}] if prompt.system else []
    return [*system, {"role": "user", "content": prompt.text}]


def chat_body(
    model: str,
    request: GenerateRequest,
    sample: int,
    fields: Mapping[str, Any],
    budget_name: str,
) -> dict[str, Any]:
    """One sample of a request: greedy decoding is temperature 0, a sample has a seed of its own.

    Every sample is asked for on its own (n is 1): servers count tokens per request, and some ignore
    n. `fields` are added; a seed of None there leaves the seed out.

    Raises:
        LampbenchError: the request needs what the API does not have.
    """
    _require_possible(request)
    spec = request.spec
    body: dict[str, Any] = {
        "model": model,
        "messages": chat_messages(request.prompt),
        budget_name: spec.max_new_tokens,
        "temperature": 0,
    }
    if spec.sampling is not None:
        body |= {
            "temperature": spec.sampling.temperature,
            "top_p": spec.sampling.top_p,
            "seed": seed_from(request.seed, sample),
        }
    body |= fields
    if body.get("seed", 0) is None:
        del body["seed"]
    return body


def most_tokens(prompt: Prompt, new_tokens: int) -> TokenCount:
    """The most tokens that a server can count: no tokenizer makes more than one of a byte."""
    text = len(prompt.system.encode("utf-8", "replace"))
    text += len(prompt.text.encode("utf-8", "replace"))
    return TokenCount(text + _TEMPLATE, new_tokens)


def _require_possible(request: GenerateRequest) -> None:
    """Refuse what would have to be left out, which would silently be another decoding.

    Raises:
        LampbenchError: the request needs it.
    """
    spec = request.spec
    asked = {
        "adapters": bool(request.weights),
        "contrastive decoding": spec.contrast is not None,
        "a repetition penalty": spec.repetition_penalty != 1.0,
        "min_new_tokens": bool(spec.min_new_tokens),
        "teacher forcing": request.teacher_text is not None,
        "prompts that end with the user's turn": not request.generation_prompt,
    }
    for what, needed in asked.items():
        if needed:
            hint = (
                "--set decoding.repetition_penalty=1 leaves it out"
                if what == "a repetition penalty"
                else "use an engine that runs the model itself"
            )
            raise LampbenchError(f"{request.id}: the API has no {what}; {hint}")
