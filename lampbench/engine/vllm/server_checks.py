"""Whether a server is the one that is needed: vLLM, this model, this vocabulary, this plugin."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lampbench.engine.models import ModelSpec
from lampbench.engine.vllm.http_client import ServerRefused, VllmClient
from lampbench.engine.vllm.model_shapes import ModelShapes
from lampbench.engine.vllm.vllm_environment import NEEDED
from lampbench.engine.vllm.wire_format import NEEDS, probe_body, response_logprobs, score_body
from lampbench.util.errors import LampbenchError, short_repr

_PROBE_TEXT = "The storm reached the coast on Monday, 26 July.\n\nnaïve 日本 12345"
_PROBED = (11, 22)
_ROUNDING = 1e-3
_NOT_FOUND = 404
_KEY_REFUSED = (401, 403)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The base model of a server: its `name` there, where it comes from, and its context length."""

    name: str
    root: str
    context: int


def server_version(client: VllmClient) -> str:
    """The version of vLLM that answers.

    Raises:
        LampbenchError: it is no vLLM.
        ServerGone: nothing answers.
    """
    try:
        return str(client.get("/version")["version"])
    except (ServerRefused, TypeError, KeyError, IndexError) as error:
        raise LampbenchError(
            f"{client.url}: what answers there is no vLLM server (no /version); use --engine "
            "openai for other servers"
        ) from error


def served_model(client: VllmClient) -> ServedModel:
    """The base model of a server, which may have several names.

    Raises:
        LampbenchError: it does not say, or refuses the key.
        ServerGone: nothing answers.
    """
    try:
        cards: Any = client.get("/v1/models")["data"]
        base, *others = [card for card in cards if not card.get("parent")]
        if any(each["root"] != base["root"] for each in others):
            raise ValueError("several models")
        return ServedModel(str(base["id"]), str(base["root"]), int(base["max_model_len"]))
    except ServerRefused as refused:
        if refused.status in _KEY_REFUSED:
            raise LampbenchError(
                f"{client.url} refused the key ({refused}); put the server's --api-key into the "
                "environment variable VLLM_API_KEY"
            ) from refused
        raise LampbenchError(f"{client.url} does not say what it serves: {refused}") from refused
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise LampbenchError(
            f"{client.url}: its list of models has not one base model with its root and "
            "max_model_len; is it a vLLM server?"
        ) from error


def adapter_names(client: VllmClient) -> set[str]:
    """The names of the adapters that a server holds.

    Raises:
        ServerGone: nothing answers.
    """
    try:
        cards: Any = client.get("/v1/models")["data"]
        return {str(card["id"]) for card in cards if card.get("parent")}
    except (ServerRefused, TypeError, KeyError, AttributeError):
        return set()


def require_model(client: VllmClient, served: ServedModel, spec: ModelSpec) -> None:
    """Make sure that a server's model is `spec`: the same hub id or folder, or the same last name.

    Raises:
        LampbenchError: it is another one.
    """
    here, there = spec.location, served.root
    same_folder = Path(there).is_dir() and Path(here).is_dir()
    same = Path(there).resolve() == Path(here).resolve() if same_folder else (
        _last(there) == _last(here) or _last(here) in _hub_folder(there)
    )  # fmt: skip
    if not same:
        raise LampbenchError(
            f"{client.url} serves {short_repr(there, 200)}, and the run needs "
            f"{short_repr(here, 200)}; start a server of this model, or give the other one with "
            "--model"
        )


def _last(location: str) -> str:
    return location.rstrip("/").rpartition("/")[2].lower()


def _hub_folder(root: str) -> list[str]:
    """Names of models in a path of the hub's cache: .../models--ORG--NAME/snapshots/COMMIT."""
    parts = root.lower().split("/")
    return [part.rpartition("--")[2] for part in parts if part.startswith("models--")]


