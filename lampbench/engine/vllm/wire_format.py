"""Requests and answers of a vLLM server's /v1/completions: token ids in, token ids out.

Every sampling parameter is sent, since a server takes what is missing from the model's
generation_config.json.
"""

from collections.abc import Collection, Sequence
from typing import Any

from lampbench.engine.decoded_answer import DecodedAnswer
from lampbench.engine.prompt_encoder import TokenIds
from lampbench.engine.protocol import GenerationSpec
from lampbench.util.errors import LampbenchError

LEAST_TEMPERATURE = 0.01
"""vLLM raises lower ones to this, without an error."""
NEEDS, _INTERFACE = "lampbench_needs", 2
"""What a server's lampbench-vllm must be at least; an older one refuses the name."""

_PLAIN = {
    "n": 1,
    "temperature": 0.0,
    "top_p": 1.0,
    "top_k": 0,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "return_token_ids": True,
}


def generation_body(
    spec: GenerationSpec, samples: int, seed: int, prompt: TokenIds, stop: Collection[int]
) -> dict[str, Any]:
    """The body that asks for `samples` answers to a prompt, without the name of the model.

    Greedy decoding is asked for one answer: all of them are the same.
    """
    body: dict[str, Any] = {
        **_PLAIN,
        "prompt": list(prompt),
        "max_tokens": spec.max_new_tokens,
        "min_tokens": spec.min_new_tokens,
        "repetition_penalty": spec.repetition_penalty,
        # all ends of an answer are named, so that those of the server's tokenizer play no part
        "ignore_eos": True,
        "stop_token_ids": sorted(stop),
        "seed": seed,
    }
    if spec.sampling is not None:
        body |= {
            "n": samples,
            "temperature": spec.sampling.temperature,
            "top_p": spec.sampling.top_p,
        }
    if settings := _plugin_settings(spec):
        body["vllm_xargs"] = settings
    return body


def needs_plugin(spec: GenerationSpec) -> bool:
    """Whether only a server with lampbench-vllm can decode so."""
    return bool(_plugin_settings(spec))


def _plugin_settings(spec: GenerationSpec) -> dict[str, float]:
    """What the logits processor of lampbench-vllm is told."""
    if spec.contrast is not None:
        contrast = {
            "lampbench_contrast_alpha": spec.contrast.alpha,
            "lampbench_contrast_tau": spec.contrast.tau,
            "lampbench_contrast_log_eps": spec.contrast.log_eps,
        }
        return {name: float(value) for name, value in contrast.items() if value is not None}
    if spec.repetition_penalty != 1.0 and spec.penalty_on == "scores":
        return {"lampbench_log_probabilities": 1.0}
    return {}


def probe_body(token: int) -> dict[str, Any]:
    """The body that asks a server with lampbench-vllm to answer with this token."""
    return {
        **_PLAIN,
        "prompt": [token],
        "max_tokens": 1,
        "ignore_eos": True,
        "vllm_xargs": {"lampbench_probe": token, NEEDS: _INTERFACE},
    }


def score_body(prompt: TokenIds, response: TokenIds) -> dict[str, Any]:
    """The body that asks for the log-probabilities of a response, of one token at least.

    The last token is not in the prompt: a server wants room for a new one within its context. It is
    the only token that may be chosen, and its log-probability is that before this restriction.
    """
    ids = [*prompt, *response]
    return {
        **_PLAIN,
        "prompt": ids[:-1],
        "max_tokens": 1,
        "ignore_eos": True,
        "allowed_token_ids": ids[-1:],
        "prompt_logprobs": 0,
        "logprobs": 0,
    }


def token_answers(
    found: Any, prompt: TokenIds, stop: Collection[int], budget: int
) -> list[DecodedAnswer]:
    """The answers in what a server sent, in the order of their numbers; `budget` tokens were
    allowed.

    Raises:
        LampbenchError: it is no answer to this prompt, or ended before the budget was spent.
    """
    try:
        choices = sorted(found["choices"], key=lambda choice: int(choice["index"]))
        return [_token_answer(choice, prompt, stop, budget) for choice in choices]
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable("token ids", error) from error


def _token_answer(
    choice: Any, prompt: TokenIds, stop: Collection[int], budget: int
) -> DecodedAnswer:
    if choice["prompt_token_ids"] != list(prompt):
        raise ValueError("it answers another prompt")
    ids = tuple(int(token) for token in choice["token_ids"])
    reason = choice["finish_reason"]
    if reason not in ("stop", "length"):
        raise ValueError(f"it ended with {reason!r}")
    if len(ids) > budget or (reason == "length" and len(ids) < budget):
        raise LampbenchError(
            f"the server ended an answer after {len(ids)} tokens, and {budget} were asked for: "
            "max_new_tokens of its --generation-config or --override-generation-config bounds all "
            "answers; start it with --generation-config vllm"
        )
    if reason == "stop":
        if not ids or ids[-1] not in stop:
            raise ValueError("it stopped without a stop token")
        ids = ids[:-1]
    return DecodedAnswer(ids, reason == "length")


def response_logprobs(found: Any, prompt: TokenIds, response: TokenIds) -> tuple[float, ...]:
    """The log-probabilities of a response's tokens in what a server sent.

    Raises:
        LampbenchError: they are not there.
    """
    try:
        (choice,) = found["choices"]
        within: Sequence[Any] = choice["prompt_logprobs"][len(prompt) :]
        logs = [
            float(entry[str(token)]["logprob"])
            for entry, token in zip(within, response[:-1], strict=True)
        ]
        if choice["token_ids"] != [response[-1]]:
            raise ValueError("it scored another token")
        logs.append(float(choice["logprobs"]["token_logprobs"][0]))
        if max(logs) > _ROUNDING:
            raise ValueError("these are no log-probabilities; start it with --logprobs-mode "
                             "raw_logprobs")  # fmt: skip
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _unusable("log-probabilities", error) from error
    return tuple(logs)


_ROUNDING = 1e-4


def _unusable(what: str, error: Exception) -> LampbenchError:
    cause = str(error) or type(error).__name__
    return LampbenchError(
        f"the server's answer has no {what} that can be used ({cause[:120]}); is it vLLM 0.31 or "
        "newer?"
    )
