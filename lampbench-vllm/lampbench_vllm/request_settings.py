"""What a request asks of this package: `vllm_xargs` by name, checked before the request runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ALPHA, TAU, LOG_EPS = (f"lampbench_contrast_{name}" for name in ("alpha", "tau", "log_eps"))
LOG_PROBABILITIES = "lampbench_log_probabilities"
PROBE = "lampbench_probe"
NEEDS = "lampbench_needs"
_NAMES = (ALPHA, TAU, LOG_EPS, LOG_PROBABILITIES, PROBE, NEEDS)

INTERFACE = 2
"""Grows with what clients rely on. 2, of version 0.2.0: a server that contrasts every request says
so. Version 0.1.0 refuses `NEEDS` as unknown.
"""


@dataclass(frozen=True)
class RequestSettings:
    """How one request's logits are changed.

    Attributes:
        alpha: factor of the base side; None for a request without contrast.
        tau: threshold of plausible tokens.
        log_eps: the released code's epsilon inside logarithms; None for exact ones.
        log_probabilities: whether penalties act on log-probabilities instead of logits.
        probe: a token that is chosen if this server can contrast per request; if it cannot, the
            token after it is.
    """

    alpha: float | None = None
    tau: float = 0.0
    log_eps: float | None = None
    log_probabilities: bool = False
    probe: int | None = None


def request_settings(given: Mapping[str, Any] | None) -> RequestSettings | None:
    """A request's settings; None if it asks nothing of this package.

    Raises:
        ValueError: a value is not valid, a name begins with `lampbench_` and is unknown, or the
            client needs a newer version.
    """
    asked = {name: value for name, value in (given or {}).items() if name.startswith("lampbench_")}
    if not asked:
        return None
    if unknown := sorted(asked.keys() - set(_NAMES)):
        raise ValueError(f"lampbench-vllm: {unknown[0]} is unknown; there are {', '.join(_NAMES)}")
    for name, value in asked.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"lampbench-vllm: {name}={value!r} must be a number")
    if asked.get(NEEDS, 0) > INTERFACE:
        raise ValueError(
            f"lampbench-vllm: {NEEDS}={asked[NEEDS]} of the client is more than this version's "
            f"{INTERFACE}; install a newer one"
        )
    if (ALPHA in asked) != (TAU in asked) or (LOG_EPS in asked and ALPHA not in asked):
        raise ValueError(f"lampbench-vllm: {ALPHA} and {TAU} belong together")
    if not 0 <= asked.get(TAU, 0) <= 1:
        raise ValueError(f"lampbench-vllm: {TAU} must be between 0 and 1, not {asked[TAU]}")
    if LOG_EPS in asked and asked[LOG_EPS] <= 0:
        raise ValueError(f"lampbench-vllm: {LOG_EPS} must be positive, not {asked[LOG_EPS]}")
    return RequestSettings(
        alpha=asked.get(ALPHA),
        tau=float(asked.get(TAU, 0.0)),
        log_eps=asked.get(LOG_EPS),
        log_probabilities=bool(asked.get(LOG_PROBABILITIES, 0)),
        probe=int(asked[PROBE]) if PROBE in asked else None,
    )
