"""How an API is asked: its address, its key, what is spent at most. Does not import httpx2."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import urlsplit

from lampbench.engine.server_address import server_address
from lampbench.util.errors import LampbenchError, short_repr
from lampbench.util.secrets import is_secret_name

KEY_VARIABLES = ("LAMPBENCH_API_KEY", "OPENAI_API_KEY")
"""Environment variables of the key; the second is read for `OPENAI_HOST` alone, so that no other
server is given it.
"""

OPENAI_HOST = "api.openai.com"

_OURS = ("model", "messages", "n", "stream", "max_tokens", "max_completion_tokens", "temperature",
         "top_p", "logprobs", "prompt_logprobs", "echo", "stop", "tools", "add_generation_prompt",
         "continue_final_message")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiOptions:
    """How a server is asked.

    Attributes:
        address: of the API, up to the version, such as "http://localhost:8000/v1".
        key_variable: environment variable that holds the key; None: see `KEY_VARIABLES`.
        concurrency: most requests at the same time.
        timeout: seconds that one request may take.
        retries: how often a request that failed for a passing reason is sent again.
        max_total_tokens: most tokens, read and written, that one command has the server count.
        max_cost: most that one command spends, in the currency of the prices.
        input_price: of a million tokens read.
        output_price: of a million tokens written.
        withheld: what becomes of a query whose answer the server filters or leaves empty: "stop"
            ends the run when all others are answered, "record" records the empty answer.
        fields: further fields of every request, by name; `seed: None` leaves the seed out.

    Raises:
        LampbenchError: the address or a field is not valid, or a budget lacks its prices.
    """

    address: str
    key_variable: str | None = None
    concurrency: int = 8
    timeout: float = 300.0
    retries: int = 6
    max_total_tokens: int | None = None
    max_cost: float | None = None
    input_price: float | None = None
    output_price: float | None = None
    withheld: Literal["stop", "record"] = "stop"
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = server_address(self.address, "--api-base", KEY_VARIABLES[0])
        object.__setattr__(self, "address", str(where))
        if (self.input_price is None) != (self.output_price is None):
            raise LampbenchError("give both prices, input_price and output_price, or neither")
        if self.max_cost is not None and self.input_price is None:
            raise LampbenchError(
                "max_cost needs prices: give input_price and output_price, each of a million tokens"
            )
        for name, value in self.fields.items():
            _require_field(name, value)

    @property
    def place(self) -> str:
        """The server as keys and messages name it: host, port and path, without the scheme."""
        return self.address.partition("://")[2]

    @property
    def host(self) -> str:
        """The server's name or address, in lower case."""
        return urlsplit(self.address).hostname or ""

    @property
    def on_this_machine(self) -> bool:
        """Whether the address is a loopback one."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost" or self.host.endswith(".localhost")

    @property
    def has_budget(self) -> bool:
        """Whether tokens or money are limited."""
        return self.max_total_tokens is not None or self.max_cost is not None

    def cost(self, read: int, written: int) -> float | None:
        """The price of some tokens, without discounts; None where no prices were given."""
        if self.input_price is None or self.output_price is None:
            return None
        return (read * self.input_price + written * self.output_price) / 1_000_000

    def key(self) -> str | None:
        """The key from the environment; None where the server is to be asked without one.

        Raises:
            LampbenchError: the variable that was named is not set, or a header cannot hold its
                value, which no message shows.
        """
        name = self.key_name
        if name is None:
            return None
        value = os.environ.get(name, "").strip()
        if not value:
            raise LampbenchError(f"the environment variable {name} holds no key; set it")
        if not (value.isascii() and value.isprintable()) or " " in value:
            raise LampbenchError(
                f"the environment variable {name} holds characters that no key has; set it again"
            )
        return value

    @property
    def key_name(self) -> str | None:
        """The environment variable of the key; None where there is none to send."""
        if self.key_variable is not None:
            return self.key_variable
        own, openai = KEY_VARIABLES
        if os.environ.get(own):
            return own
        return openai if self.host == OPENAI_HOST and os.environ.get(openai) else None


def parse_fields(text: str) -> dict[str, Any]:
    """Further fields of requests from JSON, such as {"reasoning_effort": "low"}.

    Raises:
        LampbenchError: it is no JSON object.
    """
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise LampbenchError(f"fields={short_repr(text)}: not JSON ({error})") from error
    if not isinstance(found, dict):
        raise LampbenchError(
            f'fields={short_repr(text)}: write a JSON object, such as {{"reasoning_effort": "low"}}'
        )
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _require_field(name: str, value: Any) -> None:
    if secret := next((one for one in _names({name: value}) if is_secret_name(one)), None):
        raise LampbenchError(
            f"fields: {secret} looks like a secret, and manifests show fields; the key is read "
            f"from the environment variable {KEY_VARIABLES[0]}, or the one that key_variable names"
        )
    if name in _OURS:
        raise LampbenchError(
            f"fields: {name} is set by lampbench; change the method's decoding with --set instead"
        )
    if name == "seed" and value is not None:
        raise LampbenchError(
            "fields: seed is set by --seed; only null, which leaves it out, can be given"
        )


def _names(value: Any) -> Iterator[str]:
    """The names in the objects of a JSON value."""
    if isinstance(value, Mapping):
        yield from value
    inside = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, Mapping | list):
        for one in inside:
            yield from _names(one)
