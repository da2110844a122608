"""A server that contrasts every request says so: in the `system_fingerprint` of every answer.

Nothing else of its answers would tell it from a server that does not. vLLM writes the fingerprint
in the process of its API, when it starts.
"""

import functools
from typing import Any

MARK = "contrast_alpha"


class Telling:
    """Whether fingerprints of this process have the settings."""

    ready = False


def contrast_of_all(vllm_config: Any) -> tuple[float, float] | None:
    """Alpha and tau of a server that contrasts every request; None where requests say their own."""
    alpha, tau = contrast_settings(vllm_config)
    return None if alpha is None or tau is None else (float(alpha), float(tau))


def contrast_settings(vllm_config: Any) -> tuple[Any, Any]:
    """What `--hf-overrides` gives as contrast_alpha and contrast_tau; None for what it does not."""
    config = vllm_config.model_config.hf_config
    return getattr(config, "contrast_alpha", None), getattr(config, "contrast_tau", None)


def tell_settings() -> None:
    """Add alpha and tau to the fingerprints that vLLM makes; `Telling` stays False without these.

    May be called several times.
    """
    try:
        from vllm.entrypoints.serve.utils import fingerprint

        plain = fingerprint.build_system_fingerprint
    except (ImportError, AttributeError):
        return
    if not Telling.ready:

        @functools.wraps(plain)
        def build(vllm_config: Any, *arguments: Any, **options: Any) -> str | None:
            found: str | None = plain(vllm_config, *arguments, **options)
            settings = contrast_of_all(vllm_config)
            if settings is None:
                return found
            alpha, tau = settings
            return f"{found or 'vllm'} {MARK}={alpha:g} contrast_tau={tau:g}"

        fingerprint.build_system_fingerprint = build
        Telling.ready = True
