"""Whether there is an API at an address, that takes the key, before anything is asked of it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lampbench.engine.openai.api_client import ApiClient, NoReply
from lampbench.engine.openai.api_options import ApiOptions
from lampbench.engine.openai.chat_reply import same_model
from lampbench.engine.openai.server_errors import ServerErrors
from lampbench.util.errors import LampbenchError, suggestion

_SECONDS = 20.0
_DEFAULTS = (
    "vLLM takes what a request leaves out, such as a repetition penalty, from the model's "
    "generation_config.json, unless it was started with --generation-config vllm "
    "(docs/api-models.md)"
)


def check_server(options: ApiOptions, model: str, say: Callable[[str], object]) -> None:
    """Ask for the list of models, which costs nothing; say so if `model` is not on it, or if the
    server may decode otherwise than it is asked.

    A server without such a list, or with one that leaves models out, may be right all the same.

    Raises:
        LampbenchError: nothing answers at the address, or the key is refused.
    """
    key = options.key()
    client = ApiClient(replace(options, timeout=min(options.timeout, _SECONDS)), key)
    errors = ServerErrors(options, model, key)
    try:
        reply = client.get("/models")
    except NoReply as error:
        raise LampbenchError(
            f"no API answers at {options.place}: {errors.words_of(error)}; is the server running, "
            "and --api-base its address?"
        ) from error
    finally:
        client.close()
    if reply.status in (401, 403):
        raise errors.refusal(reply, "the list of models")
    try:
        entries = _models(reply.content()) if reply.status == 200 else []
    except ValueError:
        entries = []
    if "repetition_penalty" not in options.fields and any(
        entry.get("owned_by") == "vllm" for entry in entries
    ):
        say(f"note: {options.place}: {_DEFAULTS}")
    names = [name for entry in entries if isinstance(name := entry.get("id"), str)]
    if names and not any(same_model(model, name) for name in names):
        hint = suggestion(model, names[:20])
        say(f"note: {options.place} does not list model {model!r}: {errors.words_of(hint)}")


def _models(content: Any) -> list[Mapping[str, Any]]:
    data = content.get("data") if isinstance(content, Mapping) else None
    return [entry for entry in data if isinstance(entry, Mapping)] if isinstance(data, list) else []
