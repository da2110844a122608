"""What a running vLLM server tells of itself: precision, quantisation, a contrast for all requests.

By vLLM 0.32: `/server_info` has the whole configuration, and exists where the server was started
with VLLM_SERVER_DEV_MODE=1; `/metrics` has the settings of the key/value cache; every answer has a
`system_fingerprint`, of the version and a digest of the configuration.
"""

import re
from typing import Any

from lampbench.engine.server_configuration import ServerConfiguration
from lampbench.engine.vllm.http_client import ServerGone, ServerRefused, VllmClient
from lampbench.util.errors import LampbenchError

CONTRASTS_ALL = "contrast_alpha="
"""What lampbench-vllm adds to the fingerprint of a server that contrasts every request."""

_SECONDS = 60.0  # /server_info looks at the machine when it is first asked
_KV_CACHE = re.compile(r'^vllm:cache_config_info\{.*?\bcache_dtype="([^"]+)"', re.MULTILINE)


def told_configuration(client: VllmClient, name: str) -> ServerConfiguration:
    """What a server tells of how it runs its model, which has this name there.

    Raises:
        ServerGone: nothing answers.
    """
    model, cache = _server_info(client)
    metrics = _ask(client, "/metrics")
    found = _KV_CACHE.search(metrics) if isinstance(metrics, str) else None
    kv_cache = cache.get("cache_dtype") or (found and found[1])
    dtype = model.get("dtype")
    return ServerConfiguration(
        dtype=str(dtype).removeprefix("torch.") if dtype else None,
        quantization=str(model["quantization"] or "none") if "quantization" in model else None,
        kv_cache_dtype=str(kv_cache) if kv_cache else None,
        fingerprint=system_fingerprint(client, name),
    )


def require_contrast_per_request(url: str, fingerprint: str | None) -> None:
    """Make sure that a server with this fingerprint does not contrast every request, scoring
    included.

    Raises:
        LampbenchError: it says that it does.
    """
    told = fingerprint or ""
    if CONTRASTS_ALL in told:
        raise LampbenchError(
            f"the server at {url} contrasts every request "
            f"({told[told.index(CONTRASTS_ALL) :]}); start it without contrast_alpha and "
            "contrast_tau in --hf-overrides"
        )


def _server_info(client: VllmClient) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configurations of model and key/value cache; empty where they are not told."""
    try:
        config = _ask(client, "/server_info?config_format=json", _SECONDS)["vllm_config"]
        return dict(config["model_config"]), dict(config["cache_config"])
    except (TypeError, KeyError, ValueError):
        return {}, {}


def system_fingerprint(client: VllmClient, name: str) -> str | None:
    """The `system_fingerprint` of an answer of one token; None where it has none.

    Raises:
        ServerGone: nothing answers.
    """
    body = {"model": name, "prompt": [0], "max_tokens": 1}
    try:
        answer = client.post("/v1/completions", body)
    except ServerRefused:
        return None
    found = answer.get("system_fingerprint") if isinstance(answer, dict) else None
    return found if isinstance(found, str) else None


def _ask(client: VllmClient, path: str, timeout: float = 10.0) -> Any:
    """What a server has at a path; None where it has nothing there, or is too slow."""
    try:
        return client.get(path, timeout)
    except ServerRefused:
        return None
    except ServerGone:
        client.get("/health")  # it is there, and only this takes too long
        return None