def require_vocabulary(client: VllmClient, served: ServedModel, shapes: ModelShapes) -> None:
    """Make sure that a server makes the same tokens of a text, and knows as many as the model.

    Raises:
        LampbenchError: it does not.
        ServerGone: nothing answers.
    """
    ours = shapes.tokenizer(_PROBE_TEXT, add_special_tokens=False)["input_ids"]
    body = {"model": served.name, "prompt": _PROBE_TEXT, "add_special_tokens": False}
    try:
        theirs = client.post("/tokenize", body)["tokens"]
    except (ServerRefused, TypeError, KeyError) as error:
        raise LampbenchError(
            f"{client.url}: the server does not say how it tokenizes ({error}); start it with its "
            "tokenizer (without --skip-tokenizer-init)"
        ) from error
    if list(theirs) != list(ours):
        raise LampbenchError(
            f"{client.url}: the server has another vocabulary: it makes {short_repr(theirs[:6])} "
            f"of a text of which the model's tokenizer makes {short_repr(list(ours)[:6])}; start a "
            f"server of {shapes.model.name_or_path}"
        )
    last = shapes.vocabulary - 1
    try:
        client.post("/v1/completions", {"model": served.name, "prompt": [last], "max_tokens": 1})
    except ServerRefused as refused:
        raise LampbenchError(
            f"{client.url}: the server refuses token {last}, the last one of the model's "
            f"vocabulary ({refused}); start a server of {shapes.model.name_or_path}"
        ) from refused


def contrasts_per_request(client: VllmClient, name: str) -> bool:
    """Whether a server has lampbench-vllm, and the twin of its model, and obeys each request.

    It is asked to answer with two given tokens, which no other server does.

    Raises:
        LampbenchError: its lampbench-vllm is too old.
        ServerGone: nothing answers.
    """
    return [_probe(client, name, token) for token in _PROBED] == list(_PROBED)


def has_plugin(client: VllmClient, name: str) -> bool:
    """Whether a server has the logits processor of lampbench-vllm, with or without a twin.

    Raises:
        LampbenchError: its lampbench-vllm is too old.
        ServerGone: nothing answers.
    """
    found = [_probe(client, name, token) for token in _PROBED]
    return found in (list(_PROBED), [token + 1 for token in _PROBED])


def _probe(client: VllmClient, name: str, token: int) -> int | None:
    try:
        answer: Mapping[str, Any] = client.post(
            "/v1/completions", {"model": name, **probe_body(token)}
        )
        return int(answer["choices"][0]["token_ids"][0])
    except ServerRefused as refused:
        if NEEDS in str(refused):
            raise LampbenchError(
                f"{client.url}: the server's lampbench-vllm is older than {NEEDED}, which is "
                "needed; install ./lampbench-vllm in its environment and start it again"
            ) from refused
        return None
    except (TypeError, KeyError, IndexError):
        return None


def require_raw_logprobs(client: VllmClient, served: ServedModel) -> None:
    """Make sure that a server's log-probabilities are the model's.

    With another `--logprobs-mode` they may be those after a restriction to the tokens that a
    request allows, which are 0 for a single one; here two tokens after the same one have less than
    all of the probability together.

    Raises:
        LampbenchError: they are not.
        ServerGone: nothing answers.
    """
    before, logs = _PROBED[:1], list[float]()
    for token in _PROBED:
        body = {"model": served.name, **score_body(before, (token,))}
        try:
            logs += response_logprobs(client.post("/v1/completions", body), before, (token,))
        except ServerRefused as refused:
            raise LampbenchError(
                f"{client.url}: the server gives no log-probabilities ({refused}); start it "
                "without --max-logprobs"
            ) from refused
    if sum(map(math.exp, logs)) > 1.0 + _ROUNDING:
        raise LampbenchError(
            f"{client.url}: the server's log-probabilities are not those of the model; start it "
            "with --logprobs-mode raw_logprobs"
        )


def require_lora_loading(client: VllmClient, served: ServedModel) -> None:
    """Make sure that adapters can be loaded while a server runs.

    Raises:
        LampbenchError: they cannot.
        ServerGone: nothing answers.
    """
    try:
        # nothing is loaded: a name and a path are asked for
        client.post("/v1/load_lora_adapter", {"lora_name": "", "lora_path": ""})
    except ServerRefused as refused:
        if "must be provided" in str(refused):
            return
        cause = f"vLLM {server_version(client)}: {refused}"
    else:
        return
    raise LampbenchError(
        f"{client.url}: the server cannot load adapters while it runs ({cause}); start it with "
        "--enable-lora and VLLM_ALLOW_RUNTIME_LORA_UPDATING=True in its environment"
    )
